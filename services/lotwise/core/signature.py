"""What a served model states of itself: tensors, scale, labels, units, weights.

The export writes it into the model's config.pbtxt; the services read it back from the
engine. Nothing about a material is written in the services' code.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DataType = Literal["UINT8", "FP32"]


class _Stated(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(_Stated):
    """One input or output.

    `shape` is without the batch dimension. `label_file` lies beside config.pbtxt and names the
    entries of the last axis, one a line; empty where they have no names.
    """

    name: str
    dtype: DataType
    shape: tuple[int, ...]
    label_file: str = ""


class TileGeometry(_Stated):
    """The field that a model sees: `px` x `px` pixels of `um_per_px` micrometres."""

    px: int = Field(gt=0)
    um_per_px: float = Field(gt=0)

    @property
    def field_of_view_um(self) -> float:
        """Edge length of the field in micrometres."""
        return self.px * self.um_per_px


class PropertySpec(_Stated):
    """The mechanical property that a regressor gives, and the range it has learned."""

    name: str
    unit: str
    minimum: float
    maximum: float


class AttributeSpec(_Stated):
    """An attribute of a lot, normalised to 0-1; `low` and `high` say in words what that means."""

    name: str
    low: str
    high: str


class ReferenceLot(_Stated):
    """A lot that a committee knows as a class; attributes in the order of the specification."""

    lot_id: str
    attributes: tuple[float, ...]


class ModelMetadata(_Stated):
    """What the tensors mean."""

    weights_sha256: str
    # Of these networks' weights is the model made; the editor's gradient has two sources.
    trained_on_simulated_lots: bool
    geometry: TileGeometry | None = None
    property: PropertySpec | None = None
    attributes: tuple[AttributeSpec, ...] = ()
    reference_lots: tuple[ReferenceLot, ...] = ()
    members: int | None = None

    @model_validator(mode="after")
    def _lots_have_every_attribute(self) -> ModelMetadata:
        for lot in self.reference_lots:
            if len(lot.attributes) != len(self.attributes):
                raise ValueError(
                    f"reference lot {lot.lot_id} has {len(lot.attributes)} attributes, "
                    f"the model names {len(self.attributes)}"
                )
        return self


class ModelSignature(_Stated):
    """A model of the repository: everything that its config.pbtxt is written from."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: ModelMetadata
    max_batch_size: int = Field(default=8, gt=0)
    # How long the engine waits for a batch to fill, and for how long and how deep it queues.
    max_queue_delay_us: int = Field(default=2000, ge=0)
    queue_timeout_us: int = Field(default=30_000_000, gt=0)
    max_queue_size: int = Field(default=256, gt=0)
    # Work that may wait goes after all other: 2 for models that only explanations ask.
    priority: int = Field(default=1, ge=1, le=2)
