"""What happens if an attribute changes, and what to change to reach a property."""
