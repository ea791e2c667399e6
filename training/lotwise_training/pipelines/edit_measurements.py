"""Measures trained editors on lots that nothing learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from lotwise_simulator import ATTRIBUTE_NAMES
from lotwise_simulator.lots import Lot
from lotwise_training.config.schema import EDITOR_KINDS, EditorRecipe
from lotwise_training.evaluation.edit_records import SIMULATOR, EditSet
from lotwise_training.evaluation.edit_response import measured_edits, simulated_edits
from lotwise_training.inference.predict import load_regressor
from lotwise_training.store.checkpoint import weights_sha256
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.editor.runs import editor_name, load_editor
from lotwise_training.training.tasks.attribute_meter import NAME as METER
from lotwise_training.training.tasks.attributes import load_attribute_network
from lotwise_training.training.tasks.property import served_name

CURVE_POINTS: Final = 150
"""Of each stored curve: as many as a figure can show."""


def edit_sets(lots: Sequence[Lot], runs: Path, cache: Path) -> dict[str, EditSet]:
    """What every editor changes, and what the meter says of the same changes when they are real.

    Args:
        lots: Simulated lots that nothing learned from.
        runs: Folder of all runs.
        cache: Folder of rendered data.

    Raises:
        CheckpointError: A network is missing or unfinished.
    """
    meter = load_attribute_network(checkpoint_path(runs, METER))
    regressor = load_regressor(checkpoint_path(runs, served_name()))
    tiles, truth = simulated_edits(lots, meter, cache)
    sets = {SIMULATOR: truth}
    for kind in EDITOR_KINDS:
        network = load_editor(checkpoint_path(runs, editor_name(kind)))
        sets[kind] = measured_edits(
            network, lots, tiles, meter, regressor, title=f"edits by {kind}"
        )
    return sets


def edit_manifest(
    recipe: EditorRecipe, runs: Path, profile: str, unit: str, benchmark: int
) -> dict[str, Any]:
    """What is known of the runs beside their measurements, in JSON's types.

    Args:
        recipe: Of the editors.
        runs: Folder of all runs.
        profile: Name of the recipes' folder.
        unit: Of the property.
        benchmark: Version of the benchmark that the lots are from.
    """
    networks: dict[str, dict[str, Any]] = {}
    curves = {}
    for kind in (*EDITOR_KINDS, "meter"):
        path = checkpoint_path(runs, editor_name(kind))
        state = torch.load(path, map_location="cpu", weights_only=True)
        networks[kind] = {"steps": state["step"], "seconds": round(state["seconds"])}
        if kind in EDITOR_KINDS:
            networks[kind]["weights_sha256"] = weights_sha256(state["network"])
            curves[kind] = thinned(state["curves"])
    return {
        "benchmark": benchmark,
        "profile": profile,
        "served": recipe.served,
        "attributes": list(ATTRIBUTE_NAMES),
        "unit": unit,
        "networks": networks,
        "curves": curves,
    }


def thinned(curves: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, list[list[float]]]:
    """Some of the points of every curve, evenly, the last among them."""
    kept = {}
    for name, points in curves.items():
        rows = np.unique(np.linspace(0, len(points) - 1, CURVE_POINTS).round().astype(int))
        kept[name] = [[points[row][0], round(points[row][1], 4)] for row in rows]
    return kept
