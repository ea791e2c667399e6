from lotwise.v1 import interval_pb2 as _interval_pb2
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
    __slots__ = ("tile", "attributes", "vary", "steps", "without_images", "allow_unfamiliar", "vary_also")
    TILE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    VARY_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_IMAGES_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNFAMILIAR_FIELD_NUMBER: _ClassVar[int]
    VARY_ALSO_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    vary: str
    steps: int
    without_images: bool
    allow_unfamiliar: bool
    vary_also: str
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., attributes: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ..., vary: _Optional[str] = ..., steps: _Optional[int] = ..., without_images: _Optional[bool] = ..., allow_unfamiliar: _Optional[bool] = ..., vary_also: _Optional[str] = ...) -> None: ...

class ForwardResponse(_message.Message):
    __slots__ = ("tile_id", "lot_id", "property", "unit", "attribute", "original", "reconstructed", "steps", "quality", "provenance", "sensitivity", "familiarity", "attribute_also", "sensitivity_also", "evidence")
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
    FAMILIARITY_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_ALSO_FIELD_NUMBER: _ClassVar[int]
    SENSITIVITY_ALSO_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
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
    familiarity: Familiarity
    attribute_also: str
    sensitivity_also: float
    evidence: Evidence
    def __init__(self, tile_id: _Optional[str] = ..., lot_id: _Optional[str] = ..., property: _Optional[str] = ..., unit: _Optional[str] = ..., attribute: _Optional[str] = ..., original: _Optional[float] = ..., reconstructed: _Optional[float] = ..., steps: _Optional[_Iterable[_Union[ForwardStep, _Mapping]]] = ..., quality: _Optional[_Union[_tile_pb2.Quality, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., sensitivity: _Optional[float] = ..., familiarity: _Optional[_Union[Familiarity, _Mapping]] = ..., attribute_also: _Optional[str] = ..., sensitivity_also: _Optional[float] = ..., evidence: _Optional[_Union[Evidence, _Mapping]] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("activation_map_png", "examples", "edited_examples")
    ACTIVATION_MAP_PNG_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    EDITED_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    activation_map_png: bytes
    examples: _containers.RepeatedCompositeFieldContainer[Example]
    edited_examples: _containers.RepeatedCompositeFieldContainer[Example]
    def __init__(self, activation_map_png: _Optional[bytes] = ..., examples: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., edited_examples: _Optional[_Iterable[_Union[Example, _Mapping]]] = ...) -> None: ...

class Example(_message.Message):
    __slots__ = ("lot_id", "value", "distance", "picture_jpeg", "simulated")
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_JPEG_FIELD_NUMBER: _ClassVar[int]
    SIMULATED_FIELD_NUMBER: _ClassVar[int]
    lot_id: str
    value: float
    distance: float
    picture_jpeg: bytes
    simulated: bool
    def __init__(self, lot_id: _Optional[str] = ..., value: _Optional[float] = ..., distance: _Optional[float] = ..., picture_jpeg: _Optional[bytes] = ..., simulated: _Optional[bool] = ...) -> None: ...

class Familiarity(_message.Message):
    __slots__ = ("value", "unfamiliar", "known_tiles_version")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNFAMILIAR_FIELD_NUMBER: _ClassVar[int]
    KNOWN_TILES_VERSION_FIELD_NUMBER: _ClassVar[int]
    value: float
    unfamiliar: bool
    known_tiles_version: str
    def __init__(self, value: _Optional[float] = ..., unfamiliar: _Optional[bool] = ..., known_tiles_version: _Optional[str] = ...) -> None: ...

class ForwardStep(_message.Message):
    __slots__ = ("attribute_value", "value", "edited_png", "measured_change", "realism", "also_value")
    ATTRIBUTE_VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EDITED_PNG_FIELD_NUMBER: _ClassVar[int]
    MEASURED_CHANGE_FIELD_NUMBER: _ClassVar[int]
    REALISM_FIELD_NUMBER: _ClassVar[int]
    ALSO_VALUE_FIELD_NUMBER: _ClassVar[int]
    attribute_value: float
    value: float
    edited_png: bytes
    measured_change: float
    realism: float
    also_value: float
    def __init__(self, attribute_value: _Optional[float] = ..., value: _Optional[float] = ..., edited_png: _Optional[bytes] = ..., measured_change: _Optional[float] = ..., realism: _Optional[float] = ..., also_value: _Optional[float] = ...) -> None: ...

class EditRequest(_message.Message):
    __slots__ = ("tile", "attributes", "wanted", "without_image", "allow_unfamiliar")
    TILE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNFAMILIAR_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    wanted: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    without_image: bool
    allow_unfamiliar: bool
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., attributes: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ..., wanted: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ..., without_image: _Optional[bool] = ..., allow_unfamiliar: _Optional[bool] = ...) -> None: ...

class EditResponse(_message.Message):
    __slots__ = ("tile_id", "lot_id", "property", "unit", "original", "value", "edited_png", "attributes", "realism", "quality", "provenance", "familiarity")
    TILE_ID_FIELD_NUMBER: _ClassVar[int]
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EDITED_PNG_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    REALISM_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    FAMILIARITY_FIELD_NUMBER: _ClassVar[int]
    tile_id: str
    lot_id: str
    property: str
    unit: str
    original: float
    value: float
    edited_png: bytes
    attributes: _containers.RepeatedCompositeFieldContainer[EditedAttribute]
    realism: float
    quality: _tile_pb2.Quality
    provenance: _tile_pb2.Provenance
    familiarity: Familiarity
    def __init__(self, tile_id: _Optional[str] = ..., lot_id: _Optional[str] = ..., property: _Optional[str] = ..., unit: _Optional[str] = ..., original: _Optional[float] = ..., value: _Optional[float] = ..., edited_png: _Optional[bytes] = ..., attributes: _Optional[_Iterable[_Union[EditedAttribute, _Mapping]]] = ..., realism: _Optional[float] = ..., quality: _Optional[_Union[_tile_pb2.Quality, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., familiarity: _Optional[_Union[Familiarity, _Mapping]] = ...) -> None: ...

class EditedAttribute(_message.Message):
    __slots__ = ("name", "before", "after", "measured_change")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    MEASURED_CHANGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: float
    after: float
    measured_change: float
    def __init__(self, name: _Optional[str] = ..., before: _Optional[float] = ..., after: _Optional[float] = ..., measured_change: _Optional[float] = ...) -> None: ...

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
    __slots__ = ("tile", "attributes", "target", "tolerance", "immutable", "max_evaluations", "ranges", "costs", "starts", "allow_unfamiliar")
    TILE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    IMMUTABLE_FIELD_NUMBER: _ClassVar[int]
    MAX_EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNFAMILIAR_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    target: float
    tolerance: float
    immutable: _containers.RepeatedScalarFieldContainer[str]
    max_evaluations: int
    ranges: _containers.RepeatedCompositeFieldContainer[AttributeRange]
    costs: _containers.RepeatedCompositeFieldContainer[AttributeCost]
    starts: int
    allow_unfamiliar: bool
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., attributes: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ..., target: _Optional[float] = ..., tolerance: _Optional[float] = ..., immutable: _Optional[_Iterable[str]] = ..., max_evaluations: _Optional[int] = ..., ranges: _Optional[_Iterable[_Union[AttributeRange, _Mapping]]] = ..., costs: _Optional[_Iterable[_Union[AttributeCost, _Mapping]]] = ..., starts: _Optional[int] = ..., allow_unfamiliar: _Optional[bool] = ...) -> None: ...

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
    __slots__ = ("tile_id", "lot_id", "property", "unit", "target", "tolerance", "reached", "before", "after", "changes", "edited_png", "evaluations", "quality", "provenance", "explanation_quality", "ended_by_deadline", "familiarity", "evidence")
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
    FAMILIARITY_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
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
    familiarity: Familiarity
    evidence: Evidence
    def __init__(self, tile_id: _Optional[str] = ..., lot_id: _Optional[str] = ..., property: _Optional[str] = ..., unit: _Optional[str] = ..., target: _Optional[float] = ..., tolerance: _Optional[float] = ..., reached: _Optional[bool] = ..., before: _Optional[float] = ..., after: _Optional[float] = ..., changes: _Optional[_Iterable[_Union[AttributeChange, _Mapping]]] = ..., edited_png: _Optional[bytes] = ..., evaluations: _Optional[int] = ..., quality: _Optional[_Union[_tile_pb2.Quality, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., explanation_quality: _Optional[_Union[ExplanationQuality, _Mapping]] = ..., ended_by_deadline: _Optional[bool] = ..., familiarity: _Optional[_Union[Familiarity, _Mapping]] = ..., evidence: _Optional[_Union[Evidence, _Mapping]] = ...) -> None: ...

class ExplanationQuality(_message.Message):
    __slots__ = ("changed", "cost", "starts", "starts_reached", "spread", "fidelity", "realism")
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    STARTS_REACHED_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    FIDELITY_FIELD_NUMBER: _ClassVar[int]
    REALISM_FIELD_NUMBER: _ClassVar[int]
    changed: int
    cost: float
    starts: int
    starts_reached: int
    spread: float
    fidelity: float
    realism: float
    def __init__(self, changed: _Optional[int] = ..., cost: _Optional[float] = ..., starts: _Optional[int] = ..., starts_reached: _Optional[int] = ..., spread: _Optional[float] = ..., fidelity: _Optional[float] = ..., realism: _Optional[float] = ...) -> None: ...

class AttributeChange(_message.Message):
    __slots__ = ("name", "before", "after", "sensitivity", "measured_change")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    SENSITIVITY_FIELD_NUMBER: _ClassVar[int]
    MEASURED_CHANGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: float
    after: float
    sensitivity: float
    measured_change: float
    def __init__(self, name: _Optional[str] = ..., before: _Optional[float] = ..., after: _Optional[float] = ..., sensitivity: _Optional[float] = ..., measured_change: _Optional[float] = ...) -> None: ...

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

class ForwardLotRequest(_message.Message):
    __slots__ = ("tile", "attributes", "vary", "steps", "sampling", "allow_unfamiliar", "pairs")
    TILE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    VARY_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNFAMILIAR_FIELD_NUMBER: _ClassVar[int]
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    vary: _containers.RepeatedScalarFieldContainer[str]
    steps: int
    sampling: LotSampling
    allow_unfamiliar: bool
    pairs: _containers.RepeatedCompositeFieldContainer[AttributePair]
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., attributes: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ..., vary: _Optional[_Iterable[str]] = ..., steps: _Optional[int] = ..., sampling: _Optional[_Union[LotSampling, _Mapping]] = ..., allow_unfamiliar: _Optional[bool] = ..., pairs: _Optional[_Iterable[_Union[AttributePair, _Mapping]]] = ...) -> None: ...

class AttributePair(_message.Message):
    __slots__ = ("first", "second")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    first: str
    second: str
    def __init__(self, first: _Optional[str] = ..., second: _Optional[str] = ...) -> None: ...

class LotSampling(_message.Message):
    __slots__ = ("tiles", "seed")
    TILES_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    tiles: int
    seed: int
    def __init__(self, tiles: _Optional[int] = ..., seed: _Optional[int] = ...) -> None: ...

class ForwardLotResponse(_message.Message):
    __slots__ = ("progress", "result")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    progress: LotProgress
    result: ForwardLotResult
    def __init__(self, progress: _Optional[_Union[LotProgress, _Mapping]] = ..., result: _Optional[_Union[ForwardLotResult, _Mapping]] = ...) -> None: ...

class LotProgress(_message.Message):
    __slots__ = ("received", "judged", "expected")
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    received: int
    judged: int
    expected: int
    def __init__(self, received: _Optional[int] = ..., judged: _Optional[int] = ..., expected: _Optional[int] = ...) -> None: ...

class LotTiles(_message.Message):
    __slots__ = ("received", "usable", "poor", "sampled", "seed", "failed", "unfamiliar")
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    USABLE_FIELD_NUMBER: _ClassVar[int]
    POOR_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    UNFAMILIAR_FIELD_NUMBER: _ClassVar[int]
    received: int
    usable: int
    poor: int
    sampled: int
    seed: int
    failed: _containers.RepeatedCompositeFieldContainer[_interval_pb2.FailedTile]
    unfamiliar: int
    def __init__(self, received: _Optional[int] = ..., usable: _Optional[int] = ..., poor: _Optional[int] = ..., sampled: _Optional[int] = ..., seed: _Optional[int] = ..., failed: _Optional[_Iterable[_Union[_interval_pb2.FailedTile, _Mapping]]] = ..., unfamiliar: _Optional[int] = ...) -> None: ...

class Spread(_message.Message):
    __slots__ = ("lower_quartile", "median", "upper_quartile", "mean")
    LOWER_QUARTILE_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    UPPER_QUARTILE_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    lower_quartile: float
    median: float
    upper_quartile: float
    mean: float
    def __init__(self, lower_quartile: _Optional[float] = ..., median: _Optional[float] = ..., upper_quartile: _Optional[float] = ..., mean: _Optional[float] = ...) -> None: ...

class MeanOverTiles(_message.Message):
    __slots__ = ("mean", "lower", "upper")
    MEAN_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    mean: float
    lower: float
    upper: float
    def __init__(self, mean: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ...) -> None: ...

class ForwardLotResult(_message.Message):
    __slots__ = ("lot_id", "property", "unit", "attributes", "original", "curves", "tiles", "provenance", "ended_by_deadline", "surfaces")
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_FIELD_NUMBER: _ClassVar[int]
    CURVES_FIELD_NUMBER: _ClassVar[int]
    TILES_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    ENDED_BY_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    SURFACES_FIELD_NUMBER: _ClassVar[int]
    lot_id: str
    property: str
    unit: str
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    original: Spread
    curves: _containers.RepeatedCompositeFieldContainer[LotCurve]
    tiles: LotTiles
    provenance: _tile_pb2.Provenance
    ended_by_deadline: bool
    surfaces: _containers.RepeatedCompositeFieldContainer[LotSurface]
    def __init__(self, lot_id: _Optional[str] = ..., property: _Optional[str] = ..., unit: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ..., original: _Optional[_Union[Spread, _Mapping]] = ..., curves: _Optional[_Iterable[_Union[LotCurve, _Mapping]]] = ..., tiles: _Optional[_Union[LotTiles, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., ended_by_deadline: _Optional[bool] = ..., surfaces: _Optional[_Iterable[_Union[LotSurface, _Mapping]]] = ...) -> None: ...

class LotSurface(_message.Message):
    __slots__ = ("attributes", "points")
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    attributes: AttributePair
    points: _containers.RepeatedCompositeFieldContainer[LotSurfacePoint]
    def __init__(self, attributes: _Optional[_Union[AttributePair, _Mapping]] = ..., points: _Optional[_Iterable[_Union[LotSurfacePoint, _Mapping]]] = ...) -> None: ...

class LotSurfacePoint(_message.Message):
    __slots__ = ("first_value", "second_value", "value")
    FIRST_VALUE_FIELD_NUMBER: _ClassVar[int]
    SECOND_VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    first_value: float
    second_value: float
    value: Spread
    def __init__(self, first_value: _Optional[float] = ..., second_value: _Optional[float] = ..., value: _Optional[_Union[Spread, _Mapping]] = ...) -> None: ...

class LotCurve(_message.Message):
    __slots__ = ("attribute", "points", "sensitivity")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    SENSITIVITY_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    points: _containers.RepeatedCompositeFieldContainer[LotCurvePoint]
    sensitivity: MeanOverTiles
    def __init__(self, attribute: _Optional[str] = ..., points: _Optional[_Iterable[_Union[LotCurvePoint, _Mapping]]] = ..., sensitivity: _Optional[_Union[MeanOverTiles, _Mapping]] = ...) -> None: ...

class LotCurvePoint(_message.Message):
    __slots__ = ("attribute_value", "value")
    ATTRIBUTE_VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    attribute_value: float
    value: Spread
    def __init__(self, attribute_value: _Optional[float] = ..., value: _Optional[_Union[Spread, _Mapping]] = ...) -> None: ...

class BackwardLotRequest(_message.Message):
    __slots__ = ("tile", "attributes", "target", "tolerance", "immutable", "max_evaluations", "ranges", "costs", "starts", "sampling", "alone", "front_points", "allow_unfamiliar")
    TILE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    IMMUTABLE_FIELD_NUMBER: _ClassVar[int]
    MAX_EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    ALONE_FIELD_NUMBER: _ClassVar[int]
    FRONT_POINTS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNFAMILIAR_FIELD_NUMBER: _ClassVar[int]
    tile: _tile_pb2.Tile
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    target: float
    tolerance: float
    immutable: _containers.RepeatedScalarFieldContainer[str]
    max_evaluations: int
    ranges: _containers.RepeatedCompositeFieldContainer[AttributeRange]
    costs: _containers.RepeatedCompositeFieldContainer[AttributeCost]
    starts: int
    sampling: LotSampling
    alone: int
    front_points: int
    allow_unfamiliar: bool
    def __init__(self, tile: _Optional[_Union[_tile_pb2.Tile, _Mapping]] = ..., attributes: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ..., target: _Optional[float] = ..., tolerance: _Optional[float] = ..., immutable: _Optional[_Iterable[str]] = ..., max_evaluations: _Optional[int] = ..., ranges: _Optional[_Iterable[_Union[AttributeRange, _Mapping]]] = ..., costs: _Optional[_Iterable[_Union[AttributeCost, _Mapping]]] = ..., starts: _Optional[int] = ..., sampling: _Optional[_Union[LotSampling, _Mapping]] = ..., alone: _Optional[int] = ..., front_points: _Optional[int] = ..., allow_unfamiliar: _Optional[bool] = ...) -> None: ...

class BackwardLotResponse(_message.Message):
    __slots__ = ("progress", "result")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    progress: LotProgress
    result: BackwardLotResult
    def __init__(self, progress: _Optional[_Union[LotProgress, _Mapping]] = ..., result: _Optional[_Union[BackwardLotResult, _Mapping]] = ...) -> None: ...

class BackwardLotResult(_message.Message):
    __slots__ = ("lot_id", "property", "unit", "target", "tolerance", "reached", "before", "after", "after_mean", "changes", "share_reaching", "own_changes", "alone", "alone_reached", "front", "edited_png", "edited_tile_id", "evaluations", "explanation_quality", "tiles", "provenance", "ended_by_deadline")
    LOT_ID_FIELD_NUMBER: _ClassVar[int]
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    AFTER_MEAN_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    SHARE_REACHING_FIELD_NUMBER: _ClassVar[int]
    OWN_CHANGES_FIELD_NUMBER: _ClassVar[int]
    ALONE_FIELD_NUMBER: _ClassVar[int]
    ALONE_REACHED_FIELD_NUMBER: _ClassVar[int]
    FRONT_FIELD_NUMBER: _ClassVar[int]
    EDITED_PNG_FIELD_NUMBER: _ClassVar[int]
    EDITED_TILE_ID_FIELD_NUMBER: _ClassVar[int]
    EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_QUALITY_FIELD_NUMBER: _ClassVar[int]
    TILES_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    ENDED_BY_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    lot_id: str
    property: str
    unit: str
    target: float
    tolerance: float
    reached: bool
    before: Spread
    after: Spread
    after_mean: MeanOverTiles
    changes: _containers.RepeatedCompositeFieldContainer[AttributeChange]
    share_reaching: float
    own_changes: _containers.RepeatedCompositeFieldContainer[OwnChange]
    alone: int
    alone_reached: int
    front: _containers.RepeatedCompositeFieldContainer[FrontPoint]
    edited_png: bytes
    edited_tile_id: str
    evaluations: int
    explanation_quality: ExplanationQuality
    tiles: LotTiles
    provenance: _tile_pb2.Provenance
    ended_by_deadline: bool
    def __init__(self, lot_id: _Optional[str] = ..., property: _Optional[str] = ..., unit: _Optional[str] = ..., target: _Optional[float] = ..., tolerance: _Optional[float] = ..., reached: _Optional[bool] = ..., before: _Optional[_Union[Spread, _Mapping]] = ..., after: _Optional[_Union[Spread, _Mapping]] = ..., after_mean: _Optional[_Union[MeanOverTiles, _Mapping]] = ..., changes: _Optional[_Iterable[_Union[AttributeChange, _Mapping]]] = ..., share_reaching: _Optional[float] = ..., own_changes: _Optional[_Iterable[_Union[OwnChange, _Mapping]]] = ..., alone: _Optional[int] = ..., alone_reached: _Optional[int] = ..., front: _Optional[_Iterable[_Union[FrontPoint, _Mapping]]] = ..., edited_png: _Optional[bytes] = ..., edited_tile_id: _Optional[str] = ..., evaluations: _Optional[int] = ..., explanation_quality: _Optional[_Union[ExplanationQuality, _Mapping]] = ..., tiles: _Optional[_Union[LotTiles, _Mapping]] = ..., provenance: _Optional[_Union[_tile_pb2.Provenance, _Mapping]] = ..., ended_by_deadline: _Optional[bool] = ...) -> None: ...

class OwnChange(_message.Message):
    __slots__ = ("name", "change")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    change: Spread
    def __init__(self, name: _Optional[str] = ..., change: _Optional[_Union[Spread, _Mapping]] = ...) -> None: ...

class FrontPoint(_message.Message):
    __slots__ = ("cost", "value", "attributes")
    COST_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    cost: float
    value: float
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    def __init__(self, cost: _Optional[float] = ..., value: _Optional[float] = ..., attributes: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ...) -> None: ...
