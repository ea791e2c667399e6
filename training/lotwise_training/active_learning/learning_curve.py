"""Learning curve of ensembles, with the accuracy predicted from unlabelled tiles.

Zhang et al. 2020, section "Can we leverage uncertainties to guide the collection of training data?"
and Figure 4: the mean confidence of a committee on tiles without labels stands for its accuracy, so
that a learning curve needs no labelled tiles beside those that are learned from. There the
confidences are those of the ensemble as it is; here they are scaled by one temperature, which is
fitted on validation tiles, because a short training is not sure of itself enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from lotwise.core.committee_outputs import Floats
from lotwise.core.temperature import fit_temperature, scaled
from lotwise.core.uncertainty import Array, committee_probabilities, softmax
from lotwise_training.active_learning.power_law import PowerLaw, fit_power_law
from lotwise_training.config.schema import PlanRecipe
from lotwise_training.data.splits import SPLITS, classes, labels
from lotwise_training.data.tiles import Numbers, TileDataset
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.store.arrays import Result, Stored
from lotwise_training.store.checkpoint import load_checkpoint
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.parallel import limit_time
from lotwise_training.training.tasks.classifier import ClassifierJob

RUN: Final = "plan"
SEED: Final = 5
"""Of resamples and of the unlabelled tiles."""
LEAST_SPREAD: Final = 1e-3
"""A point whose resamples all agree is no more certain than this."""


@dataclass(frozen=True)
class CurvePoint(Stored):
    """A committee that learned from some of the tiles.

    Attributes:
        tiles: It learned from so many.
        share: Of the training tiles.
        steps: Of its networks; the fewest, where time ended some early.
        temperature: Fitted on validation tiles.
        confidence: Mean over unlabelled tiles as the committee is, as in Zhang et al. 2020.
        predicted: The same after scaling: the accuracy that is predicted.
        accuracy: In truth, by the labels of the same tiles.
        drawn: `predicted` by resamples of networks and tiles, around itself: a resample has some
            networks twice and lacks others, which costs all of them accuracy.
    """

    tiles: int
    share: float
    steps: int
    temperature: float
    confidence: float
    predicted: float
    accuracy: float
    drawn: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Standard deviation of `predicted`."""
        return max(LEAST_SPREAD, float(np.std(self.drawn)))


@dataclass(frozen=True)
class LearningCurve(Result):
    """All points, and where they come from.

    Attributes:
        points: By their number of tiles, rising.
        lots: How many lots there are.
        unlabelled: Tiles whose accuracy is predicted.
        members: Networks of each committee.
        network: Depth and width of each.
        benchmark: Version of the benchmark; None for a laboratory's own lots.
        profile: Name of the recipes' folder.
    """

    stem: ClassVar[str] = "learning_curve"
    points: tuple[CurvePoint, ...]
    lots: int
    unlabelled: int
    members: int
    network: tuple[int, int]
    benchmark: int | None
    profile: str

    def law(self, points: int | None = None) -> PowerLaw:
        """Through what is predicted from unlabelled tiles.

        Args:
            points: Only the first so many; None for all.
        """
        chosen = self.points[:points]
        return _law(chosen, [point.predicted for point in chosen])

    def resampled(self, points: int | None = None) -> list[PowerLaw]:
        """The same by resamples."""
        chosen = self.points[:points]
        return [_law(chosen, each) for each in zip(*(p.drawn for p in chosen), strict=True)]


def curve_jobs(
    data: TileDataset, recipe: PlanRecipe, max_seconds: float | None = None
) -> list[ClassifierJob]:
    """Every network of the curve; all take as many steps, what differs is what they see.

    Args:
        data: The lots.
        recipe: What to train.
        max_seconds: Of all of them together, whatever the recipe's steps; None for no limit.

    Raises:
        DatasetError: The lots cannot be split so.
    """
    network = recipe.network
    split = SPLITS[recipe.split](data, network.seed)
    jobs = []
    for number, share in enumerate(recipe.shares):
        chosen = share_of_each_lot(data, split.train, share)
        jobs += [
            ClassifierJob(
                name=f"{point_folder(share)}/member_{member:02d}",
                train=chosen,
                validation=split.validation,
                classes=classes(split, data),
                seed=network.seed + recipe.members * number + member,
                dropout=0.0,
                steps=network.steps,
                head_tiles=network.head_tiles,
            )
            for member in range(recipe.members)
        ]
    return limit_time(jobs, max_seconds, recipe.parallel)


def point_folder(share: float) -> str:
    """Folder of the committee that learns from a share of the tiles."""
    return f"{RUN}/share-{share:g}"


def share_of_each_lot(data: TileDataset, tiles: Numbers, share: float) -> Numbers:
    """The first tiles of each lot in a random order, so that fewer tiles are a part of more.

    Args:
        data: The lots.
        tiles: int64 [n], numbers of tiles.
        share: Of each lot's.
    """
    rng = np.random.default_rng(0)
    kept = []
    for lot in np.unique(data.lots[tiles]):
        of_lot = rng.permutation(tiles[data.lots[tiles] == lot])
        kept.append(of_lot[: max(1, round(share * len(of_lot)))])
    return np.sort(np.concatenate(kept))


def measure_curve(
    data: TileDataset,
    recipe: PlanRecipe,
    predictor: PredictionCache,
    *,
    benchmark: int | None,
    profile: str,
) -> LearningCurve:
    """Predict the accuracy of the trained committees on unlabelled tiles.

    Args:
        data: The lots.
        recipe: That they were trained by.
        predictor: Of the networks.
        benchmark: Version of the benchmark; None for a laboratory's own lots.
        profile: Name of the recipes' folder.

    Raises:
        CheckpointError: A network is missing or unfinished.
    """
    split = SPLITS[recipe.split](data, recipe.network.seed)
    known = classes(split, data)
    rng = np.random.default_rng(SEED)
    unlabelled, held = (
        np.sort(rng.permutation(rows)[: recipe.test_tiles])
        for rows in (split.test, split.validation)
    )
    truth, of_held = labels(data.lots[unlabelled], known), labels(data.lots[held], known)
    points = []
    for share in recipe.shares:
        folder = point_folder(share)
        title = f"{share:.0%} of the tiles"
        images = data.images[np.concatenate([unlabelled, held])]
        logits = predictor.predict_members(folder, images, title)
        states = [
            load_checkpoint(checkpoint_path(predictor.runs / folder, f"member_{member:02d}"))
            for member in range(recipe.members)
        ]
        points.append(
            curve_point(
                (logits[: len(unlabelled)], truth),
                (logits[len(unlabelled) :], of_held),
                tiles=len(share_of_each_lot(data, split.train, share)),
                share=share,
                steps=min(state["step"] for state in states if state is not None),
                resamples=recipe.resamples,
            )
        )
    return LearningCurve(
        points=tuple(points),
        lots=len(known),
        unlabelled=len(unlabelled),
        members=recipe.members,
        network=(recipe.network.depth, recipe.network.widen),
        benchmark=benchmark,
        profile=profile,
    )


def curve_point(
    unlabelled: tuple[Floats, Numbers],
    held: tuple[Floats, Numbers],
    *,
    tiles: int,
    share: float,
    steps: int,
    resamples: int,
) -> CurvePoint:
    """One point of the curve.

    Args:
        unlabelled: float [N, T, K] logits of tiles, and int64 [N], their lots, which only
            tell how well the accuracy was predicted.
        held: The same of validation tiles, which the temperature is fitted on.
        tiles: See `CurvePoint`; as the next two.
        share: Of the training tiles.
        steps: Of each network.
        resamples: How many.
    """
    probabilities, known = softmax(unlabelled[0]), softmax(held[0])
    temperature, predicted = _predicted(probabilities, known, held[1])
    pooled = committee_probabilities(probabilities)
    rng = np.random.default_rng(SEED)
    members = probabilities.shape[1]
    drawn = []
    for _ in range(resamples):
        who = rng.integers(members, size=members)
        some, others = (rng.integers(len(each), size=len(each)) for each in (probabilities, known))
        again = _predicted(probabilities[some][:, who], known[others][:, who], held[1][others])
        drawn.append(again[1])
    return CurvePoint(
        tiles=tiles,
        share=share,
        steps=steps,
        temperature=temperature,
        confidence=float(pooled.max(axis=1).mean()),
        predicted=predicted,
        accuracy=float((pooled.argmax(axis=1) == unlabelled[1]).mean()),
        drawn=tuple(np.round(predicted + np.array(drawn) - np.mean(drawn), 5).tolist()),
    )


def _predicted(unlabelled: Array, known: Array, truth: Numbers) -> tuple[float, float]:
    """Temperature, and the mean confidence of unlabelled tiles that it gives."""
    temperature = fit_temperature(committee_probabilities(known), truth)
    confident = scaled(committee_probabilities(unlabelled), temperature).max(axis=1)
    return temperature, float(confident.mean())


def _law(points: Sequence[CurvePoint], predicted: Sequence[float]) -> PowerLaw:
    spreads = np.array([point.spread for point in points])
    return fit_power_law([p.tiles for p in points], 1.0 - np.asarray(predicted), spreads)
