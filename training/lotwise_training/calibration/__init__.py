"""Fits what turns predictions into decisions: temperature, policy, intervals, familiarity."""
