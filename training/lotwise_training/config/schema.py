"""Training recipes: every number that decides a training. They have no defaults in code.

Strict pydantic models, nested as the tables of their TOML files; `config/load.py` reads them.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, get_args

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from lotwise.core.conformal import LEAST_COVERAGE
from lotwise.core.policy import PolicyRequest

SplitName = Literal["tile-random", "region-blocked", "lot-held-out"]
EditorKind = Literal["attgan", "difference"]

SPLITS: Final[tuple[SplitName, ...]] = get_args(SplitName)
"""Ways to split tiles: see data/splits.py."""
EDITOR_KINDS: Final[tuple[EditorKind, ...]] = get_args(EditorKind)
"""See models/editors.py."""

Count = Annotated[int, Field(gt=0)]
CountOrNone = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
ShareOrNone = Annotated[float, Field(ge=0, lt=1)]
Crops = tuple[tuple[ShareOrNone, Count], ...]

STRICT: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=STRICT)
class StrengthDataRecipe:
    """Simulated lots with strength tests, for the regressor and the editor.

    Attributes:
        tiles: Of each reference lot of benchmark v1.
        further_lots, further_tiles: Lots beside them, and tiles of each.
    """

    tiles: Count
    further_lots: CountOrNone
    further_tiles: Count


@dataclass(frozen=True, config=STRICT)
class PolicyRecipe:
    """The request for the referral policy; see `lotwise.core.policy.PolicyRequest`."""

    kind: str
    target: float
    min_familiarity: float
    max_referred_share: float
    confidence: float

    @model_validator(mode="after")
    def _check_request(self) -> Self:
        PolicyRequest.model_validate(
            {name: getattr(self, name) for name in PolicyRequest.model_fields}
        )
        return self


@dataclass(frozen=True, config=STRICT)
class CalibrationRecipe:
    """Fresh tiles of the benchmark's lots; lots of a folder keep a part of theirs to calibrate on.

    Attributes:
        tiles: Of each lot, to calibrate on.
        fresh_tiles: Of each lot, to evaluate the calibration on.
    """

    tiles: Count
    fresh_tiles: Count


@dataclass(frozen=True, config=STRICT)
class ComparisonRecipe:
    """Further trainings that only measure: other splits.

    Attributes:
        other_splits_members, other_splits_steps: Networks of each other split, and steps of each.
        short_members: Networks of the served split for as few steps, to compare splits at equal
            length; 0 for none.
        head_tiles: As of a `LoopRecipe`.
        test_tiles: Of each set, at most.
    """

    other_splits_members: Count
    other_splits_steps: Count
    short_members: CountOrNone
    head_tiles: CountOrNone
    test_tiles: Count


@dataclass(frozen=True, config=STRICT)
class LoopRecipe:
    """How one network is trained, whatever it learns.

    Attributes:
        depth, widen: Of the wide residual network.
        steps: Of the whole training.
        learning_rate: The first of "halving", the peak of "one-cycle".
        warmup_share: Of the steps, of "one-cycle" alone.
        halve_every: Steps, of "halving" alone.
        crops: (share of the training from which on, edge of the crops in pixels).
        head_tiles: On which the last layer is fitted once more; 0 for none.
        validations: In the course of the training.
        validation_tiles: At most.
        patience: Validations without a better one that end a training.
        checkpoint_every: Steps.
    """

    depth: Count
    widen: Count
    steps: Count
    batch_size: Count
    optimiser: Literal["adam", "sgd"]
    learning_rate: Positive
    schedule: Literal["halving", "one-cycle"]
    warmup_share: OpenShare
    halve_every: Count
    weight_decay: float
    crops: Crops
    head_tiles: CountOrNone
    validations: Count
    validation_tiles: Count
    patience: Count
    checkpoint_every: Count
    seed: int

    @model_validator(mode="after")
    def _check_crops(self) -> Self:
        shares = [share for share, _ in self.crops]
        if not shares or shares[0] != 0.0 or shares != sorted(set(shares)):
            raise ValueError(f"crops must start at 0 and rise to below 1, not {self.crops!r}")
        return self


@dataclass(frozen=True, config=STRICT)
class NetworkRecipe(LoopRecipe):
    """How one tile classifier is trained, whichever lots it learns."""

    outliers: CountOrNone
    outlier_batch_size: CountOrNone
    outlier_weight: NotNegative

    @model_validator(mode="after")
    def _check_outliers(self) -> Self:
        if (self.outliers > 0) != (self.outlier_batch_size > 0):
            raise ValueError("outliers and outlier_batch_size must both be positive, or both be 0")
        return self


@dataclass(frozen=True, config=STRICT)
class CommitteeRecipe:
    """Which networks are trained for the committee and for what it is compared with.

    Attributes:
        parallel: Networks trained at once.
        field_um: Edge of what it sees of a picture; simulated lots have 256 um.
    """

    members: Count
    split: SplitName
    field_um: Positive
    dropout: OpenShare
    dropout_passes: Count
    parallel: Count
    network: NetworkRecipe
    comparison: ComparisonRecipe
    policy: PolicyRecipe
    calibration: CalibrationRecipe


@dataclass(frozen=True, config=STRICT)
class InstrumentRanges:
    """How far the random states of a microscope differ.

    Attributes:
        gain_range, offset_range: Either side of 1, and of 0 in grey levels.
        max_noise_sigma, max_blur_sigma_px: Standard deviations, in grey levels and in pixels.
    """

    gain_range: float
    offset_range: float
    max_noise_sigma: float
    max_blur_sigma_px: float


@dataclass(frozen=True, config=STRICT)
class RegressorNetworkRecipe(LoopRecipe, InstrumentRanges):
    """How one regressor is trained; `pool` pixels are averaged, along an edge."""

    pool: Count


@dataclass(frozen=True, config=STRICT)
class PropertyNetworkRecipe(RegressorNetworkRecipe):
    """How one regressor of the property is trained.

    Attributes:
        unshuffle: Edge, in pixels, of the squares whose pixels become channels of the input.
        logarithmic: Whether it learns the logarithm of a property that is positive in all lots.
        score_weight: Of the scores of the lot's attributes, which it learns to read beside the
            property where they are known; 0 for not at all.
    """

    unshuffle: Count
    logarithmic: bool
    score_weight: NotNegative


@dataclass(frozen=True, config=STRICT)
class RegressorComparisonRecipe:
    """Further trainings that only measure: regions apart, and every lot held out once."""

    region_blocked_steps: Count
    folds: Annotated[int, Field(ge=2)]
    folds_steps: Count


@dataclass(frozen=True, config=STRICT)
class IntervalRecipe:
    """How the property's intervals are calibrated.

    Attributes:
        coverage: Nominal, where a request names none.
        lot_tiles: Of each lot, at most, to calibrate with; a lot interval takes no fewer.
    """

    coverage: Annotated[float, Field(ge=LEAST_COVERAGE, lt=1)]
    lot_tiles: Count


@dataclass(frozen=True, config=STRICT)
class RegressorRecipe:
    """Which regressors are trained: the one that is served and what it is compared with.

    Attributes:
        parallel: Networks trained at once.
        tiles: Of each lot, at most, to learn from: more of a few lots would only hide the others.
        field_um: Edge of what they see of a picture; simulated lots have 256 um.
    """

    parallel: Count
    tiles: Count
    field_um: Positive
    network: PropertyNetworkRecipe
    comparison: RegressorComparisonRecipe
    data: StrengthDataRecipe
    intervals: IntervalRecipe


@dataclass(frozen=True, config=STRICT)
class EditorNetworkRecipe(InstrumentRanges):
    """How one editor of attributes is trained.

    Attributes:
        reader_rate, reconstruction_share, reconstruction_weight: Of AttGAN only, whose reader
            learns beside it and which redraws what is not edited.
    """

    dim: Count
    discriminator_dim: Count
    discriminator_unshuffle: Count
    crop_px: Annotated[int, Field(ge=64, multiple_of=32)]
    batch_size: Count
    steps: Count
    learning_rate: Positive
    critic_rate: Positive
    reader_rate: NotNegative
    reconstruction_share: NotNegative
    fade_share: float
    reconstruction_weight: NotNegative
    attribute_weight: float
    adversarial_weight: NotNegative
    texture_weight: NotNegative
    cycle_weight: NotNegative
    mixing: float
    jitter: NotNegative
    checkpoint_every: Count
    seed: int

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if not 0.0 < self.reconstruction_share + self.fade_share < 1.0:
            raise ValueError("reconstruction_share + fade_share must lie between 0 and 1")
        return self


@dataclass(frozen=True, config=STRICT)
class MeterRecipe:
    """The network that measures attributes of edited tiles and has never seen an editor.

    Attributes:
        lots, tiles: Simulated lots of its own, and tiles of each.
    """

    lots: Count
    tiles: Count
    network: RegressorNetworkRecipe


@dataclass(frozen=True, config=STRICT)
class EditorRecipe:
    """Which editors are trained, which of them is served, and what measures them.

    Attributes:
        served: Kind of the editor that is served; the others are trained to compare.
        reader: The network that shows an editor in training what its edits changed.
        parallel: Networks trained at once.
        tiles: Of each lot, at most: more of a few lots would only hide the others.
    """

    served: EditorKind
    parallel: Count
    tiles: Count
    difference: EditorNetworkRecipe
    attgan: EditorNetworkRecipe
    reader: RegressorNetworkRecipe
    meter: MeterRecipe
    data: StrengthDataRecipe

    def network(self, kind: EditorKind) -> EditorNetworkRecipe:
        """Of the editor of a kind."""
        return {"difference": self.difference, "attgan": self.attgan}[kind]


@dataclass(frozen=True, config=STRICT)
class PlanRecipe:
    """Deep ensembles that learn from ever more of the tiles: the learning curve.

    Attributes:
        split: Which tiles they learn from, are calibrated on and are tested on.
        shares: Of the training tiles, rising; a point of the curve each.
        members: Networks of each point's ensemble.
        parallel: Networks trained at once.
        test_tiles: Of the test and of the validation tiles, at most.
        resamples: Of networks and tiles, for the interval of what is predicted.
        network: How each is trained.
    """

    split: SplitName
    shares: Annotated[tuple[Share, ...], Field(min_length=3)]
    members: Count
    parallel: Count
    test_tiles: Count
    resamples: Count
    network: NetworkRecipe

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if list(self.shares) != sorted(set(self.shares)):
            raise ValueError(f"shares must rise, not {self.shares!r}")
        return self
