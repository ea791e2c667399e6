"""Training recipes: their schema, and how they are read."""
