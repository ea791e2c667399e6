"""Tiles of lots: read, rendered, split, sampled."""
