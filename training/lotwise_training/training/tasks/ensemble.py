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
from lotwise_training.data.splits import SPLITS, Split, classes
from lotwise_training.data.tiles import TileDataset
from lotwise_training.training.parallel import timed
from lotwise_training.training.tasks.classifier import ClassifierJob

SERVED: Final = "committee"
"""Folder of the committee that is served, and of the network with dropout beside it."""
SHORT: Final = "-short"
"""Ends the name of the variant that learns from the served split at the share of other splits."""
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
        DatasetError: The lots cannot be split so.
    """
    if only_served:
        split = SPLITS[recipe.split](data, recipe.network.seed)
        seed = recipe.network.seed
        return _timed(_variant(data, recipe, split, SERVED, recipe.members, 1.0, seed), recipe)
    comparison = recipe.comparison
    jobs: list[ClassifierJob] = []
    for number, (name, split_name) in enumerate(variants(recipe).items()):
        split = SPLITS[split_name](data, recipe.network.seed)
        members, share = recipe.members, 1.0
        if name != recipe.split:
            members, share = comparison.other_splits_members, comparison.other_splits_share
        if name.endswith(SHORT):
            members = comparison.short_members
        first_seed = recipe.network.seed + MEMBER_SEEDS * number
        folder = variant_folder(name, recipe)
        arm = _variant(data, recipe, split, folder, members, share, first_seed)
        jobs += [*arm, replace(arm[0], name=f"{folder}/{DROPOUT_NAME}", dropout=recipe.dropout)]
    return _timed(jobs, recipe)


def variants(recipe: CommitteeRecipe) -> dict[str, str]:
    """Groups of networks with the split that each learns from; the served group is first."""
    found = {name: name for name in (recipe.split, *SPLITS)}
    return found | (
        {f"{recipe.split}{SHORT}": recipe.split} if recipe.comparison.short_members else {}
    )


def variant_folder(variant: str, recipe: CommitteeRecipe) -> str:
    """Folder of a variant's networks."""
    return SERVED if variant == recipe.split else f"{SERVED}-comparisons/{variant}"


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
        )
        for member in range(members)
    ]


def _timed(jobs: list[ClassifierJob], recipe: CommitteeRecipe) -> list[ClassifierJob]:
    return timed(jobs, recipe.network, max_seconds=recipe.max_seconds, parallel=recipe.parallel)
