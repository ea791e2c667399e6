"""A row of pictures: where the regressor looked, and what it knows that is alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from lotwise.client.explanations import EditedImage, Evidence, Example
from lotwise.plots.labels import Shown


def evidence_pictures(evidence: Evidence | None) -> int:
    """How many pictures there are to be drawn, without the edited one."""
    if evidence is None:
        return 0
    shown = len(evidence.examples) + len(evidence.edited_examples)
    return shown + (evidence.activation_map is not None)


def draw_evidence(
    figure: SubFigure, evidence: Evidence, shown: Shown, edited: EditedImage | None = None
) -> None:
    """Draw the row.

    Args:
        figure: To draw into.
        evidence: Of an answer.
        shown: Converts to the unit of the captions.
        edited: The edited tile, to stand before what is like it.
    """
    count = evidence_pictures(evidence) + (edited is not None)
    panels = iter(figure.subplots(1, count, squeeze=False).ravel())
    if evidence.activation_map is not None:
        axes = next(panels)
        axes.imshow(evidence.activation_map.array(), cmap="magma", vmin=0, vmax=255)
        _caption(axes, "where the\nregressor looked")
    _draw_examples(panels, evidence.examples, "most alike", shown)
    if edited is not None:
        axes = next(panels)
        axes.imshow(edited.array(), cmap="gray", vmin=0, vmax=255)
        _caption(axes, "the edited\ntile")
    _draw_examples(panels, evidence.edited_examples, "like the edit", shown)


def _draw_examples(
    panels: Iterator[Axes], examples: Sequence[Example], what: str, shown: Shown
) -> None:
    for example in examples:
        axes = next(panels)
        axes.imshow(example.array(), cmap="gray", vmin=0, vmax=255)
        value = shown(example.quantity)
        _caption(axes, f"{what}\n{example.lot_id}: {value.value:,.4g} {value.unit}")


def _caption(axes: Axes, text: str) -> None:
    axes.set_axis_off()
    axes.set_title(text, loc="center", fontsize=5.8, pad=2, weight="normal")
