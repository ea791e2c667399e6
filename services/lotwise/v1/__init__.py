"""Messages and stubs generated from proto/lotwise/v1 by scripts/generate-proto."""
