"""Predictions of trained models and the metrics computed from them."""
