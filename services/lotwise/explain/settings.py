"""Settings of the explain service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from lotwise.runtime.settings import InferenceSettings


class ExplainSettings(InferenceSettings):
    """Read from LOTWISE_EXPLAIN_*."""

    model_config = SettingsConfigDict(env_prefix="LOTWISE_EXPLAIN_")

    regressor: str = "regressor"
    """Gives the property of a tile and of its edits."""

    encoder: str = "editor_encoder"
    """Encodes a tile once for all its edits."""

    decoder: str = "editor_decoder"
    """Redraws the tile with other attributes."""

    gradient: str = "edit_gradient"
    """Property and its gradient in the attributes."""

    meter: str = "attribute_meter"
    """Reads attributes of edited pictures, to compare with what was asked; may be missing."""

    priority: int = Field(default=2, ge=1, le=2)
    """An explanation is hundreds of questions to the regressor that predict asks one of."""

    min_familiarity: float = Field(default=0.005, ge=0.0, le=1.0)
    """A tile that is less familiar to the regressor is explained only where the caller allows it.
    It is a p-value: 0.005 turns away one tile in two hundred of those that the regressor knows. 0
    turns away nothing."""

    stream_window: int = Field(default=2, gt=0, le=64)
    """Explanations of one stream that are worked on at the same time; each is many runs."""

    max_lot_tiles: int = Field(default=100_000, gt=0)
    """Tiles that a stream of one lot may have; a sample of them is worked on."""

    progress_interval_s: float = Field(default=1.0, gt=0.0)
    """How often the stream of a lot says how far it is."""
