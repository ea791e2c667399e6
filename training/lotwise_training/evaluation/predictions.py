"""Predictions of trained ensembles, tile by tile, as they are committed.

They are tied by hash to the weights that made them and to the tiles that they were made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.calibration import Calibration
from lotwise.core.policy import ReferralPolicy
from lotwise.core.uncertainty import Array, committee_probabilities, mean_member_entropy, softmax
from lotwise_training.data.tiles import Numbers
from lotwise_training.store.arrays import Result, Shape, Stored, joined

SINGLE: Final = "single"
DROPOUT: Final = "dropout"
ENSEMBLE: Final = "ensemble"
METHODS: Final = (SINGLE, DROPOUT, ENSEMBLE)
"""Softmax of one network; MC dropout; deep ensemble."""
TEST: Final = "test"
"""The set of every split on which the split's networks are measured."""
UNSEEN: Final = "unseen"
"""The set of lots that a split keeps away from its networks."""
LEAST_LOG_PROBABILITY: Final = -1e4
"""Stands for everything less likely: float16 ends at 65,504."""


@dataclass(frozen=True, eq=False)
class ClassPredictions(Stored):
    """Predictions of N tiles by one method.

    Attributes:
        log_probabilities: float16 [N, K], natural, of the members' mean probabilities.
        member_entropy: float32 [N], mean entropy of the members' own predictions in nats; for a
            single network the entropy of its prediction.
    """

    log_probabilities: Annotated[npt.NDArray[np.float16], Shape("N K")]
    member_entropy: Annotated[npt.NDArray[np.float32], Shape("N")]

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """float64 [N, K], each row summing to 1."""
        return softmax(self.log_probabilities)


@dataclass(frozen=True, eq=False)
class SetPredictions(Stored):
    """One set of tiles and its predictions.

    Attributes:
        tiles: int32 [N], number of each tile in its dataset.
        labels: int16 [N], its lot, or -1 where the networks know no such lot.
        predictions: By the name of the method.
        familiarity: float32 [N], p-values among known tiles by the ensemble's calibration; None
            without one.
    """

    tiles: Annotated[npt.NDArray[np.int32], Shape("N")]
    labels: Annotated[npt.NDArray[np.int16], Shape("N")]
    predictions: Mapping[str, ClassPredictions]
    familiarity: Annotated[npt.NDArray[np.float32], Shape("N")] | None = None


Predictions = dict[Annotated[tuple[str, str], joined(str)], SetPredictions]
"""Sets by (split that the networks were trained on, name of the set)."""


@dataclass(frozen=True, eq=False)
class EnsembleRun(Stored):
    """Training of the networks of one split.

    Attributes:
        members: Networks of the ensemble.
        dropout_passes: Of MC dropout.
        weights_sha256: By ENSEMBLE and DROPOUT.
        steps: Of the member that took the fewest.
        train_tiles: How many.
        seconds: Of all members together.
        lot_ids: Classes, in the order of the logits.
    """

    members: int
    dropout_passes: int
    weights_sha256: Mapping[str, str]
    steps: int
    train_tiles: int
    seconds: float
    lot_ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class EnsembleResult(Result):
    """Predictions of all sets of a run.

    Attributes:
        benchmark: Version of the benchmark; None for a laboratory's own lots.
        profile: Name of the recipes' folder.
        data_version: Of the tiles.
        lot_ids, recipes: Of the lots, in the dataset's order.
        runs: By split.
        sets: See `Predictions`.
        remarks: What lots of a folder made necessary, in sentences.
    """

    stem: ClassVar[str] = "class_predictions"
    benchmark: int | None
    profile: str
    data_version: str
    lot_ids: tuple[str, ...]
    recipes: tuple[str, ...]
    runs: Mapping[str, EnsembleRun]
    sets: Predictions
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FreshPredictions(Stored):
    """Predictions of N fresh tiles of known lots.

    Attributes:
        labels: int16 [N], class of the true lot.
        log_probabilities: float16 [N, K], pooled, before temperature scaling.
        familiarity: float32 [N], p-values.
    """

    labels: Annotated[npt.NDArray[np.int16], Shape("N")]
    log_probabilities: Annotated[npt.NDArray[np.float16], Shape("N K")]
    familiarity: Annotated[npt.NDArray[np.float32], Shape("N")]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def pooled(self) -> Array:
        """float64 [N, K], each row summing to 1."""
        return softmax(self.log_probabilities)


@dataclass(frozen=True, eq=False)
class CalibrationCheck(Result):
    """Predictions of fresh tiles with the calibration and policy that they evaluate.

    Attributes:
        fresh: The predictions; the familiarity is by `calibration`.
        calibration: Of the served ensemble.
        policy: Fitted with it.
    """

    stem: ClassVar[str] = "fresh_predictions"
    fresh: FreshPredictions
    calibration: Calibration
    policy: ReferralPolicy


def pool_logits(logits: npt.ArrayLike) -> ClassPredictions:
    """Pool logits.

    Args:
        logits: float [N, T, K], of T members, or of T passes of one network with dropout.
    """
    members = softmax(logits)
    with np.errstate(divide="ignore"):
        pooled = np.log(committee_probabilities(members))
    return ClassPredictions(
        np.maximum(pooled, LEAST_LOG_PROBABILITY).astype(np.float16),
        mean_member_entropy(members).astype(np.float32),
    )


def set_predictions(
    tiles: Numbers,
    labels: Numbers,
    logits: Mapping[str, npt.ArrayLike],
    familiarity: npt.NDArray[np.float64] | None = None,
) -> SetPredictions:
    """Predictions of one set.

    Args:
        tiles: int [N].
        labels: int [N].
        logits: By the name of the method, float [N, T, K].
        familiarity: float64 [N]; None without a calibration.
    """
    return SetPredictions(
        tiles.astype(np.int32),
        labels.astype(np.int16),
        {method: pool_logits(values) for method, values in logits.items()},
        None if familiarity is None else familiarity.astype(np.float32),
    )
