"""Figures as tables of text, the same for the screen and for the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lotwise_training.evaluation.classification import MethodFigures, Shift, Tables
from lotwise_training.evaluation.predictions import METHODS, TEST
from lotwise_training.evaluation.tile_sets import METHOD_WORDS, NEW_REGIONS, TILE_RANDOM, words
from lotwise_training.report.targets import PUBLISHED, Target
from lotwise_training.report.wording import NONE, number, percent, percent_range, signed

REACHED: Final = "✓ reached"
MISSED: Final = "✗ missed"
UNKNOWN: Final = "not measured"
_AGAINST: Final = {TEST: "test tiles", NEW_REGIONS: "new regions"}


@dataclass(frozen=True)
class Sheet:
    """A table of text.

    Attributes:
        name: Short and unique.
        title: What it shows.
        headings: Of the columns, with units.
        rows: One text a column.
        groups: Numbers of the rows before which a line is drawn.
        words: How many columns, from the left, hold words rather than numbers.
        note: What a reader must know to read it.
    """

    name: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[int, ...] = ()
    words: int = 1
    note: str = ""


def targets_sheet(targets: Sequence[Target]) -> Sheet:
    """Targets beside what was measured and what was published."""
    verdicts = {True: REACHED, False: MISSED, None: UNKNOWN}
    return Sheet(
        "targets",
        "Targets",
        ("target", "verdict", "wanted", "measured", "published"),
        tuple(
            (t.what, verdicts[t.reached], t.wanted, t.measured or NONE, t.published or NONE)
            for t in targets
        ),
        groups=(5,),
        words=3,
        note="The first five are measured on the test tiles of tile-random, the split that was "
        "published. Published: Zhang et al. 2020, Table 1 and Figure 5, on other lots, with 16 "
        "members or passes. That a single network has about 92% is no merit: it says that the "
        "benchmark is as hard as theirs. Beats: the ensemble has the higher accuracy and the lower "
        "NLL on the test tiles of that split.",
    )


def accuracy_sheet(tables: Tables) -> Sheet:
    """Table 1 of Zhang et al. 2020 for all splits."""
    rows, groups = _by_split(
        tables,
        lambda f: (
            f"{f.tiles:,}",
            percent(f.accuracy),
            percent_range(f.accuracy_interval),
            percent(f.recipe_accuracy),
            number(f.nll),
            number(f.brier),
            percent(f.ece),
            percent(f.adaptive_ece),
        ),
        {
            m: (NONE, percent(p.accuracy, 1), NONE, NONE, number(p.nll), NONE, percent(p.ece), NONE)
            for m, p in PUBLISHED.items()
        },
    )
    return Sheet(
        "accuracy",
        "Table 1: accuracy and calibration on test tiles",
        (
            "split",
            "method",
            "tiles",
            "accuracy, %",
            "95% interval",
            "recipe, %",
            "NLL, nats",
            "Brier",
            "ECE, %",
            "adaptive ECE, %",
        ),
        rows,
        groups,
        words=2,
        note=f"{interval_note(tables)} Recipe: the lot or a repeat of its recipe is named. Brier: "
        "summed over lots, 0 to 2. ECE: 20 bins of equal width, as published; adaptive ECE: 20 "
        "bins of equally many tiles (Nixon et al. 2019, for the likeliest lot).",
    )


def referral_sheet(tables: Tables) -> Sheet:
    """How well the predictive entropy says which tiles to refer."""
    rows, groups = _by_split(
        tables,
        lambda f: (
            f"{f.tiles:,}",
            percent(f.error_at_90),
            percent_range(f.error_at_90_interval),
            number(f.aurc, 4),
            number(f.excess_aurc, 4),
            number(f.mean_entropy),
            percent(f.mean_confidence),
        ),
        {
            m: (NONE, percent(p.error_at_90, 1), NONE, NONE, NONE, NONE, NONE)
            for m, p in PUBLISHED.items()
        },
    )
    return Sheet(
        "referral",
        "Table 3: referral by predictive entropy, test tiles",
        (
            "split",
            "method",
            "tiles",
            "error at 90% coverage, %",
            "95% interval",
            "AURC",
            "E‑AURC",
            "mean entropy, nats",
            "mean confidence, %",
        ),
        rows,
        groups,
        words=2,
        note="The surest tiles are accepted first. AURC: mean risk over all coverages; E-AURC: "
        "what is above that of the best order (Geifman et al. 2019). Wilson interval over the "
        "accepted tiles, which takes them for independent: tiles of one region are not, so it is "
        "too narrow.",
    )


def differences_sheet(tables: Tables) -> Sheet:
    """The ensemble less the others, pair by pair."""
    rows: list[tuple[str, ...]] = []
    groups: list[int] = []
    last = ""
    for each in tables.differences:
        if each.set != TEST:
            continue
        if each.split != last:
            groups.append(len(rows))
        low, high = each.nll_interval
        verdict = "better" if each.beaten else "not better"
        rows.append(
            (
                each.split if each.split != last else "",
                METHOD_WORDS[each.other],
                f"{verdict}, clearly" if each.clear else verdict,
                f"{each.tiles:,}",
                signed(100 * each.accuracy, 2),
                f"{signed(100 * each.accuracy_interval[0], 2)} to "
                f"{signed(100 * each.accuracy_interval[1], 2)}",
                signed(each.nll, 3),
                f"{signed(low, 3)} to {signed(high, 3)}",
                signed(100 * each.ece, 2),
            )
        )
        last = each.split
    over = "regions" if tables.by_region else "tiles"
    return Sheet(
        "differences",
        "Table 2: the ensemble less another method, on the same tiles",
        (
            "split",
            "against",
            "ensemble is",
            "tiles",
            "accuracy, points",
            "95% interval",
            "NLL, nats",
            "95% interval",
            "ECE, points",
        ),
        tuple(rows),
        tuple(groups[1:]),
        words=3,
        note=f"Paired bootstrap over {over}, 2,000 draws. Better: higher accuracy and lower NLL; "
        "clearly: all over both intervals.",
    )


def shifted_predictions_sheet(tables: Tables) -> Sheet:
    """What becomes of the answers where the lots are known and something else is not."""
    shown = [each for each in tables.shifts if each.accuracy_drop is not None]

    def cells(each: Shift) -> tuple[str, ...]:
        figures = tables.find(each.split, each.method, each.set)
        if figures is None:
            return (NONE,) * 7
        return (
            f"{each.tiles:,}",
            percent(figures.accuracy),
            percent_range(figures.accuracy_interval),
            signed(-100 * (each.accuracy_drop or 0.0), 2),
            percent(figures.recipe_accuracy),
            number(figures.nll),
            percent(figures.ece),
        )

    rows, groups = _by_shift(shown, cells)
    return Sheet(
        "shifted-answers",
        "Table 4: answers to shifted tiles of known lots",
        (
            "tiles of",
            "against",
            "method",
            "tiles",
            "accuracy, %",
            "95% interval",
            "change, points",
            "recipe, %",
            "NLL, nats",
            "ECE, %",
        ),
        rows,
        groups,
        words=3,
        note="Change: of accuracy, from that of the tiles named under “against”. Zhang et al. 2020 "
        "lost 13 to 19 points to a new filament.",
    )


def shifts_sheet(tables: Tables) -> Sheet:
    """How well doubt tells shifted tiles from known ones."""
    rows, groups = _by_shift(
        tables.shifts,
        lambda each: (
            f"{each.tiles:,}",
            f"{each.known_tiles:,}",
            number(each.entropy_auroc),
            percent(each.entropy_fpr95, 1),
            number(each.mutual_information_auroc),
            percent(each.mutual_information_fpr95, 1),
        ),
    )
    return Sheet(
        "shifts",
        "Table 5: telling shifted tiles from known ones by doubt",
        (
            "tiles of",
            "against",
            "method",
            "tiles",
            "known tiles",
            "entropy: AUROC",
            "FPR95, %",
            "disagreement: AUROC",
            "FPR95, %",
        ),
        rows,
        groups,
        words=3,
        note="AUROC: chance that a shifted tile scores above a known one; 0.5 tells nothing apart. "
        "FPR95: share of known tiles flagged where 95% of the shifted ones are. Disagreement: "
        "mutual information of the members, which a single network has not. New regions are no "
        "shift to be found: there, 0.5 is right. Lots held out are asked of the networks of "
        "lot-held-out, against its test tiles; all others of those of tile-random.",
    )


def interval_note(tables: Tables) -> str:
    """What the intervals of accuracy are of."""
    if tables.by_region:
        return (
            "95% interval: bootstrap over regions (scenes of a lot), because tiles of one region "
            "are not independent."
        )
    return (
        "95% interval: Wilson over tiles, which takes them for independent: tiles of one region "
        "are not, so it is too narrow."
    )


def _by_shift(
    shifts: Sequence[Shift], cells: Callable[[Shift], tuple[str, ...]]
) -> tuple[tuple[tuple[str, ...], ...], tuple[int, ...]]:
    """A row for each shifted set and method, with a line between sets."""
    rows: list[tuple[str, ...]] = []
    groups: list[int] = []
    last = ("", "")
    for each in shifts:
        new = (each.split, each.set) != last
        last = (each.split, each.set)
        if new:
            groups.append(len(rows))
        against = _AGAINST.get(each.against, each.against)
        first = (words(each.set), against) if new else ("", "")
        rows.append((*first, METHOD_WORDS[each.method], *cells(each)))
    return tuple(rows), tuple(groups[1:])


def _by_split(
    tables: Tables,
    cells: Callable[[MethodFigures], tuple[str, ...]],
    published: Mapping[str, tuple[str, ...]],
) -> tuple[tuple[tuple[str, ...], ...], tuple[int, ...]]:
    """A row for each split and method; after those of tile-random, the published ones."""
    found: dict[str, list[MethodFigures]] = {}
    for each in tables.figures:
        if each.set == TEST:
            found.setdefault(each.split, []).append(each)
    rows: list[tuple[str, ...]] = []
    groups = []
    for split, figures in found.items():
        groups.append(len(rows))
        for position, each in enumerate(figures):
            name = split if position == 0 else ""
            rows.append((name, METHOD_WORDS[each.method], *cells(each)))
        if split == TILE_RANDOM:
            groups.append(len(rows))
            for position, method in enumerate(METHODS):
                name = "published" if position == 0 else ""
                rows.append((name, METHOD_WORDS[method], *published[method]))
    return tuple(rows), tuple(groups[1:])
