"""Fits a policy's threshold on labelled tiles that took part in nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from lotwise.core.errors import Contradiction
from lotwise.core.policy import AcceptedTiles, Guarantee, PolicyRequest
from lotwise.core.selective_risk import (
    Certified,
    Flags,
    candidates,
    certify_coverage,
    certify_risk,
    measure_threshold,
    tiles_needed,
)
from lotwise.core.uncertainty import Array

LARGEST_RISK: Final = 0.5
"""A larger error is not worth offering."""
RISK_STEP: Final = 1.05
"""Offers rise by this factor."""
SLACK: Final = 1.1
"""Familiar tiles vary in number, so a coverage needs so many times the tiles of the mean."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Labelled tiles as a policy sees them.

    Attributes:
        scores: float64 [N], chance that the named lot is wrong.
        familiarity: float64 [N], p-values.
        wrong: bool [N], whether the named lot is not the true one.
    """

    scores: Array
    familiarity: Array
    wrong: Flags

    def __len__(self) -> int:
        return len(self.scores)

    def acceptable(self, min_familiarity: float) -> Array:
        """Scores, infinite where a tile is unfamiliar: float64 [N]."""
        return np.where(self.familiarity >= min_familiarity, self.scores, np.inf)

    def take(self, rows: npt.NDArray[np.int64]) -> Scored:
        """Some of the tiles."""
        return Scored(self.scores[rows], self.familiarity[rows], self.wrong[rows])


def fit_threshold(request: PolicyRequest, others: Scored, tested: Scored) -> Certified:
    """The threshold that a policy asks for, with what it does on the tested tiles.

    Args:
        request: What is asked for.
        others: Tiles that candidates come from; their labels are not looked at.
        tested: Tiles that decide.

    Raises:
        Contradiction: POLICY_UNREACHABLE, with what can be reached.
    """
    scores = tested.acceptable(request.min_familiarity)
    if request.kind == "threshold":
        return measure_threshold(request.target, scores, tested.wrong, request.confidence)
    if request.kind == "coverage":
        found = certify_coverage(scores, tested.wrong, request.target, request.confidence)
        if found is None:
            raise _coverage_unreachable(request, scores)
        return found
    found = _certified(request, request.target, others, scores, tested.wrong)
    if found is None:
        raise _risk_unreachable(request, others, scores, tested.wrong)
    return found


def guarantee(request: PolicyRequest, found: Certified) -> Guarantee:
    """What the threshold promises, in words and numbers."""
    sure = f"With probability {request.confidence:.0%} over calibration sets"
    alike = (
        "This holds for tiles drawn like the calibration tiles, if these are whole scenes, equally "
        "many of every lot."
    )
    if request.kind == "coverage":
        return Guarantee(
            quantity="accepted share of known tiles",
            target=request.target,
            bound=found.coverage_bound,
            confidence=request.confidence,
            statement=f"{sure}, at least {request.target:.1%} of the tiles of known lots are "
            f"accepted. {alike}",
        )
    if request.kind == "risk":
        return Guarantee(
            quantity="error among accepted tiles",
            target=request.target,
            bound=found.risk_bound,
            confidence=request.confidence,
            statement=f"{sure}, at most {request.target:.1%} of the accepted tiles name the wrong "
            f"lot. {alike}",
        )
    return Guarantee(
        quantity="error among accepted tiles",
        target=None,
        bound=found.risk_bound,
        confidence=request.confidence,
        statement="Nothing was promised beforehand: the threshold was given. "
        f"{sure}, at most {found.risk_bound:.1%} of the accepted tiles name the wrong lot. {alike}",
    )


def accepted_tiles(request: PolicyRequest, threshold: float, tiles: Scored) -> AcceptedTiles:
    """What a threshold does on labelled tiles."""
    found = measure_threshold(
        threshold, tiles.acceptable(request.min_familiarity), tiles.wrong, request.confidence
    )
    error = found.errors / found.accepted if found.accepted else 0.0
    return AcceptedTiles(tiles=len(tiles), coverage=found.coverage, error=error)


def tested_tiles_needed(request: PolicyRequest) -> int:
    """Tiles to test on without which the policy cannot be fitted, however good the committee."""
    if request.kind == "threshold":
        return 1
    if request.kind == "risk":
        needed = tiles_needed(request.target, request.confidence)
        return math.ceil(SLACK * needed / (1 - request.min_familiarity))
    familiar = 1 - request.min_familiarity
    # Share of tiles that may be accepted at most, between the target and all familiar ones.
    share = (request.target + familiar) / 2
    n = 1
    while True:
        k = math.floor(share * n)
        if k and beta.ppf(1 - request.confidence, k, n - k + 1) >= request.target:
            break
        n = math.ceil(1.02 * n) + 1
    return math.ceil(SLACK * n)


def _certified(
    request: PolicyRequest, risk: float, others: Scored, scores: Array, wrong: Flags
) -> Certified | None:
    thresholds = candidates(
        others.acceptable(request.min_familiarity), len(scores), risk, request.confidence
    )
    if not len(thresholds):
        return None
    return certify_risk(thresholds, scores, wrong, risk, request.confidence)


def _risk_unreachable(
    request: PolicyRequest, others: Scored, scores: Array, wrong: Flags
) -> Contradiction:
    offer = ""
    risk = request.target * RISK_STEP
    while risk <= LARGEST_RISK:
        found = _certified(request, risk, others, scores, wrong)
        if found is not None:
            # Rounded up: what is offered must hold.
            offered = math.ceil(risk * 1000) / 1000
            offer = (
                f"On these tiles {offered:.1%} can be promised, accepting {found.coverage:.0%} "
                "of them. "
            )
            break
        risk *= RISK_STEP
    return Contradiction(
        "POLICY_UNREACHABLE",
        f"An error of at most {request.target:.1%} among accepted tiles cannot be promised at "
        f"{request.confidence:.0%} confidence. {offer}Ask for that, bring more tiles, or train "
        "the committee further.",
    )


def _coverage_unreachable(request: PolicyRequest, scores: Array) -> Contradiction:
    n, familiar = len(scores), int(np.isfinite(scores).sum())
    reached = float(beta.ppf(1 - request.confidence, familiar, n - familiar + 1)) if familiar else 0
    offered = math.floor(reached * 1000) / 1000
    return Contradiction(
        "POLICY_UNREACHABLE",
        f"A coverage of {request.target:.1%} cannot be promised at {request.confidence:.0%} "
        f"confidence: of {n:,} tiles {familiar:,} are familiar enough. At most {offered:.1%} can. "
        "Ask for that, lower min_familiarity, or bring more tiles.",
    )
