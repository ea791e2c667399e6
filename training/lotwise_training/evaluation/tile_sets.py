"""Sets of predicted tiles: their order, their names, and where their tiles come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from lotwise_training.data.tiles import Numbers
from lotwise_training.evaluation.predictions import (
    DROPOUT,
    ENSEMBLE,
    SINGLE,
    TEST,
    UNSEEN,
    Predictions,
    SetPredictions,
)
from lotwise_training.store.arrays import ResultsError

TILE_RANDOM: Final = "tile-random"
REGION_BLOCKED: Final = "region-blocked"
LOT_HELD_OUT: Final = "lot-held-out"
TILE_RANDOM_SHORT: Final = "tile-random-short"
SPLITS: Final = (TILE_RANDOM, TILE_RANDOM_SHORT, REGION_BLOCKED, LOT_HELD_OUT)
"""As published first, then at the length of the others; then the two that keep overlapping
neighbours apart."""
NEW_REGIONS: Final = "new_regions"

SET_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        TEST: "test tiles",
        NEW_REGIONS: "known lots, new regions",
        "filament_soft": "new filament, soft beam",
        "filament_dim": "new filament, dim",
        "filament_bright": "new filament, bright",
        "ground": "ground powder",
        "between": "lots between known ones",
        "unrelated": "unrelated pictures",
        "new": "new lots",
        UNSEEN: "lots held out",
    }
)
"""What the sets hold, in the order in which they are shown."""
METHOD_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        SINGLE: "single network",
        DROPOUT: "MC dropout",
        ENSEMBLE: "deep ensemble",
        "simulator": "simulator (truth)",
        "difference": "difference editor",
        "attgan": "AttGAN",
        "cut of risk": "risk reduction",
    }
)
"""What predicts, edits, or chooses the next lot."""

Places = Callable[[str], tuple[Numbers, Numbers, Numbers]]
"""From the name of a dataset: lot, scene, and place in the scene of each tile, int64 [N] each."""


def in_order(outputs: Predictions) -> list[tuple[str, str]]:
    """(split, set) as they are shown: known ones in their order, others after them by name."""
    splits, names = list(SPLITS), list(SET_WORDS)

    def rank(known: list[str], name: str) -> tuple[int, str]:
        return (known.index(name) if name in known else len(known), name)

    return sorted(outputs, key=lambda key: (rank(splits, key[0]), rank(names, key[1])))


def splits_of(outputs: Predictions) -> list[str]:
    """Splits whose networks were measured on their test tiles, in order."""
    return [split for split, name in in_order(outputs) if name == TEST]


def words(name: object) -> str:
    """A set, a method or an editor in words; anything else as it is."""
    return {**SET_WORDS, **METHOD_WORDS}.get(str(name), str(name))


def dataset_of(name: str) -> str:
    """The benchmark's set whose tiles a set's numbers count: "reference" for those of splits."""
    return "reference" if name in (TEST, UNSEEN) else name


def is_labelled(predicted: SetPredictions) -> bool:
    """Whether every tile belongs to a lot that the networks know."""
    return bool((predicted.labels >= 0).all())


def regions_of(predicted: SetPredictions, name: str, places: Places | None) -> Numbers | None:
    """Region (scene) of every tile, int64 [N]; None where places are not known.

    Raises:
        ResultsError: A tile is none of the benchmark's.
    """
    if places is None:
        return None
    lots, scenes, _ = places(dataset_of(name))
    if predicted.tiles.min() < 0 or predicted.tiles.max() >= len(lots):
        raise ResultsError(f"{name}: there are tiles that the benchmark does not have")
    return (lots * (int(scenes.max()) + 1) + scenes)[predicted.tiles]


def lot_names(manifest: Mapping[str, Any], split: str, n_lots: int) -> tuple[str, ...]:
    """Names of the lots that a split's networks know, in the order of the predictions.

    Raises:
        ResultsError: The manifest names another number of lots.
    """
    run = manifest.get("runs", {}).get(split, {})
    names = run.get("lot_ids") or manifest.get("lot_ids")
    if names is None:
        return tuple(str(number + 1) for number in range(n_lots))
    if len(names) != n_lots:
        raise ResultsError(
            f"{split}: the predictions know {n_lots} lots, the manifest names {len(names)}"
        )
    return tuple(str(name) for name in names)


def recipe_numbers(manifest: Mapping[str, Any], names: Iterable[str]) -> Numbers | None:
    """Recipe of each of these lots as a number, int64 [K]; None where a recipe is not known."""
    known = dict(zip(manifest.get("lot_ids", []), manifest.get("recipes", []), strict=False))
    chosen = [known.get(name) for name in names]
    if None in chosen:
        return None
    return np.unique([str(recipe) for recipe in chosen], return_inverse=True)[1].astype(np.int64)


def check_outputs(outputs: Predictions) -> None:
    """Refuse predictions from which nothing can be computed.

    Raises:
        ResultsError: No test tiles, arrays of other lengths, or values that are no numbers.
    """
    if not splits_of(outputs):
        raise ResultsError("the outputs hold no set named 'test'")
    for (split, name), predicted in outputs.items():
        where = f"{split}/{name}"
        n = len(predicted.tiles)
        if n == 0 or len(predicted.labels) != n or not predicted.predictions:
            raise ResultsError(f"{where} holds no tiles, or not a label and a prediction for each")
        for method, predictions in predicted.predictions.items():
            shape = predictions.log_probabilities.shape
            if len(shape) != 2 or shape[0] != n or predictions.member_entropy.shape != (n,):
                raise ResultsError(f"{where}: {method} does not predict {n} tiles")
            if not np.isfinite(predictions.log_probabilities).all():
                raise ResultsError(f"{where}: {method} has predictions that are no numbers")
            if not np.isfinite(predictions.member_entropy).all():
                raise ResultsError(f"{where}: {method} has entropies that are no numbers")
            if is_labelled(predicted) and predicted.labels.max() >= shape[1]:
                raise ResultsError(f"{where}: a label names none of the {shape[1]} lots")
