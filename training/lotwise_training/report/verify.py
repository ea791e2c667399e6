"""Renders some tiles again and compares predictions of the served committee with stored ones.

Stored figures need hours to be made; this takes minutes and fails where the models that are served,
the benchmark or the stored predictions are not those of one run. It covers what is served: the
ensemble of the tile-random split, and its first member as the single network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.signature import ModelMetadata
from lotwise.core.uncertainty import committee_probabilities, mean_member_entropy, softmax
from lotwise_training.data.tiles import Images, Numbers
from lotwise_training.evaluation.predictions import (
    ENSEMBLE,
    SINGLE,
    TEST,
    Predictions,
    SetPredictions,
)
from lotwise_training.evaluation.tile_sets import (
    TILE_RANDOM,
    Places,
    dataset_of,
    in_order,
    is_labelled,
)
from lotwise_training.report.served_models import Committee, RecheckFailed

N_TILES: Final = 1500
TEST_SHARE: Final = 4 / 15
"""Of the tiles: test tiles lie ten to a scene, so they cost ten times as much to render."""
UNRELATED_SHARE: Final = 1 / 15
_UNRELATED: Final = "unrelated"

ABSOLUTE: Final = 5e-3
RELATIVE: Final = 2e-3
"""Stored and new log-probabilities may differ by ABSOLUTE nats + RELATIVE of the stored one. Half
precision rounds by 5e-4 of the value; the rest is two engines' arithmetic in single precision."""
LEAST_COMPARED: Final = -20.0
"""Log-probabilities below, in nats, count as equal: 2e-9 is never, and rounding grows there."""

Choice = tuple[str, str, Numbers]
"""Split, set, and rows of its stored outputs, int64 and rising."""
Render = Callable[[str, Numbers], Images]
"""From a dataset's name and numbers of tiles to uint8 [n, 64, 64]."""
Track = Callable[[Sequence[slice], str], Iterable[slice]]
"""Goes through batches and shows, under a title, how far it is."""


@dataclass(frozen=True)
class Rechecked:
    """What was compared, and how closely it agreed.

    Attributes:
        seed: Of the choice.
        tiles: How many tiles were rendered again, by set.
        weights_sha256: Of the served committee.
        largest_difference: Between stored and new log-probabilities, in nats.
        largest_at: Where it was: split, set, tile.
        accuracy: Ensemble's, on the labelled ones of these tiles, 0 to 1; None without any.
        stored_accuracy: The same from the stored predictions.
    """

    seed: int
    tiles: Mapping[str, int]
    weights_sha256: str
    largest_difference: float
    largest_at: str
    accuracy: float | None
    stored_accuracy: float | None

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types, with the tolerance that was allowed."""
        return {
            **asdict(self),
            "tiles": dict(self.tiles),
            "tiles_in_all": sum(self.tiles.values()),
            "tolerance": {"absolute_nats": ABSOLUTE, "relative": RELATIVE},
        }


def choose(outputs: Predictions, seed: int, places: Places, n_tiles: int = N_TILES) -> list[Choice]:
    """Choose predictions to check: whole groups of one scene, so that few are rendered.

    Some test tiles and pictures of no powder first, then the other sets a scene each in turn.

    Args:
        outputs: What is stored.
        seed: Of the draw.
        places: Where tiles come from.
        n_tiles: About how many; never more, but for the first group.
    """
    rng = np.random.default_rng(seed)
    groups: dict[str, list[Numbers]] = {}
    for split, name in in_order(outputs):
        if split == TILE_RANDOM:
            scenes = _scenes(outputs[split, name], places(dataset_of(name)))
            groups[name] = [scenes[number] for number in rng.permutation(len(scenes))]
    first: list[tuple[str, Numbers]] = []
    rest: list[tuple[str, Numbers]] = []
    for name, share in ((TEST, TEST_SHARE), (_UNRELATED, UNRELATED_SHARE)):
        of_set = [(name, rows) for rows in groups.pop(name, [])]
        within = np.cumsum([len(rows) for _, rows in of_set]) <= share * n_tiles
        # One at least, however large it is.
        cut = max(1, int(within.sum()))
        first += of_set[:cut]
        rest += of_set[cut:]
    in_turn = [
        (name, rows)
        for turn in zip_longest(*groups.values())
        for name, rows in zip(groups, turn, strict=True)
        if rows is not None
    ]
    taken: dict[str, list[Numbers]] = {}
    total = 0
    for name, rows in (*first, *in_turn, *rest):
        if total == 0 or total + len(rows) <= n_tiles:
            taken.setdefault(name, []).append(rows)
            total += len(rows)
    return [(TILE_RANDOM, name, np.sort(np.concatenate(rows))) for name, rows in taken.items()]


def recheck(
    outputs: Predictions,
    manifest: Mapping[str, Any],
    committee: Committee,
    places: Places,
    render: Render,
    data_version: str,
    *,
    seed: int = 0,
    n_tiles: int = N_TILES,
    track: Track | None = None,
) -> Rechecked:
    """Predict some tiles again and compare.

    Raises:
        RecheckFailed: Weights, lots, benchmark, labels or predictions differ.
    """
    weights = _check_identity(manifest, committee.metadata, data_version)
    chosen = choose(outputs, seed, places, n_tiles)
    if not chosen:
        raise RecheckFailed(f"no predictions of the {TILE_RANDOM} split are stored")
    worst, worst_at = 0.0, ""
    right = stored_right = labelled = near_ties = 0
    for split, name, rows in chosen:
        stored = outputs[split, name]
        _check_labels(stored, name, rows, places(dataset_of(name))[0])
        images = render(dataset_of(name), stored.tiles[rows].astype(np.int64))
        logits = _ask(committee, images, f"predict {name}", track)
        difference, row = _compare(stored, rows, logits, f"{split}/{name}")
        if difference >= worst:
            worst, worst_at = difference, f"{split}/{name} tile {stored.tiles[row]}"
        if is_labelled(stored):
            kept = stored.predictions[ENSEMBLE].log_probabilities[rows].astype(np.float64)
            truth = stored.labels[rows]
            guessed = committee_probabilities(softmax(logits)).argmax(axis=1)
            right += int((guessed == truth).sum())
            stored_right += int((kept.argmax(axis=1) == truth).sum())
            labelled += len(rows)
            first, second = np.sort(kept, axis=1)[:, -1], np.sort(kept, axis=1)[:, -2]
            near_ties += int((first - second <= 2 * _allowed(second)).sum())
    # Within the tolerance only near ties can change.
    if abs(right - stored_right) > near_ties:
        raise RecheckFailed(
            f"{right} of {labelled} tiles are identified correctly, by the stored predictions "
            f"{stored_right}"
        )
    return Rechecked(
        seed=seed,
        tiles={f"{split}/{name}": len(rows) for split, name, rows in chosen},
        weights_sha256=weights,
        largest_difference=worst,
        largest_at=worst_at,
        accuracy=right / labelled if labelled else None,
        stored_accuracy=stored_right / labelled if labelled else None,
    )


def _check_identity(manifest: Mapping[str, Any], served: ModelMetadata, data_version: str) -> str:
    stated = manifest.get("data_version")
    if stated != data_version:
        raise RecheckFailed(
            f"the predictions are of benchmark data {stated}, the benchmark here is {data_version}"
        )
    run = manifest.get("runs", {}).get(TILE_RANDOM, {})
    weights = run.get("weights_sha256", {}).get(ENSEMBLE)
    if weights != served.weights_sha256:
        raise RecheckFailed(
            f"the predictions are of the weights {weights}, the served committee has "
            f"{served.weights_sha256}"
        )
    lots = list(run.get("lot_ids") or manifest.get("lot_ids", []))
    served_lots = [lot.lot_id for lot in served.reference_lots]
    if lots and lots != served_lots:
        raise RecheckFailed(
            f"the predictions are of the lots {', '.join(map(str, lots))}, the served committee "
            f"knows {', '.join(served_lots)}"
        )
    return str(weights)


def _check_labels(stored: SetPredictions, name: str, rows: Numbers, lots: Numbers) -> None:
    """Sets of the reference lots are labelled by lot; all others have no label."""
    true = lots[stored.tiles[rows]] if is_labelled(stored) else np.full(len(rows), -1)
    wrong = np.flatnonzero(stored.labels[rows] != true)
    if len(wrong):
        row = rows[wrong[0]]
        raise RecheckFailed(
            f"{TILE_RANDOM}/{name} tile {stored.tiles[row]}: stored label {stored.labels[row]}, "
            f"the benchmark's lot is {true[wrong[0]]}"
        )


def _ask(
    committee: Committee, images: Images, title: str, track: Track | None
) -> npt.NDArray[np.float32]:
    batches = [slice(start, start + 16) for start in range(0, len(images), 16)]
    shown = batches if track is None else track(batches, title)
    return np.concatenate([committee.logits(images[batch]) for batch in shown])


def _compare(
    stored: SetPredictions, rows: Numbers, logits: npt.NDArray[np.float32], where: str
) -> tuple[float, int]:
    """Largest difference in nats, and the row that it is in."""
    worst, worst_row = 0.0, int(rows[0])
    for method, of_method in ((ENSEMBLE, logits), (SINGLE, logits[:, :1])):
        if method not in stored.predictions:
            continue
        kept = stored.predictions[method]
        members = softmax(of_method)
        if kept.log_probabilities.shape[1] != members.shape[2]:
            raise RecheckFailed(
                f"{where}: {method} has {kept.log_probabilities.shape[1]} lots stored, "
                f"{members.shape[2]} now"
            )
        # As `pool_logits` pools them, before it rounds.
        pooled = np.log(np.maximum(committee_probabilities(members), 1e-300))
        pairs = (
            ("log-probability", kept.log_probabilities[rows], pooled),
            (
                "member entropy",
                kept.member_entropy[rows, None],
                mean_member_entropy(members)[:, None],
            ),
        )
        for what, old, again in pairs:
            before = np.maximum(old.astype(np.float64), LEAST_COMPARED)
            after = np.maximum(again, LEAST_COMPARED)
            difference = np.abs(before - after)
            # Not "over": a value that is no number does not agree either.
            if not (difference <= _allowed(before)).all():
                row, lot = np.argwhere(~(difference <= _allowed(before)))[0]
                of_lot = f" of lot {lot}" if old.shape[1] > 1 else ""
                raise RecheckFailed(
                    f"{where} tile {stored.tiles[rows[row]]}: {what}{of_lot} by {method} is stored "
                    f"as {old[row, lot]:.4f} nats, predicted again it is {again[row, lot]:.4f}"
                )
            if difference.max() >= worst:
                worst = float(difference.max())
                worst_row = int(rows[int(difference.max(axis=1).argmax())])
    return worst, worst_row


def _allowed(stored: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far a new value may be from a stored one, in nats."""
    return np.asarray(ABSOLUTE + RELATIVE * np.abs(stored))


def _scenes(stored: SetPredictions, places: tuple[Numbers, Numbers, Numbers]) -> list[Numbers]:
    """Rows by lot and scene, int64 each."""
    lots, scenes, _ = places
    outside = np.flatnonzero((stored.tiles < 0) | (stored.tiles >= len(lots)))
    if len(outside):
        raise RecheckFailed(f"there is no tile {stored.tiles[outside[0]]} in the benchmark")
    group = (lots * (int(scenes.max()) + 1) + scenes)[stored.tiles]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order])) + 1
    return [np.asarray(rows, dtype=np.int64) for rows in np.split(order, starts)]
