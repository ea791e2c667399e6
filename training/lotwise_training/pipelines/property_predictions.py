"""Predictions of trained regressors and their baselines on tiles that they did not learn from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from lotwise_training.config.schema import RegressorRecipe
from lotwise_training.data.splits import Split
from lotwise_training.data.tiles import Numbers, TileDataset, read_remarks, some_of_each_lot
from lotwise_training.evaluation.baselines import (
    forest_on_scores,
    forest_on_texture,
    mean_predictor,
    texture_features,
)
from lotwise_training.evaluation.property_predictions import (
    FIRST_FOLD,
    LOT_HELD_OUT,
    MEAN,
    NETWORK,
    NEW_LOTS,
    PAIR,
    REGION_BLOCKED,
    SCORES,
    TEXTURE,
    TILE_RANDOM,
    PropertyResult,
    PropertySet,
    RegressorRun,
)
from lotwise_training.inference.predict import load_regressor, predict_property
from lotwise_training.store.checkpoint import weights_sha256
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.property import (
    REGION_BLOCKED as REGION_BLOCKED_NAME,
)
from lotwise_training.training.tasks.property import (
    SECOND,
    SERVED,
    fold_count,
    fold_name,
    lot_values,
    regressor_splits,
    served_name,
)

FOREST_TILES: Final = 60
"""Of each lot, at most: tiles that a texture forest learns from, and test tiles of lots held out.
A forest's time grows with them; what further tiles would change has not been measured."""


def property_sets(
    data: TileDataset,
    new: TileDataset | None,
    recipe: RegressorRecipe,
    runs: Path,
    *,
    measured: Collection[str] | None = None,
) -> dict[str, PropertySet]:
    """Predictions of every set by every method.

    Args:
        data: The lots of the training.
        new: Lots that no network was trained on; None where there are none.
        recipe: Of the run.
        runs: Folder of all runs.
        measured: Names of the lots of `data` to evaluate on; None for all.

    Raises:
        CheckpointError: A network is missing or unfinished.
    """
    counts = np.isin(data.table.lot_ids, data.table.lot_ids if measured is None else [*measured])
    counted = counts[data.lots]
    whole = regressor_splits(data, recipe)
    splits = {
        name: replace(split, test=_kept(split.test, counted), unseen=_kept(split.unseen, counted))
        for name, split in whole.items()
    }
    texture = texture_features(data.images, title="texture of the lots")
    sets = {}
    compared = {TILE_RANDOM: served_name(), REGION_BLOCKED: REGION_BLOCKED_NAME}
    if data.positions is not None:  # by region, as all that lots of a folder learn from
        compared = {REGION_BLOCKED: served_name()}
    for name, network in compared.items():
        split = splits[network]
        predicted = _predicted(data, texture, network, split.train, split.test, runs)
        sets[name] = _set(data, split.test, predicted)
    if SECOND in splits:
        sets[LOT_HELD_OUT] = _held_out(data, texture, splits, fold_count(data, recipe), runs)
        # All lots that neither has seen: more lots make the gain of a second network more certain.
        first = some_of_each_lot(data, whole[SECOND].unseen, FOREST_TILES)
        one, two = (_predict(runs, name, data, first) for name in (fold_name(0), SECOND))
        sets[FIRST_FOLD] = _set(data, first, {NETWORK: one, PAIR: (one + two) / 2.0})
    if new is not None:
        tiles, served = np.arange(len(new)), splits[served_name()]
        known = some_of_each_lot(data, served.train, FOREST_TILES)
        sets[NEW_LOTS] = _set(
            new,
            tiles,
            {
                NETWORK: _predict(runs, served_name(), new, tiles),
                TEXTURE: forest_on_texture(
                    texture[known],
                    lot_values(data)[known],
                    texture_features(new.images, title="texture of the new lots"),
                ),
                SCORES: forest_on_scores(data, served.train, tiles, new),
                MEAN: mean_predictor(data, served.train, tiles),
            },
        )
    return sets


def property_result(
    sets: Mapping[str, PropertySet],
    data: TileDataset,
    recipe: RegressorRecipe,
    runs: Path,
    profile: str,
    *,
    benchmark: int | None,
) -> PropertyResult:
    """Predictions with the run that made them."""
    networks = {}
    for name, split in regressor_splits(data, recipe).items():
        path = checkpoint_path(runs, name)
        state = torch.load(path, map_location="cpu", weights_only=True)
        networks[name] = RegressorRun(
            weights_sha256=weights_sha256(load_regressor(path).state_dict()),
            steps=state["step"],
            seconds=state["seconds"],
            train_tiles=len(split.train),
            train_lots=len(np.unique(data.lots[split.train])),
        )
    return PropertyResult(
        benchmark=benchmark,
        profile=profile,
        data_version=data.version,
        property=data.table.property_name,
        unit=data.table.unit,
        networks=networks,
        remarks=tuple(read_remarks(runs / SERVED)),
        sets=sets,
    )


def _held_out(
    data: TileDataset,
    texture: npt.NDArray[np.float32],
    splits: Mapping[str, Split],
    folds: int,
    runs: Path,
) -> PropertySet:
    """Every lot once, by networks and forests that have not seen its recipe."""
    tiles: list[Numbers] = []
    predicted: dict[str, list[npt.NDArray[Any]]] = {}
    for network in map(fold_name, range(folds)):
        split = splits[network]
        if not len(split.unseen):
            continue
        unseen = some_of_each_lot(data, split.unseen, FOREST_TILES)
        tiles.append(unseen)
        of_fold = _predicted(data, texture, network, split.train, unseen, runs)
        for method, each in of_fold.items():
            predicted.setdefault(method, []).append(each)
    return _set(
        data,
        np.concatenate(tiles),
        {method: np.concatenate(each) for method, each in predicted.items()},
    )


def _predicted(
    data: TileDataset,
    texture: npt.NDArray[np.float32],
    network: str,
    train: Numbers,
    test: Numbers,
    runs: Path,
) -> dict[str, npt.NDArray[Any]]:
    """Predictions of a network, and of baselines that learned from the same tiles."""
    known = some_of_each_lot(data, train, FOREST_TILES)
    predicted: dict[str, npt.NDArray[Any]] = {
        NETWORK: _predict(runs, network, data, test),
        TEXTURE: forest_on_texture(texture[known], lot_values(data)[known], texture[test]),
        MEAN: mean_predictor(data, train, test),
    }
    if data.table.attribute_names:
        predicted[SCORES] = forest_on_scores(data, train, test)
    return predicted


def _predict(runs: Path, name: str, data: TileDataset, tiles: Numbers) -> npt.NDArray[np.float32]:
    return predict_property(load_regressor(checkpoint_path(runs, name)), data.images[tiles])


def _set(data: TileDataset, tiles: Numbers, predicted: dict[str, npt.NDArray[Any]]) -> PropertySet:
    return PropertySet(
        lots=data.lots[tiles].astype(np.int16),
        lot_ids=data.table.lot_ids,
        values=data.table.values,
        predicted={name: each.astype(np.float32) for name, each in predicted.items()},
    )


def _kept(tiles: Numbers, counted: npt.NDArray[np.bool_]) -> Numbers:
    return tiles[counted[tiles]]
