"""What the committee says of fresh tiles of known lots, and the calibration that it is judged by.

Stored apart from the other answers: they are many, and only the committee that is served is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.calibration import Calibration
from lotwise.core.policy import ReferralPolicy
from lotwise.core.uncertainty import Array, softmax
from lotwise_training.store.arrays import ResultsError, manifest_path, read_stored, write_stored

FILE: Final = "fresh.npz"


@dataclass(frozen=True, eq=False)
class FreshPredictions:
    """Answers to N fresh tiles.

    Attributes:
        labels: int16 [N], place of the true lot in the answers.
        log_probabilities: float16 [N, K], pooled, before they are scaled.
        familiarity: float32 [N], p-values.
    """

    labels: npt.NDArray[np.int16]
    log_probabilities: npt.NDArray[np.float16]
    familiarity: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def pooled(self) -> Array:
        """float64 [N, K], each row summing to 1."""
        return softmax(self.log_probabilities)


@dataclass(frozen=True, eq=False)
class CalibrationCheck:
    """Fresh answers with what was fitted before.

    Attributes:
        fresh: The answers.
        calibration: That gave the familiarity, and the temperature to be judged.
        policy: That was fitted with it.
    """

    fresh: FreshPredictions
    calibration: Calibration
    policy: ReferralPolicy


def write_fresh_predictions(folder: Path, judged: CalibrationCheck) -> None:
    """Write `fresh.npz` and `fresh.json`.

    Raises:
        ResultsError: More than 8 MB; store fewer tiles.
    """
    fresh = judged.fresh
    arrays: dict[str, npt.NDArray[Any]] = {
        "labels": fresh.labels,
        "log_probabilities": fresh.log_probabilities,
        "familiarity": fresh.familiarity,
    }
    stated: Mapping[str, Any] = {
        "tiles": len(fresh),
        "calibration": judged.calibration.model_dump(mode="json"),
        "policy": judged.policy.model_dump(mode="json"),
    }
    write_stored(folder / FILE, arrays, stated)


def read_fresh_predictions(folder: Path) -> CalibrationCheck | None:
    """What `write_fresh_predictions` wrote; None where it wrote nothing.

    Raises:
        ResultsError: The files are unreadable, or not of one run.
    """
    path = folder / FILE
    if not path.exists() and not manifest_path(path).exists():
        return None
    arrays, stated = read_stored(path)
    try:
        fresh = FreshPredictions(
            arrays["labels"], arrays["log_probabilities"], arrays["familiarity"]
        )
        return CalibrationCheck(
            fresh,
            Calibration.model_validate(stated["calibration"]),
            ReferralPolicy.model_validate(stated["policy"]),
        )
    except (KeyError, ValueError) as error:
        raise ResultsError(f"{path} holds no answers to fresh tiles: {error}") from None
