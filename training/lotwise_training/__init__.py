"""Trains, evaluates and exports the models of Lotwise. May import torch; serving never does."""
