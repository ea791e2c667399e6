"""Trained networks run over many tiles."""
