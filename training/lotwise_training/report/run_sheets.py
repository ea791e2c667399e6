"""What was trained, as a table of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lotwise_training.evaluation.predictions import DROPOUT, ENSEMBLE
from lotwise_training.evaluation.tile_sets import SPLITS
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.wording import NONE


def runs_sheet(manifest: Mapping[str, Any]) -> Sheet:
    """What was trained, and the hashes of the weights."""
    runs: Mapping[str, Mapping[str, Any]] = manifest.get("runs", {})
    names = [split for split in SPLITS if split in runs] + sorted(set(runs) - set(SPLITS))
    rows = []
    for split in names:
        run = runs[split]
        weights = run.get("weights_sha256", {})
        rows.append(
            (
                split,
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
        note="Weights: the first 16 digits of their SHA-256.",
    )


def _count(run: Mapping[str, Any], key: str) -> str:
    return NONE if run.get(key) is None else f"{int(run[key]):,}"
