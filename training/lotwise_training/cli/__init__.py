"""The command line `lotwise-train`."""
