"""Trains the committee, and the networks that it is compared with.

Zhang et al. 2020, Methods: a deep ensemble is T networks that differ in nothing but their random
start and order of tiles (Lakshminarayanan et al. 2017); it is compared with one of them alone and
with MC dropout. Beside the committee that is served, smaller trainings measure what it is worth on
the other splits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lotwise_training.config.schema import CommitteeRecipe
from lotwise_training.data.splits import SPLITS, Split, classes, served_split
from lotwise_training.data.tiles import DatasetError, TileDataset
from lotwise_training.training.parallel import timed
from lotwise_training.training.tasks.classifier import ClassifierJob

SERVED: Final = "committee"
"""Folder of the committee that is served, and of the network with dropout beside it."""
DROPOUT_NAME: Final = "dropout"
MEMBER_SEEDS: Final = 100
"""Seeds of an arm's members are this far apart from those of the next arm."""


def committee_jobs(
    data: TileDataset, recipe: CommitteeRecipe, *, only_served: bool = False
) -> list[ClassifierJob]:
    """Every network of a full run, the committee that is served first.

    Names are "committee/member_<n>" and "committee/dropout"; those that only measure are in
    `variant_folder`.

    Args:
        data: The lots.
        recipe: What to train.
        only_served: Only the members that are served, nothing to compare them with.

    Raises:
        DatasetError: LOTS_TOO_FEW: fewer than two lots. The lots cannot be split so.
    """
    if len(data.table.lot_ids) < 2:
        raise DatasetError(
            "LOTS_TOO_FEW", "A committee tells lots apart, so it needs at least 2. Add lots."
        )
    recipe = adapted_recipe(data, recipe)
    if only_served:
        split = SPLITS[recipe.split](data, recipe.network.seed)
        seed = recipe.network.seed
        return _timed(_variant(data, recipe, split, SERVED, recipe.members, 1.0, seed), recipe)
    comparison = recipe.comparison
    splits, _ = committee_splits(data, recipe)
    jobs: list[ClassifierJob] = []
    for number, (name, split) in enumerate(splits.items()):
        members, share = recipe.members, 1.0
        if name != recipe.split:
            members, share = comparison.other_splits_members, comparison.other_splits_share
        first_seed = recipe.network.seed + MEMBER_SEEDS * number
        folder = variant_folder(name, recipe)
        arm = _variant(data, recipe, split, folder, members, share, first_seed)
        jobs += [*arm, replace(arm[0], name=f"{folder}/{DROPOUT_NAME}", dropout=recipe.dropout)]
    return _timed(jobs, recipe)


def adapted_recipe(data: TileDataset, recipe: CommitteeRecipe) -> CommitteeRecipe:
    """The recipe with the split that the lots are served by: lots of a folder have none by tile."""
    return replace(recipe, split=served_split(data, recipe.split))


def committee_splits(
    data: TileDataset, recipe: CommitteeRecipe
) -> tuple[dict[str, Split], list[str]]:
    """Splits by name, the served one first, and sentences on what the lots cannot carry.

    Args:
        data: The lots.
        recipe: What to train.

    Raises:
        DatasetError: The lots cannot be split as they are to be served; simulated lots: or
            otherwise.
    """
    seed, served = recipe.network.seed, served_split(data, recipe.split)
    splits = {served: SPLITS[served](data, seed)}
    remarks = [*splits[served].remarks]
    for name in SPLITS:
        if served_split(data, name) in splits:
            if name not in splits:
                remarks.append(f"Not compared with {name}: tiles of a region stay together.")
            continue
        try:
            splits[name] = SPLITS[name](data, seed)
        except DatasetError as error:
            if data.positions is None:
                raise
            remarks.append(f"Not compared with {name}: {error}")
    return splits, remarks


def variant_folder(split: str, recipe: CommitteeRecipe) -> str:
    """Folder of the networks that learn from a split."""
    return SERVED if split == recipe.split else f"{SERVED}-comparisons/{split}"


def _variant(
    data: TileDataset,
    recipe: CommitteeRecipe,
    split: Split,
    folder: str,
    members: int,
    share: float,
    first_seed: int,
) -> list[ClassifierJob]:
    network = recipe.network
    return [
        ClassifierJob(
            name=f"{folder}/member_{member:02d}",
            train=split.train,
            validation=split.validation,
            classes=classes(split, data),
            seed=first_seed + member,
            dropout=0.0,
            epochs=network.epochs * share,
            max_seconds=recipe.max_seconds,
            head_tiles=network.head_tiles if folder == SERVED else recipe.comparison.head_tiles,
            lots=None if data.positions is None else data.lots[split.train],
        )
        for member in range(members)
    ]


def _timed(jobs: list[ClassifierJob], recipe: CommitteeRecipe) -> list[ClassifierJob]:
    return timed(jobs, recipe.network, max_seconds=recipe.max_seconds, parallel=recipe.parallel)
