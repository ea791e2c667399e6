"""Networks that read the attributes of a tile's lot: the editor's reader, and the meter.

The *reader* shows an editor in training what its edits changed; it learns from the editor's lots,
before the editor does, and stays as it is. A reader that learns beside the editor, as AttGAN's
does, knows little for most of a short training, and an editor learns to please what it knows.

The *meter* says what an edit changed. Asking the reader, which the editor is trained to please,
would be asking the accused. The meter is another network, of another kind, that learned true
attributes from simulated lots of its own, spread evenly over all attributes, so that it can tell
them apart where a few dozen lots would let it guess one from another. What it is worth is checked
on lots that were made twice, alike but for one attribute: `evaluation/edit_response.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from lotwise_training.config.schema import RegressorNetworkRecipe
from lotwise_training.data.tiles import Floats, TileDataset
from lotwise_training.models.wide_resnet import TileRegressor, WideResNet, target_scaling
from lotwise_training.store.checkpoint import load_finished
from lotwise_training.training.base import Job, Validation, validation_sample
from lotwise_training.training.parallel import NetworkTraining
from lotwise_training.training.tasks.regression import Regression, RegressionTrainer, Targets

METER: Final = "editor/meter"
SERVED_METER: Final = "attribute_meter"
"""Its name in a model repository, and of the folder of its figures."""
ATTRIBUTE_RANGE: Final = (0.0, 1.0)
VALIDATION_SHARE: Final = 0.1
"""Of the lots, not of the tiles."""


def attribute_training(
    name: str, data: TileDataset, network: RegressorNetworkRecipe, max_seconds: float | None
) -> NetworkTraining[Job]:
    """The training of a network that reads attributes.

    Args:
        name: Of the network.
        data: Lots whose attributes are all known; some are left out, to validate.
        network: How to train.
        max_seconds: Of the training, whatever its steps; None for no limit.
    """
    lots = np.random.default_rng(network.seed).permutation(len(data.table.lot_ids))
    held = np.isin(data.lots, lots[: max(1, round(VALIDATION_SHARE * len(lots)))])
    job = Job(
        name=name,
        train=np.flatnonzero(~held),
        validation=np.flatnonzero(held),
        seed=network.seed,
        steps=network.steps,
        head_tiles=network.head_tiles,
        max_seconds=max_seconds,
    )
    return NetworkTraining(RegressionTrainer(AttributeTask, data, network), job)


class AttributeTask(Regression):
    """All attributes of the tile's lot; a `Task`."""

    def __init__(
        self, data: TileDataset, job: Job, recipe: RegressorNetworkRecipe, device: torch.device
    ) -> None:
        values: Floats = data.table.attributes[data.lots]
        answers = Targets(values[job.train], ATTRIBUTE_RANGE)
        super().__init__(data.images[job.train], answers, recipe, device)
        sample = validation_sample(job.validation, recipe)
        self._held, self._wanted = data.images[sample], values[sample]
        self._names = data.table.attribute_names

    def validate(self) -> Validation:
        """See `Task`."""
        squared = np.square(self.predict(self._held) - self._wanted)
        errors = dict(zip(self._names, np.sqrt(squared.mean(axis=0)).tolist(), strict=True))
        return Validation(
            float(np.sqrt(squared.mean())),
            {f"validation/rmse_{name}": error for name, error in errors.items()},
            "RMSE " + ", ".join(f"{name} {error:.3f}" for name, error in errors.items()),
        )

    def stored(self) -> Mapping[str, Any]:
        """See `Task`."""
        return {"shape": self.shape, "pool": self.regressor.pool}


def load_attribute_network(path: Path) -> TileRegressor:
    """A finished network, in evaluation mode on the CPU.

    Returns:
        A module from grey values 0..255 [B, 1, H, W] to attributes float32 [B, n].

    Raises:
        CheckpointError: There is none, or it is unfinished.
    """
    state = load_finished(path, "network of attributes", "editor")
    network = WideResNet(*state["shape"])
    network.load_state_dict(state["network"])
    scaling, outputs = target_scaling(*ATTRIBUTE_RANGE), network.head.out_features
    return TileRegressor(network, *scaling, state["pool"], outputs=outputs).eval()
