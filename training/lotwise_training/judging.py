"""Calibrates a committee that is already exported, and judges it, on simulated tiles of its lots.

`lotwise-train policy` and `answers` do the same for a committee that was trained on this machine;
they need its run. This needs the model repository alone, so that anyone can repeat what the shipped
calibration and its judgement rest on.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import track

from lotwise.calibration.committee import RepositoryCommittee
from lotwise.core.calibration_fit import Fitted
from lotwise.core.cascade_fit import FittedCascade
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.diagnosis import DIAGNOSIS_FILE
from lotwise.core.lot_diagnosis import LOT_DIAGNOSIS_FILE
from lotwise_simulator.benchmark import reference_lots
from lotwise_training.answers import shifted_answers
from lotwise_training.asker import Asker
from lotwise_training.benchmark_data import benchmark_set
from lotwise_training.calibration_tiles import CALIBRATION, FRESH
from lotwise_training.cascading import cascade_exported
from lotwise_training.config import CommitteeRecipe
from lotwise_training.dataset import SIMULATED, Images, Numbers
from lotwise_training.diagnosing import FittedDiagnosis, fit_diagnosis
from lotwise_training.fresh_outputs import write_fresh
from lotwise_training.outputs import ENSEMBLE, read_outputs, write_outputs
from lotwise_training.policy import AnsweredTiles, fit_committee, read_fitted, write_fitted
from lotwise_training.report.served import COMMITTEE
from lotwise_training.shift_answers import shift_answers, write_shift_answers
from lotwise_training.shifts import shifted_tiles
from lotwise_training.stored import OutputsError
from lotwise_training.workshop import Workshop

KNOWN_AGAIN = "new_regions"
"""The benchmark's set of known lots in new regions: the policy is measured on it."""


class ExportedCommittee:
    """The committee of a model repository, in the engine that serves; an `AskedCommittee`.

    Args:
        repository: The model repository.

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
        """See `AskedCommittee`."""
        if title is None:
            return self._committee.ask(images)
        console = Console(stderr=True)
        return self._committee.ask(images, lambda starts: track(starts, title, console=console))


def judge_exported(shop: Workshop, repository: Path, results: Path) -> Fitted:
    """Calibrate the committee of a repository, and put down what it says of further tiles.

    Writes calibration and policy beside the committee, `fresh.npz` and the shifted sets of
    `outputs.npz` into the stored answers.

    Args:
        shop: Recipes and rendered tiles.
        repository: The model repository.
        results: Folder of stored answers, of the same committee.

    Raises:
        LotwiseError: The repository cannot be used.
        OutputsError: The committee is not of the benchmark's lots, or the stored answers are of
            another one.
    """
    recipe = shop.recipe(CommitteeRecipe, COMMITTEE)
    committee = ExportedCommittee(repository)
    _check_lots(committee, repository)
    outputs, manifest = read_outputs(results)
    stored = manifest["runs"][recipe.split]["weights_sha256"][ENSEMBLE]
    if stored != committee.weights_sha256:
        raise OutputsError(
            f"{results} holds answers of another committee than that in {repository}; "
            "`lotwise-train answers` writes them anew where it was trained"
        )
    asker = Asker(shop.runs, recipe, exported=committee)
    fitted = _fitted(shop, asker, committee, recipe)
    write_fitted(fitted, repository / COMMITTEE)
    asker = Asker(shop.runs, recipe, fitted.calibrated, committee)
    outputs |= shifted_answers(shop.cache, asker)
    fresh = shop.fresh_tiles(FRESH)
    judged = asker.judged(fresh.images, fresh.lots, fitted.calibrated, fitted.policy)
    write_outputs(results, outputs, manifest)
    write_fresh(results, judged)
    return fitted


def diagnose_exported(shop: Workshop, repository: Path, results: Path) -> FittedDiagnosis:
    """Fit the diagnosis of a repository's committee, and put down what it says of the benchmark.

    Writes `diagnosis.npz` and `lot_diagnosis.json` beside the committee, and the answers.

    Args:
        shop: Recipes and rendered tiles.
        repository: The model repository; its committee is calibrated.
        results: Folder of stored answers.

    Raises:
        LotwiseError: The repository cannot be used.
        OutputsError: The committee is not of the benchmark's lots.
    """
    recipe = shop.recipe(CommitteeRecipe, COMMITTEE)
    committee = ExportedCommittee(repository)
    _check_lots(committee, repository)
    fitted_before = read_fitted(repository / COMMITTEE)
    fitted_before.calibrated.check_weights(committee.weights_sha256)
    asker = Asker(shop.runs, recipe, exported=committee)
    shifted, known = shifted_tiles(shop.cache), shop.fresh_tiles(CALIBRATION)
    fitted = fit_diagnosis(
        shifted,
        asker.served(shifted.images, "shifted tiles, ensemble"),
        (asker.served(known.images, "calibration tiles, ensemble"), known.lots),
        committee.weights_sha256,
    )
    fitted.diagnosis.write(repository / COMMITTEE / DIAGNOSIS_FILE)
    fitted.lots.write(repository / COMMITTEE / LOT_DIAGNOSIS_FILE)
    answers = shift_answers(shop.cache, asker, fitted_before, fitted)
    write_shift_answers(results, answers)
    return fitted


def cascade_of_exported(shop: Workshop, repository: Path, results: Path) -> FittedCascade:
    """Fit the cascade of a repository's committee, and put down what it decides.

    Args:
        shop: Recipes and rendered tiles.
        repository: The model repository; its committee is calibrated.
        results: Folder of stored answers.

    Raises:
        LotwiseError: The repository cannot be used.
        OutputsError: The committee is not of the benchmark's lots, was calibrated on other tiles,
            or has no cascade.
    """
    committee = ExportedCommittee(repository)
    _check_lots(committee, repository)
    asker = Asker(shop.runs, shop.recipe(CommitteeRecipe, COMMITTEE), exported=committee)
    return cascade_exported(shop, asker, committee.lot_ids, repository, results)


def _check_lots(committee: ExportedCommittee, repository: Path) -> None:
    if committee.lot_ids != tuple(lot.lot_id for lot in reference_lots()):
        raise OutputsError(
            f"the committee in {repository} knows other lots than benchmark v1's; calibrate it on "
            "your own tiles with `lotwise calibrate`"
        )


def _fitted(
    shop: Workshop, asker: Asker, committee: ExportedCommittee, recipe: CommitteeRecipe
) -> Fitted:
    tiles = shop.fresh_tiles(CALIBRATION)
    again = benchmark_set(KNOWN_AGAIN, shop.cache)

    def answered(images: Images, lots: Numbers, title: str) -> AnsweredTiles:
        return AnsweredTiles(images, lots, asker.served(images, title))

    return fit_committee(
        answered(tiles.images, tiles.lots, "calibration tiles, ensemble"),
        answered(again.images, again.lots, f"{KNOWN_AGAIN}, ensemble"),
        recipe.policy,
        lot_ids=committee.lot_ids,
        origins=(SIMULATED,),
        weights_sha256=committee.weights_sha256,
    )
