"""What the project set out to reach, beside what was published and what was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final, Literal

from lotwise_training.evaluation.predictions import DROPOUT, ENSEMBLE, SINGLE
from lotwise_training.evaluation.records import Records

REACHED: Final = "✓ reached"
MISSED: Final = "✗ missed"
UNKNOWN: Final = "not measured"
PUBLISHED: Final = "published"
"""Section, and "split", of the records below."""

LEAST_ACCURACY: Final = 0.953
SINGLE_ACCURACY: Final = 0.92
SINGLE_WITHIN: Final = 0.015
"""What "about" means: not a merit but the benchmark's difficulty, so neither side is better."""
MOST_ECE: Final = 0.015
MOST_NLL: Final = 0.20
MOST_SELECTIVE_RISK: Final = 0.010


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes:
        what: Of which metric.
        wanted, measured, published: As text with units; empty where there is nothing to state.
        reached: None where nothing was measured.
        value: What was measured: share, or in the unit; None for targets of several metrics.
    """

    what: str
    wanted: str
    measured: str
    published: str = ""
    reached: bool | None = None
    value: float | None = None

    @property
    def verdict(self) -> str:
        """Whether it is reached, in words."""
        return UNKNOWN if self.reached is None else REACHED if self.reached else MISSED

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return asdict(self)


def bounded(
    bound_is: Literal["at least", "at most"],
    what: str,
    value: float | None,
    bound: float,
    unit: str = "%",
    digits: int = 2,
    published: str = "",
) -> Target:
    """A target that is reached from a bound on, or up to it; see `at_least` and `at_most`.

    Args:
        bound_is: Which side is reached.
        what: See `Target`.
        value: What was measured; None for nothing.
        bound: Least or largest value.
        unit: "%" for shares.
        digits: Of the measured value.
        published: See `Target`.
    """
    reached = None
    if value is not None:
        reached = value >= bound if bound_is == "at least" else value <= bound
    wanted = f"{bound_is} {_plain(bound, unit)}"
    return Target(what, wanted, in_unit(value, unit, digits), published, reached, value)


at_least = partial(bounded, "at least")
at_most = partial(bounded, "at most")


def in_unit(value: float | None, unit: str, digits: int) -> str:
    """A value with its unit; empty for None."""
    if value is None:
        return ""
    if unit in ("%", "points"):
        text, unit = f"{100 * value:.{digits}f}", "%" if unit == "%" else " points"
    else:
        text, unit = f"{value:.{digits}f}", unit and f" {unit}"
    return f"{text}{unit}".replace("-", "−")


def published_records() -> Records:
    """Zhang et al. 2020 on their lots: Table 1, and Figure 5 as the text states it.

    Their ensemble had 16 members, their dropout 16 passes.
    """
    records = Records()
    for method, accuracy, nll, ece, risk in (
        (SINGLE, 0.923, 0.919, 0.0538, 0.035),
        (DROPOUT, 0.921, 0.903, 0.0279, 0.035),
        (ENSEMBLE, 0.953, 0.920, 0.0152, 0.015),
    ):
        of = {"split": PUBLISHED, "method": method}
        records.add(PUBLISHED, of, accuracy=accuracy, nll=nll, ece=ece, selective_risk=risk)
    return records


def published(metric: str, method: str = ENSEMBLE) -> float:
    """One number of `published_records`."""
    value = published_records().value(PUBLISHED, metric, method=method)
    assert value is not None
    return value


def _plain(bound: float, unit: str) -> str:
    if unit in ("%", "points"):
        return f"{100 * bound:.4g}{'%' if unit == '%' else ' points'}"
    return f"{bound:.4g}" + (unit and f" {unit}")
