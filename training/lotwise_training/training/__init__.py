"""Trains networks."""
