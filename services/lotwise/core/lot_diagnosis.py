"""What a lot's tiles say together: whether the instrument has changed, and whether it is one lot.

Every new lot differs from the known ones, so a test of its tiles against theirs would always fire.
Here the lot is the unit: how far many other lots of one kind go under an unchanged instrument is
known from a calibration, and a lot's p-value is its rank among them (Bates et al. 2023, arXiv
2104.08279). So a lot that is merely new is called changed no more often than the level says.

- The kind of shift: by the mean over tiles of what the diagnosis says, and by how far the mean
  place of the tiles is from that of the nearest known lot. One tile of a new lot may lie where a
  known lot's do; the mean of a hundred does not.
- Known: by the log-odds that anything has changed, beside other scenes of known lots.
- Instrument: by the log-odds of that kind, beside lots that are new.
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

from lotwise.core.diagnosis import KINDS, PLACE, Shift
from lotwise.core.errors import Contradiction
from lotwise.core.uncertainty import Array
from lotwise.core.validation import first_problem

LOT_DIAGNOSIS_FILE: Final = "lot_diagnosis.json"
LEAST_LOG: Final = -20.0
"""Of a mean log-probability; how much less likely a kind is than that does not matter."""
NEAR: Final = 0.05
"""Squared distance, in units of the spread within a lot, below which lots lie in one place."""


class LotCalibration(BaseModel):
    """How far lots of one kind go under an unchanged instrument; beside the committee.

    Attributes:
        diagnosis_version: Of the diagnosis whose outputs were used.
        alarm_level: P-value below which a lot is referred.
        sizes: Numbers of tiles, rising.
        changed: By size, log-odds that anything has changed, of scenes of known lots that nothing
            was fitted on, rising.
        instrument: By size, log-odds of a changed instrument of the calibration lots, rising.
        spread: By size, `spread_score` of the calibration lots, rising.
        known_places: L x D, mean places of the known lots.
        weights: 4 x F, of `lot_features` in the logits of the lot's kind.
        offsets: 4, added to them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    diagnosis_version: str = Field(min_length=1)
    alarm_level: float = Field(gt=0, lt=1)
    sizes: tuple[int, ...] = Field(min_length=1)
    changed: tuple[tuple[float, ...], ...]
    instrument: tuple[tuple[float, ...], ...]
    spread: tuple[tuple[float, ...], ...]
    known_places: tuple[tuple[float, ...], ...] = Field(min_length=1)
    weights: tuple[tuple[float, ...], ...] = Field(min_length=4, max_length=4)
    offsets: tuple[float, float, float, float]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 2:
            raise ValueError("sizes must rise from 2")
        for scores in (self.changed, self.instrument, self.spread):
            if len(scores) != len(self.sizes):
                raise ValueError("there must be scores for every size")
            if any(not each or list(each) != sorted(each) for each in scores):
                raise ValueError("scores must rise")
        directions = {len(place) for place in self.known_places}
        if len(directions) != 1 or directions.pop() % PLACE:
            raise ValueError(f"places must have a multiple of {PLACE} directions, all the same")
        features = len(KINDS) + len(_parts(len(self.known_places[0])))
        if any(len(row) != features for row in self.weights):
            raise ValueError(f"there must be {features} weights for each kind")
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
    def covariance(self) -> Array:
        """Of the places, float64 [D, D]; at least two tiles."""
        mean = self.places / self.tiles
        covariance: Array = (self.products - self.tiles * np.outer(mean, mean)) / (self.tiles - 1)
        return covariance

    @property
    def spread_score(self) -> float:
        """Largest variance of the places in any direction; at least two tiles."""
        return float(np.linalg.eigvalsh(self.covariance)[-1])


@dataclass(frozen=True)
class LotDiagnosis:
    """What a lot's tiles say together.

    Attributes:
        probabilities: By kind, if all were equally common.
        known_p_value: Small where it seems to be no known lot under an unchanged instrument.
        instrument_p_value: Small where the instrument seems to have changed.
        mixed_p_value: Small where the tiles seem to be of several lots.
        alarm_level: Of all three.
        tiles: So many were looked at.
        diagnosis_version: What the calibration is of.
    """

    probabilities: dict[Shift, float]
    known_p_value: float
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
    def strange(self) -> bool:
        """Whether the lot goes farther than known lots do, and is called changed."""
        return self.known_p_value <= self.alarm_level and self.likeliest is not Shift.NONE

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

    Raises:
        Contradiction: DIAGNOSIS_MISMATCH where it is of another.
    """
    at = int(np.searchsorted(calibration.sizes, places.tiles, side="right")) - 1
    if at < 0:
        return None
    known = np.array(calibration.known_places)
    if len(places.places) != known.shape[1]:
        raise Contradiction(
            "DIAGNOSIS_MISMATCH",
            f"{LOT_DIAGNOSIS_FILE} is of another diagnosis than the uncertainty service has. Fit "
            "both again with `lotwise-train diagnose`.",
        )
    odds = np.array(calibration.weights) @ lot_features(known, places)
    logs = odds + np.array(calibration.offsets)
    logs -= np.logaddexp.reduce(logs)
    return LotDiagnosis(
        probabilities=dict(zip(KINDS, np.exp(logs).tolist(), strict=True)),
        known_p_value=_p_value(calibration.changed[at], changed_score(logs)),
        instrument_p_value=_p_value(calibration.instrument[at], instrument_score(logs)),
        mixed_p_value=_p_value(calibration.spread[at], places.spread_score),
        alarm_level=calibration.alarm_level,
        tiles=places.tiles,
        diagnosis_version=calibration.diagnosis_version,
    )


def lot_features(known: Array, places: LotPlaces) -> Array:
    """What the kind of a lot's shift goes by: float64 [4 + distances].

    Mean log-probabilities of its tiles, and the logarithm of the squared distance of their mean
    place to the nearest known lot's, in each block and in all, less what it is by chance.

    Args:
        known: float64 [L, D], mean places of known lots.
        places: Of at least two tiles.
    """
    mean, variance = places.places / places.tiles, np.diag(places.covariance)
    distances = [
        ((known[:, part] - mean[part]) ** 2).sum(axis=1).min() - variance[part].sum() / places.tiles
        for part in _parts(len(mean))
    ]
    return np.concatenate(
        [
            np.maximum(places.log_probabilities / places.tiles, LEAST_LOG),
            np.log(np.maximum(distances, 0.0) + NEAR),
        ]
    )


def instrument_score(log_probabilities: Array) -> float:
    """Log-odds of a changed instrument.

    Args:
        log_probabilities: float64 [4], of the kinds of a lot's shift.
    """
    return _log_odds(log_probabilities, Shift.INSTRUMENT)


def changed_score(log_probabilities: Array) -> float:
    """Log-odds that anything has changed.

    Args:
        log_probabilities: float64 [4], of the kinds of a lot's shift.
    """
    return -_log_odds(log_probabilities, Shift.NONE)


def _log_odds(log_probabilities: Array, kind: Shift) -> float:
    at = KINDS.index(kind)
    rest = np.logaddexp.reduce(np.delete(log_probabilities, at))
    return float(log_probabilities[at] - rest)


def _parts(directions: int) -> list[slice]:
    """Each block's directions, and all where there are several."""
    blocks = [slice(at, at + PLACE) for at in range(0, directions, PLACE)]
    return [*blocks, slice(0, directions)] if len(blocks) > 1 else blocks


def _p_value(scores: tuple[float, ...], score: float) -> float:
    """The share of scores at least as high, the score itself counted in."""
    below = int(np.searchsorted(scores, score, side="left"))
    return (len(scores) + 1 - below) / (len(scores) + 1)
