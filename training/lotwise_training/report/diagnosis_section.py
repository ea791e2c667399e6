"""The report's section on kinds of shift and on verdicts on lots, from stored answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from lotwise.core.diagnosis import DIAGNOSIS_FILE, KINDS, Diagnosis, Shift
from lotwise.core.lot_diagnosis import LOT_DIAGNOSIS_FILE, LotCalibration
from lotwise_training.evaluation.predictions import Predictions
from lotwise_training.evaluation.shift_predictions import NEW, PER_LOT, ShiftPredictions
from lotwise_training.evaluation.shifts import (
    EarlyFigures,
    KindFigures,
    MixtureFigures,
    balanced_accuracy,
    early_figures,
    kind_figures,
    mixture_figures,
)
from lotwise_training.evaluation.tile_sets import words
from lotwise_training.report.figures.roc import roc_figure
from lotwise_training.report.figures.style import blank, percent, styled
from lotwise_training.report.html_parts import Plot, figure_html, table_html
from lotwise_training.report.section import Section
from lotwise_training.report.served_models import COMMITTEE, RecheckFailed
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.targets import Target
from lotwise_training.report.wording import NONE
from lotwise_training.report.wording import percent as as_percent
from lotwise_training.store.arrays import find

MOST_ALARMS: Final = 15
LEAST_LOT_ACCURACY: Final = 0.90
MOST_NEEDED: Final = 0.20
HEADINGS: Final = {
    Shift.NONE: "none",
    Shift.INSTRUMENT: "instrument",
    Shift.SYNTHESIS: "synthesis",
    Shift.UNRELATED: "unrelated",
}
COLOURS: Final = {
    Shift.NONE: "#DDDDDD",
    Shift.INSTRUMENT: "#DDAA33",
    Shift.SYNTHESIS: "#004488",
    Shift.UNRELATED: "#BB5566",
}
"""Paul Tol's "high contrast": told apart with any colour vision, and in grey."""


def kinds_sheet(figures: Sequence[KindFigures], level: str) -> Sheet:
    """What sets are called, by tile or by lot.

    Args:
        figures: Of all sets.
        level: "by_tile" or "by_lot".
    """
    by_lot = level == "by_lot"
    headings = [
        "set",
        "is",
        "lots" if by_lot else "tiles",
        *(f"{HEADINGS[kind]}, %" for kind in KINDS),
    ]
    rows = []
    for each in figures:
        row = [words(each.name), each.truth.value, f"{each.lots if by_lot else each.tiles:,}"]
        row += [as_percent(share, 1) for share in getattr(each, level)]
        if by_lot:
            row += [str(each.strange), str(each.instrument_alarms), str(each.mixed_alarms)]
        else:
            row += [NONE if each.auroc is None else f"{each.auroc:.3f}"]
        rows.append(tuple(row))
    headings += ["strange", "changed", "mixed"] if by_lot else ["AUROC"]
    accuracy = balanced_accuracy(figures, level)
    note = (
        f"Lots of {PER_LOT} tiles, {PER_LOT} pictures for one lot where they show none. Balanced "
        f"accuracy over the kinds, without new lots: {accuracy:.1%}. New lots are of the same box "
        "as known ones but none of them: of an unchanged instrument. The last three: lots "
        "that set off the alarm (p-value at most 0.05) for no known lot, a changed instrument, a "
        "mixture."
        if by_lot
        else f"Balanced accuracy over the kinds, without new lots: {accuracy:.1%}. AUROC: of the "
        "chance that something has changed, against known lots in new regions."
    )
    number, title = ("13", "lots") if by_lot else ("12", "tiles")
    return Sheet(
        f"kinds of {title}",
        f"Table {number}: what the diagnosis calls {title}",
        tuple(headings),
        tuple(rows),
        words=2,
        note=note,
    )


def early_sheet(figures: Sequence[EarlyFigures], mixtures: Sequence[MixtureFigures]) -> Sheet:
    """How early verdicts are settled."""
    mixed = ", ".join(
        f"{each.share:.0%} of the second {each.alarms} of {each.lots}" for each in mixtures
    )
    return Sheet(
        "early verdicts",
        "Table 14: how early a lot's verdict is settled",
        ("set", "lots", "accepted", "referred", "undecided", "tiles needed", "wrong"),
        tuple(
            (
                words(each.name),
                str(each.lots),
                str(each.accepted),
                str(each.referred),
                str(each.lots - each.accepted - each.referred),
                NONE if each.needed is None else f"{each.needed:.0f}",
                str(each.wrong),
            )
            for each in figures
        ),
        note=f"Lots of {PER_LOT} tiles in their order; tiles needed: median of settled lots. "
        f"Wrong: settled otherwise than all {PER_LOT} tiles lie beside the limit. Mixed alarms for "
        f"lots made of tiles of two new ones: {mixed}.",
    )


def diagnosis_targets(
    kinds: Sequence[KindFigures], early: Sequence[EarlyFigures]
) -> tuple[Target, ...]:
    """What was to be reached."""
    by_lot = balanced_accuracy(kinds, "by_lot")
    (new,) = [each for each in kinds if each.name == NEW]
    # Every lot counts once.
    needed = [each.needed for each in early for _ in range(each.lots) if each.needed is not None]
    share = float(np.median(needed)) / PER_LOT if needed else None
    return (
        Target(
            "kind of shift of a lot, balanced accuracy",
            f">= {LEAST_LOT_ACCURACY:.0%}",
            f"{by_lot:.1%}",
            "",
            by_lot >= LEAST_LOT_ACCURACY,
            by_lot,
        ),
        Target(
            "false alarms on 200 new lots",
            f"<= {MOST_ALARMS}",
            str(new.instrument_alarms),
            "",
            new.instrument_alarms <= MOST_ALARMS,
            new.instrument_alarms / new.lots,
        ),
        Target(
            "share of a lot's tiles needed for its verdict",
            f"<= {MOST_NEEDED:.0%}",
            "" if share is None else f"{share:.0%}",
            "",
            None if share is None else share <= MOST_NEEDED,
            share,
        ),
    )


@styled
def kinds_figure(figures: Sequence[KindFigures]) -> Figure:
    """What tiles and lots of every set are called, as bars."""
    figure = blank(0.9 + 0.28 * len(figures))
    panels = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(figures))[::-1]
    for axes, level, title in zip(
        panels, ("by_tile", "by_lot"), ("single tiles", f"lots of {PER_LOT} tiles"), strict=True
    ):
        left = np.zeros(len(figures))
        for number, kind in enumerate(KINDS):
            shares = np.array([getattr(each, level)[number] for each in figures])
            axes.barh(places, shares, left=left, color=COLOURS[kind], height=0.7, label=kind.value)
            left += shares
        axes.set_title(title)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(percent)
        axes.set_xlabel("share called so")
    panels[0].set_yticks(places, [f"{words(e.name)} ({e.truth.value})" for e in figures])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(KINDS))
    return figure


def diagnosis_section(
    results: Path, outputs: Predictions, models: Path | None, *, seed: int
) -> Section | None:
    """The section; None where nothing of it is stored.

    Args:
        results: Folder of stored answers.
        outputs: Stored answers of the committee.
        models: The model repository, whose diagnosis must be the one that was measured; None
            compares nothing.
        seed: Of the mixtures.

    Raises:
        ResultsError: What is stored is not what its manifest speaks of.
        RecheckFailed: Another diagnosis is served than was measured.
    """
    answers = find(ShiftPredictions, results)
    if answers is None:
        return None
    if models is not None:
        folder = models / COMMITTEE
        served = Diagnosis.read(folder / DIAGNOSIS_FILE)
        lots = LotCalibration.read(folder / LOT_DIAGNOSIS_FILE)
        if lots != answers.lots or served is None or served.version != lots.diagnosis_version:
            raise RecheckFailed(
                "another diagnosis is served than was measured "
                f"({answers.lots.diagnosis_version}); `lotwise-train diagnose` makes both anew"
            )
    kinds, early = kind_figures(answers), early_figures(answers)
    mixtures = mixture_figures(answers, seed)
    sheets = (
        kinds_sheet(kinds, "by_tile"),
        kinds_sheet(kinds, "by_lot"),
        early_sheet(early, mixtures),
    )
    plot = Plot(
        "kinds",
        kinds_figure(kinds),
        "What the diagnosis calls the tiles and the lots of every set; in brackets what is the "
        "matter with them.",
    )
    roc = Plot(
        "roc",
        roc_figure(answers, outputs),
        "Shifted tiles that a score finds against false alarms on known lots in new regions. The "
        "horizontal axis is a square root. Entropies are of 1,000 tiles of each set.",
    )
    return Section(
        name="diagnosis",
        targets=diagnosis_targets(kinds, early),
        sheets=sheets,
        content={
            "diagnosis_version": answers.lots.diagnosis_version,
            "kinds": [{**asdict(each), "truth": each.truth.value} for each in kinds],
            "mixtures": [asdict(each) for each in mixtures],
            "early": [asdict(each) for each in early],
        },
        parts=[
            "<h2>Kinds of shift, and verdicts on lots</h2>",
            figure_html({plot.name: plot}, plot.name),
            figure_html({roc.name: roc}, roc.name),
            *map(table_html, sheets),
        ],
    )
