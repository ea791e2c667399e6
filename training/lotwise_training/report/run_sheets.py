"""What was trained, as tables of text: the learning curve and the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lotwise_training.outputs import DROPOUT, ENSEMBLE, SINGLE
from lotwise_training.report.sets import SPLITS
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.wording import NONE, number, percent


def learning_sheet(curve: Sequence[Mapping[str, Any]]) -> Sheet:
    """The learning curve in figures."""
    rows = []
    for point in sorted(curve, key=lambda p: float(p["tiles"])):
        cells = [f"{int(point['tiles']):,}", percent(point.get("share"), 0)]
        cells.append(str(point.get("members", NONE)))
        for method in (SINGLE, ENSEMBLE):
            of_method = point.get(method, {})
            cells += [
                percent(of_method.get("accuracy")),
                number(of_method.get("nll")),
                percent(of_method.get("ece")),
            ]
        rows.append(tuple(cells))
    return Sheet(
        "learning",
        "Table 6: learning curve",
        (
            "tiles learned from",
            "share, %",
            "members",
            "single: accuracy, %",
            "NLL, nats",
            "ECE, %",
            "ensemble: accuracy, %",
            "NLL, nats",
            "ECE, %",
        ),
        tuple(rows),
        words=0,
    )


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
