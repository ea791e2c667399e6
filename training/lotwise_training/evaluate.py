"""What the committee is worth: on tiles that it should know, and on tiles that it should refer.

Zhang et al. 2020: accuracy, NLL and ECE on test tiles (Table 1); accuracy after a filament change
(Table 2); AUROC of the predictive entropy for changed acquisition, changed synthesis and unrelated
pictures (Figures 7 to 9). One member alone stands beside the committee.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich import box
from rich.console import Console
from rich.table import Table

from lotwise.core.policy import ReferralPolicy
from lotwise.core.uncertainty import (
    committee_probabilities,
    mutual_information,
    predictive_entropy,
    softmax,
)
from lotwise_training.data import UNKNOWN
from lotwise_training.metrics import (
    accuracy,
    auroc,
    expected_calibration_error,
    negative_log_likelihood,
)

TEST: str = "test"
"""Name of the set that the others are compared with."""

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SetReport:
    """Figures of one set of tiles; None where the set has no answer to compare with.

    Attributes:
        tiles: How many.
        accuracy: Share of right answers, 0 to 1.
        nll: Nats.
        ece: 0 to 1.
        entropy_nats: Mean predictive entropy.
        referred_share: Share above the policy's entropy threshold.
        auroc_entropy: Of the entropy, against the test tiles.
        auroc_mutual_information: Of the members' disagreement, against the test tiles.
    """

    tiles: int
    accuracy: float | None
    nll: float | None
    ece: float | None
    entropy_nats: float
    referred_share: float | None
    auroc_entropy: float | None
    auroc_mutual_information: float | None


def evaluate_committee(
    logits: Mapping[str, npt.ArrayLike],
    labels: Mapping[str, Labels],
    policy: ReferralPolicy | None = None,
) -> dict[str, SetReport]:
    """Figures of every set.

    Args:
        logits: float [N, T, K] a set; the set named "test" is the known one.
        labels: int64 [N] a set; `UNKNOWN` where a tile belongs to no lot of the committee.
        policy: For the share of referred tiles.

    Raises:
        KeyError: There is no set named "test".
    """
    probabilities = {name: softmax(values) for name, values in logits.items()}
    known_entropy = predictive_entropy(probabilities[TEST])
    known_disagreement = mutual_information(probabilities[TEST])
    report = {}
    for name, members in probabilities.items():
        entropy = predictive_entropy(members)
        answer = committee_probabilities(members)
        labelled = not (labels[name] == UNKNOWN).any()
        shifted = name != TEST
        report[name] = SetReport(
            tiles=len(members),
            accuracy=accuracy(answer, labels[name]) if labelled else None,
            nll=negative_log_likelihood(answer, labels[name]) if labelled else None,
            ece=expected_calibration_error(answer, labels[name]) if labelled else None,
            entropy_nats=float(entropy.mean()),
            referred_share=(
                float((entropy > policy.entropy_threshold_nats).mean()) if policy else None
            ),
            auroc_entropy=auroc(known_entropy, entropy) if shifted else None,
            auroc_mutual_information=(
                auroc(known_disagreement, mutual_information(members)) if shifted else None
            ),
        )
    return report


def member_logits(logits: Mapping[str, npt.ArrayLike], member: int) -> dict[str, npt.ArrayLike]:
    """The same sets as one member alone sees them: float [N, 1, K] a set."""
    return {name: np.asarray(values)[:, member : member + 1] for name, values in logits.items()}


def as_json(report: Mapping[str, SetReport]) -> dict[str, dict[str, Any]]:
    """The report in JSON's types."""
    return {name: asdict(figures) for name, figures in report.items()}


def show_committee(
    title: str, report: Mapping[str, SetReport], console: Console | None = None
) -> None:
    """Print the report as a table."""
    table = _table(
        title,
        "tiles of",
        ("tiles", "accuracy", "NLL", "ECE", "entropy", "referred", "AUROC H", "AUROC MI"),
    )
    for name, row in report.items():
        table.add_row(
            name,
            f"{row.tiles:,}",
            _figure(row.accuracy, "{:.1%}"),
            _figure(row.nll, "{:.3f}"),
            _figure(row.ece, "{:.1%}"),
            f"{row.entropy_nats:.3f}",
            _figure(row.referred_share, "{:.1%}"),
            _figure(row.auroc_entropy, "{:.3f}"),
            _figure(row.auroc_mutual_information, "{:.3f}"),
        )
    (console or Console()).print(table)


def show_regression(
    title: str, report: Mapping[str, Mapping[str, float]], console: Console | None = None
) -> None:
    """Print the regressor's report (`regression_report`) as a table."""
    columns = {
        "tiles": ("tiles", "{:,.0f}"),
        "RMSE": ("rmse_psi", "{:.0f}"),
        "MAPE": ("mape_percent", "{:.1f}%"),
        "lots": ("lots", "{:.0f}"),
        "lot RMSE": ("lot_rmse_psi", "{:.0f}"),
        "lot MAPE": ("lot_mape_percent", "{:.1f}%"),
        "mean RMSE": ("mean_predictor_rmse_psi", "{:.0f}"),
        "mean MAPE": ("mean_predictor_mape_percent", "{:.1f}%"),
    }
    table = _table(f"{title}, errors in psi", "tiles of", columns)
    for name, row in report.items():
        table.add_row(name, *(form.format(row[key]) for key, form in columns.values()))
    (console or Console()).print(table)


def show_edits(report: Mapping[str, Mapping[str, float]], console: Console | None = None) -> None:
    """Print the editor's report (`edit_report`) as a table."""
    drawn = report["reconstruction"]
    table = _table(
        f"Edits of held-out lots: reconstruction {drawn['psnr_db']:.1f} dB, it moves the "
        f"prediction by {drawn['shift_of_the_prediction']:.1%}",
        "attribute",
        ("slope, psi", "true slope, psi", "tiles with the true sign"),
    )
    for name, row in report.items():
        if name != "reconstruction":
            table.add_row(
                name,
                f"{row['slope_psi']:,.0f}",
                f"{row['true_slope_psi']:,.0f}",
                f"{row['share_of_tiles_with_the_true_sign']:.0%}",
            )
    (console or Console()).print(table)


def _table(title: str, first: str, figures: Iterable[str]) -> Table:
    """A table of figures that fits into 80 columns, the width of a log."""
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column(first, min_width=9)
    for heading in figures:
        table.add_column(heading, justify="right")
    return table


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
