"""Fits the cascade of an exported ensemble, and evaluates it on the benchmark's tiles.

A cascade needs no predictions but those of the whole ensemble, which are cached.
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
)
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.evaluation.shift_predictions import (
    NEW,
    SETS,
    ShiftPredictions,
    diagnose_tiles,
)
from lotwise_training.evaluation.shifts import (
    KINDS_OF_LOTS,
    KINDS_OF_TILES,
    balanced_accuracy,
    kind_records,
)
from lotwise_training.pipelines.exported_ensemble import open_exported
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.report.served_models import COMMITTEE
from lotwise_training.store.arrays import ResultsError, write


def cascade_of_exported(workspace: Workspace, repository: Path, results: Path) -> FittedCascade:
    """Fit the cascade of a repository's committee, and store its decisions.

    Args:
        workspace: Recipes and rendered tiles.
        repository: The model repository; its committee is calibrated.
        results: Folder of stored results.

    Raises:
        LotwiseError: The repository cannot be used.
        ResultsError: The committee is not of the benchmark's lots, was calibrated on other tiles,
            or has no cascade.
    """
    committee, predictor = open_exported(workspace, repository)
    folder, lot_ids = repository / COMMITTEE, committee.lot_ids
    fitted = read_fitted(folder)
    known = workspace.fresh_tiles(CALIBRATION)
    outputs = predictor.predict(known.images, "calibration tiles, ensemble")
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
    found = fit_beside(repository, COMMITTEE, tiles, fitted)
    if found is None:
        raise ResultsError(f"there is no cascade for {folder}: it takes committee_first beside it")
    first = repository / found.cascade.first
    write_cascade(found, folder, first)
    diagnosis = _diagnosis(workspace, predictor, tiles, found)
    diagnosis.diagnosis.write(first / DIAGNOSIS_FILE)
    diagnosis.lots.write(first / LOT_DIAGNOSIS_FILE)
    decisions, by_first = {}, {}
    for name in SETS:
        images = benchmark_set(name, workspace.cache).images
        of_all = predictor.predict(images, f"{name}, ensemble")
        decisions[name] = cascade_decisions(of_all, fitted, found)
        of_first = first_members(of_all, found.members)
        by_first[name] = diagnose_tiles(of_first, found.first, diagnosis)
    kinds = kind_records(ShiftPredictions(by_first, diagnosis.lots, found.policy))
    (new,) = kinds.rows(KINDS_OF_LOTS, set=NEW)
    stored = StoredCascade(
        decisions,
        found.cascade.calibration.calibration_version,
        found.members,
        outputs.logits.shape[1],
        balanced_accuracy(kinds, KINDS_OF_TILES),
        balanced_accuracy(kinds, KINDS_OF_LOTS),
        int(new.value("instrument_alarms")),
    )
    write(results, stored)
    return found


def _diagnosis(
    workspace: Workspace, predictor: PredictionCache, known: LabelledTiles, found: FittedCascade
) -> FittedDiagnosis:
    """The diagnosis of the first members, fitted as that of the whole ensemble."""
    shifted = shifted_tiles(workspace.cache)
    scenes, number = known_scenes(workspace.cache)
    outputs = predictor.predict(shifted.images, "shifted tiles, ensemble")
    ranked = predictor.predict(scenes, "scenes of known lots, ensemble")
    return fit_diagnosis(
        shifted,
        first_members(outputs, found.members),
        (first_members(known.outputs, found.members), known.labels),
        (first_members(ranked, found.members), number),
        found.first.calibration.weights_sha256,
    )


def cascade_decisions(
    outputs: CommitteeOutputs, fitted: Fitted, found: FittedCascade
) -> CascadeDecisions:
    """Decisions on tiles.

    Args:
        outputs: Of the whole ensemble.
        fitted: Its calibration and policy.
        found: The cascade.
    """
    of_all = committee_scores(fitted.calibrated, outputs)
    first = look(found.first, first_members(outputs, found.members))
    early = cascaded(found.cascade, first, of_all)
    return CascadeDecisions(
        early.done, _decisions(early.scores, found.policy), _decisions(of_all, fitted.policy)
    )


def _decisions(scores: Scores, policy: ReferralPolicy) -> Decisions:
    accepted = scores.accepted(policy.max_score, policy.request.min_familiarity)
    return np.where(accepted, scores.named, REFERRED).astype(np.int16)
