"""Settings of the uncertainty service."""

from __future__ import annotations

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
