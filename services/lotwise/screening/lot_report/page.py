"""The lot report as one HTML file that refers to nothing outside of itself."""

from __future__ import annotations

import shlex
import warnings
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from lotwise.core.pressure import convert
from lotwise.plots.inline import as_svg
from lotwise.plots.style import WIDTH_IN
from lotwise.report.pages import environment
from lotwise.screening.lot_report import wording
from lotwise.screening.lot_report.figures import histogram_figure, map_figure
from lotwise.screening.lot_report.gathering import Gathered
from lotwise.screening.lot_report.headline import headline
from lotwise.screening.lot_report.mosaic_map import MosaicMap, mosaic_map
from lotwise.screening.lot_report.thumbnails import Thumbnail, thumbnail
from lotwise.store import StoredResult

_TEMPLATES: Final = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class ShownTile:
    """A referred tile with its picture."""

    stored: StoredResult
    picture: Thumbnail


@dataclass(frozen=True)
class ShownGroup:
    """Referred tiles of one reason.

    Attributes:
        reason: For people.
        meaning: None for a reason that this version does not know.
        tiles: How many there are.
        shown: Some of them.
    """

    reason: str
    meaning: wording.Meaning | None
    tiles: int
    shown: tuple[ShownTile, ...]


def lot_page(gathered: Gathered, made: datetime) -> str:
    """The report as HTML. Reads the files of the referred tiles that it shows.

    Args:
        gathered: Of the screening.
        made: When, UTC.
    """
    groups = [
        ShownGroup(
            group.reason,
            wording.REASONS.get(group.reason),
            group.tiles,
            tuple(ShownTile(each, _picture(gathered, each)) for each in group.shown),
        )
        for group in gathered.telling
    ]
    grid = mosaic_map(gathered.columns)
    return render(
        "lot.html.j2",
        made,
        lot=gathered.lot,
        it=gathered,
        outcome=gathered.screening.outcome,
        headline=headline(gathered),
        groups=groups,
        shown=sum(len(group.shown) for group in groups),
        grid=grid,
        map=_map(grid),
        histograms=_histograms(gathered),
    )


def render(template: str, made: datetime, **context: Any) -> str:
    """A page of a template. All that is put in is escaped.

    Args:
        template: Its file's name.
        made: When, UTC.
        context: What the template speaks of.
    """
    return _environment().get_template(template).render(made=made, wording=wording, **context)


def drawn(figure: Any, name: str, description: str) -> Markup:
    """A figure as part of a page.

    Args:
        figure: Of matplotlib, which escapes the texts in it.
        name: Of the figure, unique in the page.
        description: For those who do not see it.
    """
    with warnings.catch_warnings():
        # A lot's name may be in a script that the font lacks; the reader's browser has another.
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from font", category=UserWarning
        )
        return Markup(as_svg(figure, name, description))


@cache
def _environment() -> jinja2.Environment:
    made = environment(_TEMPLATES)
    made.filters |= {
        "readable": wording.readable,
        "number": wording.number,
        "share": wording.share,
        "tiles": wording.tiles,
        "reason": wording.reason_of,
        "kind": lambda name: wording.KINDS.get(name, wording.readable(name, 40)),
        "converted": _converted,
        "plain": lambda value: f"{value:.4g}",
        "quoted": lambda name: shlex.quote(wording.readable(name)),
        "time": lambda at: f"{at:%Y-%m-%d %H:%M} UTC" if at else "–",
    }
    return made


def _converted(value: float, unit: str, wanted: str) -> str:
    """With its unit; in its own where there is no way to the report's."""
    try:
        return f"{wording.number(convert(value, unit, wanted))} {wanted}".rstrip()
    except ValueError:
        return f"{wording.number(value)} {wording.readable(unit, 20)}".rstrip()


def _picture(gathered: Gathered, each: StoredResult) -> Thumbnail:
    stated = gathered.provenance.um_per_px or gathered.lot.um_per_px
    return thumbnail(gathered.lot.key.source, each.tile, stated)


def _map(grid: MosaicMap | None) -> tuple[Markup, float] | None:
    """The map, and its share of the page's width."""
    if grid is None:
        return None
    figure = map_figure(grid)
    svg = drawn(figure, "map", "Entropy of each tile over the mosaic, in nats")
    return svg, figure.get_figwidth() / WIDTH_IN


def _histograms(gathered: Gathered) -> Markup | None:
    if gathered.done == gathered.failed:
        return None
    return drawn(
        histogram_figure(gathered),
        "histograms",
        "Histograms of familiarity, chance of error and the property over the tiles",
    )
