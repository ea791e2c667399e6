from lotwise.v1 import tile_pb2 as _tile_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IntervalKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTERVAL_KIND_UNSPECIFIED: _ClassVar[IntervalKind]
    INTERVAL_KIND_TILE: _ClassVar[IntervalKind]
    INTERVAL_KIND_LOT: _ClassVar[IntervalKind]
INTERVAL_KIND_UNSPECIFIED: IntervalKind
INTERVAL_KIND_TILE: IntervalKind
INTERVAL_KIND_LOT: IntervalKind

class PropertyInterval(_message.Message):
    __slots__ = ("kind", "property", "unit", "point", "lower", "upper", "coverage", "guaranteed_coverage", "calibration_lots", "calibration_recipes", "guarantee", "calibration_version")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    GUARANTEED_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_LOTS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_RECIPES_FIELD_NUMBER: _ClassVar[int]
    GUARANTEE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_VERSION_FIELD_NUMBER: _ClassVar[int]
    kind: IntervalKind
    property: str
    unit: str
    point: float
    lower: float
    upper: float
    coverage: float
    guaranteed_coverage: float
    calibration_lots: int
    calibration_recipes: int
    guarantee: str
    calibration_version: str
    def __init__(self, kind: _Optional[_Union[IntervalKind, str]] = ..., property: _Optional[str] = ..., unit: _Optional[str] = ..., point: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ..., coverage: _Optional[float] = ..., guaranteed_coverage: _Optional[float] = ..., calibration_lots: _Optional[int] = ..., calibration_recipes: _Optional[int] = ..., guarantee: _Optional[str] = ..., calibration_version: _Optional[str] = ...) -> None: ...

class IntervalRequest(_message.Message):
    __slots__ = ("tile", "coverage")
    TILE_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    coverage: float
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., coverage: _Optional[float] = ...) -> None: ...

class IntervalResponse(_message.Message):
    __slots__ = ("tile_id", "lot_id", "interval", "quality", "provenance", "reading")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    lot_id: str
    interval: PropertyInterval
    quality: _tile_pb2.Quality
    provenance: _tile_pb2.Provenance
    reading: _tile_pb2.Reading
    def __init__(self, tile_id: _Optional[str] = ..., lot_id: _Optional[str] = ..., interval: _Optional[_Union[PropertyInterval, _Mapping]] = ..., quality: _Optional[_Union[_tile_pb2.Quality, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., reading: _Optional[_Union[_tile_pb2.Reading, _Mapping]] = ...) -> None: ...

class IntervalStreamRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: IntervalRequest
    def __init__(self, request: _Optional[_Union[IntervalRequest, _Mapping]] = ...) -> None: ...

class IntervalStreamResponse(_message.Message):
    __slots__ = ("tile_id", "result", "error")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    result: IntervalResponse
    error: _tile_pb2.TileError
    def __init__(self, tile_id: _Optional[str] = ..., result: _Optional[_Union[IntervalResponse, _Mapping]] = ..., error: _Optional[_Union[_tile_pb2.TileError, _Mapping]] = ...) -> None: ...

class LotIntervalRequest(_message.Message):
    __slots__ = ("tile", "coverage")
    TILE_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    coverage: float
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., coverage: _Optional[float] = ...) -> None: ...

class LotIntervalResponse(_message.Message):
    __slots__ = ("lot_id", "interval", "tiles", "poor_tiles", "failed", "provenance")
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    TILES_FIELD_NUMBER: _ClassVar[int]
    POOR_TILES_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    lot_id: str
    interval: PropertyInterval
    tiles: int
    poor_tiles: int
    failed: _containers.RepeatedCompositeFieldContainer[FailedTile]
    provenance: _tile_pb2.Provenance
    def __init__(self, lot_id: _Optional[str] = ..., interval: _Optional[_Union[PropertyInterval, _Mapping]] = ..., tiles: _Optional[int] = ..., poor_tiles: _Optional[int] = ..., failed: _Optional[_Iterable[_Union[FailedTile, _Mapping]]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ...) -> None: ...

class FailedTile(_message.Message):
    __slots__ = ("tile_id", "error")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    error: _tile_pb2.TileError
    def __init__(self, tile_id: _Optional[str] = ..., error: _Optional[_Union[_tile_pb2.TileError, _Mapping]] = ...) -> None: ...
