"""A cascade: few members are asked first, the others only where they could change the decision.

Wang et al. 2022 ("Wisdom of Committees", arXiv 2012.01988) stop where the first members are sure.
Here it is not sureness that counts but the decision: from what the first members say of a tile, its
chance is computed that the whole committee refers it, accepts it and names the same lot, or accepts
it and names another one. A tile whose decision is sure enough is done. Its answer is that of the
first members under a calibration of their own, so that the chance of error means the same whoever
was asked.

N tiles, F numbers that describe a tile.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lotwise.core.calibration import Calibrated, Calibration
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.errors import Contradiction
from lotwise.core.familiarity import fisher_sums, scores, tail_probabilities
from lotwise.core.temperature import error_probability, scaled
from lotwise.core.uncertainty import Array, entropy, mutual_information, softmax
from lotwise.core.validation import first_problem

CASCADE_FILE: Final = "cascade.json"
CASCADE_POLICY_FILE: Final = "cascade_policy.json"
REFER, SAME, OTHER = range(3)
"""What the whole committee does: refers, accepts and names the same lot, or another one."""
OUTCOMES: Final = 3
FARTHEST: Final = 5.0
"""Descriptions are cut off so many standard deviations from the mean: squares of what lies farther
out would decide alone."""
_LEAST: Final = 1e-6

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a policy compares, of tiles.

    Attributes:
        error_probability: float64 [N], chance that the named lot is wrong.
        familiarity: float64 [N], p-values.
        named: int64 [N], the named lot.
    """

    error_probability: Array
    familiarity: Array
    named: npt.NDArray[np.int64]

    def accepted(self, max_score: float, min_familiarity: float) -> Flags:
        """Which tiles a policy accepts, bool [N]."""
        return (self.familiarity >= min_familiarity) & (self.error_probability <= max_score)


def committee_scores(calibrated: Calibrated, outputs: CommitteeOutputs) -> Scores:
    """What a policy compares.

    Args:
        calibrated: The committee's calibration.
        outputs: Of the committee.
    """
    probabilities = scaled(outputs.pooled, calibrated.calibration.temperature)
    return Scores(
        error_probability(probabilities),
        calibrated.familiarity.p_values(outputs),
        probabilities.argmax(axis=1),
    )


class Cascade(BaseModel):
    """A fitted cascade of one committee, for one policy.

    Attributes:
        weights_sha256: Of the whole committee.
        calibration_version, policy_version: Of the whole committee.
        first, rest: Names of the models that hold the first members, and the others.
        first_calibration_version: Of the first members.
        max_score, min_familiarity: Of the policy of the whole committee.
        stop_at: Chance of its own decision from which on a tile is done.
        centre, scale: [F], of the description.
        weights: [1 + F + F (F + 1) / 2, 3], on the standardised description and its products.
        calibration: As answers of the cascade state it; its version names the cascade.
        tiles: Known tiles, of no other use, that the next two were measured on.
        equal: Share of them on which the cascade decides as the whole committee.
        evaluations: Share of the members' evaluations that they took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weights_sha256: str = Field(min_length=64, max_length=64)
    calibration_version: str = Field(min_length=1)
    policy_version: str = Field(min_length=1)
    first: str = Field(min_length=1)
    rest: str = Field(min_length=1)
    first_calibration_version: str = Field(min_length=1)
    max_score: float = Field(ge=0, le=1)
    min_familiarity: float = Field(gt=0, lt=1)
    stop_at: float = Field(gt=0, le=1)
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    calibration: Calibration
    tiles: int = Field(gt=0)
    equal: float = Field(ge=0, le=1)
    evaluations: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        n = len(self.centre)
        wanted = 1 + n + n * (n + 1) // 2
        if len(self.scale) != n or min(self.scale, default=0.0) <= 0:
            raise ValueError(f"scale must be {n} positive numbers")
        if len(self.weights) != wanted or any(len(row) != OUTCOMES for row in self.weights):
            raise ValueError(f"weights must be {wanted} rows of {OUTCOMES}")
        return self

    def done(self, described: Array, first: Scores) -> Flags:
        """Which tiles need no further members, bool [N].

        Args:
            described: float64 [N, F], see `describe`.
            first: What the first members say.
        """
        chances = np.exp(log_chances(self.standardised(described), np.array(self.weights)))
        own = np.where(first.accepted(self.max_score, self.min_familiarity), SAME, REFER)
        return np.asarray(chances[np.arange(len(own)), own] >= self.stop_at)

    def standardised(self, described: Array) -> Array:
        """Descriptions with their products: float64 [N, 1 + F + F (F + 1) / 2]."""
        return with_products((described - np.array(self.centre)) / np.array(self.scale))

    def check(self, whole: Calibrated, first: Calibrated) -> None:
        """Refuse calibrations that it was not fitted with.

        Args:
            whole: Of the whole committee.
            first: Of the first members.

        Raises:
            Contradiction: CASCADE_MISMATCH.
        """
        if (
            whole.calibration.calibration_version,
            first.calibration.calibration_version,
            whole.calibration.weights_sha256,
        ) != (self.calibration_version, self.first_calibration_version, self.weights_sha256):
            raise Contradiction(
                "CASCADE_MISMATCH",
                "The cascade was fitted with another calibration than the one that is there. Fit "
                "it again with `lotwise calibrate`, or ask the whole committee.",
            )

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read `cascade.json`; None where there is none.

        Raises:
            Contradiction: CASCADE_INVALID.
        """
        if not path.exists():
            return None
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise Contradiction(
                "CASCADE_INVALID", f"{path} cannot be read ({error.strerror})."
            ) from None
        except ValidationError as error:
            raise Contradiction(
                "CASCADE_INVALID", f"Cascade {path}: {first_problem(error)}."
            ) from None

    def write(self, path: Path) -> None:
        """Write what `read` reads."""
        path.write_text(self.model_dump_json() + "\n", encoding="utf-8")


@dataclass(frozen=True, eq=False)
class Look:
    """What the first members say of tiles.

    Attributes:
        scores: What a policy compares.
        described: float64 [N, F], what the cascade goes by.
    """

    scores: Scores
    described: Array


def look(calibrated: Calibrated, outputs: CommitteeOutputs) -> Look:
    """What the first members say of tiles, with what the cascade goes by.

    That is the three largest probabilities, the chance of error and familiarity, as logarithms; the
    entropy, and how far the members disagree; all scores of strangeness.

    Args:
        calibrated: The calibration of the first members.
        outputs: Of the first members.
    """
    probabilities = scaled(outputs.pooled, calibrated.calibration.temperature)
    familiarity = calibrated.familiarity
    strange = scores(familiarity.blocks, outputs)
    sums = fisher_sums(tail_probabilities(familiarity.tails, strange))
    p_values = tail_probabilities(familiarity.fused[None], sums[:, None])[:, 0]
    wrong = error_probability(probabilities)
    largest = np.sort(probabilities, axis=1)[:, ::-1][:, :3]
    distances = 2 * len(familiarity.blocks)
    described = np.concatenate(
        [
            np.log(largest + _LEAST),
            np.log(np.stack([wrong + _LEAST, p_values], axis=1)),
            entropy(probabilities)[:, None],
            mutual_information(softmax(outputs.logits))[:, None],
            np.log(strange[:, :distances] + _LEAST),
            strange[:, distances:],
        ],
        axis=1,
    )
    return Look(Scores(wrong, p_values, probabilities.argmax(axis=1)), described)


def with_products(standard: Array) -> Array:
    """1, standardised numbers, and the products of any two of them.

    Args:
        standard: float64 [N, F].
    """
    near = np.clip(standard, -FARTHEST, FARTHEST)
    first, second = np.triu_indices(near.shape[1])
    return np.concatenate([np.ones((len(near), 1)), near, near[:, first] * near[:, second]], axis=1)


def log_chances(columns: Array, weights: Array) -> Array:
    """Logarithms of the chances of the outcomes, float64 [N, 3]: a logistic regression.

    Args:
        columns: float64 [N, C], see `with_products`.
        weights: float64 [C, 3].
    """
    logits = columns @ weights
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def part_sha256(weights_sha256: str, members: list[int]) -> str:
    """Name of some of a committee's weights.

    Args:
        weights_sha256: Of the whole committee.
        members: Numbers of the members.
    """
    return hashlib.sha256(f"{weights_sha256} {members}".encode()).hexdigest()
