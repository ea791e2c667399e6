"""Measures trained editors on lots that no network was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from lotwise_simulator import ATTRIBUTE_NAMES
from lotwise_simulator.lots import Lot
from lotwise_training.config.schema import EDITOR_KINDS, EditorRecipe
from lotwise_training.evaluation.edit_response import measure_edits, simulate_edits
from lotwise_training.evaluation.edits import SIMULATOR, EditorRun, EditResult, EditSet
from lotwise_training.inference.predict import load_regressor
from lotwise_training.store.checkpoint import weights_sha256
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.editor.runs import editor_name, load_editor
from lotwise_training.training.tasks.attributes import METER, load_attribute_network
from lotwise_training.training.tasks.property import served_name

CURVE_POINTS: Final = 150
"""Of each stored curve: as many as a figure can show."""


def edit_sets(lots: Sequence[Lot], runs: Path, cache: Path) -> dict[str, EditSet]:
    """Changes by every editor, and by the simulator, as the meter reads them.

    Raises:
        CheckpointError: A network is missing or unfinished.
    """
    meter = load_attribute_network(checkpoint_path(runs, METER))
    regressor = load_regressor(checkpoint_path(runs, served_name()))
    tiles, truth = simulate_edits(lots, meter, cache)
    sets = {SIMULATOR: truth}
    for kind in EDITOR_KINDS:
        network = load_editor(checkpoint_path(runs, editor_name(kind)))
        sets[kind] = measure_edits(network, lots, tiles, meter, regressor, title=f"edits by {kind}")
    return sets


def edit_result(
    sets: Mapping[str, EditSet],
    recipe: EditorRecipe,
    runs: Path,
    profile: str,
    unit: str,
    benchmark: int,
) -> EditResult:
    """Measurements with the runs that made the networks."""
    networks: dict[str, EditorRun] = {}
    curves: dict[str, Mapping[str, tuple[tuple[float, float], ...]]] = {}
    for kind in (*EDITOR_KINDS, "meter"):
        path = checkpoint_path(runs, editor_name(kind))
        state = torch.load(path, map_location="cpu", weights_only=True)
        sha256 = weights_sha256(state["network"]) if kind in EDITOR_KINDS else None
        networks[kind] = EditorRun(state["step"], round(state["seconds"]), sha256)
        if kind in EDITOR_KINDS:
            curves[kind] = thin_curves(state["curves"])
    return EditResult(
        benchmark=benchmark,
        profile=profile,
        served=recipe.served,
        attributes=ATTRIBUTE_NAMES,
        unit=unit,
        networks=networks,
        curves=curves,
        sets=sets,
    )


def thin_curves(
    curves: Mapping[str, Sequence[Sequence[float]]],
) -> dict[str, tuple[tuple[float, float], ...]]:
    """At most CURVE_POINTS points of every curve, evenly spaced, with the first and the last."""
    kept = {}
    for name, points in curves.items():
        rows = np.unique(np.linspace(0, len(points) - 1, CURVE_POINTS).round().astype(int))
        kept[name] = tuple((points[row][0], round(points[row][1], 4)) for row in rows)
    return kept
