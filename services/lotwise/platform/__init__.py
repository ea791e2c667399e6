"""The whole platform on one machine: Triton and the four services, started and stopped."""
