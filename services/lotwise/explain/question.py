"""What a backward explanation is asked for, and what of it makes no sense."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.counterfactual import Allowed
from lotwise.core.errors import InvalidRequest

DEFAULT_STEPS: Final = 11
MAX_STEPS: Final = 101
MAX_PAIR_STEPS: Final = 31
"""Of each attribute of a pair: not quite a thousand edits."""
DEFAULT_EVALUATIONS: Final = 200
MAX_EVALUATIONS: Final = 2000
DEFAULT_STARTS: Final = 3
"""One from the lot, and two that show whether others would find the same."""
MAX_STARTS: Final = 16
DEFAULT_TOLERANCE_SHARE: Final = 0.01

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BackwardQuestion:
    """A target, and what may be changed to reach it.

    Attributes:
        target: Property to reach, in the model's unit.
        tolerance: How near is near enough, same unit; 0 for 1% of the target.
        immutable: Attributes that must stay.
        ranges: (minimum, maximum) within 0-1 of attributes that may not go everywhere.
        costs: Of a change by 1, above 0; 1 where none is stated.
        starts: Searches from different places; 0 for DEFAULT_STARTS.
        max_evaluations: Of all searches together; 0 for DEFAULT_EVALUATIONS.
    """

    target: float
    tolerance: float = 0.0
    immutable: tuple[str, ...] = ()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    starts: int = 0
    max_evaluations: int = 0

    def check(self) -> None:
        """Look whether the numbers make sense, whatever the model.

        Raises:
            InvalidRequest: TARGET_INVALID, TOLERANCE_INVALID, EVALUATIONS_OUT_OF_RANGE,
                STARTS_OUT_OF_RANGE, RANGE_INVALID, COST_INVALID.
        """
        if not math.isfinite(self.target):
            raise InvalidRequest("TARGET_INVALID", f"The target must be finite, not {self.target}.")
        if not math.isfinite(self.tolerance) or self.tolerance < 0:
            raise InvalidRequest("TOLERANCE_INVALID", "The tolerance must not be negative.")
        if self.max_evaluations > MAX_EVALUATIONS:
            raise InvalidRequest(
                "EVALUATIONS_OUT_OF_RANGE", f"max_evaluations may be {MAX_EVALUATIONS} at most."
            )
        if self.starts > MAX_STARTS:
            raise InvalidRequest("STARTS_OUT_OF_RANGE", f"starts may be {MAX_STARTS} at most.")
        for name, (minimum, maximum) in self.ranges.items():
            if not 0.0 <= minimum <= maximum <= 1.0:
                raise InvalidRequest(
                    "RANGE_INVALID",
                    f"The range of '{name}' must rise within 0 to 1, not {minimum} to {maximum}.",
                )
        for name, cost in self.costs.items():
            if not (math.isfinite(cost) and cost > 0.0):
                raise InvalidRequest(
                    "COST_INVALID", f"The cost of '{name}' must be above 0 and finite, not {cost}."
                )

    def searches(self, default_evaluations: int = DEFAULT_EVALUATIONS) -> tuple[int, int]:
        """How many searches, and how many evaluations each may spend."""
        budget = self.max_evaluations or default_evaluations
        starts = min(self.starts or DEFAULT_STARTS, budget)
        return starts, budget // starts

    def tolerance_within(self, span: float) -> float:
        """The tolerance; `span` is that of the property, for a target of 0."""
        return self.tolerance or DEFAULT_TOLERANCE_SHARE * (abs(self.target) or span)

    def allowed(self, names: tuple[str, ...], lot: Floats) -> Allowed:
        """Where the attributes of a lot may go, and what that costs.

        Args:
            names: Of the model's attributes.
            lot: float64 [n_attributes], as they are.

        Raises:
            InvalidRequest: ATTRIBUTE_UNKNOWN, RANGE_EXCLUDES_LOT, NOTHING_MUTABLE.
        """
        allowed = Allowed.everywhere(len(names))
        for name, (minimum, maximum) in self.ranges.items():
            at = index_of(names, name)
            if not minimum <= lot[at] <= maximum:
                raise InvalidRequest(
                    "RANGE_EXCLUDES_LOT",
                    f"The lot has {lot[at]:.3g} of '{name}', which is outside of {minimum:g} to "
                    f"{maximum:g}. Widen the range.",
                )
            allowed.lower[at], allowed.upper[at] = minimum, maximum
        for name, cost in self.costs.items():
            allowed.cost[index_of(names, name)] = cost
        for name in self.immutable:
            at = index_of(names, name)
            allowed.lower[at] = allowed.upper[at] = lot[at]
        if not allowed.free.any():
            raise InvalidRequest(
                "NOTHING_MUTABLE", "No attribute may change. Leave one free, or widen its range."
            )
        return allowed


def grid_of(varied: Sequence[str], steps: int) -> Floats:
    """Values of one attribute or of a pair, equally spaced over 0 to 1.

    Args:
        varied: One name or two.
        steps: Values of each; 0 for the default.

    Returns:
        float64 [steps ** attributes, attributes]; of a pair, the second runs faster.

    Raises:
        InvalidRequest: STEPS_OUT_OF_RANGE, ATTRIBUTE_TWICE.
    """
    check_once(varied)
    most = MAX_STEPS if len(varied) == 1 else MAX_PAIR_STEPS
    steps = steps or DEFAULT_STEPS
    if not 2 <= steps <= most:
        of = "" if len(varied) == 1 else " of each attribute of a pair"
        raise InvalidRequest("STEPS_OUT_OF_RANGE", f"steps{of} must be 2 to {most}.")
    values = np.linspace(0.0, 1.0, steps)
    axes = np.meshgrid(*[values] * len(varied), indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=1)


def check_once(names: Sequence[str]) -> None:
    """Refuse an attribute that is named twice.

    Raises:
        InvalidRequest: ATTRIBUTE_TWICE.
    """
    if twice := [name for name in names if names.count(name) > 1]:
        raise InvalidRequest(
            "ATTRIBUTE_TWICE", f"Attribute '{twice[0]}' is stated twice. State it once."
        )


def index_of(names: tuple[str, ...], name: str) -> int:
    """The place of an attribute.

    Raises:
        InvalidRequest: ATTRIBUTE_UNKNOWN.
    """
    if name not in names:
        raise InvalidRequest(
            "ATTRIBUTE_UNKNOWN",
            f"The model has no attribute '{name}'. It has {', '.join(names)}.",
        )
    return names.index(name)
