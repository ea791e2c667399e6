"""Arrays, checkpoints and devices."""
