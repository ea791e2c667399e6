"""Fits a cascade on the tiles that its committee was calibrated on.

The first members get a calibration of their own. What the whole committee does is learned on tiles
that no place of a lot was learned from; by folds, so that the chances that decide on `stop_at` are
of tiles that were left out. The policy is fitted anew on the tiles that are kept for that, under
the scores that a cascade gives: its promise is the cascade's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.stats import beta

from lotwise.core.calibration import Calibrated, Calibration
from lotwise.core.calibration_fit import (
    Fitted,
    LabelledTiles,
    Labels,
    divide,
    fit_calibration,
    fit_policy,
    version_of,
)
from lotwise.core.cascade import (
    OTHER,
    OUTCOMES,
    REFER,
    SAME,
    Cascade,
    Flags,
    Look,
    Scores,
    committee_scores,
    log_chances,
    look,
    part_sha256,
    with_products,
)
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.drift import ScoreBins
from lotwise.core.policy import ReferralPolicy
from lotwise.core.policy_fit import Scored
from lotwise.core.uncertainty import Array

MOST_OTHER: Final = 0.005
"""Of known tiles, the share that a cascade may decide on otherwise than the whole committee."""
CONFIDENCE: Final = 0.95
"""With which that holds."""
FOLDS: Final = 5
RIDGE: Final = 3.0
"""Weight of the squares of the weights, in nats."""
STOPS: Final = np.concatenate([np.linspace(0.5, 0.99, 99), np.linspace(0.9905, 0.9999, 20)])
"""Values of `stop_at` that are tried."""


@dataclass(frozen=True, eq=False)
class FittedCascade:
    """All that was fitted.

    Attributes:
        cascade: When to stop.
        first: Calibration of the first members.
        policy: Fitted on the scores of the cascade.
        members: How many are asked first.
    """

    cascade: Cascade
    first: Calibrated
    policy: ReferralPolicy
    members: int


@dataclass(frozen=True, eq=False)
class Cascaded:
    """What a cascade says of tiles.

    Attributes:
        scores: What a policy compares.
        done: bool [N], whether the first members were enough.
    """

    scores: Scores
    done: Flags


def fit_cascade(
    tiles: LabelledTiles, fitted: Fitted, members: int, first: str, rest: str
) -> FittedCascade | None:
    """Fit a cascade.

    Args:
        tiles: That the committee was calibrated on, and what all its members say of them.
        fitted: The calibration and the policy of the whole committee.
        members: How many are asked first.
        first: Name of the model that holds the first members.
        rest: Of that with the others.

    Returns:
        The cascade; None where the tiles are too few to show that it decides as the whole committee
        on all but `MOST_OTHER`.

    Raises:
        Contradiction: POLICY_UNREACHABLE.
    """
    whole, policy = fitted.calibrated, fitted.policy
    weights = whole.calibration.weights_sha256
    of_first = replace(tiles, outputs=first_members(tiles.outputs, members))
    calibrated = fit_calibration(of_first, part_sha256(weights, list(range(members))))
    seen, of_all = look(calibrated, of_first.outputs), committee_scores(whole, tiles.outputs)
    parts = divide(tiles.labels)
    rows = np.concatenate([parts.tails, parts.fused])
    described, outcomes = seen.described[rows], _outcomes(of_all, seen.scores, policy)[rows]
    centre, scale = described.mean(axis=0), described.std(axis=0) + 1e-9
    columns = with_products((described - centre) / scale)
    own = seen.scores.accepted(policy.max_score, policy.request.min_familiarity)[rows]
    stop_at = _stop_at(_left_out(columns, outcomes), np.where(own, SAME, REFER), outcomes)
    if stop_at is None:
        return None
    cascade = Cascade(
        weights_sha256=weights,
        calibration_version=whole.calibration.calibration_version,
        policy_version=policy.policy_version,
        first=first,
        rest=rest,
        first_calibration_version=calibrated.calibration.calibration_version,
        max_score=policy.max_score,
        min_familiarity=policy.request.min_familiarity,
        stop_at=stop_at,
        centre=_rounded(centre),
        scale=_rounded(scale),
        weights=tuple(_rounded(row) for row in _fit(columns, outcomes)),
        calibration=whole.calibration,
        tiles=len(parts.tested),
        equal=0.0,
        evaluations=1.0,
    )
    # As it will be read: with rounded numbers.
    said = cascaded(cascade, seen, of_all)
    calibration = _named(cascade, said.scores.error_probability[parts.tested])
    own_policy = fit_policy(
        policy.request,
        calibration,
        _scored(said.scores, tiles.labels, rows),
        _scored(said.scores, tiles.labels, parts.tested),
        None,
    )
    equal = same_decisions(said.scores, of_all, own_policy, policy)[parts.tested]
    found = {
        "calibration": calibration,
        "equal": float(equal.mean()),
        "evaluations": evaluations(said.done[parts.tested], members, tiles.outputs.logits.shape[1]),
    }
    return FittedCascade(cascade.model_copy(update=found), calibrated, own_policy, members)


def _named(cascade: Cascade, scores: Array) -> Calibration:
    """The calibration as answers of a cascade state it, with a version of its own.

    Args:
        cascade: Without it.
        scores: float64 [N], chances of error that the cascade gives known tiles.
    """
    content = cascade.model_dump_json(exclude={"calibration"})
    calibration = cascade.calibration.model_copy(
        update={"score_bins": ScoreBins.of(scores), "calibration_version": "unnamed"}
    )
    version = version_of(hashlib.sha256(content.encode()).hexdigest(), calibration)
    return calibration.model_copy(update={"calibration_version": version})


def _scored(said: Scores, labels: Labels, rows: Labels) -> Scored:
    """Some tiles as a policy sees them."""
    wrong = np.asarray(said.named != labels)
    return Scored(said.error_probability, said.familiarity, wrong).take(rows)


def first_members(outputs: CommitteeOutputs, members: int) -> CommitteeOutputs:
    """What the first members of a committee say.

    Args:
        outputs: Of all of them.
        members: How many are first.
    """
    return CommitteeOutputs(
        outputs.logits[:, :members],
        {name: block[:, :members] for name, block in outputs.blocks.items()},
    )


def cascaded(cascade: Cascade, first: Look, of_all: Scores) -> Cascaded:
    """What a cascade says of tiles that all members were asked about.

    Args:
        cascade: When to stop.
        first: What the first members say.
        of_all: What the whole committee says.
    """
    done = cascade.done(first.described, first.scores)
    return Cascaded(
        Scores(
            np.where(done, first.scores.error_probability, of_all.error_probability),
            np.where(done, first.scores.familiarity, of_all.familiarity),
            np.where(done, first.scores.named, of_all.named),
        ),
        done,
    )


def same_decisions(
    said: Scores, of_all: Scores, policy: ReferralPolicy, policy_of_all: ReferralPolicy
) -> Flags:
    """On which tiles both decide alike, bool [N]: both refer, or both accept and name the same lot.

    Args:
        said: By the cascade.
        of_all: By the whole committee.
        policy: Of the cascade.
        policy_of_all: Of the whole committee.
    """
    here = said.accepted(policy.max_score, policy.request.min_familiarity)
    there = of_all.accepted(policy_of_all.max_score, policy_of_all.request.min_familiarity)
    same = said.named == of_all.named
    return np.asarray((here == there) & (~here | same))


def evaluations(done: Flags, first: int, members: int) -> float:
    """Share of the members' evaluations that a cascade takes.

    Args:
        done: bool [N], tiles for which the first members were enough.
        first: Members that are asked first.
        members: Of the whole committee.
    """
    return float((first + (members - first) * (1.0 - done.mean())) / members)


def _outcomes(of_all: Scores, first: Scores, policy: ReferralPolicy) -> npt.NDArray[np.int64]:
    accepted = of_all.accepted(policy.max_score, policy.request.min_familiarity)
    return np.where(accepted, np.where(of_all.named == first.named, SAME, OTHER), REFER)


def _left_out(columns: Array, outcomes: npt.NDArray[np.int64]) -> Array:
    """Chances of tiles by fits that did not see them, float64 [N, 3]."""
    folds = np.random.default_rng(0).permutation(len(columns)) % FOLDS
    chances = np.empty((len(columns), OUTCOMES))
    for fold in range(FOLDS):
        out = folds == fold
        chances[out] = np.exp(log_chances(columns[out], _fit(columns[~out], outcomes[~out])))
    return chances


def _fit(columns: Array, outcomes: npt.NDArray[np.int64]) -> Array:
    """Multinomial logistic regression with a ridge: float64 [C, 3]."""
    wanted = np.eye(OUTCOMES)[outcomes]

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(-1, OUTCOMES)
        logs = log_chances(columns, weights)
        gradient = columns.T @ (np.exp(logs) - wanted) + RIDGE * weights
        value = -(wanted * logs).sum() + 0.5 * RIDGE * (weights**2).sum()
        return float(value), gradient.ravel()

    start = np.zeros(columns.shape[1] * OUTCOMES)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(found.x).reshape(-1, OUTCOMES)


def _stop_at(
    chances: Array, own: npt.NDArray[np.int64], outcomes: npt.NDArray[np.int64]
) -> float | None:
    """The least chance from which on stopping keeps to `MOST_OTHER`; None where none does."""
    of_own = chances[np.arange(len(own)), own]
    n = len(own)
    for stop_at in STOPS.tolist():
        others = int(((of_own >= stop_at) & (own != outcomes)).sum())
        if others < n and beta.ppf(CONFIDENCE, others + 1, n - others) <= MOST_OTHER:
            return float(stop_at)
    return None


def _rounded(values: Sequence[float] | Array) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
