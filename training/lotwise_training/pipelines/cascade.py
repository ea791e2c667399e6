"""Fits the cascade of an exported committee, and measures it on the benchmark's tiles.

What the whole committee says of them was asked before; a cascade says nothing that is not in it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lotwise.calibration.cascade import fit_beside, write_cascade
from lotwise.core.calibration_fit import Fitted, LabelledTiles, tiles_sha256
from lotwise.core.cascade import Scores, committee_scores, look
from lotwise.core.cascade_fit import FittedCascade, cascaded, first_members
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.diagnosis import DIAGNOSIS_FILE
from lotwise.core.lot_diagnosis import LOT_DIAGNOSIS_FILE
from lotwise.core.policy import ReferralPolicy
from lotwise_training.calibration.policy import read_fitted
from lotwise_training.calibration.shift_classifier import FittedDiagnosis, fit_diagnosis
from lotwise_training.data.benchmark import benchmark_set
from lotwise_training.data.calibration_sets import CALIBRATION
from lotwise_training.data.synthetic_shifts import known_scenes, shifted_tiles
from lotwise_training.evaluation.cascade import (
    REFERRED,
    CascadeDecisions,
    Decisions,
    StoredCascade,
    write_cascade_decisions,
)
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.evaluation.shift_predictions import (
    NEW,
    SETS,
    ShiftPredictions,
    diagnosed_tiles,
)
from lotwise_training.evaluation.shifts import (
    KINDS_OF_LOTS,
    KINDS_OF_TILES,
    balanced_accuracy,
    kind_records,
)
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.store.arrays import ResultsError


def cascade_exported(
    workspace: Workspace,
    predictor: PredictionCache,
    lot_ids: tuple[str, ...],
    repository: Path,
    results: Path,
) -> FittedCascade:
    """Fit the cascade of a repository's committee, and put down what it decides.

    Args:
        workspace: Recipes and rendered tiles.
        predictor: Of the exported committee.
        lot_ids: That it knows.
        repository: The model repository; its committee is calibrated.
        results: Folder of stored answers.

    Raises:
        LotwiseError: The repository cannot be used.
        ResultsError: The committee was calibrated on other tiles, or has no cascade.
    """
    folder = repository / "committee"
    fitted = read_fitted(folder)
    known = workspace.fresh_tiles(CALIBRATION)
    outputs = predictor.served(known.images, "calibration tiles, ensemble")
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
        raise ResultsError(
            "the committee is calibrated on other tiles; run `lotwise-train calibrate`"
        )
    found = fit_beside(repository, "committee", tiles, fitted)
    if found is None:
        raise ResultsError(f"there is no cascade for {folder}: it takes committee_first beside it")
    first = repository / found.cascade.first
    write_cascade(found, folder, first)
    diagnosis = _diagnosis(workspace, predictor, tiles, found)
    diagnosis.diagnosis.write(first / DIAGNOSIS_FILE)
    diagnosis.lots.write(first / LOT_DIAGNOSIS_FILE)
    answers, by_first = {}, {}
    for name in SETS:
        said = predictor.served(benchmark_set(name, workspace.cache).images, f"{name}, ensemble")
        answers[name] = answered(said, fitted, found)
        by_first[name] = diagnosed_tiles(first_members(said, found.members), found.first, diagnosis)
    kinds = kind_records(ShiftPredictions(by_first, diagnosis.lots, found.policy))
    (new,) = kinds.rows(KINDS_OF_LOTS, set=NEW)
    stored = StoredCascade(
        answers,
        found.cascade.calibration.calibration_version,
        found.members,
        outputs.logits.shape[1],
        balanced_accuracy(kinds, KINDS_OF_TILES),
        balanced_accuracy(kinds, KINDS_OF_LOTS),
        int(new.value("instrument_alarms")),
    )
    write_cascade_decisions(results, stored)
    return found


def _diagnosis(
    workspace: Workspace, predictor: PredictionCache, known: LabelledTiles, found: FittedCascade
) -> FittedDiagnosis:
    """The diagnosis of the first members, as that of the whole committee is fitted."""
    shifted = shifted_tiles(workspace.cache)
    scenes, number = known_scenes(workspace.cache)
    said = predictor.served(shifted.images, "shifted tiles, ensemble")
    ranked = predictor.served(scenes, "scenes of known lots, ensemble")
    return fit_diagnosis(
        shifted,
        first_members(said, found.members),
        (first_members(known.outputs, found.members), known.labels),
        (first_members(ranked, found.members), number),
        found.first.calibration.weights_sha256,
    )


def answered(outputs: CommitteeOutputs, fitted: Fitted, found: FittedCascade) -> CascadeDecisions:
    """What is decided on tiles.

    Args:
        outputs: Of the whole committee.
        fitted: Its calibration and policy.
        found: The cascade.
    """
    of_all = committee_scores(fitted.calibrated, outputs)
    said = cascaded(found.cascade, look(found.first, first_members(outputs, found.members)), of_all)
    return CascadeDecisions(
        said.done, _decisions(said.scores, found.policy), _decisions(of_all, fitted.policy)
    )


def _decisions(said: Scores, policy: ReferralPolicy) -> Decisions:
    accepted = said.accepted(policy.max_score, policy.request.min_familiarity)
    return np.where(accepted, said.named, REFERRED).astype(np.int16)
