from lotwise.v1 import calibration_pb2 as _calibration_pb2
from lotwise.v1 import diagnosis_pb2 as _diagnosis_pb2
from lotwise.v1 import interval_pb2 as _interval_pb2
from lotwise.v1 import tile_pb2 as _tile_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AssessRequest(_message.Message):
    __slots__ = ("tile", "model", "top_k", "cascade")
    TILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    CASCADE_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    model: str
    top_k: int
    cascade: bool
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., model: _Optional[str] = ..., top_k: _Optional[int] = ..., cascade: _Optional[bool] = ...) -> None: ...

class AssessResponse(_message.Message):
    __slots__ = ("tile_id", "lot_id", "top", "confidence", "predictive_entropy_nats", "mean_member_entropy_nats", "mutual_information_nats", "probabilities", "members", "quality", "provenance", "reading", "familiarity", "error_probability", "calibration", "diagnosis", "asked_members")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    PREDICTIVE_ENTROPY_NATS_FIELD_NUMBER: _ClassVar[int]
    MEAN_MEMBER_ENTROPY_NATS_FIELD_NUMBER: _ClassVar[int]
    MUTUAL_INFORMATION_NATS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    FAMILIARITY_FIELD_NUMBER: _ClassVar[int]
    ERROR_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSIS_FIELD_NUMBER: _ClassVar[int]
    ASKED_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    lot_id: str
    top: _containers.RepeatedCompositeFieldContainer[LotProbability]
    confidence: float
    predictive_entropy_nats: float
    mean_member_entropy_nats: float
    mutual_information_nats: float
    probabilities: _containers.RepeatedCompositeFieldContainer[LotProbability]
    members: int
    quality: _tile_pb2.Quality
    provenance: _tile_pb2.Provenance
    reading: _tile_pb2.Reading
    familiarity: float
    error_probability: float
    calibration: _calibration_pb2.Calibration
    diagnosis: _diagnosis_pb2.Diagnosis
    asked_members: int
    def __init__(self, tile_id: _Optional[str] = ..., lot_id: _Optional[str] = ..., top: _Optional[_Iterable[_Union[LotProbability, _Mapping]]] = ..., confidence: _Optional[float] = ..., predictive_entropy_nats: _Optional[float] = ..., mean_member_entropy_nats: _Optional[float] = ..., mutual_information_nats: _Optional[float] = ..., probabilities: _Optional[_Iterable[_Union[LotProbability, _Mapping]]] = ..., members: _Optional[int] = ..., quality: _Optional[_Union[_tile_pb2.Quality, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., reading: _Optional[_Union[_tile_pb2.Reading, _Mapping]] = ..., familiarity: _Optional[float] = ..., error_probability: _Optional[float] = ..., calibration: _Optional[_Union[_calibration_pb2.Calibration, _Mapping]] = ..., diagnosis: _Optional[_Union[_diagnosis_pb2.Diagnosis, _Mapping]] = ..., asked_members: _Optional[int] = ...) -> None: ...

class LotProbability(_message.Message):
    __slots__ = ("reference_lot", "probability")
    REFERENCE_LOT_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    reference_lot: str
    probability: float
    def __init__(self, reference_lot: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class AssessStreamRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: AssessRequest
    def __init__(self, request: _Optional[_Union[AssessRequest, _Mapping]] = ...) -> None: ...

class AssessStreamResponse(_message.Message):
    __slots__ = ("tile_id", "result", "error")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    result: AssessResponse
    error: _tile_pb2.TileError
    def __init__(self, tile_id: _Optional[str] = ..., result: _Optional[_Union[AssessResponse, _Mapping]] = ..., error: _Optional[_Union[_tile_pb2.TileError, _Mapping]] = ...) -> None: ...
