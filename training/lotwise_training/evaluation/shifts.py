"""The diagnosis of shifts on the benchmark's tiles: kinds, alarms, and how early verdicts settle.

Known lots, new lots, shifted and unrelated pictures are diagnosed; how well kinds of shift are told
apart, and how often a lot that is merely new raises an alarm, follows from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.calibration import Calibrated
from lotwise.core.calibration_fit import Fitted
from lotwise.core.cascade import committee_scores
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.diagnosis import KINDS, Shift
from lotwise.core.lot_diagnosis import LotCalibration, LotDiagnosis, LotPlaces, diagnose_lot
from lotwise.core.policy import ReferralPolicy
from lotwise.core.verdict import Decision, LotTally, Verdict
from lotwise_training.calibration.shift_classifier import FittedDiagnosis
from lotwise_training.data.benchmark import SHIFTED, benchmark_set
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.evaluation.records import Records
from lotwise_training.metrics import auroc
from lotwise_training.store.arrays import Result, Shape, Stored

NEW: Final = "new"
KNOWN: Final = "new_regions"
SETS: Final = (*SHIFTED, NEW)
TRUTH: Final[Mapping[str, Shift]] = {
    KNOWN: Shift.NONE,
    "filament_soft": Shift.INSTRUMENT,
    "filament_dim": Shift.INSTRUMENT,
    "filament_bright": Shift.INSTRUMENT,
    "ground": Shift.SYNTHESIS,
    "between": Shift.SYNTHESIS,
    NEW: Shift.SYNTHESIS,
    "unrelated": Shift.UNRELATED,
}
"""Kind of shift of each set of the benchmark."""
PER_LOT: Final = 100
"""Tiles of a lot; pictures that show no powder are taken as lots of as many."""
KINDS_OF_TILES: Final = "kinds of tiles"
KINDS_OF_LOTS: Final = "kinds of lots"
MIXED: Final = "mixed lots"
EARLY: Final = "early verdicts"
MIXTURES: Final = 200
SHARES: Final = (0.5, 0.2)
"""Of the second lot in a mixture."""
REFERRED: Final = -1
"""The decision that names no lot."""
Decisions = Annotated[npt.NDArray[np.int16], Shape("N")]


@dataclass(frozen=True, eq=False)
class DiagnosedTiles(Stored):
    """Diagnoses of N tiles of a set, lot by lot.

    Attributes:
        log_probabilities: float16 [N, 4], of kinds of shift.
        places: float16 [N, PLACE], embeddings.
        familiarity: float32 [N], p-values.
        error_probability: float32 [N], the policy's score.
    """

    log_probabilities: Annotated[npt.NDArray[np.float16], Shape("N C")]
    places: Annotated[npt.NDArray[np.float16], Shape("N P")]
    familiarity: Annotated[npt.NDArray[np.float32], Shape("N")]
    error_probability: Annotated[npt.NDArray[np.float32], Shape("N")]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def lots(self) -> npt.NDArray[np.int64]:
        """Number of each tile's lot, int64 [N]."""
        return np.arange(len(self)) // PER_LOT


@dataclass(frozen=True, eq=False)
class ShiftPredictions(Result):
    """Diagnoses of all sets.

    Attributes:
        sets: By name.
        lots: Calibration of the diagnosis of lots.
        policy: That refers tiles.
    """

    stem: ClassVar[str] = "shift_predictions"
    sets: Mapping[str, DiagnosedTiles]
    lots: LotCalibration
    policy: ReferralPolicy


def predict_shifts(
    cache: Path,
    predictor: PredictionCache,
    calibrated: Fitted,
    diagnosed: FittedDiagnosis,
) -> ShiftPredictions:
    """Diagnose the benchmark's sets."""
    sets = {}
    for name in SETS:
        outputs = predictor.predict(benchmark_set(name, cache).images, f"{name}, ensemble")
        sets[name] = diagnose_tiles(outputs, calibrated.calibrated, diagnosed)
    return ShiftPredictions(sets, diagnosed.lots, calibrated.policy)


def diagnose_tiles(
    outputs: CommitteeOutputs, calibrated: Calibrated, diagnosed: FittedDiagnosis
) -> DiagnosedTiles:
    """Diagnose tiles."""
    diagnosis, chances = diagnosed.diagnosis, committee_scores(calibrated, outputs)
    return DiagnosedTiles(
        diagnosis.log_probabilities(outputs).clip(min=-100.0).astype(np.float16),
        diagnosis.places(outputs).astype(np.float16),
        chances.familiarity.astype(np.float32),
        chances.error_probability.astype(np.float32),
    )


def lot_diagnoses(tiles: DiagnosedTiles, calibration: LotCalibration) -> list[LotDiagnosis]:
    """Of every lot of a set."""
    rows = (np.flatnonzero(tiles.lots == lot) for lot in np.unique(tiles.lots))
    found = [diagnose_lot(calibration, _places(tiles, of_lot)) for of_lot in rows]
    return [diagnosis for diagnosis in found if diagnosis is not None]


def kind_records(predictions: ShiftPredictions) -> Records:
    """What tiles and lots of every set are diagnosed as, and alarms of lots.

    AUROCs are of the log-odds of a change, against new regions of known lots.
    """
    records = Records()
    known = log_odds_of_change(predictions.sets[KNOWN])
    for name, tiles in predictions.sets.items():
        of = {"set": name, "truth": TRUTH[name].value}
        area = None if name == KNOWN else auroc(known, log_odds_of_change(tiles))
        by_tile = tiles.log_probabilities.astype(np.float64).argmax(axis=1)
        records.add(KINDS_OF_TILES, of, len(tiles), **_shares(by_tile), auroc=area)
        lots = lot_diagnoses(tiles, predictions.lots)
        likeliest = np.array([KINDS.index(each.likeliest) for each in lots])
        records.add(
            KINDS_OF_LOTS,
            of,
            len(lots),
            **_shares(likeliest),
            unknown_alarms=sum(each.strange for each in lots),
            instrument_alarms=sum(each.instrument_changed for each in lots),
            mixed_alarms=sum(each.mixed for each in lots),
        )
    return records


def balanced_accuracy(records: Records, section: str) -> float:
    """Mean over kinds of the share diagnosed correctly; sets of a kind weigh alike, no new lots."""
    rows = [row for row in records.rows(section) if row.of["set"] != NEW]
    by_kind = [
        np.mean([row.value(kind.value) for row in rows if row.of["truth"] == kind.value])
        for kind in KINDS
    ]
    return float(np.mean(by_kind))


def add_mixtures(records: Records, predictions: ShiftPredictions, seed: int) -> None:
    """Add alarms for lots that are mixed of two new ones, PER_LOT tiles in all."""
    tiles, rng = predictions.sets[NEW], np.random.default_rng(seed)
    count = int(tiles.lots.max()) + 1
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
            diagnosis = diagnose_lot(predictions.lots, _places(tiles, rows))
            alarms += diagnosis is not None and diagnosis.mixed
        records.add(MIXED, {"share_of_second_lot": share}, MIXTURES, mixed_alarms=alarms)


def add_early_verdicts(records: Records, predictions: ShiftPredictions) -> None:
    """Add how early the verdicts on lots of PER_LOT tiles are settled, and whether they stand."""
    request = predictions.policy.request
    for name, tiles in predictions.sets.items():
        referred = (tiles.familiarity < request.min_familiarity) | (
            tiles.error_probability > predictions.policy.max_score
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
        records.add(
            EARLY,
            {"set": name},
            len(verdicts),
            accepted=verdicts.count(Verdict.ACCEPT),
            referred=verdicts.count(Verdict.REFER),
            needed=float(np.median(needed)) if needed else None,
            wrong=int(wrong),
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


def _shares(diagnosed: npt.NDArray[np.int64]) -> dict[str, float]:
    shares = np.bincount(diagnosed, minlength=len(KINDS)) / len(diagnosed)
    return {kind.value: float(share) for kind, share in zip(KINDS, shares, strict=True)}


@dataclass(frozen=True, eq=False)
class CascadeDecisions(Stored):
    """Decisions on N tiles of a set.

    Attributes:
        done: bool [N], whether the first members sufficed (early exit).
        decided, by_all: int16 [N], the predicted lot where the tile is accepted, else REFERRED; by
            the cascade, and by the whole ensemble.
    """

    done: Annotated[npt.NDArray[np.bool_], Shape("N")]
    decided: Decisions
    by_all: Decisions


@dataclass(frozen=True, eq=False)
class StoredCascade(Result):
    """Decisions on all sets.

    Attributes:
        sets: By name.
        version: Of the cascade.
        first, members: Members that run first, and all.
        kinds_of_tiles, kinds_of_lots: Balanced accuracy of the first members' diagnosis.
        false_alarms: New lots that it diagnoses as a changed instrument.
    """

    stem: ClassVar[str] = "cascade"
    sets: Mapping[str, CascadeDecisions]
    version: str
    first: int
    members: int
    kinds_of_tiles: float
    kinds_of_lots: float
    false_alarms: int
