import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CalibrationOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALIBRATION_ORIGIN_UNSPECIFIED: _ClassVar[CalibrationOrigin]
    CALIBRATION_ORIGIN_SIMULATED: _ClassVar[CalibrationOrigin]
    CALIBRATION_ORIGIN_LABORATORY: _ClassVar[CalibrationOrigin]
CALIBRATION_ORIGIN_UNSPECIFIED: CalibrationOrigin
CALIBRATION_ORIGIN_SIMULATED: CalibrationOrigin
CALIBRATION_ORIGIN_LABORATORY: CalibrationOrigin

class CalibrationSet(_message.Message):
    __slots__ = ("tiles", "lots", "sha256", "date", "origin")
    TILES_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    DATE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    tiles: int
    lots: int
    sha256: str
    date: _timestamp_pb2.Timestamp
    origin: CalibrationOrigin
    def __init__(self, tiles: _Optional[int] = ..., lots: _Optional[int] = ..., sha256: _Optional[str] = ..., date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., origin: _Optional[_Union[CalibrationOrigin, str]] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("version", "temperature", "set", "scores")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    version: str
    temperature: float
    set: CalibrationSet
    scores: ScoreBins
    def __init__(self, version: _Optional[str] = ..., temperature: _Optional[float] = ..., set: _Optional[_Union[CalibrationSet, _Mapping]] = ..., scores: _Optional[_Union[ScoreBins, _Mapping]] = ...) -> None: ...

class ScoreBins(_message.Message):
    __slots__ = ("edges", "shares")
    EDGES_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    edges: _containers.RepeatedScalarFieldContainer[float]
    shares: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, edges: _Optional[_Iterable[float]] = ..., shares: _Optional[_Iterable[float]] = ...) -> None: ...

class Guarantee(_message.Message):
    __slots__ = ("quantity", "target", "bound", "confidence", "statement")
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    quantity: str
    target: float
    bound: float
    confidence: float
    statement: str
    def __init__(self, quantity: _Optional[str] = ..., target: _Optional[float] = ..., bound: _Optional[float] = ..., confidence: _Optional[float] = ..., statement: _Optional[str] = ...) -> None: ...
