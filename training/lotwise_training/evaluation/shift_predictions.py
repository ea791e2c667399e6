"""What the diagnosis says of the benchmark's tiles: lots that are new, shifted, strange.

Stored tile by tile; `make evaluate` computes from it how often kinds of shift are told apart, of
tiles and of lots, how often a lot that is merely new sets off an alarm, and how early a lot's
verdict is settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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
from lotwise_training.store.arrays import ResultsError, manifest_path, read_stored, write_stored

FILE: Final = "diagnosis.npz"
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
"""What is the matter with each set of the benchmark."""
PER_LOT: Final = 100
"""Tiles of a lot; the pictures that show none are taken as lots of as many."""


@dataclass(frozen=True, eq=False)
class DiagnosedTiles:
    """What is said of N tiles of a set, lot by lot.

    Attributes:
        log_probabilities: float16 [N, 4], of kinds of shift.
        places: float16 [N, PLACE].
        familiarity: float32 [N], p-values.
        error_probability: float32 [N], the policy's score.
    """

    log_probabilities: npt.NDArray[np.float16]
    places: npt.NDArray[np.float16]
    familiarity: npt.NDArray[np.float32]
    error_probability: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def lots(self) -> npt.NDArray[np.int64]:
        """Number of each tile's lot, int64 [N]."""
        return np.arange(len(self)) // PER_LOT


@dataclass(frozen=True, eq=False)
class ShiftPredictions:
    """Answers to all sets, with what gave them.

    Attributes:
        sets: By name.
        lots: How far lots of one kind go.
        policy: That refers tiles.
    """

    sets: Mapping[str, DiagnosedTiles]
    lots: LotCalibration
    policy: ReferralPolicy


def shift_answers(
    cache: Path,
    predictor: PredictionCache,
    calibrated: Fitted,
    diagnosed: FittedDiagnosis,
) -> ShiftPredictions:
    """Ask the served committee about the benchmark's sets.

    Args:
        cache: Folder of rendered data.
        predictor: Of the committee.
        calibrated: Its calibration and policy.
        diagnosed: The diagnosis, and that of lots.
    """
    sets = {}
    for name in SETS:
        outputs = predictor.served(benchmark_set(name, cache).images, f"{name}, ensemble")
        sets[name] = diagnosed_tiles(outputs, calibrated.calibrated, diagnosed)
    return ShiftPredictions(sets, diagnosed.lots, calibrated.policy)


def diagnosed_tiles(
    outputs: CommitteeOutputs, calibrated: Calibrated, diagnosed: FittedDiagnosis
) -> DiagnosedTiles:
    """What is said of tiles.

    Args:
        outputs: Of a committee.
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


def write_shift_predictions(folder: Path, answers: ShiftPredictions) -> None:
    """Write `diagnosis.npz` and `diagnosis.json`.

    Raises:
        ResultsError: More than 8 MB.
    """
    arrays: dict[str, npt.NDArray[Any]] = {
        f"{name}/{key}": getattr(tiles, key)
        for name, tiles in answers.sets.items()
        for key in DiagnosedTiles.__annotations__
    }
    stated = {
        "sets": list(answers.sets),
        "lots": answers.lots.model_dump(mode="json"),
        "policy": answers.policy.model_dump(mode="json"),
    }
    write_stored(folder / FILE, arrays, stated)


def read_shift_predictions(folder: Path) -> ShiftPredictions | None:
    """What `write_shift_predictions` wrote; None where it wrote nothing.

    Raises:
        ResultsError: The files are unreadable, or not of one run.
    """
    path = folder / FILE
    if not path.exists() and not manifest_path(path).exists():
        return None
    arrays, stated = read_stored(path)
    try:
        sets = {
            name: DiagnosedTiles(
                **{key: arrays[f"{name}/{key}"] for key in DiagnosedTiles.__annotations__}
            )
            for name in stated["sets"]
        }
        return ShiftPredictions(
            sets,
            LotCalibration.model_validate(stated["lots"]),
            ReferralPolicy.model_validate(stated["policy"]),
        )
    except (KeyError, ValueError) as error:
        raise ResultsError(f"{path} holds no answers to shifted tiles: {error}") from None
