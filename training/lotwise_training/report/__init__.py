"""What the committees' stored answers come to: figures, tables, a page, and a check by doing again.

Needs no torch: it reads what `evaluation/predictions.py` stores, and asks the served models.
"""
