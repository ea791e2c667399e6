"""The committee's metrics as its model card shows them, and a check that a card agrees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lotwise_training.evaluation.classification import SECTION, SHIFTS, compute_classification
from lotwise_training.evaluation.predictions import ENSEMBLE, TEST, Predictions
from lotwise_training.evaluation.tile_sets import words


class CardDisagrees(RuntimeError):
    """A model card shows other figures than the stored predictions give."""


def card_figures(outputs: Predictions, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Rows of the card, by name.

    Args:
        outputs: Stored predictions.
        manifest: Of the run.
    """
    records = compute_classification(outputs, manifest)
    rows: dict[str, str] = {}
    for row in records.rows(SECTION, set=TEST):
        if "accuracy" in row.metrics:
            rows[f"{row.of['split']}, {words(row.of['method'])}"] = (
                f"accuracy {row.value('accuracy'):.1%}, NLL {row.value('nll'):.3f}, "
                f"ECE {row.value('ece'):.1%}, "
                f"error at 90% coverage {row.value('selective_risk'):.1%}, "
                f"{row.metrics['accuracy'].count:,} tiles"
            )
    for row in records.rows(SHIFTS, method=ENSEMBLE):
        drop = row.metrics["accuracy_drop"].value
        fell = "" if drop is None else f"accuracy {-100 * drop:+.1f} points, "
        auroc = row.metrics["entropy_auroc"]
        rows[f"{row.of['set']} against {row.of['against']}, {words(ENSEMBLE)}"] = (
            f"{fell}AUROC of entropy {auroc.value:.3f}, {auroc.count:,} tiles"
        )
    return rows


def check_card(card: str, figures: Mapping[str, str]) -> None:
    """Compare a card with the figures.

    Args:
        card: Text of MODEL_CARD.md.
        figures: As `card_figures` gives them.

    Raises:
        CardDisagrees: A row is missing or other.
    """
    for name, value in figures.items():
        if f"| {name} | {value} |" not in card:
            raise CardDisagrees(
                f"the committee's model card does not say '{name}: {value}'; "
                "`lotwise-train export --only committee` writes it anew"
            )
