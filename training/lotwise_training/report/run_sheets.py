"""What was trained, as a table of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lotwise_training.evaluation.predictions import DROPOUT, ENSEMBLE
from lotwise_training.evaluation.tile_sets import SPLITS, TILE_RANDOM_SHORT
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.wording import NONE


def runs_sheet(manifest: Mapping[str, Any]) -> Sheet:
    """What was trained, and the hashes of the weights."""
    runs: Mapping[str, Mapping[str, Any]] = manifest.get("runs", {})
    names = [split for split in SPLITS if split in runs] + sorted(set(runs) - set(SPLITS))
    if runs and TILE_RANDOM_SHORT not in runs:
        names.append(TILE_RANDOM_SHORT)
    rows = []
    for split in names:
        run = runs.get(split, {})
        weights = run.get("weights_sha256", {})
        rows.append(
            (
                split if run else f"{split}: not measured",
                str(weights.get(ENSEMBLE, NONE))[:16],
                str(weights.get(DROPOUT, NONE))[:16],
                *(
                    _count(run, key)
                    for key in ("members", "dropout_passes", "train_tiles", "steps")
                ),
                NONE if run.get("seconds") is None else f"{float(run['seconds']) / 60:,.0f}",
            )
        )
    return Sheet(
        "runs",
        "Training runs",
        (
            "split",
            "weights, ensemble",
            "weights, dropout",
            "members",
            "passes",
            "tiles learned from",
            "steps",
            "minutes",
        ),
        tuple(rows),
        words=3,
        note="Weights: the first 16 digits of their SHA-256. tile-random-short learns from the "
        "tiles of tile-random for as many steps as other splits: compare these with it.",
    )


def _count(run: Mapping[str, Any], key: str) -> str:
    return NONE if run.get(key) is None else f"{int(run[key]):,}"
