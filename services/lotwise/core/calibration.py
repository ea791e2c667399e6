"""A committee's calibration: a file beside its weights, tied to them by hash.

`calibration.json` holds the temperature and what it rests on, `familiarity.npz` the statistics of
known tiles. Both are fitted together (`calibration_fit.py`); nothing in them has a default, and
what has not been fitted is an error.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from lotwise.core.drift import ScoreBins
from lotwise.core.errors import Contradiction
from lotwise.core.familiarity import Familiarity
from lotwise.core.validation import first_problem

CALIBRATION_FILE: Final = "calibration.json"
FAMILIARITY_FILE: Final = "familiarity.npz"

Origin = Literal["simulated", "laboratory"]


class _Stated(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CalibrationSet(_Stated):
    """The labelled tiles that something was fitted on.

    Attributes:
        tiles: How many.
        lots: Reference lots that they are of.
        sha256: Of their pixels and labels.
        date: When they were used.
        origin: "simulated" if any of them is.
    """

    tiles: int = Field(gt=0)
    lots: int = Field(gt=1)
    sha256: str = Field(min_length=64, max_length=64)
    date: AwareDatetime
    origin: Origin


class Calibration(_Stated):
    """What `calibration.json` says.

    Attributes:
        calibration_version: Name of this fit.
        weights_sha256: The committee that it belongs to.
        temperature: Divides the logarithm of pooled probabilities.
        nll_before_nats, nll_after_nats: Mean negative log-likelihood of tiles that the temperature
            was not fitted on, before and after scaling.
        familiarity_sha256: Of the file of statistics.
        calibration_set: The tiles.
        score_bins: How the policy's score is distributed on them, to notice drift.
    """

    calibration_version: str = Field(min_length=1)
    weights_sha256: str = Field(min_length=64, max_length=64)
    temperature: float = Field(gt=0)
    nll_before_nats: float = Field(ge=0)
    nll_after_nats: float = Field(ge=0)
    familiarity_sha256: str = Field(min_length=64, max_length=64)
    calibration_set: CalibrationSet
    score_bins: ScoreBins

    @model_validator(mode="after")
    def _is_not_of_the_future(self) -> Self:
        date = self.calibration_set.date
        # Two clocks may differ by a minute.
        if date > datetime.now(UTC) + timedelta(minutes=1):
            raise ValueError(f"its date {date.isoformat()} lies in the future")
        return self


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibration with its statistics.

    Attributes:
        calibration: The file.
        familiarity: Of known tiles.
    """

    calibration: Calibration
    familiarity: Familiarity

    def check_weights(self, weights_sha256: str) -> None:
        """Refuse a committee of other weights.

        Raises:
            Contradiction: CALIBRATION_MISMATCH.
        """
        if weights_sha256 != self.calibration.weights_sha256:
            raise Contradiction(
                "CALIBRATION_MISMATCH",
                f"Calibration {self.calibration.calibration_version} was fitted for other weights "
                "than the committee's. Calibrate again: `lotwise calibrate`; after a training, "
                "`lotwise-train policy`.",
            )


def read_calibration(folder: Path) -> Calibrated:
    """The calibration in a committee's folder.

    Raises:
        Contradiction: CALIBRATION_MISSING or CALIBRATION_INVALID.
    """
    path = folder / CALIBRATION_FILE
    try:
        calibration = Calibration.model_validate_json(path.read_bytes())
        content = (folder / FAMILIARITY_FILE).read_bytes()
    except OSError as error:
        raise Contradiction(
            "CALIBRATION_MISSING",
            f"{error.filename} cannot be read ({error.strerror}): the committee is not calibrated. "
            "Calibrate it with `lotwise calibrate`; after a training, with `lotwise-train policy`.",
        ) from None
    except ValidationError as error:
        raise Contradiction(
            "CALIBRATION_INVALID", f"Calibration {path}: {first_problem(error)}."
        ) from None
    if hashlib.sha256(content).hexdigest() != calibration.familiarity_sha256:
        raise Contradiction(
            "CALIBRATION_INVALID",
            f"{folder / FAMILIARITY_FILE} is not the file that {path} was written with. "
            "Restore both, or calibrate again.",
        )
    try:
        return Calibrated(calibration, Familiarity.from_bytes(content))
    except ValueError as error:
        raise Contradiction(
            "CALIBRATION_INVALID", f"{folder / FAMILIARITY_FILE} cannot be read: {error}."
        ) from None


def write_calibration(calibrated: Calibrated, folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAMILIARITY_FILE).write_bytes(calibrated.familiarity.to_bytes())
    text = calibrated.calibration.model_dump_json(indent=2) + "\n"
    (folder / CALIBRATION_FILE).write_text(text, encoding="utf-8")
