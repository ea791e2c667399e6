"""The report: tables on the screen, metrics.json and index.html.

python -m lotwise_training.report [--results FOLDER] [--models FOLDER] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from lotwise_simulator.benchmark import VERSION
from lotwise_simulator.benchmark_files import frozen
from lotwise_training.data.benchmark import render_places, tile_places
from lotwise_training.evaluation.card_figures import CardDisagrees, card_figures, check_card
from lotwise_training.evaluation.classification import Tables, compute
from lotwise_training.evaluation.predictions import EnsembleResult, Predictions
from lotwise_training.report.calibration_page import calibration_section
from lotwise_training.report.cascade_section import cascade_section
from lotwise_training.report.conformal_section import conformal_section
from lotwise_training.report.diagnosis_section import diagnosis_section
from lotwise_training.report.edit_section import edit_section
from lotwise_training.report.known_tiles_section import known_tiles_section
from lotwise_training.report.lot_plan_section import lot_plan_section
from lotwise_training.report.page import index_html, plots
from lotwise_training.report.plan_section import plan_section
from lotwise_training.report.property_section import property_section
from lotwise_training.report.screen import show
from lotwise_training.report.served_models import RecheckFailed, served_committee
from lotwise_training.report.sheets import (
    accuracy_sheet,
    differences_sheet,
    referral_sheet,
    shifted_predictions_sheet,
    shifts_sheet,
    targets_sheet,
)
from lotwise_training.report.targets import Target, targets
from lotwise_training.report.verify import Rechecked, recheck
from lotwise_training.store.arrays import ResultsError, read

RESULTS = Path("training/results")
MODELS = Path("model_repository")
OUT = Path("out/evaluation")
WIDTH = 132
"""Characters of the widest table."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 1 where the stored answers are not to be trusted."""
    options = _parser().parse_args(arguments)
    # Wide tables, also where they go into a file or a small window: figures must not be cut.
    out = Console(width=max(Console().width, WIDTH))
    err = Console(stderr=True)
    try:
        stored = read(EnsembleResult, options.results)
        outputs, manifest = stored.sets, stored.manifest()
        # Where a laboratory's own tiles come from is not known here.
        places = tile_places if manifest.get("benchmark") == VERSION else None
        tables = compute(outputs, manifest, places, seed=options.seed)
        models = None if options.no_recheck else options.models
        # A laboratory may train a committee alone.
        sections = [
            section
            for section in (
                calibration_section(options.results, outputs, models, seed=options.seed),
                property_section(options.results, models, seed=options.seed),
                edit_section(options.results, models, seed=options.seed),
                conformal_section(options.results, models, seed=options.seed),
                known_tiles_section(options.results, models),
                diagnosis_section(options.results, outputs, models, seed=options.seed),
                cascade_section(options.results, models),
                plan_section(options.results),
                lot_plan_section(options.results, models, seed=options.seed),
            )
            if section is not None
        ]
        reached = targets(tables) + tuple(t for section in sections for t in section.targets)
        for sheet in (
            accuracy_sheet(tables),
            differences_sheet(tables),
            referral_sheet(tables),
            shifted_predictions_sheet(tables),
            shifts_sheet(tables),
            *(sheet for section in sections for sheet in section.sheets),
            targets_sheet(reached),
        ):
            if sheet.rows:
                show(sheet, out)
        rechecked = None
        if not options.no_recheck:
            rechecked = _recheck(outputs, manifest, options.models, options.seed, err)
            card = options.models / "committee" / "MODEL_CARD.md"
            check_card(card.read_text(encoding="utf-8"), card_figures(outputs, manifest))
            out.print(
                f"made anew: {sum(rechecked.tiles.values()):,} tiles; log-probabilities within "
                f"{rechecked.largest_difference:.4f} nats of the stored ones"
            )
        for section in sections:
            if section.said:
                out.print(section.said)
    except (ResultsError, RecheckFailed, CardDisagrees) as error:
        err.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    content = metrics(manifest, tables, reached, rechecked)
    content |= {section.name: section.content for section in sections}
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    (options.out / "metrics.json").write_text(text, encoding="utf-8")
    drawn = plots(outputs, manifest, tables)
    further = [part for section in sections for part in section.parts]
    page = index_html(outputs, manifest, tables, reached, drawn, rechecked, further)
    (options.out / "index.html").write_text(page, encoding="utf-8")
    out.print(f"wrote {options.out / 'metrics.json'} and {options.out / 'index.html'}")
    return 0


def metrics(
    manifest: Mapping[str, Any],
    tables: Tables,
    reached: Sequence[Target],
    rechecked: Rechecked | None,
) -> dict[str, Any]:
    """All figures in JSON's types, with what they were computed from."""
    stated = ("benchmark", "profile", "data_version", "arrays_sha256", "runs")
    return {
        **{key: manifest[key] for key in stated if key in manifest},
        "targets": [target.as_json() for target in reached],
        **tables.as_json(),
        "recheck": None if rechecked is None else rechecked.as_json(),
    }


def _recheck(
    outputs: Predictions, manifest: Mapping[str, Any], models: Path, seed: int, err: Console
) -> Rechecked:
    def shown(batches: Sequence[slice], title: str) -> Iterable[slice]:
        return track(batches, title, console=err)

    _, data_version, _ = frozen()
    with served_committee(models) as committee:
        return recheck(
            outputs,
            manifest,
            committee,
            tile_places,
            render_places,
            data_version,
            seed=seed,
            track=shown,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lotwise_training.report",
        description="Compute the report from stored answers, and make some of them anew.",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of stored answers")
    parser.add_argument("--models", type=Path, default=MODELS, help="the served model repository")
    parser.add_argument("--out", type=Path, default=OUT, help="where the report is written")
    parser.add_argument(
        "--no-recheck", action="store_true", help="make no answers anew (minutes on two cores)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of the bootstrap")
    return parser


if __name__ == "__main__":
    sys.exit(main())
