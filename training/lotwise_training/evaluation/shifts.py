"""Figures of the diagnosis: kinds told apart, alarms, and how early a verdict is settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from lotwise.core.diagnosis import KINDS, Shift
from lotwise.core.lot_diagnosis import LotCalibration, LotDiagnosis, LotPlaces, diagnose_lot
from lotwise.core.policy import ReferralPolicy
from lotwise.core.verdict import Decision, LotTally, Verdict
from lotwise_training.evaluation.shift_predictions import (
    KNOWN,
    NEW,
    PER_LOT,
    TRUTH,
    DiagnosedTiles,
    ShiftPredictions,
)

MIXTURES: Final = 200
SHARES: Final = (0.5, 0.2)
"""Of the second lot in a mixture."""


@dataclass(frozen=True)
class KindFigures:
    """Of one set.

    Attributes:
        name: Of the set.
        truth: What is the matter with it.
        tiles, lots: How many.
        by_tile, by_lot: Share that is called each kind, in the order of KINDS.
        strange, instrument_alarms, mixed_alarms: Lots that set these alarms off.
        auroc: Of the chance that nothing has changed, against new regions of known lots; None of
            those themselves.
    """

    name: str
    truth: Shift
    tiles: int
    lots: int
    by_tile: tuple[float, ...]
    by_lot: tuple[float, ...]
    strange: int
    instrument_alarms: int
    mixed_alarms: int
    auroc: float | None


@dataclass(frozen=True)
class MixtureFigures:
    """Of mixtures of two new lots: how many set off the alarm."""

    share: float
    lots: int
    alarms: int


@dataclass(frozen=True)
class EarlyFigures:
    """Of one set, by lots of PER_LOT tiles in their order.

    Attributes:
        name: Of the set.
        lots: How many.
        accepted, referred: Settled so.
        needed: Median of tiles that a settled lot needed; None where none was.
        wrong: Settled otherwise than all tiles together say.
    """

    name: str
    lots: int
    accepted: int
    referred: int
    needed: float | None
    wrong: int


def lot_diagnoses(tiles: DiagnosedTiles, calibration: LotCalibration) -> list[LotDiagnosis]:
    """Of every lot of a set."""
    found = []
    for lot in np.unique(tiles.lots):
        rows = np.flatnonzero(tiles.lots == lot)
        diagnosis = diagnose_lot(calibration, _places(tiles, rows))
        assert diagnosis is not None
        found.append(diagnosis)
    return found


def kind_figures(answers: ShiftPredictions) -> list[KindFigures]:
    """Of all sets."""
    known = log_odds_of_change(answers.sets[KNOWN])
    figures = []
    for name, tiles in answers.sets.items():
        said = tiles.log_probabilities.astype(np.float64).argmax(axis=1)
        lots = lot_diagnoses(tiles, answers.lots)
        likeliest = [KINDS.index(each.likeliest) for each in lots]
        auroc = None
        if name != KNOWN:
            changed = log_odds_of_change(tiles)
            truth = np.repeat([0, 1], [len(known), len(changed)])
            auroc = float(roc_auc_score(truth, np.concatenate([known, changed])))
        figures.append(
            KindFigures(
                name,
                TRUTH[name],
                len(tiles),
                len(lots),
                _shares(said),
                _shares(np.array(likeliest)),
                sum(each.strange for each in lots),
                sum(each.instrument_changed for each in lots),
                sum(each.mixed for each in lots),
                auroc,
            )
        )
    return figures


def balanced_accuracy(figures: Sequence[KindFigures], level: str) -> float:
    """Mean over kinds of the share called right, sets of a kind weighing alike; without new lots.

    Args:
        figures: Of all sets.
        level: "by_tile" or "by_lot".
    """
    by_kind = [
        np.mean(
            [
                getattr(each, level)[KINDS.index(kind)]
                for each in figures
                if each.truth is kind and each.name != NEW
            ]
        )
        for kind in KINDS
    ]
    return float(np.mean(by_kind))


def mixture_figures(answers: ShiftPredictions, seed: int) -> list[MixtureFigures]:
    """Alarms for lots that are mixed of two new ones, PER_LOT tiles in all."""
    tiles, rng = answers.sets[NEW], np.random.default_rng(seed)
    count = int(tiles.lots.max()) + 1
    figures = []
    for share in SHARES:
        alarms = 0
        for _ in range(MIXTURES):
            first, second = rng.choice(count, 2, replace=False)
            n = round(share * PER_LOT)
            rows = np.concatenate(
                [
                    rng.permutation(np.flatnonzero(tiles.lots == first))[: PER_LOT - n],
                    rng.permutation(np.flatnonzero(tiles.lots == second))[:n],
                ]
            )
            diagnosis = diagnose_lot(answers.lots, _places(tiles, rows))
            alarms += diagnosis is not None and diagnosis.mixed
        figures.append(MixtureFigures(share, MIXTURES, alarms))
    return figures


def early_figures(answers: ShiftPredictions) -> list[EarlyFigures]:
    """How early the verdicts on lots are settled, and whether they stand."""
    return [_early(name, tiles, answers.policy) for name, tiles in answers.sets.items()]


def _early(name: str, tiles: DiagnosedTiles, policy: ReferralPolicy) -> EarlyFigures:
    request = policy.request
    referred = (tiles.familiarity < request.min_familiarity) | (
        tiles.error_probability > policy.max_score
    )
    verdicts, needed, wrong = [], [], 0
    for lot in np.unique(tiles.lots):
        tally = LotTally(request.max_referred_share, request.confidence)
        of_lot = referred[tiles.lots == lot]
        for each in of_lot:
            tally.add(Decision.REFER if each else Decision.ACCEPT)
            if tally.settled is not None:
                break
        verdicts.append(tally.verdict())
        if tally.settled is not None:
            needed.append(tally.settled_after)
            above = float(of_lot.mean()) > request.max_referred_share
            wrong += above != (tally.settled is Verdict.REFER)
    return EarlyFigures(
        name,
        len(verdicts),
        verdicts.count(Verdict.ACCEPT),
        verdicts.count(Verdict.REFER),
        float(np.median(needed)) if needed else None,
        wrong,
    )


def _places(tiles: DiagnosedTiles, rows: npt.NDArray[np.int64]) -> LotPlaces:
    return LotPlaces.of(
        tiles.log_probabilities[rows].astype(np.float64), tiles.places[rows].astype(np.float64)
    )


def log_odds_of_change(tiles: DiagnosedTiles) -> npt.NDArray[np.float64]:
    """Log-odds that something has changed, float64 [N]."""
    logs = tiles.log_probabilities.astype(np.float64)
    at = KINDS.index(Shift.NONE)
    changed: npt.NDArray[np.float64] = (
        np.logaddexp.reduce(np.delete(logs, at, axis=1), axis=1) - logs[:, at]
    )
    return changed


def _shares(said: npt.NDArray[np.int64]) -> tuple[float, ...]:
    return tuple((np.bincount(said, minlength=len(KINDS)) / len(said)).tolist())
