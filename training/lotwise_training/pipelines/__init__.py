"""What runs several steps one after another: predictions, calibration, plans."""
