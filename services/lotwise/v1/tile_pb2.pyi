from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PixelType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_TYPE_UNSPECIFIED: _ClassVar[PixelType]
    PIXEL_TYPE_UINT8: _ClassVar[PixelType]
    PIXEL_TYPE_UINT16: _ClassVar[PixelType]
    PIXEL_TYPE_FLOAT32: _ClassVar[PixelType]

class ScaleSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCALE_SOURCE_UNSPECIFIED: _ClassVar[ScaleSource]
    SCALE_SOURCE_STATED: _ClassVar[ScaleSource]
    SCALE_SOURCE_FILE: _ClassVar[ScaleSource]

class QualityVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUALITY_VERDICT_UNSPECIFIED: _ClassVar[QualityVerdict]
    QUALITY_VERDICT_GOOD: _ClassVar[QualityVerdict]
    QUALITY_VERDICT_MARGINAL: _ClassVar[QualityVerdict]
    QUALITY_VERDICT_POOR: _ClassVar[QualityVerdict]

class QualityFault(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUALITY_FAULT_UNSPECIFIED: _ClassVar[QualityFault]
    QUALITY_FAULT_BLACK: _ClassVar[QualityFault]
    QUALITY_FAULT_BLACK_MARGIN: _ClassVar[QualityFault]
    QUALITY_FAULT_SATURATED: _ClassVar[QualityFault]
    QUALITY_FAULT_LOW_CONTRAST: _ClassVar[QualityFault]
PIXEL_TYPE_UNSPECIFIED: PixelType
PIXEL_TYPE_UINT8: PixelType
PIXEL_TYPE_UINT16: PixelType
PIXEL_TYPE_FLOAT32: PixelType
SCALE_SOURCE_UNSPECIFIED: ScaleSource
SCALE_SOURCE_STATED: ScaleSource
SCALE_SOURCE_FILE: ScaleSource
QUALITY_VERDICT_UNSPECIFIED: QualityVerdict
QUALITY_VERDICT_GOOD: QualityVerdict
QUALITY_VERDICT_MARGINAL: QualityVerdict
QUALITY_VERDICT_POOR: QualityVerdict
QUALITY_FAULT_UNSPECIFIED: QualityFault
QUALITY_FAULT_BLACK: QualityFault
QUALITY_FAULT_BLACK_MARGIN: QualityFault
QUALITY_FAULT_SATURATED: QualityFault
QUALITY_FAULT_LOW_CONTRAST: QualityFault

class Tile(_message.Message):
    __slots__ = ("tile_id", "lot_id", "file", "raw", "um_per_px", "row", "column", "instrument")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    UM_PER_PX_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    lot_id: str
    file: bytes
    raw: RawImage
    um_per_px: float
    row: int
    column: int
    instrument: Instrument
    def __init__(self, tile_id: _Optional[str] = ..., lot_id: _Optional[str] = ..., file: _Optional[bytes] = ..., raw: _Optional[_Union[RawImage, _Mapping]] = ..., um_per_px: _Optional[float] = ..., row: _Optional[int] = ..., column: _Optional[int] = ..., instrument: _Optional[_Union[Instrument, _Mapping]] = ...) -> None: ...

class RawImage(_message.Message):
    __slots__ = ("data", "width", "height", "pixel_type")
    DATA_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PIXEL_TYPE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    width: int
    height: int
    pixel_type: PixelType
    def __init__(self, data: _Optional[bytes] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., pixel_type: _Optional[_Union[PixelType, str]] = ...) -> None: ...

class Instrument(_message.Message):
    __slots__ = ("manufacturer", "model", "detector", "beam_energy_kev", "working_distance_mm", "magnification")
    MANUFACTURER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    BEAM_ENERGY_KEV_FIELD_NUMBER: _ClassVar[int]
    WORKING_DISTANCE_MM_FIELD_NUMBER: _ClassVar[int]
    MAGNIFICATION_FIELD_NUMBER: _ClassVar[int]
    manufacturer: str
    model: str
    detector: str
    beam_energy_kev: float
    working_distance_mm: float
    magnification: float
    def __init__(self, manufacturer: _Optional[str] = ..., model: _Optional[str] = ..., detector: _Optional[str] = ..., beam_energy_kev: _Optional[float] = ..., working_distance_mm: _Optional[float] = ..., magnification: _Optional[float] = ...) -> None: ...

class Reading(_message.Message):
    __slots__ = ("um_per_px", "scale_source", "data_bar_px", "instrument", "grey_levels_stretched")
    UM_PER_PX_FIELD_NUMBER: _ClassVar[int]
    SCALE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    DATA_BAR_PX_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    GREY_LEVELS_STRETCHED_FIELD_NUMBER: _ClassVar[int]
    um_per_px: float
    scale_source: ScaleSource
    data_bar_px: int
    instrument: Instrument
    grey_levels_stretched: bool
    def __init__(self, um_per_px: _Optional[float] = ..., scale_source: _Optional[_Union[ScaleSource, str]] = ..., data_bar_px: _Optional[int] = ..., instrument: _Optional[_Union[Instrument, _Mapping]] = ..., grey_levels_stretched: _Optional[bool] = ...) -> None: ...

class Quality(_message.Message):
    __slots__ = ("verdict", "faults", "black_share", "saturated_share")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    BLACK_SHARE_FIELD_NUMBER: _ClassVar[int]
    SATURATED_SHARE_FIELD_NUMBER: _ClassVar[int]
    verdict: QualityVerdict
    faults: _containers.RepeatedScalarFieldContainer[QualityFault]
    black_share: float
    saturated_share: float
    def __init__(self, verdict: _Optional[_Union[QualityVerdict, str]] = ..., faults: _Optional[_Iterable[_Union[QualityFault, str]]] = ..., black_share: _Optional[float] = ..., saturated_share: _Optional[float] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("models", "policy_version", "engine", "request_id")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    policy_version: str
    engine: str
    request_id: str
    def __init__(self, models: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., policy_version: _Optional[str] = ..., engine: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("name", "version", "weights_sha256", "trained_on_simulated_lots")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_SHA256_FIELD_NUMBER: _ClassVar[int]
    TRAINED_ON_SIMULATED_LOTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    weights_sha256: str
    trained_on_simulated_lots: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., weights_sha256: _Optional[str] = ..., trained_on_simulated_lots: _Optional[bool] = ...) -> None: ...

class TileError(_message.Message):
    __slots__ = ("reason", "message", "status_code")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STATUS_CODE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    status_code: int
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., status_code: _Optional[int] = ...) -> None: ...
