"""Calibrates a committee on labelled tiles: temperature, familiarity and policy, each on its own.

Nothing was trained on the tiles. They are divided lot by lot, because what was fitted on tiles says
nothing true about the same tiles: places of the lots and tails of the scores are learned from some,
the policy's threshold is tested on others. Training and `lotwise calibrate` fit with this.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.calibration import Calibrated, Calibration, CalibrationSet, Origin
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.drift import ScoreBins
from lotwise.core.errors import InvalidRequest
from lotwise.core.familiarity_fit import fit_familiarity
from lotwise.core.policy import PolicyRequest, ReferralPolicy
from lotwise.core.policy_fit import (
    Scored,
    accepted_tiles,
    fit_threshold,
    guarantee,
    tested_tiles_needed,
)
from lotwise.core.temperature import error_probability, fit_temperature, log_loss, scaled

Labels = npt.NDArray[np.int64]

REFERENCE_SHARE: Final = 0.40
TAILS_SHARE: Final = 0.15
FUSED_SHARE: Final = 0.15
TESTED_SHARE: Final = 0.30
LEAST_TILES: Final = 10
"""Of a lot: fewer leave a part without any."""
TAIL_TILES: Final = 2
"""Tiles that are expected beyond `min_familiarity` in calibration; with none, nothing would ever
be unfamiliar."""
_NAME: Final = 8


@dataclass(frozen=True, eq=False)
class LabelledTiles:
    """Tiles of reference lots, and what the committee says of them.

    Attributes:
        outputs: Of N tiles.
        labels: int64 [N], each tile's lot by its place in the logits.
        lot_ids: Names of the K reference lots, in the order of the logits.
        sha256: Of pixels and labels.
        date: Of the calibration.
        origin: Where the tiles come from.
    """

    outputs: CommitteeOutputs
    labels: Labels
    lot_ids: tuple[str, ...]
    sha256: str
    date: datetime
    origin: Origin

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.outputs):
            raise ValueError(f"{len(self.outputs)} tiles have {len(self.labels)} labels")


@dataclass(frozen=True, eq=False)
class Parts:
    """Rows of tiles, int64 each; no tile is in two of them.

    Attributes:
        reference: Say where the lots lie in the space of features.
        tails: For the tail of every score.
        fused: For the tail of the fused score.
        tested: For the policy's threshold.
    """

    reference: Labels
    tails: Labels
    fused: Labels
    tested: Labels


@dataclass(frozen=True, eq=False)
class Fitted:
    """All that was fitted."""

    calibrated: Calibrated
    policy: ReferralPolicy


def calibrate(
    tiles: LabelledTiles,
    request: PolicyRequest,
    weights_sha256: str,
    measured: tuple[CommitteeOutputs, Labels] | None = None,
) -> Fitted:
    """Fit everything.

    Args:
        tiles: Of known lots; nothing was trained on them.
        request: The policy that is asked for.
        weights_sha256: Of the committee that gave the outputs.
        measured: Further known tiles and their lots, to measure the policy on.

    Raises:
        InvalidRequest: CALIBRATION_ONE_LOT, CALIBRATION_LOT_TOO_SMALL or CALIBRATION_TOO_SMALL.
        Contradiction: POLICY_UNREACHABLE.
    """
    check_tiles(tiles.labels, tiles.lot_ids, request)
    calibrated = fit_calibration(tiles, weights_sha256)
    parts = divide(tiles.labels)

    def scored_part(rows: Labels) -> Scored:
        return scored(tiles.outputs.take(rows), tiles.labels[rows], calibrated)

    policy = fit_policy(
        request,
        calibrated.calibration,
        scored_part(np.concatenate([parts.tails, parts.fused])),
        scored_part(parts.tested),
        None if measured is None else scored(*measured, calibrated),
    )
    return Fitted(calibrated, policy)


def fit_calibration(tiles: LabelledTiles, weights_sha256: str) -> Calibrated:
    """Temperature and familiarity.

    Args:
        tiles: Of known lots; nothing was trained on them.
        weights_sha256: Of the committee that gave the outputs.
    """
    parts = divide(tiles.labels)
    outputs, labels = tiles.outputs, tiles.labels
    fitting = np.sort(np.concatenate([parts.reference, parts.tails, parts.fused]))
    pooled = outputs.pooled
    temperature = fit_temperature(pooled[fitting], labels[fitting])
    familiarity = fit_familiarity(
        (outputs.take(parts.reference), labels[parts.reference]),
        outputs.take(parts.tails),
        outputs.take(parts.fused),
    )
    held = pooled[parts.tested]
    said = scaled(held, temperature)
    calibration = Calibration(
        calibration_version="unnamed",
        weights_sha256=weights_sha256,
        temperature=temperature,
        nll_before_nats=log_loss(held, labels[parts.tested]),
        nll_after_nats=log_loss(said, labels[parts.tested]),
        familiarity_sha256=hashlib.sha256(familiarity.to_bytes()).hexdigest(),
        calibration_set=CalibrationSet(
            tiles=len(labels),
            lots=len(np.unique(labels)),
            sha256=tiles.sha256,
            date=tiles.date,
            origin=tiles.origin,
        ),
        score_bins=ScoreBins.of(error_probability(said)),
    )
    version = version_of(weights_sha256, calibration)
    return Calibrated(calibration.model_copy(update={"calibration_version": version}), familiarity)


def fit_policy(
    request: PolicyRequest,
    calibration: Calibration,
    others: Scored,
    tested: Scored,
    measured: Scored | None,
) -> ReferralPolicy:
    """A policy, tied to the calibration that its scores come from.

    Args:
        request: What is asked for.
        calibration: Of the scores.
        others: Tiles that candidates for the threshold come from.
        tested: Tiles that decide.
        measured: Further known tiles to measure it on; None for none.

    Raises:
        Contradiction: POLICY_UNREACHABLE.
    """
    found = fit_threshold(request, others, tested)
    policy = ReferralPolicy(
        policy_version="unnamed",
        weights_sha256=calibration.weights_sha256,
        calibration_version=calibration.calibration_version,
        request=request,
        max_score=found.threshold,
        guarantee=guarantee(request, found),
        risk_bound=found.risk_bound,
        fitted=accepted_tiles(request, found.threshold, tested),
        calibration_set=calibration.calibration_set,
        measured=None if measured is None else accepted_tiles(request, found.threshold, measured),
    )
    version = version_of(calibration.weights_sha256, policy)
    return policy.model_copy(update={"policy_version": version})


def scored(outputs: CommitteeOutputs, labels: Labels, calibrated: Calibrated) -> Scored:
    """Labelled tiles as a policy sees them.

    Args:
        outputs: Of the committee.
        labels: int64 [N], their lots by the place in the logits.
        calibrated: The committee's calibration.
    """
    probabilities = scaled(outputs.pooled, calibrated.calibration.temperature)
    return Scored(
        error_probability(probabilities),
        calibrated.familiarity.p_values(outputs),
        np.asarray(probabilities.argmax(axis=1) != labels),
    )


def check_tiles(labels: Labels, lot_ids: Sequence[str], request: PolicyRequest) -> None:
    """Refuse tiles that a calibration cannot rest on.

    Args:
        labels: int64 [N].
        lot_ids: Names of the reference lots.
        request: The policy that is asked for.

    Raises:
        InvalidRequest: CALIBRATION_ONE_LOT, CALIBRATION_LOT_TOO_SMALL or CALIBRATION_TOO_SMALL.
    """
    lots, counts = np.unique(labels, return_counts=True)
    if len(lots) < 2:
        raise InvalidRequest(
            "CALIBRATION_ONE_LOT",
            "The tiles are of one lot alone. On those a committee cannot be wrong about anything "
            "that matters: bring tiles of the other reference lots.",
        )
    if counts.min() < LEAST_TILES:
        few = int(counts.argmin())
        raise InvalidRequest(
            "CALIBRATION_LOT_TOO_SMALL",
            f"Lot {lot_ids[lots[few]]} has {counts[few]} "
            f"{'tile' if counts[few] == 1 else 'tiles'}; {LEAST_TILES} are needed of every lot. "
            "Add tiles, or leave the lot out.",
        )
    needed = max(
        math.ceil(TAIL_TILES / request.min_familiarity / FUSED_SHARE),
        math.ceil(tested_tiles_needed(request) / TESTED_SHARE),
    )
    if len(labels) < needed:
        raise InvalidRequest(
            "CALIBRATION_TOO_SMALL",
            f"{len(labels):,} tiles are too few for this policy; at least {needed:,} are needed, "
            "and more accept more. Add tiles, or ask for less.",
        )


def divide(labels: Labels) -> Parts:
    """Divide tiles, lot by lot and at random, by a fixed seed.

    Args:
        labels: int64 [N].
    """
    ends = np.cumsum([REFERENCE_SHARE, TAILS_SHARE, FUSED_SHARE])
    groups: tuple[list[Labels], ...] = ([], [], [], [])
    for lot in np.unique(labels):
        rows = np.random.default_rng([0, int(lot)]).permutation(np.flatnonzero(labels == lot))
        cuts = np.round(ends * len(rows)).astype(int)
        for group, part in zip(groups, np.split(rows, cuts), strict=True):
            group.append(part)
    return Parts(*(np.sort(np.concatenate(group)) for group in groups))


def tiles_sha256(images: npt.NDArray[np.uint8], labels: Labels, lot_ids: Sequence[str]) -> str:
    """Hash of labelled tiles, whatever their order.

    Args:
        images: uint8 [N, px, px], as the committee sees them.
        labels: int64 [N].
        lot_ids: Names of the lots.
    """
    each = sorted(
        f"{lot_ids[label]}:{hashlib.sha256(image.tobytes()).hexdigest()}"
        for image, label in zip(images, labels.tolist(), strict=True)
    )
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


def version_of(weights_sha256: str, stated: Any) -> str:
    """Named by all that it says but the day, so that two that differ differ in name.

    Args:
        weights_sha256: Of the committee.
        stated: A pydantic model with a `calibration_set`.
    """
    content = stated.model_dump_json(exclude={"calibration_set": {"date"}})
    digest = hashlib.sha256(content.encode()).hexdigest()
    return f"{weights_sha256[:_NAME]}-{digest[:_NAME]}"
