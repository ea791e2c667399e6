"""Settings of the uncertainty service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from lotwise.runtime.settings import InferenceSettings


class UncertaintySettings(InferenceSettings):
    """Read from LOTWISE_UNCERTAINTY_*."""

    model_config = SettingsConfigDict(env_prefix="LOTWISE_UNCERTAINTY_")

    model: str = "committee"
    """Committee that answers when a request names none."""

    drift_window: int = Field(default=1000, ge=100)
    """Tiles over which the drift of scores is measured."""

    intervals_model: str = "regressor_folds"
    """The fold networks that intervals are made of."""

    intervals_file: Path = Path("model_repository/regressor_folds/intervals.json")
    """Their calibration; without it, calls for intervals end with INTERVALS_MISSING."""

    max_lot_tiles: int = Field(default=100_000, gt=0)
    """A stream of one lot ends with LOT_TOO_LARGE after so many tiles."""
