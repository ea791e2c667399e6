"""Stops a training whose loss is no longer a number."""

from __future__ import annotations

import math
from typing import ClassVar

from lotwise_training.config.errors import TrainingError


class TrainingDiverged(TrainingError):
    """A loss that is not finite; the last good checkpoint is kept."""

    exit_code: ClassVar[int] = 3


def check_finite(name: str, step: int, learning_rate: float, *losses: float) -> None:
    """Look at the losses of a step before its gradient is taken.

    Args:
        name: Of the network.
        step: Number of the step, from 0.
        learning_rate: Of the step.
        losses: Of all processes, where several train together.

    Raises:
        TrainingDiverged: One is not finite.
    """
    if not all(map(math.isfinite, losses)):
        raise TrainingDiverged(
            f"{name}: the loss is not finite at step {step}, with a learning rate of "
            f"{learning_rate:.3g}. Its last checkpoint is kept. Lower learning_rate, or look for "
            "tiles or values that are out of range."
        )
