"""What changes in the course of a training: learning rate and crop, by the share that is done."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Final

from lotwise_training.config.schema import Crops

START_DIVISOR: Final = 25.0
"""One-cycle starts at 1/25 of the peak rate (Smith & Topin 2018; PyTorch's default)."""

SLACK: Final = 0.05
"""By how much time may run ahead of the steps before a time limit shortens the schedule."""


@dataclass
class Clock:
    """How far a training has come: by steps or, under a time limit, by time if that is further.

    With a limit a machine that is too slow for the steps still ends the schedule, with the small
    rates that make a network usable: less trained, never broken off at the peak.

    Args:
        steps: Steps of the whole training.
        max_seconds: Time limit; None for none.
        step: Steps already taken, by a checkpoint.
        spent_seconds: Time already spent, by a checkpoint.
    """

    steps: int
    max_seconds: float | None = None
    step: int = 0
    spent_seconds: float = 0.0
    _started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time spent on this training, that before a checkpoint included."""
        return self.spent_seconds + time.monotonic() - self._started

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end."""
        by_steps = self.step / self.steps
        by_time = self.seconds / self.max_seconds if self.max_seconds else 0.0
        if by_time >= 1.0:
            return 1.0
        return by_time if by_time > by_steps + SLACK else by_steps


def one_cycle(progress: float, warmup_share: float) -> float:
    """Factor on the peak learning rate: a linear rise, then a half cosine down to 0.

    Args:
        progress: 0 to 1.
        warmup_share: Share of the training in which the rate rises.
    """
    if progress < warmup_share:
        start = 1.0 / START_DIVISOR
        return start + (1.0 - start) * progress / warmup_share
    return 0.5 * (1.0 + math.cos(math.pi * (progress - warmup_share) / (1.0 - warmup_share)))


def halving(progress: float, halvings: float) -> float:
    """Factor on the learning rate that is halved at equal steps (Zhang et al. 2020).

    Args:
        progress: 0 to 1.
        halvings: Length of the training in units of what lies between two halvings.
    """
    return float(0.5 ** math.floor(progress * halvings))


def crop_at(progress: float, crops: Crops) -> int:
    """Edge of the training crops in pixels; `crops` holds (progress from which, edge)."""
    return [px for share, px in crops if share <= progress][-1]
