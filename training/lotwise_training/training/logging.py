"""Writes curves where TensorBoard is installed; elsewhere nothing, and the training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

SMOOTHING: Final = 0.8
"""Share of the former mean in the next."""


class TensorBoard:
    """Curves of one training.

    Args:
        folder: Of its files.
        step: From which it goes on: what is there of later steps will be written anew.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:  # a bare GPU machine trains all the same
            self._writer: Any = None
        else:
            self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Add a point to the curves of these names."""
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()


class RunningMeans:
    """Smooths curves, as one batch says little."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def add(self, figures: Mapping[str, float]) -> dict[str, float]:
        """The means after these figures; also of those that this time are not among them."""
        for name, value in figures.items():
            mean = self._means.get(name, value)
            self._means[name] = SMOOTHING * mean + (1.0 - SMOOTHING) * value
        return dict(self._means)
