"""The report's section on the cascade, from stored decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lotwise.core.cascade import CASCADE_FILE, Cascade
from lotwise.core.cascade_fit import evaluations
from lotwise_training.evaluation.cascade import REFERRED, StoredCascade
from lotwise_training.evaluation.shift_predictions import KNOWN
from lotwise_training.evaluation.tile_sets import words
from lotwise_training.report.html_parts import table_html
from lotwise_training.report.section import Section
from lotwise_training.report.served_models import COMMITTEE, RecheckFailed
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.targets import Target
from lotwise_training.report.wording import percent
from lotwise_training.store.arrays import find

LEAST_EQUAL: Final = 0.995
MOST_EVALUATIONS: Final = 1 / 3


@dataclass(frozen=True)
class SetFigures:
    """Of one set.

    Attributes:
        name: Of the set.
        tiles: How many.
        done: Share for which the first members were enough.
        evaluations: Share of the members' evaluations.
        equal: Share decided on as by the whole committee.
        accepted, accepted_by_all: Share accepted, by the cascade and by the whole committee.
    """

    name: str
    tiles: int
    done: float
    evaluations: float
    equal: float
    accepted: float
    accepted_by_all: float


def set_figures(stored: StoredCascade) -> list[SetFigures]:
    """Of all sets."""
    return [
        SetFigures(
            name,
            len(each.done),
            float(each.done.mean()),
            evaluations(each.done, stored.first, stored.members),
            float((each.decided == each.by_all).mean()),
            float((each.decided != REFERRED).mean()),
            float((each.by_all != REFERRED).mean()),
        )
        for name, each in stored.sets.items()
    ]


def cascade_sheet(figures: Sequence[SetFigures], stored: StoredCascade) -> Sheet:
    """What a cascade costs, and how often it decides as the whole committee."""
    return Sheet(
        "cascade",
        f"Table 16: a cascade, {stored.first} of {stored.members} members first",
        (
            "set",
            "tiles",
            "first are enough, %",
            "evaluations, %",
            "same decision, %",
            "accepted, %",
            "by all members, %",
        ),
        tuple(
            (
                words(each.name),
                f"{each.tiles:,}",
                percent(each.done, 1),
                percent(each.evaluations, 1),
                percent(each.equal),
                percent(each.accepted, 1),
                percent(each.accepted_by_all, 1),
            )
            for each in figures
        ),
        note="Same decision: both refer the tile, or both accept it and name the same lot. "
        "Evaluations: of members, against asking all of them. The diagnosis of the first members "
        f"calls {stored.kinds_of_tiles:.1%} of tiles and {stored.kinds_of_lots:.1%} of lots right "
        f"(balanced accuracy, as Tables 12 and 13), with {stored.false_alarms} false alarms on "
        "new lots.",
    )


def cascade_targets(figures: Sequence[SetFigures]) -> tuple[Target, ...]:
    """What was to be reached, on known lots in new regions."""
    (known,) = (each for each in figures if each.name == KNOWN)
    return (
        Target(
            "cascade: same decision as the whole committee",
            f">= {LEAST_EQUAL:.1%}",
            f"{known.equal:.2%}",
            "",
            known.equal >= LEAST_EQUAL,
            known.equal,
        ),
        Target(
            "cascade: share of the members' evaluations",
            f"<= {MOST_EVALUATIONS:.0%}",
            f"{known.evaluations:.0%}",
            "",
            known.evaluations <= MOST_EVALUATIONS,
            known.evaluations,
        ),
    )


def cascade_section(results: Path, models: Path | None) -> Section | None:
    """The section; None where nothing of it is stored.

    Args:
        results: Folder of stored answers.
        models: The model repository, whose cascade must be the one that was measured; None
            compares nothing.

    Raises:
        ResultsError: What is stored is not what its manifest speaks of.
        RecheckFailed: Another cascade is served than was measured.
    """
    stored = find(StoredCascade, results)
    if stored is None:
        return None
    if models is not None:
        served = Cascade.read(models / COMMITTEE / CASCADE_FILE)
        if served is None or served.calibration.calibration_version != stored.version:
            raise RecheckFailed(
                f"another cascade is served than was measured ({stored.version}); "
                "`lotwise-train cascade` makes both anew"
            )
    figures = set_figures(stored)
    sheet = cascade_sheet(figures, stored)
    return Section(
        name="cascade",
        targets=cascade_targets(figures),
        sheets=(sheet,),
        content={
            "version": stored.version,
            "first": stored.first,
            "members": stored.members,
            "sets": [asdict(each) for each in figures],
        },
        parts=["<h2>Few members first</h2>", table_html(sheet)],
    )
