"""A client of the four services: files, bytes or arrays in, plain Python values out.

`Client` is for scripts and notebooks, `AsyncClient` for programs with an event loop. Both ask the
same questions (`questions`), read tiles alike (`tiles`) and give the same answers (`answers`).
"""

from lotwise.client.aio import AsyncClient
from lotwise.client.answers import (
    Decision,
    LotVerdict,
    Prediction,
    TileFailure,
    Uncertainty,
)
from lotwise.client.calibration import CalibrationSet, Guarantee
from lotwise.client.diagnosis import Diagnosis, LotDiagnosis
from lotwise.client.explanations import (
    AttributeChange,
    BackwardExplanation,
    EditedAttribute,
    EditedImage,
    EditedTile,
    Evidence,
    Example,
    ForwardExplanation,
    ForwardStep,
    PairExplanation,
    PairStep,
)
from lotwise.client.interval_answers import LotInterval, PropertyInterval, TileInterval
from lotwise.client.lot_answers import (
    FrontPoint,
    LotBackward,
    LotCurve,
    LotForward,
    LotProgress,
    LotSurface,
    MeanOverTiles,
    Spread,
)
from lotwise.client.provenance import ModelVersion, Provenance, Quality, Reading
from lotwise.client.quantity import Quantity
from lotwise.client.sync import Client
from lotwise.client.tiles import Tile, TileLike
from lotwise.core.errors import (
    Contradiction,
    DeadlineExceeded,
    EngineOverloaded,
    EngineUnavailable,
    InferenceError,
    InferenceFailed,
    InvalidRequest,
    InvalidTile,
    LotwiseError,
    NotFound,
    WrongMagnification,
)
from lotwise.core.pressure import PSI_IN_MPA
from lotwise.core.tile import InstrumentTags

__all__ = [
    "PSI_IN_MPA",
    "AsyncClient",
    "AttributeChange",
    "BackwardExplanation",
    "CalibrationSet",
    "Client",
    "Contradiction",
    "DeadlineExceeded",
    "Decision",
    "Diagnosis",
    "EditedAttribute",
    "EditedImage",
    "EditedTile",
    "EngineOverloaded",
    "EngineUnavailable",
    "Evidence",
    "Example",
    "ForwardExplanation",
    "ForwardStep",
    "FrontPoint",
    "Guarantee",
    "InferenceError",
    "InferenceFailed",
    "InstrumentTags",
    "InvalidRequest",
    "InvalidTile",
    "LotBackward",
    "LotCurve",
    "LotDiagnosis",
    "LotForward",
    "LotInterval",
    "LotProgress",
    "LotSurface",
    "LotVerdict",
    "LotwiseError",
    "MeanOverTiles",
    "ModelVersion",
    "NotFound",
    "PairExplanation",
    "PairStep",
    "Prediction",
    "PropertyInterval",
    "Provenance",
    "Quality",
    "Quantity",
    "Reading",
    "Spread",
    "Tile",
    "TileFailure",
    "TileInterval",
    "TileLike",
    "Uncertainty",
    "WrongMagnification",
]
