"""Lots whose shift is known, of committees that nobody trained."""

import numpy as np

from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.diagnosis import KINDS, Shift
from lotwise_training.data.synthetic_shifts import TILES, ShiftedTiles
from tests.support.committees import known_tiles


def shifted_lot(kind, seed, n=TILES):
    """Predictions of the tiles of one lot, as `known_tiles` would give them with a shift."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    outputs, labels = known_tiles(8 * n, 1000 + seed)
    one = outputs.take(np.flatnonzero(labels == seed % 4)[:n])
    features, early = one.blocks["features"].copy(), one.blocks["early"].copy()
    if kind is Shift.INSTRUMENT:
        early += rng.choice([-1, 1]) * rng.uniform(1.5, 3.0)
    elif kind is Shift.SYNTHESIS:
        features += rng.normal(0, 4.0, features.shape[1:])
    elif kind is Shift.UNRELATED:
        features += rng.normal(0, 15, features.shape)
        early += rng.normal(0, 15, early.shape)
    return CommitteeOutputs(one.logits, {"features": features, "early": early})


def joined(parts):
    """Predictions of several, one after another."""
    return CommitteeOutputs(
        np.concatenate([part.logits for part in parts]),
        {
            name: np.concatenate([part.blocks[name] for part in parts])
            for name in ("features", "early")
        },
    )


def shifted_lots(lots, calibration, seed=0):
    """`lots` of every kind, and so many of other materials for the verdicts on lots."""
    kinds = [kind for kind in KINDS for _ in range(lots)] + [Shift.SYNTHESIS] * calibration
    outputs = joined([shifted_lot(kind, seed + number) for number, kind in enumerate(kinds)])
    rows = np.repeat(np.arange(len(kinds)), TILES)
    tiles = ShiftedTiles(
        np.zeros((len(rows), 1, 1), dtype=np.uint8),
        np.array([KINDS.index(kind) for kind in kinds])[rows],
        rows,
        rows >= len(kinds) - calibration,
    )
    return tiles, outputs
