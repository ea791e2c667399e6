"""What verdicts, reasons and kinds of shift mean, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lotwise.core.diagnosis import ACTIONS, Shift


@dataclass(frozen=True)
class Meaning:
    """A reason for people.

    Attributes:
        what: What it says of a tile or a lot.
        action: What to do.
    """

    what: str
    action: str


REASONS: Final[Mapping[str, Meaning]] = {
    "ambiguous": Meaning(
        "It looks like known lots, but the models are not sure which one.",
        "Have an expert look, or test samples mechanically.",
    ),
    "unfamiliar": Meaning(
        "It is unlike the tiles that the models know.",
        "Look at the instrument first, then at how the lot was made.",
    ),
    "instrument shift": Meaning(
        "The instrument's state seems to have changed.", ACTIONS[Shift.INSTRUMENT]
    ),
    "unseen synthesis": Meaning(
        "The material seems to be made otherwise than every known lot.", ACTIONS[Shift.SYNTHESIS]
    ),
    "unrelated": Meaning("It seems to show no such material.", ACTIONS[Shift.UNRELATED]),
    "poor quality": Meaning(
        "The picture is black, saturated or without contrast.", "Scan this place again."
    ),
    "wrong magnification": Meaning(
        "The field of view or the resolution does not suit the models.",
        "Scan again at the magnification of the known lots, or correct the stated pixel size.",
    ),
    "mixed lot": Meaning(
        "The tiles seem to come from several lots.", "Look at the entropy map and sort the tiles."
    ),
    "too few tiles": Meaning("There are too few tiles for a verdict.", "Scan more tiles."),
    "unreadable": Meaning(
        "Tiles could not be read.", "See which under “Failed tiles”; export or scan them again."
    ),
}
KINDS: Final[Mapping[str, str]] = {
    "none": "nothing has changed",
    "instrument": "instrument shift",
    "synthesis": "unseen synthesis",
    "unrelated": "unrelated: no such material",
}
"""Kinds of shift by their name in the protocol, without its prefix, in small letters."""
KIND_ACTIONS: Final[Mapping[str, str]] = {
    "none": "",
    "instrument": ACTIONS[Shift.INSTRUMENT],
    "synthesis": ACTIONS[Shift.SYNTHESIS],
    "unrelated": ACTIONS[Shift.UNRELATED],
}


def reason_of(name: str) -> str:
    """A reason for people, whether it comes from the store or from the protocol.

    Args:
        name: "poor_quality" or "REASON_POOR_QUALITY".
    """
    return name.removeprefix("REASON_").replace("_", " ").lower().strip()


def kind_of(name: str) -> str:
    """A key of `KINDS`, or whatever else was said.

    Args:
        name: "SHIFT_SYNTHESIS", "unseen synthesis", ...
    """
    plain = name.removeprefix("SHIFT_").lower()
    by_title = {"instrument shift": "instrument", "unseen synthesis": "synthesis"}
    return by_title.get(plain, plain)


def readable(text: str, most: int | None = None) -> str:
    """A text on one line that every page can hold: a file's name may hold anything.

    Args:
        text: From a file's name, a header or a message.
        most: Characters of the result; what is too long loses its middle.
    """
    plain = text.encode("utf-8", "backslashreplace").decode()
    # Marks that turn the direction of writing would make a name read as another.
    shown = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in plain
    )
    if most is not None and len(shown) > most:
        head = (most - 1) * 2 // 3
        shown = f"{shown[:head]}…{shown[len(shown) - (most - 1 - head) :]}"
    return shown


def number(value: float | None, like: float | None = None) -> str:
    """A value with four figures or so; a dash for none.

    Args:
        value: In whatever unit is written behind it.
        like: Another value, as many decimals of which are shown.
    """
    if value is None:
        return "–"
    shown = value if like is None else like
    magnitude = math.floor(math.log10(abs(shown))) if shown else 0
    if magnitude < -4:
        return f"{value:.3g}"
    return f"{value:,.{max(0, 3 - magnitude)}f}"


def share(value: float | None) -> str:
    """A share as percent, never 100% or 0% unless it is.

    Args:
        value: 0 to 1.
    """
    if value is None:
        return "–"
    if 0 < value < 0.001:
        return "below 0.1%"
    if 0.999 < value < 1:
        return "above 99.9%"
    return f"{100 * value:.3g}%"


def tiles(count: int) -> str:
    """A number of tiles.

    Args:
        count: How many.
    """
    return "1 tile" if count == 1 else f"{count:,} tiles"
