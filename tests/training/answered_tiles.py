"""Stored answers that nobody trained for, for tests of the report."""

from dataclasses import replace

import numpy as np

from lotwise_training.evaluation.predictions import EnsembleResult, EnsembleRun, set_predictions

LOTS = ["R1", "R2", "R3", "R4"]
MANIFEST = {
    "benchmark": 1,
    "profile": "cpu",
    "data_version": "d" * 64,
    "lot_ids": LOTS,
    "recipes": ["1", "1", "2", "2"],
    "remarks": [],
    "runs": {
        split: {
            "members": 3,
            "dropout_passes": 5,
            "weights_sha256": {"ensemble": "e" * 64, "dropout": "f" * 64},
            "steps": 100,
            "train_tiles": 800,
            "seconds": 90.0,
            "lot_ids": LOTS if split != "lot-held-out" else LOTS[:2],
        }
        for split in ("tile-random", "region-blocked", "lot-held-out")
    },
    "arrays_sha256": "a" * 64,
}


def ensemble_result(sets, manifest=MANIFEST, **changes):
    """A result to write, whose runs may be known but in part."""
    known = {**MANIFEST, **manifest, **changes}
    runs = {
        name: EnsembleRun(**{**MANIFEST["runs"]["tile-random"], **run})
        for name, run in known.pop("runs").items()
    }
    runs = {name: replace(run, lot_ids=tuple(run.lot_ids)) for name, run in runs.items()}
    names = {name: tuple(known.pop(name)) for name in ("lot_ids", "recipes")}
    return EnsembleResult(**known, **names, runs=runs, sets=sets)


def one(*rows):
    """Logits [N, 1, K] whose softmax are these rows."""
    return np.log(np.array(rows, dtype=float))[:, None, :]


def asked(labels, seed, *, sharp=3.0, n_lots=4, dropout=True, first=0):
    """A set that three members answered well enough."""
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels)
    truth = np.eye(n_lots)[np.maximum(labels, 0)] * (labels >= 0)[:, None]
    logits = sharp * truth[:, None] + rng.normal(size=(len(labels), 3, n_lots))
    answers = {"single": logits[:, :1], "ensemble": logits}
    if dropout:
        answers["dropout"] = logits[:, :1] + rng.normal(size=(len(labels), 5, n_lots))
    return set_predictions(np.arange(first, first + len(labels)), labels, answers)


def every_set():
    """Predictions of all splits and of some shifted sets."""
    known = np.arange(120) % 4
    unknown = np.full(60, -1)
    return {
        ("tile-random", "test"): asked(known, 1),
        ("tile-random", "new_regions"): asked(known, 2, dropout=False),
        ("tile-random", "filament_dim"): asked(known, 3, sharp=1.5, dropout=False),
        ("tile-random", "unrelated"): asked(unknown, 4, dropout=False),
        ("region-blocked", "test"): asked(known, 5),
        ("lot-held-out", "test"): asked(known % 2, 6, n_lots=2),
        ("lot-held-out", "unseen"): asked(unknown, 7, n_lots=2),
    }
