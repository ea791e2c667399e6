"""Diagnoses of the benchmark's tiles: known lots, new lots, shifted and unrelated pictures.

The report computes from them how well kinds of shift are told apart, how often a lot that is merely
new raises an alarm, and how early the verdict on a lot is settled.
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
from lotwise.core.diagnosis import Shift
from lotwise.core.lot_diagnosis import LotCalibration
from lotwise.core.policy import ReferralPolicy
from lotwise_training.calibration.shift_classifier import FittedDiagnosis
from lotwise_training.data.benchmark import SHIFTED, benchmark_set
from lotwise_training.evaluation.prediction_cache import PredictionCache
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
    """Diagnose the benchmark's sets.

    Args:
        cache: Folder of rendered data.
        predictor: Of the ensemble.
        calibrated: Its calibration and policy.
        diagnosed: The diagnosis, and that of lots.
    """
    sets = {}
    for name in SETS:
        outputs = predictor.predict(benchmark_set(name, cache).images, f"{name}, ensemble")
        sets[name] = diagnose_tiles(outputs, calibrated.calibrated, diagnosed)
    return ShiftPredictions(sets, diagnosed.lots, calibrated.policy)


def diagnose_tiles(
    outputs: CommitteeOutputs, calibrated: Calibrated, diagnosed: FittedDiagnosis
) -> DiagnosedTiles:
    """Diagnose tiles.

    Args:
        outputs: Of an ensemble.
        calibrated: Its calibration.
        diagnosed: Its diagnosis.
    """
    diagnosis, chances = diagnosed.diagnosis, committee_scores(calibrated, outputs)
    return DiagnosedTiles(
        diagnosis.log_probabilities(outputs).clip(min=-100.0).astype(np.float16),
        diagnosis.places(outputs).astype(np.float16),
        chances.familiarity.astype(np.float32),
        chances.error_probability.astype(np.float32),
    )
