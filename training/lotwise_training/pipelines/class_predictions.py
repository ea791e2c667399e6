"""Predictions of trained networks on the tiles that evaluate them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lotwise_simulator.benchmark import VERSION
from lotwise_simulator.benchmark_files import frozen
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.data.benchmark import SHIFTED, SHIFTED_LABELLED, benchmark_set
from lotwise_training.data.splits import UNKNOWN, Split, classes, labels
from lotwise_training.data.tiles import Numbers, TileDataset, read_remarks
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.evaluation.predictions import (
    DROPOUT,
    ENSEMBLE,
    SINGLE,
    TEST,
    UNSEEN,
    EnsembleResult,
    EnsembleRun,
    Predictions,
    set_predictions,
)
from lotwise_training.inference.predict import load_members, load_network
from lotwise_training.store.checkpoint import load_checkpoint
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.ensemble import (
    DROPOUT_NAME,
    SERVED,
    committee_variants,
    variant_folder,
)


def split_predictions(
    data: TileDataset, name: str, split: Split, predictor: PredictionCache
) -> Predictions:
    """Predictions of a split's test tiles and unseen lots by all methods."""
    recipe = predictor.recipe
    known = classes(split, data)
    most = None if name == recipe.split else recipe.comparison.test_tiles
    folder = variant_folder(name, recipe)
    predictions: Predictions = {}
    for set_name, tiles in ((TEST, split.test), (UNSEEN, split.unseen)):
        chosen = _sample(tiles, most, recipe.network.seed)
        if not len(chosen):
            continue
        title = f"{name}, {set_name}"
        familiarity = None
        if folder == SERVED:
            outputs = predictor.predict(data.images[chosen], f"{title}, ensemble")
            members, familiarity = outputs.logits, predictor.familiarity(outputs)
        else:
            members = predictor.predict_members(folder, data.images[chosen], title)
        predictions[name, set_name] = set_predictions(
            chosen,
            labels(data.lots[chosen], known),
            {
                SINGLE: members[:, :1],
                DROPOUT: predictor.predict_dropout(folder, data.images[chosen], title),
                ENSEMBLE: members,
            },
            familiarity,
        )
    return predictions


def shifted_predictions(cache: Path, predictor: PredictionCache) -> Predictions:
    """Predictions of benchmark v1's shifted sets by the served ensemble.

    Nothing is fitted on them: they only evaluate.
    """
    predictions: Predictions = {}
    recipe = predictor.recipe
    for name in SHIFTED:
        shifted = benchmark_set(name, cache)
        # The same numbers in sets of equal size: a filament is compared with the nominal one.
        chosen = _sample(np.arange(len(shifted)), recipe.comparison.test_tiles, recipe.network.seed)
        known = name in SHIFTED_LABELLED
        truth = shifted.lots[chosen] if known else np.full(len(chosen), UNKNOWN)
        outputs = predictor.predict(shifted.images[chosen], f"{name}, ensemble")
        members = outputs.logits
        predictions[recipe.split, name] = set_predictions(
            chosen,
            truth,
            {SINGLE: members[:, :1], ENSEMBLE: members},
            predictor.familiarity(outputs),
        )
    return predictions


def ensemble_result(
    sets: Predictions,
    data: TileDataset,
    predictor: PredictionCache,
    profile: str,
    *,
    benchmark: bool,
) -> EnsembleResult:
    """Predictions with the run that made them.

    Args:
        sets: The predictions.
        data: The lots.
        predictor: Of the networks.
        profile: Name of the recipes' folder.
        benchmark: Whether the lots are benchmark v1's; otherwise they are a laboratory's own.
    """
    variants, _ = committee_variants(data, predictor.recipe)
    return EnsembleResult(
        benchmark=VERSION if benchmark else None,
        profile=profile,
        data_version=frozen()[1] if benchmark else data.version,
        lot_ids=data.table.lot_ids,
        recipes=data.table.recipes,
        runs={name: _run(name, split, predictor) for name, split in variants.items()},
        remarks=tuple(read_remarks(predictor.runs / SERVED)),
        sets=sets,
    )


def _run(name: str, split: Split, predictor: PredictionCache) -> EnsembleRun:
    recipe = predictor.recipe
    folder = predictor.runs / variant_folder(name, recipe)
    members, lot_ids = load_members(folder)
    network, _ = load_network(checkpoint_path(folder, DROPOUT_NAME))
    states = [
        load_checkpoint(checkpoint_path(folder, f"member_{n:02d}")) for n in range(len(members))
    ]
    taken = [state for state in states if state is not None]
    return EnsembleRun(
        members=len(members),
        dropout_passes=recipe.dropout_passes,
        weights_sha256={
            ENSEMBLE: committee_sha256(members),
            DROPOUT: committee_sha256([network]),
        },
        steps=min(state["step"] for state in taken),
        train_tiles=len(split.train),
        seconds=sum(state["seconds"] for state in taken),
        lot_ids=lot_ids,
    )


def _sample(tiles: Numbers, most: int | None, seed: int) -> Numbers:
    """At most `most` tiles, drawn by seed, in ascending order."""
    if most is None or len(tiles) <= most:
        return tiles
    return np.sort(np.random.default_rng([seed, 4]).permutation(tiles)[:most])
