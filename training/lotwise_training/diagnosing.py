"""Fits the diagnosis of shifts, of tiles and of lots, on simulated shifts of known kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.diagnosis import KINDS, Diagnosis, describe
from lotwise.core.familiarity import Single
from lotwise.core.familiarity_fit import fit_block
from lotwise.core.lot_diagnosis import LotCalibration, LotPlaces
from lotwise.core.uncertainty import Array
from lotwise_training.dataset import Numbers
from lotwise_training.shifts import Flags, ShiftedTiles

HIDDEN: Final = 48
STEPS: Final = 600
RATE: Final = 5e-3
DECAY: Final = 3e-3
"""Weight decay. Without it the network learns the lots by heart."""
FOLDS: Final = 3
"""Lots are left out in so many groups, to see what the diagnosis says of lots that it never saw."""
LOT_DECAY: Final = 1e-2
SIZES: Final = (9, 18, 36)
"""Numbers of tiles by which lots are looked at."""
ALARM_LEVEL: Final = 0.05
SEED: Final = 0


@dataclass(frozen=True, eq=False)
class FittedDiagnosis:
    """Of tiles, and of lots."""

    diagnosis: Diagnosis
    lots: LotCalibration


def fit_diagnosis(
    shifted: ShiftedTiles,
    outputs: CommitteeOutputs,
    known: tuple[CommitteeOutputs, Numbers],
    weights_sha256: str,
) -> FittedDiagnosis:
    """Fit both.

    Args:
        shifted: Tiles whose shift is known.
        outputs: What the committee says of them.
        known: What it says of other tiles of its own lots, and those lots.
        weights_sha256: Of the committee.
    """
    answers, labels = known
    blocks = {name: fit_block(block, labels) for name, block in answers.blocks.items()}
    described = describe(blocks, outputs)
    fitted = ~shifted.calibration
    # What it says of lots that it never saw: how sure it may be, of tiles and of lots.
    aside = _left_aside(described, shifted, fitted)
    temperature = _temperature(aside[fitted], shifted.kinds[fitted])
    weights, offsets = _lot_odds(aside / temperature, shifted, fitted)
    network = _network(described[fitted], shifted.kinds[fitted], temperature)
    version = hashlib.sha256(
        b"".join(array.tobytes() for array in (*network, weights, offsets))
    ).hexdigest()[:12]
    diagnosis = Diagnosis(blocks, *network, weights_sha256=weights_sha256, version=version)
    return FittedDiagnosis(diagnosis, _lots(diagnosis, shifted, outputs, weights, offsets))


def _left_aside(described: Array, shifted: ShiftedTiles, fitted: Flags) -> Array:
    """Logits of tiles by networks that never saw their lots: float64 [N, 4]."""
    logits = np.zeros((len(described), len(KINDS)))
    folds = np.random.default_rng(SEED).integers(FOLDS, size=shifted.lots.max() + 1)[shifted.lots]
    for fold in range(FOLDS):
        rows = fitted & (folds != fold)
        network = _network(described[rows], shifted.kinds[rows], 1.0)
        others = fitted & (folds == fold)
        logits[others] = _logits(network, described[others])
    return logits


def _network(
    described: Array, kinds: Numbers, temperature: float
) -> tuple[Single, Single, Single, Single]:
    """Centre, scale, hidden and output of a `Diagnosis`."""
    centre = described.mean(axis=0).astype(np.float32)
    scale = (described.std(axis=0) + 1e-6).astype(np.float32)
    inputs = torch.from_numpy(((described - centre) / scale).astype(np.float32))
    truth = torch.from_numpy(kinds)
    counts = np.bincount(kinds, minlength=len(KINDS))
    balance = torch.from_numpy((len(kinds) / len(KINDS) / counts).astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        first, last = nn.Linear(inputs.shape[1], HIDDEN), nn.Linear(HIDDEN, len(KINDS))
        layers = nn.Sequential(first, nn.ReLU(), last)
    optimiser = torch.optim.AdamW(layers.parameters(), lr=RATE, weight_decay=DECAY / RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(layers(inputs), truth, weight=balance)
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


def _lot_odds(logits: Array, shifted: ShiftedTiles, fitted: Flags) -> tuple[Array, Array]:
    """Weights and offsets of a `LotCalibration`, by lots that the networks never saw."""
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    lots = np.unique(shifted.lots[fitted])
    means = np.stack([logs[shifted.lots == lot].mean(axis=0) for lot in lots])
    kinds = np.array([shifted.kinds[shifted.lots == lot][0] for lot in lots])
    counts = np.bincount(kinds, minlength=len(KINDS))
    balance = torch.from_numpy(len(kinds) / len(KINDS) / counts)
    inputs, truth = torch.from_numpy(means), torch.from_numpy(kinds)
    weights = torch.eye(len(KINDS), dtype=torch.float64, requires_grad=True)
    offsets = torch.zeros(len(KINDS), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, offsets], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = nn.functional.cross_entropy(inputs @ weights.T + offsets, truth, weight=balance)
        # Drawn towards the mean of tiles' log-probabilities as they are: lots are few.
        value = value + LOT_DECAY * ((weights - torch.eye(len(KINDS))) ** 2).sum()
        value = value + LOT_DECAY * (offsets**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach().numpy(), offsets.detach().numpy()


def _lots(
    diagnosis: Diagnosis,
    shifted: ShiftedTiles,
    outputs: CommitteeOutputs,
    weights: Array,
    offsets: Array,
) -> LotCalibration:
    rows = np.flatnonzero(shifted.calibration)
    kept = outputs.take(rows)
    logs, places = diagnosis.log_probabilities(kept), diagnosis.places(kept)
    by_size = {size: list(_places(logs, places, shifted.lots[rows], size)) for size in SIZES}
    return LotCalibration(
        diagnosis_version=diagnosis.version,
        alarm_level=ALARM_LEVEL,
        sizes=SIZES,
        instrument=_ranked(by_size, "instrument_score"),
        spread=_ranked(by_size, "spread_score"),
        weights=tuple(tuple(row) for row in weights.tolist()),
        offsets=tuple(offsets.tolist()),
    )


def _places(logs: Array, places: Array, lots: Numbers, size: int) -> Iterator[LotPlaces]:
    """Of each lot, by tiles drawn from all over its scene."""
    rng = np.random.default_rng(SEED)
    for lot in np.unique(lots):
        tiles = rng.permutation(np.flatnonzero(lots == lot))[:size]
        yield LotPlaces.of(logs[tiles], places[tiles])


def _ranked(by_size: Mapping[int, list[LotPlaces]], score: str) -> tuple[tuple[float, ...], ...]:
    return tuple(
        tuple(sorted(round(float(getattr(each, score)), 5) for each in lots))
        for lots in by_size.values()
    )
