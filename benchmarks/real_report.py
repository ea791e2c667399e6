"""Tables and picture of the real images' results; they need the stored figures alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from rich import box
from rich.console import Console
from rich.table import Table

from lotwise_training.data.tiles import Images
from lotwise_training.report.figures.style import COLOURS, GREY, PALE, blank, percent, styled

BRIGHTNESS: Final = "brightness"
EVENED: Final = "evened"
SINGLE: Final = "single"
ENSEMBLE: Final = "ensemble"
METHODS: Final = (BRIGHTNESS, EVENED, SINGLE, ENSEMBLE)
"""From what is least to what is most."""
FILLS: Final = {
    BRIGHTNESS: PALE,
    EVENED: "#DDAA33",
    SINGLE: COLOURS[SINGLE],
    ENSEMBLE: COLOURS[ENSEMBLE],
}
COLUMNS: Final = ("", "tiles right", "images right", "95% interval", "NLL, nats", "ECE")
WIDTH: Final = 112
"""Characters of the widest table."""
ROW_IN: Final = 1.75
"""Height of a study in the picture."""
FOOT_IN: Final = 0.35
COLUMNS_OF_TILES: Final = 6
DEEP: Final = 2
"""Rows of tiles."""
JOINT_PX: Final = 4
CREDIT: Final = (
    "Images: AMPIS (Cohn et al. 2021, doi 10.1007/s11837-021-04713-y) and NASA (Stuckner et al. "
    "2022, doi 10.1038/s41524-022-00878-5), MIT licence"
)


def method_names(document: Mapping[str, Any]) -> dict[str, str]:
    """What the methods are called in tables."""
    return {
        BRIGHTNESS: "brightness and contrast alone",
        EVENED: "one network, images evened",
        SINGLE: "one network",
        ENSEMBLE: f"ensemble of {document['recipe']['members']}",
    }


def rows(document: Mapping[str, Any], study: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Rows of a study's table: the largest lot always, the methods, and what a split by tile gives.

    The last flatters twice: its tiles lie beside those learned from, and chose among a training's
    states.
    """
    chance = study["chance"]
    always = f"{chance['images'] * study['images']:.0f} of {study['images']}"
    yield "always the largest lot", f"{chance['tiles']:.1%}", always, "", "", ""
    for method, name in method_names(document).items():
        figures = study["methods"][method]
        interval = ""
        if "images_interval" in figures:
            low, high = figures["images_interval"]
            interval = f"{low:.0%} to {high:.0%}"
        right = f"{figures['images'] * study['images']:.3g} of {study['images']}"
        yield (
            name,
            f"{figures['tiles']:.1%}",
            right,
            interval,
            f"{figures['nll']:.2f}",
            f"{figures['ece']:.1%}",
        )
    known = f"{study['tiles_of_known_images']:.1%}"
    yield "one network, new tiles of known images", known, "", "", "", ""


def title(study: Mapping[str, Any]) -> str:
    """A study's name and size."""
    return (
        f"{study['title']}: {len(study['lots'])} lots, {study['images']} images of "
        f"{study['places']} places, {study['tiles']:,} tiles of "
        f"{study['field_px']} x {study['field_px']} px"
    )


def show(document: Mapping[str, Any], console: Console) -> None:
    """Print all tables, with what has to be known to read them."""
    for study in document["studies"].values():
        console.print(_table(title(study), COLUMNS, list(rows(document, study))))
        labels = [lot["label"] for lot in study["lots"]]
        counts = [
            (
                f"{lot['label']} ({lot['images']} images)",
                f"{lot['grey_mean']:.0f}",
                *(str(number) if number else "-" for number in row),
            )
            for lot, row in zip(study["lots"], study["confusion"], strict=True)
        ]
        headings = ("images of", "mean grey", *labels)
        console.print(_table("The ensemble's answers, by image", headings, counts))
        for line in remarks(study):
            console.print(line, style="dim", highlight=False)
        console.print()
    console.print(
        f"An image's answer is the mean over its tiles; of 'one network' all figures are means of "
        f"{document['recipe']['members']}. Intervals are exact binomial over images as if they "
        f"were independent, which images of one place are not. {document['seconds']} s.",
        highlight=False,
    )


def remarks(study: Mapping[str, Any]) -> Iterator[str]:
    """What is known of a study beside its figures."""
    yield study["caveat"]
    if study["left_out"]:
        listed = ", ".join(f"{lot} ({count})" for lot, count in study["left_out"].items())
        yield f"Left out, because all images of the lot show one place: {listed}."
    for each in study["unused"]:
        yield f"Not used: {each}"


def markdown(document: Mapping[str, Any]) -> str:
    """The tables of docs/real-images.md."""
    lines = [f"| {' | '.join(('study', *COLUMNS[1:]))} |", "| --- |" + " ---: |" * 5]
    for study in document["studies"].values():
        lines.append(f"| **{title(study)}** |" + " |" * 5)
        lines += [f"| {' | '.join(row)} |" for row in rows(document, study)]
    return "\n".join(lines)


@styled
def picture(document: Mapping[str, Any], shown: Mapping[str, Sequence[Images]]) -> Figure:
    """Tiles of every lot, and beside them how many images and tiles each method gets right.

    Args:
        document: The results.
        shown: By study, for each lot tiles uint8 [n, 64, 64].
    """
    studies = document["studies"]
    figure = blank(ROW_IN * len(studies) + FOOT_IN)
    halves = figure.add_gridspec(1, 2, width_ratios=[1.25, 1.0])
    left, right = (figure.add_subfigure(halves[0, column]) for column in (0, 1))
    below = left.add_gridspec(len(studies), 1)
    parts = [left.add_subfigure(below[row, 0]) for row in range(len(studies))]
    axes = right.subplots(len(studies), 1, sharex=True, squeeze=False)[:, 0]
    for part, own, (name, study) in zip(parts, axes, studies.items(), strict=True):
        _tiles(part, study, shown[name])
        _bars(own, document, study)
    axes[-1].set_xlabel("bar: images right, 95% interval\ndot: tiles right")
    figure.supxlabel(CREDIT, x=0.01, ha="left", fontsize=6.5, color=GREY)
    return figure


def _tiles(part: SubFigure, study: Mapping[str, Any], shown: Sequence[Images]) -> None:
    # A lot with room for it shows two tiles side by side.
    wide = max(1, COLUMNS_OF_TILES // len(shown))
    part.suptitle(
        f"{study['title']}: tiles of {study['field_px']} px, pixel size unknown",
        x=0.01,
        ha="left",
        fontsize=8.5,
        fontweight="bold",
    )
    cells = part.subplots(1, len(shown), squeeze=False)[0]
    for cell, lot, tiles in zip(cells, study["lots"], shown, strict=True):
        cell.axis("off")
        cell.set_title(lot["label"], fontweight="normal", fontsize=7.0, loc="center")
        cell.imshow(_mosaic(tiles[: wide * DEEP], wide), cmap="gray", vmin=0, vmax=255)


def _mosaic(tiles: Images, wide: int) -> Images:
    """Tiles [n, 64, 64] row by row in `wide` columns, with white joints; uint8 [H, W]."""
    px = tiles.shape[1] + JOINT_PX
    whole = np.full((DEEP * px - JOINT_PX, wide * px - JOINT_PX), 255, dtype=np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, wide)
        whole[row * px :, column * px :][: tile.shape[0], : tile.shape[1]] = tile
    return whole


def _bars(axes: Axes, document: Mapping[str, Any], study: Mapping[str, Any]) -> None:
    ink = "#111827"
    methods = list(reversed(METHODS))
    for height, method in enumerate(methods):
        figures = study["methods"][method]
        axes.barh(height, figures["images"], height=0.62, color=FILLS[method])
        if "images_interval" in figures:
            low, high = figures["images_interval"]
            for colour, width in (("white", 2.6), (ink, 1.0)):  # to be seen on a dark bar
                axes.plot([low, high], [height, height], color=colour, linewidth=width)
        axes.plot(figures["tiles"], height, "o", markersize=3.6, color="white", markeredgecolor=ink)
    chance = study["chance"]["images"]
    axes.axvline(chance, color=GREY, linestyle="--", linewidth=1.0)
    above = len(methods) - 0.5
    axes.text(chance, above, "chance", color=GREY, fontsize=7.0, ha="center", va="bottom")
    names = [method_names(document)[method].replace(" and ", " and\n") for method in methods]
    axes.set_yticks(range(len(methods)), [name.replace(", ", ",\n") for name in names])
    axes.set_ylim(-0.5, above)
    axes.set_xlim(0.0, 1.0)
    axes.set_xticks(np.linspace(0.0, 1.0, 5))
    axes.xaxis.set_major_formatter(percent)
    axes.grid(axis="y", visible=False)


def _table(heading: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in cells:
        table.add_row(*row)
    return table
