"""What figures of explanations say of themselves."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from lotwise.client.quantity import Quantity

Shown = Callable[[Quantity], Quantity]
"""A quantity in the unit that is to be shown."""


def titled(figure: Figure, lot_id: str, what: str, simulated: bool) -> None:
    """Name the lot, and say that the lots shown are hypothetical."""
    name = f"{lot_id}: {what}" if lot_id else what
    told = " Simulated lot." if simulated else ""
    figure.suptitle(f"{name}. Hypothetical lots.{told}", x=0.01, ha="left", size=8.5, weight="bold")
