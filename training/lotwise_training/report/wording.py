"""Numbers as text."""

from __future__ import annotations

import math
from typing import Final

from lotwise_training.evaluation.bootstrap import Interval

NONE: Final = "–"
"""Where there is no number."""


def percent(share: float | None, digits: int = 2) -> str:
    """A share as percent without the sign, which stands in the heading."""
    return NONE if share is None else f"{100 * share:.{digits}f}"


def percent_range(interval: Interval | None) -> str:
    """An interval of shares as percent."""
    return NONE if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many digits."""
    return NONE if value is None or math.isnan(value) else f"{value:.{digits}f}"


def signed(value: float, digits: int) -> str:
    """A number with its sign, minus as a minus."""
    return f"{value:+.{digits}f}".replace("-", "−")
