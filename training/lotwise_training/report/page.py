"""The report as one page: no scripts, nothing that is not inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lotwise_training.evaluation.classification import Tables
from lotwise_training.evaluation.predictions import ENSEMBLE, TEST, Predictions
from lotwise_training.evaluation.tile_sets import TILE_RANDOM, splits_of
from lotwise_training.report.figures.classification import (
    accuracy_figure,
    confusion_figure,
    reliability_figure,
    risk_coverage_figure,
)
from lotwise_training.report.figures.shifts import entropy_figure, shifted_sets
from lotwise_training.report.html_parts import STYLE, Plot, figure_html, table_html
from lotwise_training.report.run_sheets import runs_sheet
from lotwise_training.report.sheets import (
    accuracy_sheet,
    differences_sheet,
    referral_sheet,
    shifted_predictions_sheet,
    shifts_sheet,
    targets_sheet,
)
from lotwise_training.report.targets import Target
from lotwise_training.report.verify import ABSOLUTE, RELATIVE, Rechecked


def plots(outputs: Predictions, manifest: Mapping[str, Any], tables: Tables) -> dict[str, Plot]:
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
    return {plot.name: plot for plot in made}


def index_html(
    outputs: Predictions,
    manifest: Mapping[str, Any],
    tables: Tables,
    targets: Sequence[Target],
    drawn: Mapping[str, Plot],
    rechecked: Rechecked | None,
    further: Sequence[str] = (),
) -> str:
    """The page.

    Args:
        outputs: What the networks answered.
        manifest: Of their run.
        tables: Computed from them.
        targets: Computed from the tables.
        drawn: The figures; those that are missing are left out.
        rechecked: What was made anew; None if nothing was.
        further: Elements of what was measured beside the committee.
    """
    splits = splits_of(outputs)
    parts = [
        "<h1>How well the committee knows its lots, and how well it knows when it does not</h1>",
        f'<p class="lead">{escape(what_was_measured(outputs, manifest))}</p>',
        f"<p>{escape(_summary(targets))}</p>",
        table_html(targets_sheet(targets)),
        "<h2>Known lots</h2>",
        table_html(accuracy_sheet(tables)),
        figure_html(drawn, "accuracy"),
        table_html(differences_sheet(tables)),
        *(figure_html(drawn, f"reliability-{split}") for split in splits),
        *(figure_html(drawn, f"confusion-{split}") for split in splits),
        "<h2>Referral</h2>",
        table_html(referral_sheet(tables)),
        figure_html(drawn, "risk-coverage"),
    ]
    if tables.shifts:
        parts += [
            "<h2>Shifted tiles</h2>",
            table_html(shifted_predictions_sheet(tables)),
            table_html(shifts_sheet(tables)),
            figure_html(drawn, "entropy"),
        ]
    parts += further
    parts += ["<h2>What this rests on</h2>", table_html(runs_sheet(manifest)), _ground(rechecked)]
    parts.append(_hashes(manifest))
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Lotwise: evaluation on benchmark v{escape(str(manifest.get('benchmark', '?')))}"
        f"</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def what_was_measured(outputs: Predictions, manifest: Mapping[str, Any]) -> str:
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
        ("Stored answers, SHA-256", manifest.get("arrays_sha256")),
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
