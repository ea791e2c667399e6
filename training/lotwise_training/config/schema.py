"""Recipes: every number that decides a training run. They have no defaults in code.

`config/load.py` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from lotwise.core.conformal import LEAST_COVERAGE
from lotwise.core.policy import PolicyRequest

Crops = tuple[tuple[float, int], ...]

SPLITS: Final = ("tile-random", "region-blocked", "lot-held-out")
"""Ways to split tiles: see data/splits.py."""
SCHEDULES: Final = ("halving", "one-cycle")
OPTIMISERS: Final = ("adam", "sgd")
EDITOR_KINDS: Final = ("attgan", "difference")
"""Kinds of editor: see models/editors.py."""


@dataclass(frozen=True, slots=True)
class StrengthDataRecipe:
    """Simulated lots with strength tests, for the regressor and the editor.

    Attributes:
        tiles: Of each reference lot of benchmark v1.
        further_lots, further_tiles: Lots beside them, and tiles of each.
    """

    tiles: int
    further_lots: int
    further_tiles: int

    def __post_init__(self) -> None:
        _positive(self, "tiles", "further_tiles")
        _not_negative(self, "further_lots")


@dataclass(frozen=True, slots=True)
class PolicyRecipe:
    """What is asked of the referral policy; see `lotwise.core.policy.PolicyRequest`."""

    kind: str
    target: float
    min_familiarity: float
    max_referred_share: float
    confidence: float

    def __post_init__(self) -> None:
        try:
            PolicyRequest.model_validate(
                {name: getattr(self, name) for name in PolicyRequest.model_fields}
            )
        except ValidationError as error:
            first = error.errors()[0]
            where = "".join(f"{part}: " for part in first["loc"])
            raise ValueError(where + first["msg"].removeprefix("Value error, ")) from None


@dataclass(frozen=True, slots=True)
class CalibrationRecipe:
    """Fresh tiles of the benchmark's lots; lots of a folder keep a part of theirs to calibrate on.

    Attributes:
        tiles: Of each lot, to calibrate on.
        fresh_tiles: Of each lot, to judge the calibration by.
    """

    tiles: int
    fresh_tiles: int

    def __post_init__(self) -> None:
        _positive(self, "tiles", "fresh_tiles")


@dataclass(frozen=True, slots=True)
class ComparisonRecipe:
    """Further trainings that only measure: other splits."""

    other_splits_members: int
    other_splits_share: float
    head_tiles: int
    test_tiles: int

    def __post_init__(self) -> None:
        _positive(self, "other_splits_members", "test_tiles")
        _not_negative(self, "head_tiles")
        share = self.other_splits_share
        if not 0.0 < share <= 1.0:
            raise ValueError(f"other_splits_share must lie in 0..1, not {share!r}")


@dataclass(frozen=True, slots=True)
class LoopRecipe:
    """How one network is trained, whatever it learns."""

    depth: int
    widen: int
    epochs: float
    batch_size: int
    optimiser: str
    learning_rate: float
    schedule: str
    warmup_share: float
    halve_every_epochs: float
    weight_decay: float
    crops: Crops
    head_tiles: int
    validations: int
    validation_tiles: int
    patience: int
    checkpoint_every: int
    seed: int

    def __post_init__(self) -> None:
        _positive(self, "epochs", "batch_size", "learning_rate", "halve_every_epochs")
        _positive(self, "validations", "validation_tiles", "patience", "checkpoint_every")
        if self.optimiser not in OPTIMISERS:
            known = " or ".join(OPTIMISERS)
            raise ValueError(f"optimiser must be {known}, not {self.optimiser!r}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be {' or '.join(SCHEDULES)}, not {self.schedule!r}")
        _open_unit(self, "warmup_share")
        _not_negative(self, "head_tiles")
        _check_crops(self.crops)


@dataclass(frozen=True, slots=True)
class NetworkRecipe(LoopRecipe):
    """How one tile classifier is trained, whichever lots it learns."""

    outliers: int
    outlier_batch_size: int
    outlier_weight: float

    def __post_init__(self) -> None:
        LoopRecipe.__post_init__(self)  # super() does not know a class that slots have replaced
        _not_negative(self, "outliers", "outlier_batch_size", "outlier_weight")
        if (self.outliers > 0) != (self.outlier_batch_size > 0):
            raise ValueError("outliers and outlier_batch_size must both be positive, or both be 0")


@dataclass(frozen=True, slots=True)
class CommitteeRecipe:
    """Which networks are trained for the committee and for what it is compared with.

    Attributes:
        field_um: Edge of what it sees of a picture; simulated lots have 256 um.
    """

    members: int
    split: str
    dropout: float
    dropout_passes: int
    parallel: int
    max_seconds: float
    network: NetworkRecipe
    comparison: ComparisonRecipe
    policy: PolicyRecipe
    calibration: CalibrationRecipe
    field_um: float = 256.0

    def __post_init__(self) -> None:
        _positive(self, "members", "dropout_passes", "parallel", "max_seconds", "field_um")
        _open_unit(self, "dropout")
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {self.split!r}")


@dataclass(frozen=True, slots=True)
class RegressorNetworkRecipe(LoopRecipe):
    """How one regressor is trained."""

    pool: int
    gain_range: float
    offset_range: float
    max_noise_sigma: float
    max_blur_sigma_px: float

    def __post_init__(self) -> None:
        LoopRecipe.__post_init__(self)
        _positive(self, "pool")


@dataclass(frozen=True, slots=True)
class PropertyNetworkRecipe(RegressorNetworkRecipe):
    """How one regressor of the property is trained.

    Attributes:
        fold: Edge, in pixels, of the squares whose pixels are channels of what the network sees.
        logarithmic: Whether it learns the logarithm of a property that is positive in all lots.
        score_weight: Of the scores of the lot's attributes, which it learns to read beside the
            property where they are known; 0 for not at all.
    """

    fold: int
    logarithmic: bool
    score_weight: float

    def __post_init__(self) -> None:
        RegressorNetworkRecipe.__post_init__(self)
        _positive(self, "fold")
        _not_negative(self, "score_weight")


@dataclass(frozen=True, slots=True)
class RegressorComparisonRecipe:
    """Further trainings that only measure: regions apart, and every lot held out once."""

    region_blocked_share: float
    folds: int
    folds_share: float

    def __post_init__(self) -> None:
        for name in ("region_blocked_share", "folds_share"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in 0..1, not {getattr(self, name)!r}")
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2, not {self.folds!r}")


@dataclass(frozen=True, slots=True)
class IntervalRecipe:
    """How the property's intervals are calibrated.

    Attributes:
        coverage: Nominal, where a request names none.
        lot_tiles: Of each lot, at most, to calibrate with; a lot interval takes no fewer.
    """

    coverage: float
    lot_tiles: int

    def __post_init__(self) -> None:
        if not LEAST_COVERAGE <= self.coverage < 1.0:
            raise ValueError(
                f"coverage must lie from {LEAST_COVERAGE} to below 1, not {self.coverage!r}"
            )
        _positive(self, "lot_tiles")


@dataclass(frozen=True, slots=True)
class RegressorRecipe:
    """Which regressors are trained: the one that is served and what it is compared with.

    Attributes:
        tiles: Of each lot, at most, to learn from: more of a few lots would only hide the others.
        field_um: Edge of what they see of a picture; simulated lots have 256 um.
    """

    parallel: int
    max_seconds: float
    tiles: int
    network: PropertyNetworkRecipe
    comparison: RegressorComparisonRecipe
    data: StrengthDataRecipe
    intervals: IntervalRecipe
    field_um: float = 256.0

    def __post_init__(self) -> None:
        _positive(self, "parallel", "max_seconds", "tiles", "field_um")


@dataclass(frozen=True, slots=True)
class EditorNetworkRecipe:
    """How one editor of attributes is trained.

    Attributes:
        reader_rate, reconstruction_share, reconstruction_weight: Of AttGAN only, whose reader
            learns beside it and which redraws what is not edited.
    """

    dim: int
    discriminator_dim: int
    discriminator_fold: int
    crop_px: int
    batch_size: int
    steps: int
    learning_rate: float
    critic_rate: float
    reader_rate: float
    reconstruction_share: float
    fade_share: float
    reconstruction_weight: float
    attribute_weight: float
    adversarial_weight: float
    texture_weight: float
    cycle_weight: float
    mixing: float
    jitter: float
    gain_range: float
    offset_range: float
    max_noise_sigma: float
    max_blur_sigma_px: float
    seed: int

    def __post_init__(self) -> None:
        _positive(self, "dim", "discriminator_dim", "discriminator_fold", "batch_size", "steps")
        _positive(self, "learning_rate", "critic_rate")
        _not_negative(self, "reader_rate", "reconstruction_share", "reconstruction_weight")
        _not_negative(self, "texture_weight", "adversarial_weight", "cycle_weight", "jitter")
        if self.crop_px % 32 or self.crop_px < 64:
            raise ValueError(f"crop_px must be 64 or a larger multiple of 32, not {self.crop_px}")
        if not 0.0 < self.reconstruction_share + self.fade_share < 1.0:
            raise ValueError("reconstruction_share + fade_share must lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class ReaderRecipe:
    """The network that shows an editor in training what its edits changed.

    Attributes:
        share: Of an editor's time.
    """

    share: float
    network: RegressorNetworkRecipe

    def __post_init__(self) -> None:
        _positive(self, "share")


@dataclass(frozen=True, slots=True)
class MeterRecipe:
    """The network that measures attributes of edited tiles and has never seen an editor.

    Attributes:
        lots, tiles: Simulated lots of its own, and tiles of each.
        share: Of an editor's time.
    """

    lots: int
    tiles: int
    share: float
    network: RegressorNetworkRecipe

    def __post_init__(self) -> None:
        _positive(self, "lots", "tiles", "share")


@dataclass(frozen=True, slots=True)
class EditorRecipe:
    """Which editors are trained, which of them is served, and what measures them.

    Attributes:
        served: Kind of the editor that is served; the others are trained as long, to compare.
        max_seconds: Of one editor's training, without its reader's.
        tiles: Of each lot, at most: more of a few lots would only hide the others.
    """

    served: str
    parallel: int
    max_seconds: float
    tiles: int
    difference: EditorNetworkRecipe
    attgan: EditorNetworkRecipe
    reader: ReaderRecipe
    meter: MeterRecipe
    data: StrengthDataRecipe

    def __post_init__(self) -> None:
        _positive(self, "parallel", "max_seconds", "tiles")
        if self.served not in EDITOR_KINDS:
            raise ValueError(f"served must be {' or '.join(EDITOR_KINDS)}, not {self.served!r}")

    def network(self, kind: str) -> EditorNetworkRecipe:
        """Of the editor of a kind."""
        return {"difference": self.difference, "attgan": self.attgan}[kind]


def _positive(recipe: object, *names: str) -> None:
    for name in names:
        if not getattr(recipe, name) > 0:
            raise ValueError(f"{name} must be positive, not {getattr(recipe, name)!r}")


def _not_negative(recipe: object, *names: str) -> None:
    for name in names:
        if getattr(recipe, name) < 0:
            raise ValueError(f"{name} must not be negative, not {getattr(recipe, name)!r}")


def _open_unit(recipe: object, *names: str) -> None:
    for name in names:
        if not 0.0 < getattr(recipe, name) < 1.0:
            raise ValueError(f"{name} must lie between 0 and 1, not {getattr(recipe, name)!r}")


def _check_crops(crops: Crops) -> None:
    shares = [share for share, _ in crops]
    if not crops or shares[0] != 0.0 or shares != sorted(set(shares)) or shares[-1] >= 1.0:
        raise ValueError(f"crops must start at 0 and rise to below 1, not {crops!r}")
    if min(px for _, px in crops) < 1:
        raise ValueError(f"crops must have at least one pixel, not {crops!r}")
