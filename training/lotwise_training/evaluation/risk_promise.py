"""How often a referral policy's promise is broken, by how its calibration scenes are drawn.

A policy's bounds take tiles for independent. A laboratory draws scenes, whose tiles resemble each
other, of lots, which differ in how hard they are. So a policy is fitted again and again on whole
scenes of a large pool, whose own error and acceptance are the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from lotwise.core.policy import PolicyRequest, ReferralPolicy
from lotwise.core.policy_fit import Scored
from lotwise.core.selective_risk import (
    bonferroni_bisection,
    candidates,
    certify_coverage,
    certify_risk,
)
from lotwise.core.uncertainty import Array
from lotwise_training.data.calibration_sets import SCENE
from lotwise_training.data.tiles import Numbers
from lotwise_training.evaluation.bootstrap import Interval, wilson
from lotwise_training.evaluation.records import Records
from lotwise_training.store.arrays import ResultsError

Draw = Literal["every lot equally", "scenes at random", "lots at random"]
DRAWS: Final[tuple[Draw, ...]] = get_args(Draw)
Quantity = Literal["error", "coverage"]
Scenes = Sequence[Sequence[Numbers]]
"""By lot and scene, the rows of its tiles: int64 each."""

RECALIBRATIONS: Final = 250
SCENES_OF_A_LOT: Final = 3
"""That lots drawn at random are calibrated on, as the shipped committee is."""
LEAST_RISK: Final = 0.001
PROMISE: Final = "promise"
ACCEPTED: Final = "accepted"


@dataclass(frozen=True)
class PromiseCheck:
    """How often one promise is broken when calibration scenes are drawn in one way.

    Attributes:
        draw: How calibration scenes are drawn from the pool.
        quantity: "error" of accepted tiles, at most `limit`; "coverage" of known tiles, at least.
        limit, level: What is promised, and with which probability.
        pool: Tiles that the truth is computed from.
        scenes, calibration_tiles: Of each calibration set; as many others give the candidates of
            a risk.
        recalibrations: How many policies are fitted.
        unreachable: Of them, where nothing can be promised.
        violations: Of them, where the pool breaks the promise.
        interval: 95% of the share of violations, Wilson.
        most_violations: 97.5% quantile of violations, if each has the chance 1 - level.
        coverage: Mean share of the pool that is accepted.
        bonferroni_coverage: The same by Geifman & El-Yaniv's bisection; None for a coverage.
    """

    draw: Draw
    quantity: Quantity
    limit: float
    level: float
    pool: int
    scenes: int
    calibration_tiles: int
    recalibrations: int
    unreachable: int
    violations: int
    interval: Interval
    most_violations: int
    coverage: float
    bonferroni_coverage: float | None

    @property
    def kept(self) -> bool:
        """Whether violations stay within their binomial band."""
        return self.violations <= self.most_violations


def check_promises(
    policy: ReferralPolicy,
    pool: Scored,
    labels: npt.NDArray[np.integer[Any]],
    *,
    scene: int = SCENE,
    recalibrations: int = RECALIBRATIONS,
    seed: int = 0,
) -> list[PromiseCheck]:
    """Check a risk by every draw, then the coverage where the policy promises one.

    Args:
        policy: Whose promise is checked.
        pool: N tiles, scene by scene within each lot.
        labels: int [N], their lots.
        scene: Tiles of a scene.
        recalibrations: How many policies are fitted for each check.
        seed: Of the draws.

    Raises:
        ResultsError: A lot has fewer than two scenes.
    """
    request, scenes = policy.request, scenes_of(labels, scene)
    promises: list[tuple[Quantity, float]] = [
        ("error", checked_risk(pool, request, policy.risk_bound))
    ]
    if request.kind == "coverage":
        promises.append(("coverage", request.target))
    return [
        check_promise(pool, scenes, request, each, draw, recalibrations=recalibrations, seed=seed)
        for each in promises
        for draw in DRAWS
    ]


def checked_risk(pool: Scored, request: PolicyRequest, risk_bound: float) -> float:
    """The risk whose promise is checked.

    It is the policy's target, or else the bound that was found; but no more than half the largest
    error that a threshold has on the pool, or the promise could hardly be broken.
    """
    scores = pool.acceptable(request.min_familiarity)
    wrong = pool.wrong[np.argsort(scores, kind="stable")][: int(np.isfinite(scores).sum())]
    largest = float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1))[len(wrong) // 2 :].max())
    risk = request.target if request.kind == "risk" else risk_bound
    return max(min(risk, round(largest / 2, 3)), LEAST_RISK)


def check_promise(
    pool: Scored,
    scenes: Scenes,
    request: PolicyRequest,
    promise: tuple[Quantity, float],
    draw: Draw,
    *,
    recalibrations: int = RECALIBRATIONS,
    seed: int = 0,
) -> PromiseCheck:
    """Fit a policy again and again, on scenes drawn from a pool.

    Args:
        pool: Labelled tiles; their error and acceptance are the truth.
        scenes: Of these tiles; two of each lot at least.
        request: Confidence and least familiarity.
        promise: What is promised, and its limit.
        draw: How calibration scenes are drawn.
        recalibrations: How many policies are fitted.
        seed: Of the draws.

    Raises:
        ResultsError: A lot has fewer than two scenes.
    """
    if (least := min(map(len, scenes))) < 2:
        raise ResultsError(f"two scenes of every lot are needed, one has {least}")
    quantity, limit = promise
    rng, confidence = np.random.default_rng(seed), request.confidence
    scores = pool.acceptable(request.min_familiarity)
    order = np.argsort(scores, kind="stable")
    ordered, errors = scores[order], np.concatenate([[0], np.cumsum(pool.wrong[order])])
    violations = unreachable = tiles = 0
    accepted, bisected = [], []
    for _ in range(recalibrations):
        first, second = (np.concatenate(part) for part in draw_scenes(scenes, draw, rng))
        tested, tiles = (scores[second], pool.wrong[second]), tiles + len(second)
        if quantity == "coverage":
            found = certify_coverage(*tested, limit, confidence)
        else:
            thresholds = candidates(scores[first], len(second), limit, confidence)
            found = (
                certify_risk(thresholds, *tested, limit, confidence) if len(thresholds) else None
            )
            bisected.append(_accept(ordered, bonferroni_bisection(*tested, limit, confidence)))
        taken = _accept(ordered, None if found is None else found.threshold)
        accepted.append(taken)
        unreachable += found is None
        if quantity == "coverage":
            violations += found is not None and taken < limit * len(ordered)
        else:
            violations += taken > 0 and errors[taken] > limit * taken
    return PromiseCheck(
        draw=draw,
        quantity=quantity,
        limit=limit,
        level=confidence,
        pool=len(ordered),
        scenes=len(draw_scenes(scenes, draw, rng)[1]),
        calibration_tiles=round(tiles / recalibrations),
        recalibrations=recalibrations,
        unreachable=int(unreachable),
        violations=int(violations),
        interval=wilson(int(violations), recalibrations),
        most_violations=int(binom.ppf(0.975, recalibrations, 1 - confidence)),
        coverage=float(np.mean(accepted)) / len(ordered),
        bonferroni_coverage=float(np.mean(bisected)) / len(ordered) if bisected else None,
    )


def draw_scenes(
    scenes: Scenes, draw: Draw, rng: np.random.Generator
) -> tuple[list[Numbers], list[Numbers]]:
    """Scenes that give candidates, and as many others that test the threshold.

    One of every lot; as many of all lots together; or SCENES_OF_A_LOT of each of fewer lots, which
    are drawn with replacement.

    Args:
        scenes: Two of each lot at least.
        draw: How.
        rng: Draws.
    """
    if draw == "scenes at random":
        every = [rows for lot in scenes for rows in lot]
        order = rng.permutation(len(every))[: 2 * len(scenes)]
        return [every[at] for at in order[::2]], [every[at] for at in order[1::2]]
    each, lots = 1, np.arange(len(scenes))
    if draw == "lots at random":
        each = SCENES_OF_A_LOT
        lots = rng.integers(len(scenes), size=max(1, len(scenes) // each))
    parts: tuple[list[Numbers], list[Numbers]] = ([], [])
    for lot in lots.tolist():
        order = rng.permutation(len(scenes[lot]))
        take = min(each, len(order) // 2)
        for part, chosen in zip(parts, (order[:take], order[take : 2 * take]), strict=True):
            part.extend(scenes[lot][at] for at in chosen)
    return parts


def scenes_of(labels: npt.NDArray[np.integer[Any]], scene: int) -> Scenes:
    """Scenes of tiles that come scene by scene within each lot.

    Args:
        labels: int [N], lots.
        scene: Tiles of a scene.
    """
    lots = [np.flatnonzero(labels == lot) for lot in np.unique(labels)]
    return [[rows[at : at + scene] for at in range(0, len(rows), scene)] for rows in lots]


def _accept(ordered: Array, threshold: float | None) -> int:
    return 0 if threshold is None else int(np.searchsorted(ordered, threshold, side="right"))


def add_promise(records: Records, check: PromiseCheck) -> None:
    """Add what a check found."""
    measured = asdict(check) | {"kept": check.kept}
    of = {key: measured.pop(key) for key in ("draw", "quantity")}
    measured["violation_rate"] = (check.violations / check.recalibrations, measured.pop("interval"))
    records.add(PROMISE, of, check.recalibrations, **measured)


def add_accepted(
    records: Records,
    pool: Scored,
    labels: npt.NDArray[np.integer[Any]],
    min_familiarity: float,
    max_score: float,
) -> None:
    """Add the share that a policy accepts, of all tiles and in the worst lot.

    Args:
        records: Are added to; in section ACCEPTED.
        pool: N tiles.
        labels: int [N], their lots, 0 to L - 1.
        min_familiarity: Tiles below are referred.
        max_score: Tiles above are referred.
    """
    accepted = pool.acceptable(min_familiarity) <= max_score
    by_lot = np.bincount(labels, accepted) / np.bincount(labels)
    records.add(
        ACCEPTED,
        {"tiles of": "known lots"},
        len(pool),
        lots=len(by_lot),
        accepted_share=float(accepted.mean()),
        worst_accepted_share=float(by_lot.min()),
    )
