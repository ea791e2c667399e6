"""Calibrates and evaluates a committee that is already exported, on simulated tiles of its lots.

It needs the model repository alone and no run of the training, so that anyone can reproduce the
shipped calibration and its evaluation.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from lotwise.calibration.cascade import fit_beside, write_cascade
from lotwise.calibration.committee import RepositoryCommittee
from lotwise.core.calibration_fit import Fitted, LabelledTiles, tiles_sha256
from lotwise.core.cascade import Scores, committee_scores, look
from lotwise.core.cascade_fit import FittedCascade, cascaded, first_members
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.diagnosis import DIAGNOSIS_FILE
from lotwise.core.lot_diagnosis import LOT_DIAGNOSIS_FILE
from lotwise.core.policy import ReferralPolicy
from lotwise_simulator.benchmark import reference_lots
from lotwise_training.calibration.policy import (
    PredictedTiles,
    fit_committee,
    read_fitted,
    write_fitted,
)
from lotwise_training.calibration.shift_classifier import FittedDiagnosis, fit_diagnosis
from lotwise_training.config.schema import CommitteeRecipe
from lotwise_training.data.benchmark import benchmark_set
from lotwise_training.data.calibration_sets import CALIBRATION, FRESH
from lotwise_training.data.synthetic_shifts import known_scenes, shifted_tiles
from lotwise_training.data.tiles import SIMULATED, Images, Numbers
from lotwise_training.evaluation.prediction_cache import PredictionCache
from lotwise_training.evaluation.predictions import ENSEMBLE, EnsembleResult
from lotwise_training.evaluation.shifts import (
    KINDS_OF_LOTS,
    KINDS_OF_TILES,
    NEW,
    REFERRED,
    SETS,
    CascadeDecisions,
    Decisions,
    ShiftPredictions,
    StoredCascade,
    balanced_accuracy,
    diagnose_tiles,
    kind_records,
    predict_shifts,
)
from lotwise_training.pipelines.class_predictions import shifted_predictions
from lotwise_training.pipelines.workspace import Workspace
from lotwise_training.report.served_models import COMMITTEE
from lotwise_training.store.arrays import ResultsError, read, write

KNOWN_LOTS = "new_regions"
"""The benchmark's set of known lots in new regions: the policy is measured on it."""


class ExportedCommittee:
    """The committee of a model repository, in the engine that serves; an `CommitteePredictor`.

    Raises:
        LotwiseError: As `RepositoryCommittee`.
    """

    def __init__(self, repository: Path) -> None:
        self._committee = RepositoryCommittee(repository, COMMITTEE)
        metadata = self._committee.signature.metadata
        self.weights_sha256 = metadata.weights_sha256
        self.lot_ids = tuple(lot.lot_id for lot in metadata.reference_lots)
        self.trained_on_simulated_lots = metadata.trained_on_simulated_lots

    def outputs(self, images: Images, title: str | None = None) -> CommitteeOutputs:
        """See `CommitteePredictor`."""
        if title is None:
            return self._committee.ask(images)
        console = Console(stderr=True)
        return self._committee.ask(images, lambda starts: track(starts, title, console=console))


def open_committee(
    workspace: Workspace, repository: Path
) -> tuple[ExportedCommittee, PredictionCache]:
    """The committee of a repository, of whatever lots, and its cached predictions.

    Raises:
        LotwiseError: The repository cannot be used.
    """
    committee = ExportedCommittee(repository)
    recipe = workspace.recipe(CommitteeRecipe, COMMITTEE)
    return committee, PredictionCache(workspace.runs, recipe, exported=committee)


def open_exported(
    workspace: Workspace, repository: Path
) -> tuple[ExportedCommittee, PredictionCache]:
    """As `open_committee`, of the benchmark's lots.

    Raises:
        ResultsError: The committee is not of the benchmark's lots.
    """
    committee, predictor = open_committee(workspace, repository)
    if committee.lot_ids != tuple(lot.lot_id for lot in reference_lots()):
        raise ResultsError(
            f"the committee in {repository} knows other lots than benchmark v1's; calibrate it on "
            "your own tiles with `lotwise calibrate`"
        )
    return committee, predictor


def evaluate_exported(workspace: Workspace, repository: Path, results: Path) -> Fitted:
    """Calibrate the ensemble of a repository, and store its predictions of further tiles.

    Writes calibration and policy beside the ensemble, fresh predictions and those of the shifted
    sets into the stored results.

    Raises:
        LotwiseError, ResultsError: As `open_exported`; the stored results may also be of another
            committee.
    """
    committee, predictor = open_exported(workspace, repository)
    recipe = predictor.recipe
    stored = read(EnsembleResult, results)
    if stored.runs[recipe.split].weights_sha256[ENSEMBLE] != committee.weights_sha256:
        raise ResultsError(
            f"{results} holds predictions of another committee than that in {repository}; "
            "`lotwise-train predict` writes them anew where it was trained"
        )
    fitted = _fitted(workspace, predictor, committee)
    write_fitted(fitted, repository / COMMITTEE)
    predictor = replace(predictor, calibrated=fitted.calibrated)
    sets = stored.sets | shifted_predictions(workspace.cache, predictor)
    fresh = workspace.fresh_tiles(FRESH)
    check = predictor.predict_fresh(fresh.images, fresh.lots, fitted.calibrated, fitted.policy)
    write(results, replace(stored, sets=sets))
    write(results, check)
    return fitted


def fit_diagnosis_of_exported(
    workspace: Workspace, repository: Path, results: Path
) -> FittedDiagnosis:
    """Fit the diagnosis of a repository's ensemble, and store its predictions of the benchmark.

    Writes `diagnosis.npz` and `lot_diagnosis.json` beside the ensemble, and the predictions.

    Raises:
        LotwiseError, ResultsError: As `open_exported`.
    """
    committee, predictor = open_exported(workspace, repository)
    fitted_before = read_fitted(repository / COMMITTEE)
    fitted_before.calibrated.check_weights(committee.weights_sha256)
    fitted = _write_diagnosis(
        workspace, predictor, committee.weights_sha256, repository / COMMITTEE, None
    )
    write(results, predict_shifts(workspace.cache, predictor, fitted_before, fitted))
    return fitted


def _fitted(
    workspace: Workspace, predictor: PredictionCache, committee: ExportedCommittee
) -> Fitted:
    tiles = workspace.fresh_tiles(CALIBRATION)
    again = benchmark_set(KNOWN_LOTS, workspace.cache)

    def predicted(images: Images, lots: Numbers, title: str) -> PredictedTiles:
        return PredictedTiles(images, lots, predictor.predict(images, title))

    return fit_committee(
        predicted(tiles.images, tiles.lots, "calibration tiles, ensemble"),
        predicted(again.images, again.lots, f"{KNOWN_LOTS}, ensemble"),
        predictor.recipe.policy,
        lot_ids=committee.lot_ids,
        origins=(SIMULATED,),
        weights_sha256=committee.weights_sha256,
    )


def cascade_of_exported(workspace: Workspace, repository: Path, results: Path) -> FittedCascade:
    """Fit the cascade of a repository's committee, and store its decisions.

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
    weights = found.first.calibration.weights_sha256
    diagnosis = _write_diagnosis(workspace, predictor, weights, first, found.members)
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


def _write_diagnosis(
    workspace: Workspace,
    predictor: PredictionCache,
    weights_sha256: str,
    folder: Path,
    members: int | None,
) -> FittedDiagnosis:
    """Fit the diagnosis of the first members, or of all, and write it into their folder."""

    def predicted(images: Images, title: str) -> CommitteeOutputs:
        outputs = predictor.predict(images, f"{title}, ensemble")
        return outputs if members is None else first_members(outputs, members)

    shifted, known = shifted_tiles(workspace.cache), workspace.fresh_tiles(CALIBRATION)
    scenes, number = known_scenes(workspace.cache)
    fitted = fit_diagnosis(
        shifted,
        predicted(shifted.images, "shifted tiles"),
        (predicted(known.images, "calibration tiles"), known.lots),
        (predicted(scenes, "scenes of known lots"), number),
        weights_sha256,
    )
    fitted.diagnosis.write(folder / DIAGNOSIS_FILE)
    fitted.lots.write(folder / LOT_DIAGNOSIS_FILE)
    return fitted


def cascade_decisions(
    outputs: CommitteeOutputs, fitted: Fitted, found: FittedCascade
) -> CascadeDecisions:
    """Decisions on tiles."""
    of_all = committee_scores(fitted.calibrated, outputs)
    first = look(found.first, first_members(outputs, found.members))
    early = cascaded(found.cascade, first, of_all)
    return CascadeDecisions(
        early.done, _decisions(early.scores, found.policy), _decisions(of_all, fitted.policy)
    )


def _decisions(scores: Scores, policy: ReferralPolicy) -> Decisions:
    accepted = scores.accepted(policy.max_score, policy.request.min_familiarity)
    return np.where(accepted, scores.named, REFERRED).astype(np.int16)
