"""What a lot's tiles say together: whether the instrument has changed, and whether it is one lot.

Every new lot differs from the known ones, so a test of its tiles against theirs would always fire.
Here the lot is the unit: how far many other lots of one kind go under an unchanged instrument is
known from a calibration, and a lot's p-value is its rank among them (Bates et al. 2023, arXiv
2104.08279). So a lot that is merely new is called changed no more often than the level says.

- Instrument: by the mean over tiles of the log-odds of a changed instrument, `diagnosis.py`.
- Mixed: by the largest variance of tiles' places in any direction, in units of that within known
  lots. Tiles of two lots lie in two places.

The fewer tiles, the farther lots go by chance; calibration lots are therefore looked at by as many
tiles, or fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lotwise.core.diagnosis import KINDS, Shift
from lotwise.core.errors import Contradiction
from lotwise.core.uncertainty import Array
from lotwise.core.validation import first_problem

LOT_DIAGNOSIS_FILE: Final = "lot_diagnosis.json"


class LotCalibration(BaseModel):
    """How far lots of one kind go under an unchanged instrument; beside the committee.

    Attributes:
        diagnosis_version: Of the diagnosis whose answers were looked at.
        alarm_level: P-value below which a lot is referred.
        sizes: Numbers of tiles, rising.
        instrument: By size, `instrument_score` of the calibration lots, rising.
        spread: By size, `spread_score` of the calibration lots, rising.
        weights: 4 x 4, of the mean log-probabilities of tiles in the log-odds of the lot's kind.
        offsets: 4, added to them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    diagnosis_version: str = Field(min_length=1)
    alarm_level: float = Field(gt=0, lt=1)
    sizes: tuple[int, ...] = Field(min_length=1)
    instrument: tuple[tuple[float, ...], ...]
    spread: tuple[tuple[float, ...], ...]
    weights: tuple[tuple[float, float, float, float], ...] = Field(min_length=4, max_length=4)
    offsets: tuple[float, float, float, float]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 2:
            raise ValueError("sizes must rise from 2")
        for scores in (self.instrument, self.spread):
            if len(scores) != len(self.sizes):
                raise ValueError("there must be scores for every size")
            if any(not each or list(each) != sorted(each) for each in scores):
                raise ValueError("scores must rise")
        return self

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The calibration in a file; None where there is no file.

        Raises:
            Contradiction: DIAGNOSIS_INVALID.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Contradiction(
                "DIAGNOSIS_INVALID", f"{path} cannot be read ({error.strerror})."
            ) from None
        except ValidationError as error:
            raise Contradiction("DIAGNOSIS_INVALID", f"{path}: {first_problem(error)}.") from None

    def write(self, path: Path) -> None:
        """Write it."""
        path.write_text(self.model_dump_json() + "\n", encoding="utf-8")


@dataclass
class LotPlaces:
    """Sums over the tiles of a lot.

    Attributes:
        tiles: How many.
        log_probabilities: float64 [4], sum over tiles.
        places: float64 [D], sum over tiles.
        products: float64 [D, D], sum over tiles of their places' outer products.
    """

    tiles: int
    log_probabilities: Array
    places: Array
    products: Array

    @classmethod
    def none(cls, directions: int) -> LotPlaces:
        """Of no tile yet, in D directions."""
        return cls(
            0, np.zeros(len(KINDS)), np.zeros(directions), np.zeros((directions, directions))
        )

    @classmethod
    def of(cls, log_probabilities: Array, places: Array) -> LotPlaces:
        """Of all tiles at once.

        Args:
            log_probabilities: float64 [N, 4].
            places: float64 [N, D].
        """
        return cls(
            len(places), log_probabilities.sum(axis=0), places.sum(axis=0), places.T @ places
        )

    def add(self, log_probabilities: Array, place: Array) -> None:
        """Count a tile.

        Args:
            log_probabilities: float64 [4], of the kinds.
            place: float64 [D].
        """
        self.tiles += 1
        self.log_probabilities = self.log_probabilities + log_probabilities
        self.places = self.places + place
        self.products = self.products + np.outer(place, place)

    @property
    def instrument_score(self) -> float:
        """Mean log-odds of a changed instrument; high where tiles look so."""
        mean = self.log_probabilities / self.tiles
        at = KINDS.index(Shift.INSTRUMENT)
        return float(mean[at] - np.logaddexp.reduce(np.delete(mean, at)))

    @property
    def spread_score(self) -> float:
        """Largest variance of the places in any direction; at least two tiles."""
        mean = self.places / self.tiles
        covariance = (self.products - self.tiles * np.outer(mean, mean)) / (self.tiles - 1)
        return float(np.linalg.eigvalsh(covariance)[-1])


@dataclass(frozen=True)
class LotDiagnosis:
    """What a lot's tiles say together.

    Attributes:
        probabilities: By kind, if all were equally common.
        instrument_p_value: Small where the instrument seems to have changed.
        mixed_p_value: Small where the tiles seem to be of several lots.
        alarm_level: Of both.
        tiles: So many were looked at.
        diagnosis_version: What the calibration is of.
    """

    probabilities: dict[Shift, float]
    instrument_p_value: float
    mixed_p_value: float
    alarm_level: float
    tiles: int
    diagnosis_version: str

    @property
    def likeliest(self) -> Shift:
        """The kind that is likeliest."""
        return max(self.probabilities, key=lambda kind: self.probabilities[kind])

    @property
    def instrument_changed(self) -> bool:
        """Whether the lot goes farther than lots do under an unchanged instrument."""
        return self.instrument_p_value <= self.alarm_level

    @property
    def mixed(self) -> bool:
        """Whether tiles differ more than those of one lot do."""
        return self.mixed_p_value <= self.alarm_level


def diagnose_lot(calibration: LotCalibration, places: LotPlaces) -> LotDiagnosis | None:
    """Say what a lot's tiles say; None where they are too few.

    Args:
        calibration: Of the same diagnosis as the places.
        places: Of the lot.
    """
    at = int(np.searchsorted(calibration.sizes, places.tiles, side="right")) - 1
    if at < 0:
        return None
    mean = places.log_probabilities / places.tiles
    odds = np.array(calibration.weights) @ mean + np.array(calibration.offsets)
    chances = np.exp(odds - np.logaddexp.reduce(odds))
    return LotDiagnosis(
        probabilities=dict(zip(KINDS, chances.tolist(), strict=True)),
        instrument_p_value=_p_value(calibration.instrument[at], places.instrument_score),
        mixed_p_value=_p_value(calibration.spread[at], places.spread_score),
        alarm_level=calibration.alarm_level,
        tiles=places.tiles,
        diagnosis_version=calibration.diagnosis_version,
    )


def _p_value(scores: tuple[float, ...], score: float) -> float:
    """The share of scores at least as high, the score itself counted in."""
    below = int(np.searchsorted(scores, score, side="left"))
    return (len(scores) + 1 - below) / (len(scores) + 1)
