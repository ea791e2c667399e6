"""Commands of `lotwise-train` that calibrate and measure what was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lotwise_training.cli.commands import in_workspace
from lotwise_training.cli.options import (
    MODELS,
    RESULTS,
    Fresh,
    OnlyMeasured,
    OwnLots,
    Repository,
    Results,
    fail,
    out,
)

if TYPE_CHECKING:
    from lotwise_training.pipelines.workspace import Workspace

MEASURED: Final = ("regressor", "editor")


@in_workspace
def policy(workspace: Workspace, own_lots: OwnLots = None) -> None:
    """Calibrate the trained committee and fit its referral policy."""
    from lotwise_training.pipelines.measure import fit_policy

    fit_policy(workspace, out, own_lots)


@in_workspace
def predict(
    workspace: Workspace,
    own_lots: OwnLots = None,
    results: Results = RESULTS,
    fresh: Fresh = True,
) -> None:
    """Store what the trained networks predict, for `make evaluate` to report on."""
    from lotwise_training.pipelines.measure import store_predictions

    store_predictions(workspace, results, own_lots, fresh=fresh)
    out.print(f"wrote {results}; `python -m lotwise_training.report` shows it")


@in_workspace
def calibrate(
    workspace: Workspace, repository: Repository = MODELS, results: Results = RESULTS
) -> None:
    """Calibrate an exported committee on fresh simulated tiles; evaluate it on further ones."""
    from lotwise_training.pipelines.exported_ensemble import evaluate_exported
    from lotwise_training.pipelines.measure import show_fitted

    show_fitted(evaluate_exported(workspace, repository, results), out)
    out.print(f"wrote {repository} and {results}")


@in_workspace
def diagnose(
    workspace: Workspace, repository: Repository = MODELS, results: Results = RESULTS
) -> None:
    """Fit the diagnosis of shifts for an exported committee, and evaluate it."""
    from lotwise_training.pipelines.exported_ensemble import fit_diagnosis_of_exported

    fitted = fit_diagnosis_of_exported(workspace, repository, results)
    out.print(f"Diagnosis {fitted.diagnosis.version}: wrote {repository} and {results}")


@in_workspace
def cascade(
    workspace: Workspace, repository: Repository = MODELS, results: Results = RESULTS
) -> None:
    """Fit the cascade of an exported committee (few members first), and evaluate it."""
    from lotwise_training.pipelines.exported_ensemble import cascade_of_exported

    found = cascade_of_exported(workspace, repository, results)
    fitted = found.cascade
    out.print(
        f"Decides as the whole committee on {fitted.equal:.2%} of {fitted.tiles:,} known tiles, "
        f"with {fitted.evaluations:.0%} of its evaluations."
    )
    out.print(found.policy.guarantee.statement)
    out.print(f"wrote {repository} and {results}")


@in_workspace
def evaluate(
    workspace: Workspace,
    own_lots: OwnLots = None,
    results: Results = RESULTS,
    only: OnlyMeasured = None,
) -> None:
    """Evaluate regressor and editor on lots that they never saw; `predict` is the committee's."""
    from lotwise_training.pipelines.measure import evaluate_editor, evaluate_regressor
    from lotwise_training.training.editor.runs import RUN as EDITOR

    if unknown := sorted(set(only or ()) - set(MEASURED)):
        fail(f"'{unknown[0]}' is not measured so; name {' or '.join(MEASURED)}")
    if not only or "regressor" in only:
        evaluate_regressor(workspace, out, own_lots, results)
    if "editor" in only if only else own_lots is None and workspace.run(EDITOR).exists():
        evaluate_editor(workspace, out, results)
