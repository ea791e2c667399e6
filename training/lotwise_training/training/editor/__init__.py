"""Trains editors of attributes."""
