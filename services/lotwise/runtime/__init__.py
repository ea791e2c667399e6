"""What every service needs: server, settings, health, inference, metrics, logging."""
