"""The report as one page: no scripts, nothing that is not inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from matplotlib.figure import Figure

from lotwise_training.outputs import ENSEMBLE, TEST, Outputs
from lotwise_training.report.drawing import as_svg
from lotwise_training.report.figures import (
    accuracy_figure,
    confusion_figure,
    learning_figure,
    reliability_figure,
    risk_coverage_figure,
)
from lotwise_training.report.recheck import ABSOLUTE, RELATIVE, Rechecked
from lotwise_training.report.run_sheets import learning_sheet, runs_sheet
from lotwise_training.report.sets import TILE_RANDOM, splits_of
from lotwise_training.report.sheets import (
    MISSED,
    REACHED,
    Sheet,
    accuracy_sheet,
    differences_sheet,
    referral_sheet,
    shifted_answers_sheet,
    shifts_sheet,
    targets_sheet,
)
from lotwise_training.report.shift_figures import entropy_figure, shifted_sets
from lotwise_training.report.tables import Tables
from lotwise_training.report.targets import Target

_STYLE: Final = """
:root { color-scheme: light; --ink: #1f2937; --soft: #4b5563; --line: #d1d5db; --blue: #004488; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .5rem; padding-bottom: .25rem;
  border-bottom: 2px solid var(--blue); }
p { max-width: 46rem; margin: .6rem 0; }
.lead { font-size: 1.05rem; }
.scroll { overflow-x: auto; margin: 1rem 0 .4rem; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem; }
th, td { padding: .28rem .7rem .28rem 0; text-align: right; white-space: nowrap;
  vertical-align: bottom; }
th { font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--ink);
  white-space: normal; min-width: 3.6rem; }
td.w, th.w { text-align: left; }
td:last-child, th:last-child { padding-right: 0; }
tr.g td { border-top: 1px solid var(--line); padding-top: .4rem; }
tbody tr:last-child td { border-bottom: 1px solid var(--ink); }
.yes { color: #14532d; font-weight: 600; } .no { color: #991b1b; font-weight: 600; }
.note, figcaption { font-size: .84rem; color: var(--soft); max-width: 52rem; margin: .3rem 0 0; }
main { counter-reset: figure; }
figure { margin: 1.6rem 0; counter-increment: figure; }
figcaption::before { content: "Figure " counter(figure) ". "; font-weight: 600; }
figure svg { display: block; width: 100%; min-width: 38rem; height: auto; }
dl { font-size: .84rem; } dt { font-weight: 600; margin-top: .5rem; }
dd { margin: 0; overflow-wrap: anywhere; } dd.hash { font-family: ui-monospace, monospace; }
@media (max-width: 44rem) {
  td.w { white-space: normal; min-width: 5.5rem; }
  td.w:first-child { min-width: 7.5rem; }
  td { vertical-align: top; }
}
td.w.yes, td.w.no { white-space: nowrap; }
@media print { main { max-width: none; } figure, table { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Plot:
    """A figure with its words.

    Attributes:
        name: Short and unique; also the name of a file.
        figure: What is drawn.
        caption: What it shows, and of what.
    """

    name: str
    figure: Figure
    caption: str


def plots(outputs: Outputs, manifest: Mapping[str, Any], tables: Tables) -> dict[str, Plot]:
    """All figures that these outputs allow, by name."""
    splits = splits_of(outputs)
    over = "regions" if tables.by_region else "tiles"
    made = [
        Plot(
            "accuracy",
            accuracy_figure(tables, splits),
            f"Accuracy on test tiles. Bars: 95% interval over {over}. Hollow: what Zhang et al. "
            "2020 published, on their lots and a split like tile-random. Dotted: the target of "
            "the ensemble on tile-random.",
        ),
        Plot(
            "risk-coverage",
            risk_coverage_figure(outputs),
            "Risk-coverage curves: the error among the tiles of least predictive entropy, from 5% "
            "of the tiles on. Filled marks: at 90% coverage. Hollow: published there (single "
            "3.5%, ensemble 1.5%). Dotted: 90% coverage, and the target of 1.0% error.",
        ),
    ]
    for split in splits:
        made.append(
            Plot(
                f"reliability-{split}",
                reliability_figure(outputs, split),
                f"Reliability on the test tiles of {split}: accuracy against mean confidence in 20 "
                "bins of equal width, and how many tiles are in each (logarithmic). Bars: Wilson "
                "95% interval. Hollow: fewer than 10 tiles. Below the dotted line a method is "
                "surer than it is right.",
            )
        )
        if ENSEMBLE in outputs[split, TEST].answers:
            made.append(
                Plot(
                    f"confusion-{split}",
                    confusion_figure(outputs, manifest, split),
                    f"Answers of the ensemble on the test tiles of {split}. Left: which lot is "
                    "taken for which; lots of one recipe are framed. Right: how much of each "
                    "lot's confusion stays with the repeats of its recipe.",
                )
            )
    if shifted_sets(outputs):
        made.append(
            Plot(
                "entropy",
                entropy_figure(outputs),
                "Predictive entropy of the ensemble on shifted tiles (line) and on the known "
                "tiles that they are compared with (grey; Table 5 says which). The vertical axis "
                "is a square root, so that few unsure tiles are seen beside many sure ones. "
                "Dotted: ln K, the entropy of an answer that knows nothing.",
            )
        )
    if manifest.get("learning_curve"):
        made.append(
            Plot(
                "learning",
                learning_figure(manifest["learning_curve"]),
                "Accuracy, NLL and ECE on the test tiles of tile-random, against how many tiles "
                "the networks learned from.",
            )
        )
    return {plot.name: plot for plot in made}


def index_html(
    outputs: Outputs,
    manifest: Mapping[str, Any],
    tables: Tables,
    targets: Sequence[Target],
    drawn: Mapping[str, Plot],
    rechecked: Rechecked | None,
) -> str:
    """The page.

    Args:
        outputs: What the networks answered.
        manifest: Of their run.
        tables: Computed from them.
        targets: Computed from the tables.
        drawn: The figures; those that are missing are left out.
        rechecked: What was made anew; None if nothing was.
    """
    splits = splits_of(outputs)
    curve = manifest.get("learning_curve")
    parts = [
        "<h1>How well the committee knows its lots, and how well it knows when it does not</h1>",
        f'<p class="lead">{escape(what_was_measured(outputs, manifest))}</p>',
        f"<p>{escape(_summary(targets))}</p>",
        _table(targets_sheet(targets)),
        "<h2>Known lots</h2>",
        _table(accuracy_sheet(tables)),
        _figure(drawn, "accuracy"),
        _table(differences_sheet(tables)),
        *(_figure(drawn, f"reliability-{split}") for split in splits),
        *(_figure(drawn, f"confusion-{split}") for split in splits),
        "<h2>Referral</h2>",
        _table(referral_sheet(tables)),
        _figure(drawn, "risk-coverage"),
    ]
    if tables.shifts:
        parts += [
            "<h2>Shifted tiles</h2>",
            _table(shifted_answers_sheet(tables)),
            _table(shifts_sheet(tables)),
            _figure(drawn, "entropy"),
        ]
    if curve:
        parts += [
            "<h2>How many tiles it takes</h2>",
            _table(learning_sheet(curve)),
            _figure(drawn, "learning"),
        ]
    parts += ["<h2>What this rests on</h2>", _table(runs_sheet(manifest)), _ground(rechecked)]
    parts.append(_hashes(manifest))
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Lotwise: evaluation on benchmark v{escape(str(manifest.get('benchmark', '?')))}"
        f"</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def what_was_measured(outputs: Outputs, manifest: Mapping[str, Any]) -> str:
    """What was measured on what, in a paragraph."""
    run = manifest.get("runs", {}).get(TILE_RANDOM, {})
    lots = len(manifest.get("lot_ids", []))
    recipes = len(set(manifest.get("recipes", [])))
    made_of = f" ({lots} lots of {recipes} recipes)" if lots and recipes else ""
    tests = sum(len(outputs[split, TEST].tiles) for split in splits_of(outputs))
    others = sum(len(each.tiles) for (_, name), each in outputs.items() if name != TEST)
    return (
        f"Measured on benchmark v{manifest.get('benchmark', '?')} of Lotwise: simulated lots"
        f"{made_of}, drawn by a program; no figure here is of a real micrograph. Networks "
        "(WRN-16-2) name the lot of a tile of 64 by 64 pixels, 4 micrometres each. Training "
        f"profile “{manifest.get('profile', '?')}”: an ensemble of {run.get('members', '?')} "
        f"members, MC dropout with {run.get('dropout_passes', '?')} passes, and one member alone; "
        f"asked about {tests:,} test tiles of {len(splits_of(outputs))} splits and {others:,} "
        "shifted tiles. tile-random splits tiles at random, as published, so that tiles which "
        "overlap stand on both sides and it flatters; region-blocked keeps regions of a lot "
        "apart; lot-held-out keeps whole recipes away."
    )


def _summary(targets: Sequence[Target]) -> str:
    reached = sum(target.reached is True for target in targets)
    unknown = sum(target.reached is None for target in targets)
    left = f"; {unknown} could not be measured" if unknown else ""
    return f"{reached} of {len(targets)} targets are reached{left}."


def _table(sheet: Sheet) -> str:
    if not sheet.rows:
        return ""

    def cell(tag: str, column: int, text: str) -> str:
        marks = ["w"] if column < sheet.words else []
        marks += {REACHED: ["yes"], MISSED: ["no"]}.get(text, [])
        kind = f' class="{" ".join(marks)}"' if marks else ""
        scope = ' scope="col"' if tag == "th" else ""
        return f"<{tag}{scope}{kind}>{escape(text)}</{tag}>"

    head = "".join(cell("th", column, text) for column, text in enumerate(sheet.headings))
    rows = "\n".join(
        ('<tr class="g">' if number in sheet.groups else "<tr>")
        + "".join(cell("td", column, text) for column, text in enumerate(row))
        + "</tr>"
        for number, row in enumerate(sheet.rows)
    )
    note = f'<p class="note">{escape(sheet.note)}</p>' if sheet.note else ""
    return (
        f'<div class="scroll"><table id="{sheet.name}"><caption>{escape(sheet.title)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>{note}"
    )


def _figure(drawn: Mapping[str, Plot], name: str) -> str:
    plot = drawn.get(name)
    if plot is None:
        return ""
    svg = as_svg(plot.figure, name, plot.caption)
    return (
        f'<figure id="figure-{name}"><div class="scroll">{svg}</div>'
        f"<figcaption>{escape(plot.caption)}</figcaption></figure>"
    )


def _ground(rechecked: Rechecked | None) -> str:
    stored = (
        "All figures are computed from stored answers of the trained networks, tile by tile: "
        "averaged log-probabilities in half precision."
    )
    if rechecked is None:
        return f"<p>{stored} No answer was made anew for this page.</p>"
    tiles = sum(rechecked.tiles.values())
    accuracy = ""
    if rechecked.accuracy is not None and rechecked.stored_accuracy is not None:
        accuracy = (
            f" Its accuracy on the labelled ones is {rechecked.accuracy:.2%}; by the stored "
            f"answers {rechecked.stored_accuracy:.2%}."
        )
    sets = ", ".join(f"{name} {count:,}" for name, count in rechecked.tiles.items())
    return (
        f"<p>{stored} For this page {tiles:,} tiles (seed {rechecked.seed}: {escape(sets)}) were "
        "rendered anew and shown to the committee that is served. Its log-probabilities differ "
        f"from the stored ones by at most {rechecked.largest_difference:.4f} nats "
        f"({escape(rechecked.largest_at)}); {ABSOLUTE:g} nats and {100 * RELATIVE:g}% of the "
        f"value are allowed.{accuracy}</p>"
    )


def _hashes(manifest: Mapping[str, Any]) -> str:
    entries = [
        ("Benchmark data, SHA-256", manifest.get("data_version")),
        ("Stored answers, SHA-256", manifest.get("outputs_sha256")),
    ]
    for split, run in manifest.get("runs", {}).items():
        for method, digest in run.get("weights_sha256", {}).items():
            entries.append((f"Weights of {split}, {method}, SHA-256", digest))
    rows = "\n".join(
        f'<dt>{escape(name)}</dt><dd class="hash">{escape(str(value))}</dd>'
        for name, value in entries
        if value
    )
    sources = (
        "<dt>Sources</dt><dd>Zhang et al. 2020, Leveraging uncertainty from deep learning for "
        "trustworthy materials discovery workflows. Lakshminarayanan et al. 2017 (deep ensembles). "
        "Gal &amp; Ghahramani 2016 (MC dropout). Geifman &amp; El-Yaniv 2017; Geifman et al. 2019 "
        "(risk, coverage, AURC). Nixon et al. 2019 (adaptive calibration error). Brier 1950. "
        "Wilson 1927.</dd>"
    )
    return f"<dl>\n{rows}\n{sources}\n</dl>"
