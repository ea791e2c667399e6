"""Committees that nobody trained: outputs whose truth is known."""

from datetime import UTC, datetime

import numpy as np

from lotwise.core.calibration_fit import LabelledTiles
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.policy import PolicyRequest

LOTS = ("A", "B", "C", "D")
MEMBERS = 3
FEATURES, EARLY = 12, 6
WEIGHTS = "a" * 64
DATE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COVERAGE = PolicyRequest(
    kind="coverage", target=0.8, min_familiarity=0.05, max_referred_share=0.4, confidence=0.95
)


def known_tiles(n, seed, *, sharpness=1.0, shift=0.0, lots=4):
    """Outputs and labels of n tiles; `sharpness` 1 is nearly calibrated, `shift` moves `early`."""
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(99)
    labels = rng.permutation(np.arange(n) % lots)
    places = fixed.normal(0, 3, (MEMBERS, lots, FEATURES))
    early_places = fixed.normal(0, 1, (MEMBERS, lots, EARLY))
    features = places[:, labels].transpose(1, 0, 2) + rng.normal(size=(n, MEMBERS, FEATURES))
    early = early_places[:, labels].transpose(1, 0, 2) + rng.normal(size=(n, MEMBERS, EARLY))
    # The truth is drawn from what the members agree on, so a softmax of it is calibrated.
    evidence = rng.normal(0, 2, (n, lots))
    probability = np.exp(evidence) / np.exp(evidence).sum(axis=1, keepdims=True)
    drawn = (probability.cumsum(axis=1) > rng.random(n)[:, None]).argmax(axis=1)
    # Columns are exchanged so that the drawn lot is the label.
    for row in range(n):
        a, b = drawn[row], labels[row]
        evidence[row, [a, b]] = evidence[row, [b, a]]
    logits = sharpness * evidence[:, None] + rng.normal(0, 0.05, (n, MEMBERS, lots))
    blocks = {"features": features, "early": early + shift}
    return CommitteeOutputs(logits, blocks), labels.astype(np.int64)


def labelled(n=2000, seed=0, **options):
    outputs, labels = known_tiles(n, seed, **options)
    return LabelledTiles(outputs, labels, LOTS, "b" * 64, DATE, "laboratory")
