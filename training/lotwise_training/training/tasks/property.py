"""Teaches a network a property, such as peak stress, from one tile.

Liu et al. 2020, supplement B: WRN-28-1 with a tanh head, tiles normalised by their mean and
standard deviation, mean squared error, Adam. What differs from the paper:

- The logarithm of the property is learned: errors of weak lots count as much as those of strong.
- Beside it the network learns to read the experts' scores. Few lots leave open what of a picture it
  is that makes a lot weak; it would else see crystals and overlook pores.
- Views under other states of the microscope. Every lot was imaged in one state; without them a
  network may learn the instrument's blur and noise where it should learn the material.
- Beside the network that is served, others are measured on regions and on lots that they never
  saw. Tiles of a known lot carry its value, so recognising the lot is enough to predict them; only
  an unseen lot shows what was learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from lotwise_training.config.schema import PropertyNetworkRecipe, RegressorRecipe
from lotwise_training.data.splits import (
    LEAST_LEARNED,
    Split,
    recipe_folds,
    region_blocked,
    tile_random,
)
from lotwise_training.data.tiles import DatasetError, Floats, TileDataset, some_of_each_lot
from lotwise_training.metrics import mape, rmse
from lotwise_training.training.base import Job, Validation, validation_sample
from lotwise_training.training.parallel import limit_time
from lotwise_training.training.tasks.regression import Regression, Targets

SERVED: Final = "regressor"
"""Folder of the network that is served; its name within is the same."""
COMPARISONS: Final = "regressor-comparisons"
REGION_BLOCKED: Final = f"{COMPARISONS}/region-blocked"
SECOND: Final = f"{COMPARISONS}/fold_0_second"
"""Learns what the first fold's network does, from another beginning, to see what two are worth."""
SEEDS: Final = 100
"""Seeds of the comparisons are this far from the served network's."""


def fold_name(fold: int) -> str:
    """Name of the network that has not seen a fold's lots."""
    return f"{COMPARISONS}/fold_{fold}"


def served_name() -> str:
    """Name of the network that is served."""
    return f"{SERVED}/{SERVED}"


def fold_count(data: TileDataset, recipe: RegressorRecipe) -> int:
    """How many networks hold lots out, so that each learns from two recipes or more.

    Lots of a folder may be too few for the recipe's folds; 0 where no lot can be held out.
    """
    folds, recipes = recipe.comparison.folds, len(set(data.table.recipes))
    if data.positions is None:
        return folds
    folds = min(folds, recipes)
    if recipes - -(-recipes // folds) < LEAST_LEARNED:
        folds = recipes if recipes > LEAST_LEARNED else 0
    # Held-out lots must leave a range to learn.
    values = data.table.values
    if folds and any(
        np.ptp(values[np.unique(data.lots[fold.train])]) == 0.0
        for fold in recipe_folds(data, recipe.network.seed, folds)
    ):
        return 0
    return folds


def regressor_remarks(data: TileDataset, recipe: RegressorRecipe) -> list[str]:
    """What the lots of a folder cannot carry, in sentences."""
    if data.positions is None:
        return []
    remarks = [*data.remarks, *region_blocked(data, recipe.network.seed).remarks]
    remarks.append("Not compared with tile-random: tiles of a region stay together.")
    folds = fold_count(data, recipe)
    if not folds:
        remarks.append(
            f"No intervals, and no lot held out: {len(set(data.table.recipes))} recipes with values"
            f"; {LEAST_LEARNED + 1} are needed, and two different values where one is left out."
        )
    elif folds != recipe.comparison.folds:
        remarks.append(f"Lots are held out in {folds} folds, because there are so few recipes.")
    return remarks


def regressor_splits(data: TileDataset, recipe: RegressorRecipe) -> dict[str, Split]:
    """What each network of a full run learns from, by the network's name; the served one first.

    Lots of a folder are split by region, so the served network is the region-blocked one too.

    Raises:
        DatasetError: PROPERTY_UNKNOWN: a lot has no value. PROPERTY_CONSTANT: all have the same.
            The lots cannot be split so.
    """
    table = data.table
    if len(unknown := np.flatnonzero(np.isnan(table.values))):
        raise DatasetError(
            "PROPERTY_UNKNOWN",
            f"Lot {table.lot_ids[unknown[0]]} has no measured property. State it, or leave the "
            "lot out.",
        )
    if np.ptp(table.values) == 0.0:
        raise DatasetError(
            "PROPERTY_CONSTANT",
            f"All {len(table.lot_ids)} lots have the value {table.values[0]:g}; a regressor needs "
            "2 different ones. Add lots.",
        )
    seed = recipe.network.seed
    splits = {served_name(): tile_random(data, seed)}
    if data.positions is None:
        splits[REGION_BLOCKED] = region_blocked(data, seed)
    if count := fold_count(data, recipe):
        folds = recipe_folds(data, seed, count)
        splits |= {fold_name(number): fold for number, fold in enumerate(folds)}
        splits[SECOND] = folds[0]
    # Here, so that baselines and reports know of no other tiles than the networks learned from.
    return {
        name: replace(split, train=some_of_each_lot(data, split.train, recipe.tiles, seed))
        for name, split in splits.items()
    }


def regressor_jobs(
    data: TileDataset, recipe: RegressorRecipe, max_seconds: float | None = None
) -> list[Job]:
    """Every network of a full run, the one that is served first.

    Args:
        data: Lots with a measured property.
        recipe: What to train.
        max_seconds: Of all of them together, whatever the recipe's steps; None for no limit.

    Raises:
        DatasetError: As `regressor_splits`.
    """
    network, comparison = recipe.network, recipe.comparison
    steps = {served_name(): network.steps, REGION_BLOCKED: comparison.region_blocked_steps}
    jobs = [
        Job(
            name=name,
            train=split.train,
            validation=split.validation,
            seed=network.seed + SEEDS * number,
            steps=steps.get(name, comparison.folds_steps),
            head_tiles=network.head_tiles,
            lots=None if data.positions is None else data.lots[split.train],
        )
        for number, (name, split) in enumerate(regressor_splits(data, recipe).items())
    ]
    return limit_time(jobs, max_seconds, recipe.parallel)


class RegressorTask(Regression):
    """The property of the tile's lot; a `Task`."""

    def __init__(
        self, data: TileDataset, job: Job, recipe: PropertyNetworkRecipe, device: torch.device
    ) -> None:
        values, table = lot_values(data), data.table
        known, scores = values[job.train], table.attributes[data.lots[job.train]]
        # Scaled by the lots that are learned from: nothing of the others is known.
        self._range = float(known.min()), float(known.max())
        answers = Targets(
            known[:, None],
            self._range,
            logarithmic=recipe.logarithmic and self._range[0] > 0.0,
            further=scores if recipe.score_weight and scores.shape[1] else None,
            further_weight=recipe.score_weight,
        )
        super().__init__(data.images[job.train], answers, recipe, device, recipe.unshuffle)
        sample = validation_sample(job.validation, recipe)
        self._held, self._targets_held = data.images[sample], values[sample]
        self._unit, self._um_per_px = table.unit, data.um_per_px

    def validate(self) -> Validation:
        """See `Task`."""
        predicted = self.predict(self._held)[:, 0]
        error, relative = rmse(predicted, self._targets_held), mape(predicted, self._targets_held)
        # Weights are chosen on the scale that is learned: else the strongest lots would decide.
        learned = error
        if self.regressor.logarithmic:
            learned = rmse(np.log(predicted), np.log(self._targets_held))
        figures, line = {"validation/rmse": error}, f"RMSE {error:.4g} {self._unit}".rstrip()
        if np.isfinite(relative):
            figures["validation/mape_percent"] = relative
            line += f", MAPE {relative:.1f}%"
        return Validation(learned, figures, line)

    def stored(self) -> Mapping[str, Any]:
        """See `Task`."""
        return {
            "shape": self.shape,
            "pool": self.regressor.pool,
            "unshuffle": self.regressor.unshuffle,
            "property_range": list(self._range),
            "logarithmic": self.regressor.logarithmic,
            "um_per_px": self._um_per_px,
        }


def lot_values(data: TileDataset) -> Floats:
    """The property of every tile's lot, float64 [N].

    A tile carries its lot's value (Liu et al. 2020, section 3).
    """
    values: Floats = data.table.values[data.lots]
    return values
