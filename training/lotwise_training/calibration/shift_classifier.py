"""Fits the diagnosis of shifts, of tiles and of lots, on simulated shifts of known kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.diagnosis import KINDS, Diagnosis, Shift, describe
from lotwise.core.familiarity import Single
from lotwise.core.familiarity_fit import fit_block
from lotwise.core.lot_diagnosis import (
    LotCalibration,
    LotPlaces,
    changed_score,
    instrument_score,
    lot_features,
)
from lotwise.core.uncertainty import Array
from lotwise_training.data.synthetic_shifts import Flags, ShiftedTiles
from lotwise_training.data.tiles import Numbers
from lotwise_training.store.arrays import ResultsError

HIDDEN: Final = 48
BATCH: Final = 256
EPOCHS: Final = 25
RATE: Final = 2e-3
DECAY: Final = 1e-3
"""Weight decay."""
PLACES: Final = 0.03
"""By which places are made smaller than the other numbers that describe a tile: so the network goes
by distances and doubts first, and does not learn the lots by heart. Of tiles of lots that were left
out it called 81% right (balanced over the kinds) with 1, 88% with 0.1, 90% with 0.03 and 0.015."""
FOLDS: Final = 3
"""Lots are left out in so many groups, to see what the diagnosis says of lots that it never saw."""
SIZES: Final = (9, 18, 36)
"""Numbers of tiles by which lots are looked at."""
ALARM_LEVEL: Final = 0.05
SEED: Final = 0
DIGITS: Final = 5
"""Of what is kept of lots."""


@dataclass(frozen=True, eq=False)
class FittedDiagnosis:
    """Of tiles, and of lots."""

    diagnosis: Diagnosis
    lots: LotCalibration


def fit_diagnosis(
    shifted: ShiftedTiles,
    outputs: CommitteeOutputs,
    known: tuple[CommitteeOutputs, Numbers],
    ranked: tuple[CommitteeOutputs, Numbers],
    weights_sha256: str,
) -> FittedDiagnosis:
    """Fit both.

    Args:
        shifted: Tiles whose shift is known.
        outputs: Of the committee, for them.
        known: Outputs for other tiles of its own lots, and those lots.
        ranked: Outputs for scenes of its own lots that fit nothing, and the number of each tile's
            scene: known lots are ranked by them.
        weights_sha256: Of the committee.

    Raises:
        ResultsError: The other tiles of its own lots are too few.
    """
    known_outputs, labels = known
    blocks = {name: fit_block(block, labels) for name, block in known_outputs.blocks.items()}
    described = describe(blocks, outputs)
    places = sum(block.projection.shape[1] for block in blocks.values())
    fitted = ~shifted.calibration
    # What it says of lots that it never saw: how sure it may be, of tiles and of lots.
    out_of_fold = _out_of_fold(described, shifted, fitted, places)
    temperature = _temperature(out_of_fold[fitted], shifted.kinds[fitted])
    network = _network(described[fitted], shifted.kinds[fitted], places, temperature)
    version = hashlib.sha256(b"".join(array.tobytes() for array in network)).hexdigest()[:12]
    diagnosis = Diagnosis(blocks, *network, weights_sha256=weights_sha256, version=version)
    return FittedDiagnosis(
        diagnosis,
        _lots(diagnosis, shifted, outputs, known, ranked, _logs(out_of_fold / temperature)),
    )


def _out_of_fold(described: Array, shifted: ShiftedTiles, fitted: Flags, places: int) -> Array:
    """Logits of tiles by networks that never saw their lots: float64 [N, 4]."""
    logits = np.zeros((len(described), len(KINDS)))
    folds = _folds(shifted)
    for fold in range(FOLDS):
        rows = fitted & (folds != fold)
        network = _network(described[rows], shifted.kinds[rows], places, 1.0)
        others = fitted & (folds == fold)
        logits[others] = _logits(network, described[others])
    return logits


def _folds(shifted: ShiftedTiles) -> Numbers:
    """Group of each tile's lot, so that each group has its share of every kind: int64 [N]."""
    rng, folds = np.random.default_rng(SEED), np.zeros(len(shifted.lots), dtype=np.int64)
    for kind in range(len(KINDS)):
        lots = rng.permutation(np.unique(shifted.lots[shifted.kinds == kind]))
        for number, lot in enumerate(lots):
            folds[shifted.lots == lot] = number % FOLDS
    return folds


def _network(
    described: Array, kinds: Numbers, places: int, temperature: float
) -> tuple[Single, Single, Single, Single]:
    """Centre, scale, hidden and output of a `Diagnosis`.

    Args:
        described: float64 [N, F]; the first of the F are places.
        kinds: int64 [N].
        places: How many are.
        temperature: By which logits are divided.
    """
    centre = described.mean(axis=0).astype(np.float32)
    scale = (described.std(axis=0) + 1e-6).astype(np.float32)
    scale[:places] /= PLACES
    inputs = torch.from_numpy(((described - centre) / scale).astype(np.float32))
    truth = torch.from_numpy(kinds)
    counts = np.bincount(kinds, minlength=len(KINDS))
    balance = torch.from_numpy((len(kinds) / len(KINDS) / counts).astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        first, last = nn.Linear(inputs.shape[1], HIDDEN), nn.Linear(HIDDEN, len(KINDS))
        layers = nn.Sequential(first, nn.ReLU(), last)
    optimiser = torch.optim.AdamW(layers.parameters(), lr=RATE, weight_decay=DECAY / RATE)
    rng = np.random.default_rng(SEED)
    batches = -(-len(kinds) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS * batches)
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(kinds)), batches):
            optimiser.zero_grad()
            logits = layers(inputs[rows])
            loss = nn.functional.cross_entropy(logits, truth[rows], weight=balance)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    hidden, output = (
        np.concatenate([layer.weight.detach().numpy().T, layer.bias.detach().numpy()[None]])
        for layer in (first, last)
    )
    return centre, scale, hidden, (output / temperature).astype(np.float32)


def _logits(network: tuple[Single, Single, Single, Single], described: Array) -> Array:
    centre, scale, hidden, output = network
    between = np.maximum((described - centre) / scale @ hidden[:-1] + hidden[-1], 0.0)
    logits: Array = between @ output[:-1] + output[-1]
    return logits


def _temperature(logits: Array, kinds: Numbers) -> float:
    """By which logits are divided so that the kinds, equally common, are least surprising."""
    weights = 1.0 / np.bincount(kinds, minlength=len(KINDS))[kinds]

    def surprise(temperature: float) -> float:
        scaled = logits / temperature
        chosen = scaled[np.arange(len(kinds)), kinds]
        return float(weights @ (np.logaddexp.reduce(scaled, axis=1) - chosen))

    return float(min(np.geomspace(0.5, 10.0, 200), key=surprise))


def _lots(
    diagnosis: Diagnosis,
    shifted: ShiftedTiles,
    outputs: CommitteeOutputs,
    known: tuple[CommitteeOutputs, Numbers],
    ranked: tuple[CommitteeOutputs, Numbers],
    out_of_fold: Array,
) -> LotCalibration:
    """How far lots go.

    Args:
        diagnosis: Of tiles.
        shifted: Tiles whose shift is known.
        outputs: Of the committee, for them.
        known: Outputs and lots.
        ranked: Outputs and scenes.
        out_of_fold: float64 [N, 4], log-probabilities of shifted tiles by networks that never saw
            their lots.
    """
    places = diagnosis.places(outputs)
    known_outputs, labels = known
    first = np.random.default_rng(SEED).random(len(labels)) < 0.5
    of_known, logs = diagnosis.places(known_outputs), diagnosis.log_probabilities(known_outputs)
    means = np.stack([of_known[first & (labels == lot)].mean(axis=0) for lot in np.unique(labels)])
    lots, kinds = [], []
    for lot in np.unique(shifted.lots[~shifted.calibration]):
        rows = shifted.lots == lot
        lots.append(LotPlaces.of(out_of_fold[rows], places[rows]))
        kinds.append(int(shifted.kinds[rows][0]))
    # Few lots are known: the other half of their calibration tiles makes more of them.
    others = list(_groups(labels, ~first, SIZES[-1]))
    if not others:
        raise ResultsError(
            f"too few calibration tiles: half of those of a lot must be {SIZES[-1]} at least"
        )
    for each in others:
        lots.append(LotPlaces.of(logs[each], of_known[each]))
        kinds.append(KINDS.index(Shift.NONE))
    features = np.stack([lot_features(means, each) for each in lots])
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    odds = LogisticRegression(class_weight="balanced", max_iter=2_000)
    odds.fit((features - centre) / scale, kinds)
    # As they are kept and used: rounded before anything is ranked with them.
    weights, means = np.round(odds.coef_ / scale, DIGITS), np.round(means, DIGITS)
    offsets = odds.intercept_ - (odds.coef_ / scale) @ centre
    rows = np.flatnonzero(shifted.calibration)
    by_size = _drawn(diagnosis, outputs.take(rows), shifted.lots[rows])

    def log_probabilities(lot: LotPlaces) -> Array:
        logits = weights @ lot_features(means, lot) + offsets
        logs_of_lot: Array = logits - np.logaddexp.reduce(logits)
        return logs_of_lot

    return LotCalibration(
        diagnosis_version=diagnosis.version,
        alarm_level=ALARM_LEVEL,
        sizes=SIZES,
        changed=_ranked(
            _drawn(diagnosis, *ranked), lambda lot: changed_score(log_probabilities(lot))
        ),
        instrument=_ranked(by_size, lambda lot: instrument_score(log_probabilities(lot))),
        spread=_ranked(by_size, lambda lot: lot.spread_score),
        known_places=tuple(map(tuple, means.tolist())),
        weights=tuple(map(tuple, weights.tolist())),
        offsets=tuple(offsets.tolist()),
    )


def _groups(labels: Numbers, chosen: Flags, size: int) -> Iterator[Numbers]:
    """Tiles of one lot, so many at a time."""
    for lot in np.unique(labels):
        rows = np.flatnonzero(chosen & (labels == lot))
        for at in range(0, len(rows) - size + 1, size):
            yield rows[at : at + size]


def _drawn(
    diagnosis: Diagnosis, outputs: CommitteeOutputs, scenes: Numbers
) -> dict[int, list[LotPlaces]]:
    """By size, of each scene so many tiles drawn from all over it."""
    logs, places = diagnosis.log_probabilities(outputs), diagnosis.places(outputs)
    by_size = {}
    for size in SIZES:
        rng = np.random.default_rng(SEED)
        rows = [
            rng.permutation(np.flatnonzero(scenes == each))[:size] for each in np.unique(scenes)
        ]
        by_size[size] = [LotPlaces.of(logs[each], places[each]) for each in rows]
    return by_size


def _logs(logits: Array) -> Array:
    logs: Array = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return logs


def _ranked(
    by_size: Mapping[int, list[LotPlaces]], score: Callable[[LotPlaces], float]
) -> tuple[tuple[float, ...], ...]:
    return tuple(
        tuple(sorted(round(score(each), DIGITS) for each in lots)) for lots in by_size.values()
    )
