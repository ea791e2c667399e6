from lotwise.v1 import tile_pb2 as _tile_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PredictRequest(_message.Message):
    __slots__ = ("tile", "model")
    TILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    model: str
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("tile_id", "lot_id", "property", "unit", "value", "quality", "provenance", "reading")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    lot_id: str
    property: str
    unit: str
    value: float
    quality: _tile_pb2.Quality
    provenance: _tile_pb2.Provenance
    reading: _tile_pb2.Reading
    def __init__(self, tile_id: _Optional[str] = ..., lot_id: _Optional[str] = ..., property: _Optional[str] = ..., unit: _Optional[str] = ..., value: _Optional[float] = ..., quality: _Optional[_Union[_tile_pb2.Quality, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., reading: _Optional[_Union[_tile_pb2.Reading, _Mapping]] = ...) -> None: ...

class PredictStreamRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: PredictRequest
    def __init__(self, request: _Optional[_Union[PredictRequest, _Mapping]] = ...) -> None: ...

class PredictStreamResponse(_message.Message):
    __slots__ = ("tile_id", "result", "error")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    result: PredictResponse
    error: _tile_pb2.TileError
    def __init__(self, tile_id: _Optional[str] = ..., result: _Optional[_Union[PredictResponse, _Mapping]] = ..., error: _Optional[_Union[_tile_pb2.TileError, _Mapping]] = ...) -> None: ...
