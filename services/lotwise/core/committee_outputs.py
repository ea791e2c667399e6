"""What networks say of many tiles, one by one: from this everything is calibrated.

N tiles, T members, K reference lots, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.uncertainty import committee_probabilities, softmax

LOGITS: Final = "logits"
BLOCKS: Final = ("features", "early")
"""Outputs of a committee or a regressor in whose space distances are measured: the pooled last
group, and mean and deviation of every channel of the first. A model may lack them."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class CommitteeOutputs:
    """Answers of all members.

    Attributes:
        logits: float [N, T, K].
        blocks: By the output's name, float [N, T, D].
    """

    logits: Floats
    blocks: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if np.ndim(self.logits) != 3:
            raise ValueError(f"logits must be [N, T, K], not {np.shape(self.logits)}")
        for name, block in self.blocks.items():
            if np.ndim(block) != 3 or block.shape[:2] != self.logits.shape[:2]:
                raise ValueError(f"{name} must be [N, T, D], not {np.shape(block)}")

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def pooled(self) -> npt.NDArray[np.float64]:
        """Members' probabilities, averaged: float64 [N, K]."""
        return committee_probabilities(softmax(self.logits))

    def take(self, rows: npt.NDArray[Any] | slice) -> CommitteeOutputs:
        """Some of the tiles."""
        return CommitteeOutputs(
            self.logits[rows], {name: block[rows] for name, block in self.blocks.items()}
        )

    def with_members(self, others: CommitteeOutputs) -> CommitteeOutputs:
        """These members and others, of the same tiles."""
        return CommitteeOutputs(
            np.concatenate([self.logits, others.logits], axis=1),
            {
                name: np.concatenate([block, others.blocks[name]], axis=1)
                for name, block in self.blocks.items()
            },
        )

    @classmethod
    def of(cls, outputs: Mapping[str, npt.NDArray[Any]]) -> CommitteeOutputs:
        """From the tensors of an engine's answer, by their names."""
        return cls(outputs[LOGITS], {name: outputs[name] for name in BLOCKS if name in outputs})


@dataclass(frozen=True, eq=False)
class FeatureOutputs:
    """What a single network, a regressor, sees of tiles.

    Attributes:
        blocks: By the output's name, float [N, 1, D].
    """

    blocks: Mapping[str, Floats]

    @classmethod
    def of(cls, outputs: Mapping[str, npt.NDArray[Any]]) -> FeatureOutputs:
        """From the tensors of an engine's answer, float [N, D] by their names."""
        return cls({name: outputs[name][:, None] for name in BLOCKS})

    def __len__(self) -> int:
        return len(self.blocks[BLOCKS[0]])

    def take(self, rows: npt.NDArray[Any] | slice) -> FeatureOutputs:
        """Some of the tiles."""
        return FeatureOutputs({name: block[rows] for name, block in self.blocks.items()})
