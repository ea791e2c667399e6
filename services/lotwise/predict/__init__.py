"""The property of a lot (peak stress, say) from one tile."""
