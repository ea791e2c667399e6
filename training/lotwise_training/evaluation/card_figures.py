"""The committee's figures as its model card shows them, and whether a card agrees with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lotwise_training.evaluation.classification import Tables, compute
from lotwise_training.evaluation.predictions import ENSEMBLE, TEST, Predictions
from lotwise_training.evaluation.tile_sets import METHOD_WORDS


class CardDisagrees(RuntimeError):
    """A model card shows other figures than the stored answers give."""


def card_figures(outputs: Predictions, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Rows of the card, by name.

    Args:
        outputs: Stored answers.
        manifest: Of the run.
    """
    tables = compute(outputs, manifest)
    rows: dict[str, str] = {}
    for figures in tables.figures:
        if figures.set == TEST and figures.accuracy is not None:
            assert figures.nll is not None
            assert figures.ece is not None
            assert figures.error_at_90 is not None
            rows[f"{figures.split}, {METHOD_WORDS[figures.method]}"] = (
                f"accuracy {figures.accuracy:.1%}, NLL {figures.nll:.3f}, ECE {figures.ece:.1%}, "
                f"error at 90% coverage {figures.error_at_90:.1%}, {figures.tiles:,} tiles"
            )
    rows |= _shifts(tables)
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


def _shifts(tables: Tables) -> dict[str, str]:
    rows = {}
    for shift in tables.shifts:
        if shift.method != ENSEMBLE:
            continue
        drop = shift.accuracy_drop
        fell = "" if drop is None else f"accuracy {-100 * drop:+.1f} points, "
        rows[f"{shift.set} against {shift.against}, {METHOD_WORDS[ENSEMBLE]}"] = (
            f"{fell}AUROC of entropy {shift.entropy_auroc:.3f}, {shift.tiles:,} tiles"
        )
    return rows
