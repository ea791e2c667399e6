"""What trained committees answered, tile by tile, in one file small enough to be committed.

The full run writes it; reports are computed from it, so that a figure can be checked without hours
of training. It is tied by hash to the weights that answered and to the tiles that they were asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.uncertainty import committee_probabilities, mean_member_entropy, softmax
from lotwise_training.data.tiles import Numbers
from lotwise_training.store.arrays import read_stored, write_stored

SINGLE: Final = "single"
DROPOUT: Final = "dropout"
ENSEMBLE: Final = "ensemble"
METHODS: Final = (SINGLE, DROPOUT, ENSEMBLE)
"""Softmax of one network; MC dropout; deep ensemble."""
TEST: Final = "test"
"""The set of every split on which the split's networks are measured."""
UNSEEN: Final = "unseen"
"""The set of lots that a split keeps away from its networks."""
LEAST_LOG_PROBABILITY: Final = -1e4
"""Stands for everything less likely: float16 ends at 65,504."""

FILE: Final = "outputs.npz"


@dataclass(frozen=True, eq=False)
class Answers:
    """What one method says of N tiles.

    Attributes:
        log_probabilities: float16 [N, K], of the averaged answer, natural.
        member_entropy: float32 [N], mean entropy of the members' own answers in nats; for a single
            network the entropy of its answer.
    """

    log_probabilities: npt.NDArray[np.float16]
    member_entropy: npt.NDArray[np.float32]

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """float64 [N, K], each row summing to 1."""
        return softmax(self.log_probabilities)


@dataclass(frozen=True, eq=False)
class SetPredictions:
    """One set of tiles and what each method says of it.

    Attributes:
        tiles: int32 [N], number of each tile in its dataset.
        labels: int16 [N], its lot, or -1 where it belongs to none that the networks know.
        answers: By the name of the method.
        familiarity: float32 [N], p-values among known tiles by the committee's calibration; None
            where it was not asked.
    """

    tiles: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int16]
    answers: Mapping[str, Answers]
    familiarity: npt.NDArray[np.float32] | None = None


Predictions = dict[tuple[str, str], SetPredictions]
"""Sets by (split that the networks were trained on, name of the set)."""


def pool_logits(logits: npt.ArrayLike) -> Answers:
    """Pool logits.

    Args:
        logits: float [N, T, K], of T members, or of T passes of one network with dropout.
    """
    members = softmax(logits)
    with np.errstate(divide="ignore"):
        pooled = np.log(committee_probabilities(members))
    return Answers(
        np.maximum(pooled, LEAST_LOG_PROBABILITY).astype(np.float16),
        mean_member_entropy(members).astype(np.float32),
    )


def set_predictions(
    tiles: Numbers,
    labels: Numbers,
    logits: Mapping[str, npt.ArrayLike],
    familiarity: npt.NDArray[np.float64] | None = None,
) -> SetPredictions:
    """Predictions of one set.

    Args:
        tiles: int [N].
        labels: int [N].
        logits: By the name of the method, float [N, T, K].
        familiarity: float64 [N]; None where it was not asked.
    """
    return SetPredictions(
        tiles.astype(np.int32),
        labels.astype(np.int16),
        {method: pool_logits(values) for method, values in logits.items()},
        None if familiarity is None else familiarity.astype(np.float32),
    )


def write_predictions(folder: Path, outputs: Predictions, manifest: Mapping[str, Any]) -> None:
    """Write `outputs.npz` and `manifest.json`, which names the former's hash.

    Args:
        folder: Made where it is missing.
        outputs: What was answered.
        manifest: What else is known of the run: hashes of weights and tiles, recipe, times.

    Raises:
        ResultsError: More than 8 MB; store fewer tiles.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for (split, name), each in outputs.items():
        arrays[f"{split}/{name}/tiles"] = each.tiles
        arrays[f"{split}/{name}/labels"] = each.labels
        if each.familiarity is not None:
            arrays[f"{split}/{name}/familiarity"] = each.familiarity
        for method, answers in each.answers.items():
            arrays[f"{split}/{name}/{method}/log_probabilities"] = answers.log_probabilities
            arrays[f"{split}/{name}/{method}/member_entropy"] = answers.member_entropy
    write_stored(folder / FILE, arrays, manifest)


def read_predictions(folder: Path) -> tuple[Predictions, dict[str, Any]]:
    """Predictions and manifest, as `write_predictions` wrote them.

    Raises:
        ResultsError: A file is missing or unreadable, or the outputs are not the manifest's.
    """
    arrays, manifest = read_stored(folder / FILE)
    outputs: Predictions = {}
    keys = {tuple(key.split("/")[:2]) for key in arrays}
    for split, name in sorted(keys):
        outputs[split, name] = SetPredictions(
            arrays[f"{split}/{name}/tiles"],
            arrays[f"{split}/{name}/labels"],
            {
                method: Answers(
                    arrays[f"{split}/{name}/{method}/log_probabilities"],
                    arrays[f"{split}/{name}/{method}/member_entropy"],
                )
                for method in METHODS
                if f"{split}/{name}/{method}/member_entropy" in arrays
            },
            arrays.get(f"{split}/{name}/familiarity"),
        )
    return outputs, manifest
