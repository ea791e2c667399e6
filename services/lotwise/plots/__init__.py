"""Figures of answers; they need the extra "plots" (matplotlib)."""
