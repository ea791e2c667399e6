"""What a network learns: lots, a property, attributes."""
