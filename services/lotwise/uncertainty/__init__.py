"""Which reference lot a tile looks like, and how sure the committee is."""
