"""Measures the attributes that a tile shows, without ever having seen an editor.

An editor is trained to please a network that reads attributes. Asking that network what an edit
changed would be asking the accused. The meter is another network, of another kind, that learned
true attributes from simulated lots of its own, spread evenly over all attributes, so that it can
tell them apart where a few dozen lots would let it guess one from another. What it is worth is
checked on lots that were made twice, alike but for one attribute: `evaluation/edit_response.py`.
"""

from __future__ import annotations

from typing import Final

from lotwise_training.config.schema import MeterRecipe
from lotwise_training.data.tiles import TileDataset
from lotwise_training.training.base import Job
from lotwise_training.training.parallel import NetworkTraining
from lotwise_training.training.tasks.attributes import attribute_training

NAME: Final = "editor/meter"
SERVED: Final = "attribute_meter"
"""Its name in a model repository, and of the folder of its figures."""


def meter_training(
    data: TileDataset, recipe: MeterRecipe, max_seconds: float | None
) -> NetworkTraining[Job]:
    """The training of a meter.

    Args:
        data: `meter_tiles`.
        recipe: How to train.
        max_seconds: Of the training, whatever its steps; None for no limit.
    """
    return attribute_training(NAME, data, recipe.network, max_seconds)
