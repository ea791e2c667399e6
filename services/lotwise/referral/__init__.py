"""Accept a tile or a lot, or send it to an expert and say why."""
