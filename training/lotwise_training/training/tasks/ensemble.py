"""Trains the committee, and the networks that it is compared with.

Zhang et al. 2020, Methods: a deep ensemble is T networks that differ in nothing but their random
start and order of tiles (Lakshminarayanan et al. 2017); it is compared with one of them alone and
with MC dropout. Beside the committee that is served, smaller trainings measure what it is worth on
the other splits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lotwise_training.config.schema import SPLITS as NAMES
from lotwise_training.config.schema import CommitteeRecipe
from lotwise_training.data.splits import SPLITS, Split, classes, served_split
from lotwise_training.data.tiles import DatasetError, TileDataset
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
        jobs = _variant(data, recipe, split, SERVED, recipe.members, recipe.network.steps, seed)
        return limit_time(jobs, max_seconds, recipe.parallel)
    comparison = recipe.comparison
    jobs = []
    variants, _ = committee_variants(data, recipe)
    for number, (name, split) in enumerate(variants.items()):
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


def adapted_recipe(data: TileDataset, recipe: CommitteeRecipe) -> CommitteeRecipe:
    """The recipe with the split that its lots are served by: lots of a folder have none by tile."""
    return replace(recipe, split=served_split(data, recipe.split))


def committee_variants(
    data: TileDataset, recipe: CommitteeRecipe
) -> tuple[dict[str, Split], list[str]]:
    """Groups of networks with the split that each learns from; the served group is first.

    Returns:
        The groups by name, and sentences on what lots of a folder cannot carry.

    Raises:
        DatasetError: The lots cannot be split as they are to be served; simulated lots: or
            otherwise.
    """
    seed, served = recipe.network.seed, served_split(data, recipe.split)
    found: dict[str, Split] = {served: SPLITS[served](data, seed)}
    remarks = [*found[served].remarks]
    for name in (each for each in NAMES if each != served):
        if served_split(data, name) != name:
            remarks.append(f"Not compared with {name}: tiles of a region stay together.")
            continue
        try:
            found[name] = SPLITS[name](data, seed)
        except DatasetError as error:
            if data.positions is None:
                raise
            remarks.append(f"Not compared with {name}: {error}")
    if recipe.comparison.short_members:
        found[f"{served}{SHORT}"] = found[served]
    return found, remarks


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
            lots=None if data.positions is None else data.lots[split.train],
        )
        for member in range(members)
    ]
