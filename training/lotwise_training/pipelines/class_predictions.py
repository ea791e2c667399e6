"""Asks trained networks about the tiles that judge them, and puts down what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from lotwise_simulator.benchmark import VERSION
from lotwise_simulator.benchmark_files import frozen
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.data.benchmark import SHIFTED, SHIFTED_LABELLED, benchmark_set
from lotwise_training.data.splits import SPLITS, UNKNOWN, classes, labels
from lotwise_training.data.tiles import Numbers, TileDataset, read_remarks
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.evaluation.predictions import (
    DROPOUT,
    ENSEMBLE,
    SINGLE,
    TEST,
    UNSEEN,
    Predictions,
    set_predictions,
)
from lotwise_training.inference.predict import (
    load_members,
    load_network,
)
from lotwise_training.store.checkpoint import load_checkpoint
from lotwise_training.training.loop import checkpoint_path
from lotwise_training.training.tasks.ensemble import (
    DROPOUT_NAME,
    SERVED,
    committee_splits,
    variant_folder,
)

ANSWERS: Final = "committee-answers"
"""Folder of what was asked before, among the runs."""
FRESH_AT_ONCE: Final = 1024
"""Fresh tiles whose features are held at once: tens of megabytes for 16 members."""


def split_predictions(data: TileDataset, name: str, predictor: PredictionCache) -> Predictions:
    """What single network, dropout and ensemble say of a split's test tiles, and of unseen lots.

    Args:
        data: The lots.
        name: Of the split.
        predictor: Of its networks.
    """
    recipe = predictor.recipe
    split = SPLITS[name](data, recipe.network.seed)
    known = classes(split, data)
    most = None if name == recipe.split else recipe.comparison.test_tiles
    folder = variant_folder(name, recipe)
    outputs: Predictions = {}
    for set_name, tiles in ((TEST, split.test), (UNSEEN, split.unseen)):
        chosen = _sample(tiles, most, recipe.network.seed)
        if not len(chosen):
            continue
        title = f"{name}, {set_name}"
        familiarity = None
        if folder == SERVED:
            answered = predictor.served(data.images[chosen], f"{title}, ensemble")
            members, familiarity = answered.logits, predictor.familiarity(answered)
        else:
            members = predictor.members(folder, data.images[chosen], title)
        outputs[name, set_name] = set_predictions(
            chosen,
            labels(data.lots[chosen], known),
            {
                SINGLE: members[:, :1],
                DROPOUT: predictor.dropout(folder, data.images[chosen], title),
                ENSEMBLE: members,
            },
            familiarity,
        )
    return outputs


def shifted_predictions(cache: Path, predictor: PredictionCache) -> Predictions:
    """What the committee that is served says of benchmark v1's shifted sets.

    Nothing is fitted on them: they only measure.

    Args:
        cache: Folder of rendered data.
        predictor: Of the committee.
    """
    outputs: Predictions = {}
    recipe = predictor.recipe
    for name in SHIFTED:
        shifted = benchmark_set(name, cache)
        # The same places of every set that has as many tiles: a filament is compared with none.
        chosen = _sample(np.arange(len(shifted)), recipe.comparison.test_tiles, recipe.network.seed)
        known = name in SHIFTED_LABELLED
        truth = shifted.lots[chosen] if known else np.full(len(chosen), UNKNOWN)
        answered = predictor.served(shifted.images[chosen], f"{name}, ensemble")
        members = answered.logits
        outputs[recipe.split, name] = set_predictions(
            chosen,
            truth,
            {SINGLE: members[:, :1], ENSEMBLE: members},
            predictor.familiarity(answered),
        )
    return outputs


def manifest(
    data: TileDataset, predictor: PredictionCache, profile: str, *, benchmark: bool
) -> dict[str, Any]:
    """What is known of the run beside its answers, in JSON's types.

    Args:
        data: The lots.
        predictor: Of the networks.
        profile: Name of the recipes' folder.
        benchmark: Whether the lots are benchmark v1's; otherwise they are a laboratory's own.
    """
    return {
        "benchmark": VERSION if benchmark else None,
        "profile": profile,
        "data_version": frozen()[1] if benchmark else data.version,
        "lot_ids": list(data.table.lot_ids),
        "recipes": list(data.table.recipes),
        "runs": {
            name: _run(data, name, predictor)
            for name in committee_splits(data, predictor.recipe)[0]
        },
        "remarks": read_remarks(predictor.runs / SERVED),
    }


def _run(data: TileDataset, name: str, predictor: PredictionCache) -> Mapping[str, Any]:
    recipe = predictor.recipe
    folder = predictor.runs / variant_folder(name, recipe)
    members, lot_ids = load_members(folder)
    network, _ = load_network(checkpoint_path(folder, DROPOUT_NAME))
    states = [
        load_checkpoint(checkpoint_path(folder, f"member_{n:02d}")) for n in range(len(members))
    ]
    taken = [state for state in states if state is not None]
    return {
        "members": len(members),
        "dropout_passes": recipe.dropout_passes,
        "weights_sha256": {
            ENSEMBLE: committee_sha256(members),
            DROPOUT: committee_sha256([network]),
        },
        "steps": min(state["step"] for state in taken),
        "train_tiles": len(SPLITS[name](data, recipe.network.seed).train),
        "seconds": sum(state["seconds"] for state in taken),
        "lot_ids": list(lot_ids),
    }


def _sample(tiles: Numbers, most: int | None, seed: int) -> Numbers:
    """At most so many tiles, drawn by seed, in rising order."""
    if most is None or len(tiles) <= most:
        return tiles
    return np.sort(np.random.default_rng([seed, 4]).permutation(tiles)[:most])
