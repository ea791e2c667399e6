"""The calibration of a property's intervals: residuals of held-out lots, tied to the weights.

Two kinds of intervals. A *tile interval* says where the property of a new lot lies, given one tile
of it; a *lot interval*, given the mean over many. Both are CV+ intervals (`core/conformal.py`) over
recipes that were held out whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lotwise.core.conformal import LEAST_COVERAGE, Array, Residuals, cv_plus, guaranteed_coverage
from lotwise.core.errors import Contradiction, InvalidRequest
from lotwise.core.validation import first_problem

Residual = Annotated[float, Field(ge=0)]


class IntervalKind(Enum):
    """What an interval is made from."""

    TILE = "tile"
    LOT = "lot"


@dataclass(frozen=True)
class PropertyInterval:
    """Where the property of a lot lies.

    Attributes:
        kind: From one tile, or from the mean over many.
        point: Median of what the networks say; within the interval.
        lower, upper: Ends, in the property's unit.
        coverage: Nominal.
        guaranteed: What theory guarantees of it.
        lots, recipes: How many calibrated it.
        guarantee: The same in words.
    """

    kind: IntervalKind
    point: float
    lower: float
    upper: float
    coverage: float
    guaranteed: float
    lots: int
    recipes: int
    guarantee: str


class CalibrationLot(BaseModel):
    """A lot that one of the networks had not seen.

    Attributes:
        lot_id: Its name.
        recipe: Of which it was made; all lots of a recipe were held out by the same network.
        fold: Number of that network.
        tile_residuals: Of single tiles.
        lot_residual: Of the mean over these tiles.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lot_id: str = Field(min_length=1)
    recipe: str = Field(min_length=1)
    fold: int = Field(ge=0)
    tile_residuals: tuple[Residual, ...] = Field(min_length=1)
    lot_residual: Residual


class IntervalCalibration(BaseModel):
    """Residuals of a property's fold networks on lots that they had not seen.

    Attributes:
        calibration_version: Name of this calibration.
        weights_sha256: The fold networks that it belongs to.
        coverage: Nominal coverage where a request names none.
        logarithmic: Whether residuals are of the property's logarithm: then its ends are as many
            times, not as much, above and below.
        folds: Number of networks.
        lots: All calibration lots, as many tiles of each.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ignored_types=(cached_property,)
    )

    calibration_version: str = Field(min_length=1)
    weights_sha256: str = Field(min_length=64, max_length=64)
    coverage: float = Field(ge=LEAST_COVERAGE, lt=1)
    logarithmic: bool
    folds: int = Field(ge=2)
    lots: tuple[CalibrationLot, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _lots_belong_together(self) -> Self:
        fold_of: dict[str, int] = {}
        names: set[str] = set()
        for lot in self.lots:
            if lot.lot_id in names:
                raise ValueError(f"lot {lot.lot_id} is there twice")
            names.add(lot.lot_id)
            if lot.fold >= self.folds:
                raise ValueError(f"lot {lot.lot_id} is of fold {lot.fold} of {self.folds}")
            if fold_of.setdefault(lot.recipe, lot.fold) != lot.fold:
                raise ValueError(f"recipe {lot.recipe} was held out by two networks")
            if len(lot.tile_residuals) != self.tiles_per_lot:
                raise ValueError(f"lot {lot.lot_id} has not {self.tiles_per_lot} tiles")
        return self

    @property
    def tiles_per_lot(self) -> int:
        """How many tiles of each lot calibrated, and the fewest that a lot interval takes."""
        return len(self.lots[0].tile_residuals)

    @cached_property
    def recipes(self) -> int:
        """Exchangeable units."""
        return len({lot.recipe for lot in self.lots})

    @cached_property
    def _residuals(self) -> dict[IntervalKind, Residuals]:
        folds = [lot.fold for lot in self.lots]
        recipes = [lot.recipe for lot in self.lots]
        return {
            IntervalKind.TILE: Residuals.of(
                [lot.tile_residuals for lot in self.lots], folds, recipes
            ),
            IntervalKind.LOT: Residuals.of(
                [(lot.lot_residual,) for lot in self.lots], folds, recipes
            ),
        }

    def tile_interval(self, answers: Array, coverage: float | None = None) -> PropertyInterval:
        """Where the property of a tile's lot lies.

        Args:
            answers: float64 [K], what each network says of the tile, in the property's unit.
            coverage: Nominal; None for the calibration's own.

        Raises:
            InvalidRequest: COVERAGE_OUT_OF_RANGE or COVERAGE_UNCERTIFIABLE.
        """
        return self._interval(IntervalKind.TILE, answers, coverage)

    def lot_interval(self, answers: Array, coverage: float | None = None) -> PropertyInterval:
        """Where a lot's property lies.

        Args:
            answers: float64 [N, K], what each network says of N tiles of the lot.
            coverage: As in `tile_interval`.

        Raises:
            InvalidRequest: LOT_TOO_FEW_TILES; as `tile_interval`.
        """
        if len(answers) < self.tiles_per_lot:
            raise InvalidRequest(
                "LOT_TOO_FEW_TILES",
                f"A lot interval is calibrated for means over {self.tiles_per_lot} tiles; of this "
                f"lot {len(answers)} can be used. Send more, or ask for the interval of each tile.",
            )
        return self._interval(IntervalKind.LOT, answers.mean(axis=0), coverage)

    def _interval(
        self, kind: IntervalKind, answers: Array, coverage: float | None
    ) -> PropertyInterval:
        if answers.shape != (self.folds,):
            raise ValueError(f"{self.folds} networks gave {answers.shape} answers")
        nominal = self.coverage if coverage is None else coverage
        centres = np.log(answers) if self.logarithmic else answers
        ends = np.array(cv_plus(centres, self._residuals[kind], nominal))
        lower, upper = (np.exp(ends) if self.logarithmic else ends).tolist()
        guaranteed = guaranteed_coverage(nominal, self.recipes, self.folds)
        return PropertyInterval(
            kind=kind,
            point=float(np.median(answers)),
            lower=lower,
            upper=upper,
            coverage=nominal,
            guaranteed=guaranteed,
            lots=len(self.lots),
            recipes=self.recipes,
            guarantee=self._in_words(kind, nominal, guaranteed),
        )

    def _in_words(self, kind: IntervalKind, coverage: float, guaranteed: float) -> str:
        given = "a tile" if kind is IntervalKind.TILE else f"{self.tiles_per_lot} tiles or more"
        return (
            f"CV+ over {self.recipes:,} recipes ({len(self.lots):,} lots), each held out whole by "
            f"one of {self.folds} networks. Given {given} of a new lot that comes from where these "
            f"came from, it holds the measured property with a probability of at least "
            f"{guaranteed:.1%} in theory and of about {coverage:.1%} in practice. It is an average "
            "over lots and promises nothing for lots of another kind."
        )

    def named(self) -> Self:
        """The same, named by all that it says, so that two that differ have two names."""
        unnamed = self.model_copy(update={"calibration_version": "unnamed"})
        content = hashlib.sha256(unnamed.model_dump_json().encode()).hexdigest()
        name = f"{self.weights_sha256[:8]}-{content[:8]}"
        return self.model_copy(update={"calibration_version": name})

    def write(self, path: Path) -> None:
        """Write the file that `read` reads, a lot a line."""
        content = self.model_dump(mode="json")
        lots = ",\n  ".join(json.dumps(lot) for lot in content.pop("lots"))
        head = "".join(
            f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in content.items()
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{\n{head} "lots": [\n  {lots}\n ]\n}}\n', encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a calibration file.

        Raises:
            Contradiction: INTERVALS_MISSING or INTERVALS_INVALID.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise Contradiction(
                "INTERVALS_MISSING",
                f"No calibration of intervals can be read at {path} ({error.strerror}). "
                "`lotwise-train regressor` calibrates, `lotwise-train export` writes it there.",
            ) from None
        except ValidationError as error:
            raise Contradiction(
                "INTERVALS_INVALID", f"Calibration {path}: {first_problem(error)}."
            ) from None
