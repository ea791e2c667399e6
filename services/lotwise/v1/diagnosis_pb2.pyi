from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Shift(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHIFT_UNSPECIFIED: _ClassVar[Shift]
    SHIFT_NONE: _ClassVar[Shift]
    SHIFT_INSTRUMENT: _ClassVar[Shift]
    SHIFT_SYNTHESIS: _ClassVar[Shift]
    SHIFT_UNRELATED: _ClassVar[Shift]
SHIFT_UNSPECIFIED: Shift
SHIFT_NONE: Shift
SHIFT_INSTRUMENT: Shift
SHIFT_SYNTHESIS: Shift
SHIFT_UNRELATED: Shift

class ShiftProbability(_message.Message):
    __slots__ = ("shift", "probability")
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    shift: Shift
    probability: float
    def __init__(self, shift: _Optional[_Union[Shift, str]] = ..., probability: _Optional[float] = ...) -> None: ...

class Diagnosis(_message.Message):
    __slots__ = ("probabilities", "action", "diagnosis_version", "place")
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSIS_VERSION_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    probabilities: _containers.RepeatedCompositeFieldContainer[ShiftProbability]
    action: str
    diagnosis_version: str
    place: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, probabilities: _Optional[_Iterable[_Union[ShiftProbability, _Mapping]]] = ..., action: _Optional[str] = ..., diagnosis_version: _Optional[str] = ..., place: _Optional[_Iterable[float]] = ...) -> None: ...

class LotDiagnosis(_message.Message):
    __slots__ = ("probabilities", "action", "diagnosis_version", "instrument_p_value", "mixed_p_value", "alarm_level", "tiles", "known_p_value")
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSIS_VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_P_VALUE_FIELD_NUMBER: _ClassVar[int]
    MIXED_P_VALUE_FIELD_NUMBER: _ClassVar[int]
    ALARM_LEVEL_FIELD_NUMBER: _ClassVar[int]
    TILES_FIELD_NUMBER: _ClassVar[int]
    KNOWN_P_VALUE_FIELD_NUMBER: _ClassVar[int]
    probabilities: _containers.RepeatedCompositeFieldContainer[ShiftProbability]
    action: str
    diagnosis_version: str
    instrument_p_value: float
    mixed_p_value: float
    alarm_level: float
    tiles: int
    known_p_value: float
    def __init__(self, probabilities: _Optional[_Iterable[_Union[ShiftProbability, _Mapping]]] = ..., action: _Optional[str] = ..., diagnosis_version: _Optional[str] = ..., instrument_p_value: _Optional[float] = ..., mixed_p_value: _Optional[float] = ..., alarm_level: _Optional[float] = ..., tiles: _Optional[int] = ..., known_p_value: _Optional[float] = ...) -> None: ...
