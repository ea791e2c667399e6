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
from lotwise_training.data.splits import Split, recipe_folds, region_blocked, tile_random
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


def regressor_splits(data: TileDataset, recipe: RegressorRecipe) -> dict[str, Split]:
    """What each network of a full run learns from, by the network's name; the served one first.

    Args:
        data: Lots with a measured property.
        recipe: What to train.

    Raises:
        DatasetError: PROPERTY_UNKNOWN: a lot has no value. The lots cannot be split so.
    """
    table = data.table
    if len(unknown := np.flatnonzero(np.isnan(table.values))):
        raise DatasetError(
            "PROPERTY_UNKNOWN",
            f"Lot {table.lot_ids[unknown[0]]} has no measured property. State it, or leave the "
            "lot out.",
        )
    seed = recipe.network.seed
    folds = recipe_folds(data, seed, recipe.comparison.folds)
    splits = {
        served_name(): tile_random(data, seed),
        REGION_BLOCKED: region_blocked(data, seed),
        **{fold_name(number): fold for number, fold in enumerate(folds)},
        SECOND: folds[0],
    }
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
        self._held, self._wanted = data.images[sample], values[sample]
        self._unit = table.unit

    def validate(self) -> Validation:
        """See `Task`."""
        predicted = self.predict(self._held)[:, 0]
        error, relative = rmse(predicted, self._wanted), mape(predicted, self._wanted)
        # Weights are chosen on the scale that is learned: else the strongest lots would decide.
        learned = error
        if self.regressor.logarithmic:
            learned = rmse(np.log(predicted), np.log(self._wanted))
        return Validation(
            learned,
            {"validation/rmse": error, "validation/mape_percent": relative},
            f"RMSE {error:.0f} {self._unit}, MAPE {relative:.1f}%",
        )

    def stored(self) -> Mapping[str, Any]:
        """See `Task`."""
        return {
            "shape": self.shape,
            "pool": self.regressor.pool,
            "unshuffle": self.regressor.unshuffle,
            "property_range": list(self._range),
            "logarithmic": self.regressor.logarithmic,
        }


def lot_values(data: TileDataset) -> Floats:
    """The property of every tile's lot, float64 [N].

    A tile carries its lot's value (Liu et al. 2020, section 3).
    """
    values: Floats = data.table.values[data.lots]
    return values
