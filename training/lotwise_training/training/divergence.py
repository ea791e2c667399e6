"""Stops a training whose loss or gradient is no longer a number."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from lotwise_training.config.errors import TrainingError


class TrainingDiverged(TrainingError):
    """A loss or a gradient that is not finite; the last good checkpoint is kept."""

    exit_code: ClassVar[int] = 3


def gradient_norm(network: nn.Module) -> Tensor:
    """Norm of all gradients of a network, float []; not finite where one of them is not."""
    gradients = [each.grad for each in network.parameters() if each.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)


def check_finite(name: str, step: int, learning_rate: float, *figures: float) -> None:
    """Look at the losses and gradient norms of a step before its weights are kept.

    Args:
        name: Of the network.
        step: Number of the step, from 0.
        learning_rate: Of the step.
        figures: Losses and norms, of all processes where several train together.

    Raises:
        TrainingDiverged: One is not finite.
    """
    if not all(map(math.isfinite, figures)):
        raise TrainingDiverged(
            f"{name}: the loss or its gradient is not finite at step {step}, with a learning rate "
            f"of {learning_rate:.3g}. Its last checkpoint is kept. Lower learning_rate, or look "
            "for tiles or values that are out of range."
        )
