"""What stands behind an answer: how the tile was read, how good it is, which networks judged it."""

from __future__ import annotations

from dataclasses import dataclass

from lotwise.core.tile import InstrumentTags


@dataclass(frozen=True)
class Quality:
    """Verdict on the picture alone, not on the material.

    Attributes:
        verdict: "good", "marginal" (usable) or "poor" (not to be acted on); empty where the
            service does not say.
        faults: Such as "black_margin" or "saturated"; empty where there are none.
        black_share, saturated_share: Shares of the tile's pixels, 0 to 1.
    """

    verdict: str
    faults: tuple[str, ...]
    black_share: float
    saturated_share: float


@dataclass(frozen=True)
class ModelVersion:
    """A network that took part in an answer.

    Attributes:
        name, version: In the model repository.
        weights_sha256: Hexadecimal digest of its weights.
        trained_on_simulated_lots: Whether it learned from simulated lots alone.
    """

    name: str
    version: str
    weights_sha256: str
    trained_on_simulated_lots: bool


@dataclass(frozen=True)
class Provenance:
    """Which networks gave an answer, in which engine, under which policy.

    Attributes:
        models: The networks.
        policy_version: Of the referral policy; empty where none took part.
        engine: "triton" or "onnxruntime".
        request_id: 32 hexadecimal digits, to find the request in the services' logs.
    """

    models: tuple[ModelVersion, ...]
    policy_version: str
    engine: str
    request_id: str


@dataclass(frozen=True)
class Reading:
    """How a service read a tile.

    Attributes:
        um_per_px: Edge length of a pixel in micrometres, as it was used.
        scale_source: "stated" (with the tile, in lot.json or in a sidecar file) or "file".
        data_bar_px: Rows at the bottom that were cropped, as they are text and no picture.
        instrument: State of the microscope, as far as it is known.
        grey_levels_stretched: Whether black and white are this picture's own extremes, so that
            its grey levels cannot be compared with those of other tiles.
    """

    um_per_px: float
    scale_source: str
    data_bar_px: int
    instrument: InstrumentTags
    grey_levels_stretched: bool
