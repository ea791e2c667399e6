"""The report on stored predictions: tables, figures, a page, and a check that asks served models.

Needs no torch: it reads what `lotwise_training.evaluation` stores.
"""
