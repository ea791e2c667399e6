"""Figures of answers, where matplotlib is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rich.text import Text

from lotwise.cli import tables
from lotwise.cli.options import PressureUnit, fail, out
from lotwise.client import (
    BackwardExplanation,
    ForwardExplanation,
    LotBackward,
    LotForward,
    PairExplanation,
)

ENDINGS: Final = (".png", ".svg")


def check_plot(path: Path | None) -> None:
    """Look whether a figure can be drawn, before minutes of work are spent; fails where not."""
    if path is None:
        return
    if path.suffix.lower() not in ENDINGS:
        fail(f"{path.name} is no name of a plot; end it with .png or .svg.")
    try:
        import lotwise.plots.explanations  # noqa: F401  # whether it can be
    except ImportError as missing:
        fail(f"--plot needs more packages ({missing}). Run `pip install 'lotwise[plots]'`.")


def write_plot(
    answer: ForwardExplanation | PairExplanation | BackwardExplanation | LotForward | LotBackward,
    path: Path,
    unit: PressureUnit | None,
) -> None:
    """Draw the figure of an answer."""
    # Here, because matplotlib is an extra and takes a second to import.
    from lotwise.plots import explanations, surfaces
    from lotwise.plots.style import write_figure

    draw: dict[type, Any] = {
        ForwardExplanation: explanations.forward_figure,
        PairExplanation: surfaces.pair_figure,
        BackwardExplanation: explanations.backward_figure,
        LotForward: explanations.lot_forward_figure,
        LotBackward: explanations.lot_backward_figure,
    }
    figure = draw[type(answer)](answer, lambda quantity: tables.in_unit(quantity, unit))
    try:
        write_figure(figure, path)
    except OSError as error:
        fail(f"The plot cannot be written: {error}")


def say_plot(path: Path) -> None:
    """Say where the figure is."""
    out.print(Text(f"Drew {path}. The edited pictures are hypothetical."), soft_wrap=True)
