"""Settings of the predict service."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from lotwise.runtime.settings import InferenceSettings


class PredictSettings(InferenceSettings):
    """Read from LOTWISE_PREDICT_*."""

    model_config = SettingsConfigDict(env_prefix="LOTWISE_PREDICT_")

    model: str = "regressor"
    """Regressor that answers when a request names none."""
