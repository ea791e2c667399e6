"""Screening of whole lots from folders of tiles; a client of the services."""
