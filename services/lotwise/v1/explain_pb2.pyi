from lotwise.v1 import tile_pb2 as _tile_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttributeValue(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class ForwardRequest(_message.Message):
    __slots__ = ("tile", "attributes", "vary", "steps", "without_images")
    TILE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    VARY_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_IMAGES_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    vary: str
    steps: int
    without_images: bool
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., attributes: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ..., vary: _Optional[str] = ..., steps: _Optional[int] = ..., without_images: _Optional[bool] = ...) -> None: ...

class ForwardResponse(_message.Message):
    __slots__ = ("tile_id", "lot_id", "property", "unit", "attribute", "original", "reconstructed", "steps", "quality", "provenance", "sensitivity")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_FIELD_NUMBER: _ClassVar[int]
    RECONSTRUCTED_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    SENSITIVITY_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    lot_id: str
    property: str
    unit: str
    attribute: str
    original: float
    reconstructed: float
    steps: _containers.RepeatedCompositeFieldContainer[ForwardStep]
    quality: _tile_pb2.Quality
    provenance: _tile_pb2.Provenance
    sensitivity: float
    def __init__(self, tile_id: _Optional[str] = ..., lot_id: _Optional[str] = ..., property: _Optional[str] = ..., unit: _Optional[str] = ..., attribute: _Optional[str] = ..., original: _Optional[float] = ..., reconstructed: _Optional[float] = ..., steps: _Optional[_Iterable[_Union[ForwardStep, _Mapping]]] = ..., quality: _Optional[_Union[_tile_pb2.Quality, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., sensitivity: _Optional[float] = ...) -> None: ...

class ForwardStep(_message.Message):
    __slots__ = ("attribute_value", "value", "edited_png")
    ATTRIBUTE_VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EDITED_PNG_FIELD_NUMBER: _ClassVar[int]
    attribute_value: float
    value: float
    edited_png: bytes
    def __init__(self, attribute_value: _Optional[float] = ..., value: _Optional[float] = ..., edited_png: _Optional[bytes] = ...) -> None: ...

class ForwardStreamRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: ForwardRequest
    def __init__(self, request: _Optional[_Union[ForwardRequest, _Mapping]] = ...) -> None: ...

class ForwardStreamResponse(_message.Message):
    __slots__ = ("tile_id", "result", "error")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    result: ForwardResponse
    error: _tile_pb2.TileError
    def __init__(self, tile_id: _Optional[str] = ..., result: _Optional[_Union[ForwardResponse, _Mapping]] = ..., error: _Optional[_Union[_tile_pb2.TileError, _Mapping]] = ...) -> None: ...

class BackwardRequest(_message.Message):
    __slots__ = ("tile", "attributes", "target", "tolerance", "immutable", "max_evaluations", "ranges", "costs", "starts")
    TILE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    IMMUTABLE_FIELD_NUMBER: _ClassVar[int]
    MAX_EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    target: float
    tolerance: float
    immutable: _containers.RepeatedScalarFieldContainer[str]
    max_evaluations: int
    ranges: _containers.RepeatedCompositeFieldContainer[AttributeRange]
    costs: _containers.RepeatedCompositeFieldContainer[AttributeCost]
    starts: int
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., attributes: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ..., target: _Optional[float] = ..., tolerance: _Optional[float] = ..., immutable: _Optional[_Iterable[str]] = ..., max_evaluations: _Optional[int] = ..., ranges: _Optional[_Iterable[_Union[AttributeRange, _Mapping]]] = ..., costs: _Optional[_Iterable[_Union[AttributeCost, _Mapping]]] = ..., starts: _Optional[int] = ...) -> None: ...

class AttributeRange(_message.Message):
    __slots__ = ("name", "minimum", "maximum")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    name: str
    minimum: float
    maximum: float
    def __init__(self, name: _Optional[str] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ...) -> None: ...

class AttributeCost(_message.Message):
    __slots__ = ("name", "cost")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    name: str
    cost: float
    def __init__(self, name: _Optional[str] = ..., cost: _Optional[float] = ...) -> None: ...

class BackwardResponse(_message.Message):
    __slots__ = ("tile_id", "lot_id", "property", "unit", "target", "tolerance", "reached", "before", "after", "changes", "edited_png", "evaluations", "quality", "provenance", "explanation_quality", "ended_by_deadline")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    EDITED_PNG_FIELD_NUMBER: _ClassVar[int]
    EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_QUALITY_FIELD_NUMBER: _ClassVar[int]
    ENDED_BY_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    lot_id: str
    property: str
    unit: str
    target: float
    tolerance: float
    reached: bool
    before: float
    after: float
    changes: _containers.RepeatedCompositeFieldContainer[AttributeChange]
    edited_png: bytes
    evaluations: int
    quality: _tile_pb2.Quality
    provenance: _tile_pb2.Provenance
    explanation_quality: ExplanationQuality
    ended_by_deadline: bool
    def __init__(self, tile_id: _Optional[str] = ..., lot_id: _Optional[str] = ..., property: _Optional[str] = ..., unit: _Optional[str] = ..., target: _Optional[float] = ..., tolerance: _Optional[float] = ..., reached: _Optional[bool] = ..., before: _Optional[float] = ..., after: _Optional[float] = ..., changes: _Optional[_Iterable[_Union[AttributeChange, _Mapping]]] = ..., edited_png: _Optional[bytes] = ..., evaluations: _Optional[int] = ..., quality: _Optional[_Union[_tile_pb2.Quality, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., explanation_quality: _Optional[_Union[ExplanationQuality, _Mapping]] = ..., ended_by_deadline: _Optional[bool] = ...) -> None: ...

class ExplanationQuality(_message.Message):
    __slots__ = ("changed", "cost", "starts", "starts_reached", "spread")
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    STARTS_REACHED_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    changed: int
    cost: float
    starts: int
    starts_reached: int
    spread: float
    def __init__(self, changed: _Optional[int] = ..., cost: _Optional[float] = ..., starts: _Optional[int] = ..., starts_reached: _Optional[int] = ..., spread: _Optional[float] = ...) -> None: ...

class AttributeChange(_message.Message):
    __slots__ = ("name", "before", "after", "sensitivity")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    SENSITIVITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: float
    after: float
    sensitivity: float
    def __init__(self, name: _Optional[str] = ..., before: _Optional[float] = ..., after: _Optional[float] = ..., sensitivity: _Optional[float] = ...) -> None: ...

class BackwardStreamRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: BackwardRequest
    def __init__(self, request: _Optional[_Union[BackwardRequest, _Mapping]] = ...) -> None: ...

class BackwardStreamResponse(_message.Message):
    __slots__ = ("tile_id", "result", "error")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    result: BackwardResponse
    error: _tile_pb2.TileError
    def __init__(self, tile_id: _Optional[str] = ..., result: _Optional[_Union[BackwardResponse, _Mapping]] = ..., error: _Optional[_Union[_tile_pb2.TileError, _Mapping]] = ...) -> None: ...
