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
from lotwise_training.training.parallel import limit_time
from lotwise_training.training.tasks.classifier import ClassifierJob

SERVED: Final = "committee"
"""Folder of the committee that is served, and of the network with dropout beside it."""
SHORT: Final = "-short"
"""Ends the name of the variant that learns from the served split for as few steps as others."""
DROPOUT_NAME: Final = "dropout"
MEMBER_SEEDS: Final = 100
"""Seeds of a variant's members are this far apart from those of the next variant."""


def committee_jobs(
    data: TileDataset,
    recipe: CommitteeRecipe,
    *,
    only_served: bool = False,
    max_seconds: float | None = None,
) -> list[ClassifierJob]:
    """Every network of a full run, the committee that is served first.

    Names are "committee/member_<n>" and "committee/dropout"; those that only measure are in
    `variant_folder`.

    Args:
        data: The lots.
        recipe: What to train.
        only_served: Only the members that are served, nothing to compare them with.
        max_seconds: Of all of them together, whatever the recipe's steps; None for no limit.

    Raises:
        DatasetError: The lots cannot be split so.
    """
    if only_served:
        split = SPLITS[recipe.split](data, recipe.network.seed)
        seed = recipe.network.seed
        jobs = _variant(data, recipe, split, SERVED, recipe.members, recipe.network.steps, seed)
        return limit_time(jobs, max_seconds, recipe.parallel)
    comparison = recipe.comparison
    jobs = []
    for number, (name, split_name) in enumerate(variants(recipe).items()):
        split = SPLITS[split_name](data, recipe.network.seed)
        members, steps = recipe.members, recipe.network.steps
        if name != recipe.split:
            members, steps = comparison.other_splits_members, comparison.other_splits_steps
        if name.endswith(SHORT):
            members = comparison.short_members
        first_seed = recipe.network.seed + MEMBER_SEEDS * number
        folder = variant_folder(name, recipe)
        variant = _variant(data, recipe, split, folder, members, steps, first_seed)
        jobs += [
            *variant,
            replace(variant[0], name=f"{folder}/{DROPOUT_NAME}", dropout=recipe.dropout),
        ]
    return limit_time(jobs, max_seconds, recipe.parallel)


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
    steps: int,
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
            steps=steps,
            head_tiles=network.head_tiles if folder == SERVED else recipe.comparison.head_tiles,
        )
        for member in range(members)
    ]
