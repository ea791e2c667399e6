from lotwise.v1 import calibration_pb2 as _calibration_pb2
from lotwise.v1 import diagnosis_pb2 as _diagnosis_pb2
from lotwise.v1 import tile_pb2 as _tile_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_ACCEPT: _ClassVar[Decision]
    DECISION_REFER: _ClassVar[Decision]

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_AMBIGUOUS: _ClassVar[Reason]
    REASON_INSTRUMENT_SHIFT: _ClassVar[Reason]
    REASON_UNSEEN_SYNTHESIS: _ClassVar[Reason]
    REASON_UNRELATED: _ClassVar[Reason]
    REASON_POOR_QUALITY: _ClassVar[Reason]
    REASON_WRONG_MAGNIFICATION: _ClassVar[Reason]
    REASON_UNFAMILIAR: _ClassVar[Reason]
    REASON_TOO_FEW_TILES: _ClassVar[Reason]
    REASON_MIXED_LOT: _ClassVar[Reason]
    REASON_UNREADABLE: _ClassVar[Reason]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_ACCEPT: _ClassVar[Verdict]
    VERDICT_REFER: _ClassVar[Verdict]
    VERDICT_UNDECIDED: _ClassVar[Verdict]
DECISION_UNSPECIFIED: Decision
DECISION_ACCEPT: Decision
DECISION_REFER: Decision
REASON_UNSPECIFIED: Reason
REASON_AMBIGUOUS: Reason
REASON_INSTRUMENT_SHIFT: Reason
REASON_UNSEEN_SYNTHESIS: Reason
REASON_UNRELATED: Reason
REASON_POOR_QUALITY: Reason
REASON_WRONG_MAGNIFICATION: Reason
REASON_UNFAMILIAR: Reason
REASON_TOO_FEW_TILES: Reason
REASON_MIXED_LOT: Reason
REASON_UNREADABLE: Reason
VERDICT_UNSPECIFIED: Verdict
VERDICT_ACCEPT: Verdict
VERDICT_REFER: Verdict
VERDICT_UNDECIDED: Verdict

class DecideRequest(_message.Message):
    __slots__ = ("tile", "policy")
    TILE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    policy: str
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., policy: _Optional[str] = ...) -> None: ...

class DecideResponse(_message.Message):
    __slots__ = ("tile_id", "lot_id", "decision", "reasons", "score", "threshold", "looks_like", "confidence", "quality", "provenance", "reading", "familiarity", "min_familiarity", "guarantee", "calibration_set", "diagnosis", "predictive_entropy_nats", "calibration_scores")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    LOOKS_LIKE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    FAMILIARITY_FIELD_NUMBER: _ClassVar[int]
    MIN_FAMILIARITY_FIELD_NUMBER: _ClassVar[int]
    GUARANTEE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_SET_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSIS_FIELD_NUMBER: _ClassVar[int]
    PREDICTIVE_ENTROPY_NATS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_SCORES_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    lot_id: str
    decision: Decision
    reasons: _containers.RepeatedScalarFieldContainer[Reason]
    score: float
    threshold: float
    looks_like: str
    confidence: float
    quality: _tile_pb2.Quality
    provenance: _tile_pb2.Provenance
    reading: _tile_pb2.Reading
    familiarity: float
    min_familiarity: float
    guarantee: _calibration_pb2.Guarantee
    calibration_set: _calibration_pb2.CalibrationSet
    diagnosis: _diagnosis_pb2.Diagnosis
    predictive_entropy_nats: float
    calibration_scores: _calibration_pb2.ScoreBins
    def __init__(self, tile_id: _Optional[str] = ..., lot_id: _Optional[str] = ..., decision: _Optional[_Union[Decision, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, str]]] = ..., score: _Optional[float] = ..., threshold: _Optional[float] = ..., looks_like: _Optional[str] = ..., confidence: _Optional[float] = ..., quality: _Optional[_Union[_tile_pb2.Quality, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., reading: _Optional[_Union[_tile_pb2.Reading, _Mapping]] = ..., familiarity: _Optional[float] = ..., min_familiarity: _Optional[float] = ..., guarantee: _Optional[_Union[_calibration_pb2.Guarantee, _Mapping]] = ..., calibration_set: _Optional[_Union[_calibration_pb2.CalibrationSet, _Mapping]] = ..., diagnosis: _Optional[_Union[_diagnosis_pb2.Diagnosis, _Mapping]] = ..., predictive_entropy_nats: _Optional[float] = ..., calibration_scores: _Optional[_Union[_calibration_pb2.ScoreBins, _Mapping]] = ...) -> None: ...

class DecideStreamRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: DecideRequest
    def __init__(self, request: _Optional[_Union[DecideRequest, _Mapping]] = ...) -> None: ...

class DecideStreamResponse(_message.Message):
    __slots__ = ("tile_id", "result", "error")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    result: DecideResponse
    error: _tile_pb2.TileError
    def __init__(self, tile_id: _Optional[str] = ..., result: _Optional[_Union[DecideResponse, _Mapping]] = ..., error: _Optional[_Union[_tile_pb2.TileError, _Mapping]] = ...) -> None: ...

class DecideLotRequest(_message.Message):
    __slots__ = ("tile", "policy", "complete", "resume_token")
    TILE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    policy: str
    complete: bool
    resume_token: bytes
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., policy: _Optional[str] = ..., complete: _Optional[bool] = ..., resume_token: _Optional[bytes] = ...) -> None: ...

class DecideLotResponse(_message.Message):
    __slots__ = ("acknowledged", "verdict")
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    acknowledged: TileAcknowledged
    verdict: LotVerdict
    def __init__(self, acknowledged: _Optional[_Union[TileAcknowledged, _Mapping]] = ..., verdict: _Optional[_Union[LotVerdict, _Mapping]] = ...) -> None: ...

class TileAcknowledged(_message.Message):
    __slots__ = ("tile_id", "decision", "error", "running", "repeated", "resume_token")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    decision: DecideResponse
    error: _tile_pb2.TileError
    running: LotVerdict
    repeated: bool
    resume_token: bytes
    def __init__(self, tile_id: _Optional[str] = ..., decision: _Optional[_Union[DecideResponse, _Mapping]] = ..., error: _Optional[_Union[_tile_pb2.TileError, _Mapping]] = ..., running: _Optional[_Union[LotVerdict, _Mapping]] = ..., repeated: _Optional[bool] = ..., resume_token: _Optional[bytes] = ...) -> None: ...

class LotVerdict(_message.Message):
    __slots__ = ("lot_id", "verdict", "reasons", "tiles", "accepted", "referred", "failed", "referred_share_lower", "referred_share_upper", "confidence", "max_referred_share", "reason_counts", "looks_like", "looks_like_share", "provenance", "guarantee", "calibration_set", "settled", "settled_after", "complete", "repeated", "diagnosis")
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    TILES_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REFERRED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    REFERRED_SHARE_LOWER_FIELD_NUMBER: _ClassVar[int]
    REFERRED_SHARE_UPPER_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    MAX_REFERRED_SHARE_FIELD_NUMBER: _ClassVar[int]
    REASON_COUNTS_FIELD_NUMBER: _ClassVar[int]
    LOOKS_LIKE_FIELD_NUMBER: _ClassVar[int]
    LOOKS_LIKE_SHARE_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    GUARANTEE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_SET_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_AFTER_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSIS_FIELD_NUMBER: _ClassVar[int]
    lot_id: str
    verdict: Verdict
    reasons: _containers.RepeatedScalarFieldContainer[Reason]
    tiles: int
    accepted: int
    referred: int
    failed: int
    referred_share_lower: float
    referred_share_upper: float
    confidence: float
    max_referred_share: float
    reason_counts: _containers.RepeatedCompositeFieldContainer[ReasonCount]
    looks_like: str
    looks_like_share: float
    provenance: _tile_pb2.Provenance
    guarantee: _calibration_pb2.Guarantee
    calibration_set: _calibration_pb2.CalibrationSet
    settled: bool
    settled_after: int
    complete: bool
    repeated: int
    diagnosis: _diagnosis_pb2.LotDiagnosis
    def __init__(self, lot_id: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, str]]] = ..., tiles: _Optional[int] = ..., accepted: _Optional[int] = ..., referred: _Optional[int] = ..., failed: _Optional[int] = ..., referred_share_lower: _Optional[float] = ..., referred_share_upper: _Optional[float] = ..., confidence: _Optional[float] = ..., max_referred_share: _Optional[float] = ..., reason_counts: _Optional[_Iterable[_Union[ReasonCount, _Mapping]]] = ..., looks_like: _Optional[str] = ..., looks_like_share: _Optional[float] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., guarantee: _Optional[_Union[_calibration_pb2.Guarantee, _Mapping]] = ..., calibration_set: _Optional[_Union[_calibration_pb2.CalibrationSet, _Mapping]] = ..., settled: _Optional[bool] = ..., settled_after: _Optional[int] = ..., complete: _Optional[bool] = ..., repeated: _Optional[int] = ..., diagnosis: _Optional[_Union[_diagnosis_pb2.LotDiagnosis, _Mapping]] = ...) -> None: ...

class ReasonCount(_message.Message):
    __slots__ = ("reason", "tiles")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TILES_FIELD_NUMBER: _ClassVar[int]
    reason: Reason
    tiles: int
    def __init__(self, reason: _Optional[_Union[Reason, str]] = ..., tiles: _Optional[int] = ...) -> None: ...
