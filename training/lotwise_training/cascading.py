"""Fits the cascade of an exported committee, and measures it on the benchmark's tiles.

What the whole committee says of them was asked before; a cascade says nothing that is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.calibration.cascade import fit_beside, write_cascade
from lotwise.core.calibration_fit import Fitted, LabelledTiles, tiles_sha256
from lotwise.core.cascade import Scores, committee_scores, look
from lotwise.core.cascade_fit import FittedCascade, cascaded, first_members
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.diagnosis import DIAGNOSIS_FILE
from lotwise.core.lot_diagnosis import LOT_DIAGNOSIS_FILE
from lotwise.core.policy import ReferralPolicy
from lotwise_training.asker import Asker
from lotwise_training.benchmark_data import benchmark_set
from lotwise_training.calibration_tiles import CALIBRATION
from lotwise_training.diagnosing import FittedDiagnosis, fit_diagnosis
from lotwise_training.policy import read_fitted
from lotwise_training.report.diagnosis_tables import balanced_accuracy, kind_figures
from lotwise_training.shift_answers import NEW, SETS, ShiftAnswers, diagnosed_tiles
from lotwise_training.shifts import shifted_tiles
from lotwise_training.stored import OutputsError, manifest_path, read_stored, write_stored
from lotwise_training.workshop import Workshop

FILE: Final = "cascade.npz"
REFERRED: Final = -1
"""The decision that names no lot."""

Decisions = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class CascadeAnswers:
    """What was decided on N tiles of a set.

    Attributes:
        done: bool [N], whether the first members were enough.
        decided, by_all: int16 [N], the named lot where the tile is accepted, else REFERRED; by the
            cascade, and by the whole committee.
    """

    done: npt.NDArray[np.bool_]
    decided: Decisions
    by_all: Decisions


@dataclass(frozen=True, eq=False)
class StoredCascade:
    """All that is stored.

    Attributes:
        sets: By name.
        version: Of the cascade.
        first, members: Members that are asked first, and all.
        kinds_of_tiles, kinds_of_lots: Balanced accuracy of the first members' diagnosis.
        false_alarms: New lots that it calls those of a changed instrument.
    """

    sets: Mapping[str, CascadeAnswers]
    version: str
    first: int
    members: int
    kinds_of_tiles: float
    kinds_of_lots: float
    false_alarms: int


STATED: Final = tuple(StoredCascade.__annotations__)[1:]


def cascade_exported(
    shop: Workshop, asker: Asker, lot_ids: tuple[str, ...], repository: Path, results: Path
) -> FittedCascade:
    """Fit the cascade of a repository's committee, and put down what it decides.

    Args:
        shop: Recipes and rendered tiles.
        asker: Of the exported committee.
        lot_ids: That it knows.
        repository: The model repository; its committee is calibrated.
        results: Folder of stored answers.

    Raises:
        LotwiseError: The repository cannot be used.
        OutputsError: The committee was calibrated on other tiles, or has no cascade.
    """
    folder = repository / "committee"
    fitted = read_fitted(folder)
    known = shop.fresh_tiles(CALIBRATION)
    outputs = asker.served(known.images, "calibration tiles, ensemble")
    used = fitted.calibrated.calibration.calibration_set
    tiles = LabelledTiles(
        outputs=outputs,
        labels=known.lots,
        lot_ids=lot_ids,
        sha256=tiles_sha256(known.images, known.lots, lot_ids),
        date=used.date,
        origin=used.origin,
    )
    if tiles.sha256 != used.sha256:
        raise OutputsError("the committee is calibrated on other tiles; run `lotwise-train judge`")
    found = fit_beside(repository, "committee", tiles, fitted)
    if found is None:
        raise OutputsError(f"there is no cascade for {folder}: it takes committee_first beside it")
    first = repository / found.cascade.first
    write_cascade(found, folder, first)
    diagnosis = _diagnosis(shop, asker, tiles, found)
    diagnosis.diagnosis.write(first / DIAGNOSIS_FILE)
    diagnosis.lots.write(first / LOT_DIAGNOSIS_FILE)
    answers, by_first = {}, {}
    for name in SETS:
        said = asker.served(benchmark_set(name, shop.cache).images, f"{name}, ensemble")
        answers[name] = answered(said, fitted, found)
        by_first[name] = diagnosed_tiles(first_members(said, found.members), found.first, diagnosis)
    kinds = kind_figures(ShiftAnswers(by_first, diagnosis.lots, found.policy))
    (new,) = (each for each in kinds if each.name == NEW)
    stored = StoredCascade(
        answers,
        found.cascade.calibration.calibration_version,
        found.members,
        outputs.logits.shape[1],
        balanced_accuracy(kinds, "by_tile"),
        balanced_accuracy(kinds, "by_lot"),
        new.instrument_alarms,
    )
    write_cascade_answers(results, stored)
    return found


def _diagnosis(
    shop: Workshop, asker: Asker, known: LabelledTiles, found: FittedCascade
) -> FittedDiagnosis:
    """The diagnosis of the first members, as that of the whole committee is fitted."""
    shifted = shifted_tiles(shop.cache)
    said = asker.served(shifted.images, "shifted tiles, ensemble")
    return fit_diagnosis(
        shifted,
        first_members(said, found.members),
        (first_members(known.outputs, found.members), known.labels),
        found.first.calibration.weights_sha256,
    )


def answered(outputs: CommitteeOutputs, fitted: Fitted, found: FittedCascade) -> CascadeAnswers:
    """What is decided on tiles.

    Args:
        outputs: Of the whole committee.
        fitted: Its calibration and policy.
        found: The cascade.
    """
    of_all = committee_scores(fitted.calibrated, outputs)
    said = cascaded(found.cascade, look(found.first, first_members(outputs, found.members)), of_all)
    return CascadeAnswers(
        said.done, _decisions(said.scores, found.policy), _decisions(of_all, fitted.policy)
    )


def _decisions(said: Scores, policy: ReferralPolicy) -> Decisions:
    accepted = said.accepted(policy.max_score, policy.request.min_familiarity)
    return np.where(accepted, said.named, REFERRED).astype(np.int16)


def write_cascade_answers(results: Path, stored: StoredCascade) -> None:
    """Write `cascade.npz` and its manifest."""
    arrays = {
        f"{name}/{key}": getattr(each, key)
        for name, each in stored.sets.items()
        for key in CascadeAnswers.__annotations__
    }
    said: dict[str, Any] = {name: getattr(stored, name) for name in STATED}
    write_stored(results / FILE, arrays, said)


def read_cascade_answers(results: Path) -> StoredCascade | None:
    """What `write_cascade_answers` wrote; None where nothing of it is there.

    Raises:
        OutputsError: What is there is not what its manifest speaks of.
    """
    path = results / FILE
    if not path.exists() and not manifest_path(path).exists():
        return None
    arrays, said = read_stored(path)
    try:
        sets = {
            name: CascadeAnswers(
                **{key: arrays[f"{name}/{key}"] for key in CascadeAnswers.__annotations__}
            )
            for name in SETS
        }
        return StoredCascade(sets, **{name: said[name] for name in STATED})
    except (KeyError, ValueError, TypeError) as error:
        raise OutputsError(f"{path} holds no decisions of a cascade: {error}") from None
