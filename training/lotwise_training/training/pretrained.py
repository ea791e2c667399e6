"""Fine-tuning: a network that begins with the trunk of one that was trained before.

Agrawal & Choudhary 2019, section "Transfer learning": where data are few, features that were
learned elsewhere stay, and the last layer is learned anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from lotwise_training.config.errors import TrainingError
from lotwise_training.models.wide_resnet import WideResNet
from lotwise_training.store.checkpoint import weights_sha256

HEAD: Final = "head."
"""Begins the names of the last layer's weights."""


class PretrainedMismatch(TrainingError):
    """Weights that do not fit the network of the recipe."""


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A finished network to begin with.

    Attributes:
        source: Where it was found, for messages and records.
        weights: State of a `WideResNet`.
    """

    source: str
    weights: Mapping[str, Tensor]

    @property
    def sha256(self) -> str:
        """Hash of the weights."""
        return weights_sha256(self.weights)

    def check_shape(self, depth: int, widen: int, channels: int) -> None:
        """Look whether the trunk fits a network, before anything is trained.

        Raises:
            PretrainedMismatch: It does not.
        """
        blocks = sum(name.endswith("conv1.weight") for name in self.weights)
        width, own_channels = len(self.weights["norm.weight"]), self.weights["stem.weight"].shape[1]
        own = (2 * blocks + 4, width // 64, own_channels)
        if own != (depth, widen, channels):
            raise PretrainedMismatch(
                f"{self.source} is a WRN-{own[0]}-{own[1]} of {own[2]} input channels, the recipe "
                f"asks for a WRN-{depth}-{widen} of {channels}. Override depth, widen or unshuffle "
                "with --set network.depth=... and so on."
            )

    def load_trunk(self, network: WideResNet) -> None:
        """Copy all weights but those of the last layer, statistics of batch norm included."""
        trunk = {name: each for name, each in self.weights.items() if not name.startswith(HEAD)}
        network.load_state_dict({**network.state_dict(), **trunk})
