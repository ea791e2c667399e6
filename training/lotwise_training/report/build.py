"""The report: tables on the screen, metrics.json and index.html.

python -m lotwise_training.report [--results FOLDER] [--models FOLDER] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import track

from lotwise_simulator.benchmark import VERSION
from lotwise_simulator.benchmark_files import frozen
from lotwise_training.data.benchmark import render_places, tile_places
from lotwise_training.evaluation.classification import (
    CardDisagrees,
    card_figures,
    check_card,
    compute_classification,
    intervals_over,
)
from lotwise_training.evaluation.predictions import TEST, EnsembleResult, Predictions
from lotwise_training.evaluation.records import METRICS, Records, Row
from lotwise_training.evaluation.tile_sets import TILE_RANDOM, splits_of
from lotwise_training.report.calibration import calibration_section
from lotwise_training.report.classification import classification_sections, runs_table
from lotwise_training.report.diagnosis import cascade_section, diagnosis_section
from lotwise_training.report.edits import edit_section
from lotwise_training.report.intervals import intervals_section
from lotwise_training.report.planning import learning_section, plans_section
from lotwise_training.report.property import familiarity_section, property_section
from lotwise_training.report.render import (
    NONE,
    Inputs,
    Section,
    numbered,
    paragraph,
    render_page,
    show,
    table,
)
from lotwise_training.report.served_models import RecheckFailed, ServedCommittee, served_models
from lotwise_training.report.targets import Target
from lotwise_training.report.verify import ABSOLUTE, RELATIVE, Rechecked, recheck
from lotwise_training.store.arrays import ResultsError, read

RESULTS = Path("training/results")
MODELS = Path("model_repository")
OUT = Path("out/evaluation")
WIDTH: Final = 150
"""Characters of the widest table."""
STATED: Final = ("benchmark", "profile", "data_version", "arrays_sha256", "runs")
SECTIONS: Final = (
    calibration_section,
    property_section,
    intervals_section,
    familiarity_section,
    edit_section,
    diagnosis_section,
    cascade_section,
    learning_section,
    plans_section,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 1 where stored predictions, served models and model card do not agree."""
    options = _parser().parse_args(arguments)
    # Wide tables, also where they go into a file or a small window: numbers must not be cut.
    out = Console(width=max(Console().width, WIDTH))
    err = Console(stderr=True)
    try:
        stored = read(EnsembleResult, options.results)
        outputs, manifest = stored.sets, stored.manifest()
        models = None if options.no_recheck else options.models
        sections = build_sections(Inputs(options.results, models, outputs, options.seed), manifest)
        numbers = numbered(sections)
        for section in sections:
            for each in section.tables:
                show(each, out, numbers)
        rechecked = None
        if models is not None:
            rechecked = _recheck(outputs, manifest, models, options.seed, err)
            card = models / "committee" / "MODEL_CARD.md"
            check_card(card.read_text(encoding="utf-8"), card_figures(outputs, manifest))
            out.print(
                f"rendered and predicted again: {sum(rechecked.tiles.values()):,} tiles; "
                f"log-probabilities within {rechecked.largest_difference:.4f} nats of the stored "
                "ones"
            )
        for section in sections:
            if section.verified:
                out.print(section.verified)
    except (ResultsError, RecheckFailed, CardDisagrees) as error:
        err.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {key: manifest[key] for key in STATED if key in manifest}
    content |= metrics(sections)
    content["recheck"] = None if rechecked is None else rechecked.as_json()
    (options.out / "metrics.json").write_text(_json(content), encoding="utf-8")
    provenance = provenance_section(manifest, rechecked)
    page = render_page(
        f"Evaluation on benchmark v{manifest.get('benchmark', '?')}",
        describe(outputs, manifest),
        [*sections, provenance],
    )
    (options.out / "index.html").write_text(page, encoding="utf-8")
    out.print(f"wrote {options.out / 'metrics.json'} and {options.out / 'index.html'}")
    return 0


def build_sections(inputs: Inputs, manifest: Mapping[str, Any]) -> list[Section]:
    """All sections of which something is stored, targets first."""
    # Where tiles of a user's lots lie is not known here.
    places = tile_places if manifest.get("benchmark") == VERSION else None
    records = compute_classification(inputs.outputs, manifest, places, seed=inputs.seed)
    sections = classification_sections(inputs.outputs, manifest, records)
    # Models other than the ensemble may not have been trained.
    sections += [section for make in SECTIONS if (section := make(inputs)) is not None]
    targets = [target for section in sections for target in section.targets]
    return [targets_section(targets), *sections]


def targets_section(targets: Sequence[Target]) -> Section:
    """Targets beside what was measured and what was published."""
    keys = ("wanted", "measured", "published")
    rows = [
        Row(
            {"target": each.what, "verdict": each.verdict}
            | {key: getattr(each, key) or NONE for key in keys},
            {},
        )
        for each in targets
    ]
    shown = table("targets", rows)
    reached = sum(target.reached is True for target in targets)
    unknown = sum(target.reached is None for target in targets)
    left = f"; {unknown} could not be measured" if unknown else ""
    summary = paragraph("targets", reached=reached, targets=len(targets), left=left)
    return Section("targets", "Targets", (summary, shown), targets=tuple(targets))


def metrics(sections: Sequence[Section]) -> dict[str, Any]:
    """Everything that was measured, in JSON's types, with definitions."""
    records = Records()
    for section in sections:
        records.extend(section.records)
    return {
        "intervals": intervals_over(records),
        "targets": [target.as_json() for target in sections[0].targets],
        "stated": {each.name: dict(each.stated) for each in sections if each.stated},
        "definitions": {
            name: {"unit": unit, "definition": what} for name, (unit, what) in METRICS.items()
        },
        "records": records.as_json(),
    }


def describe(outputs: Predictions, manifest: Mapping[str, Any]) -> str:
    """What was measured on what, in a paragraph."""
    run = manifest.get("runs", {}).get(TILE_RANDOM, {})
    lots, recipes = len(manifest.get("lot_ids", [])), len(set(manifest.get("recipes", [])))
    made_of = f" ({lots} lots of {recipes} recipes)" if lots and recipes else ""
    tests = sum(len(outputs[split, TEST].tiles) for split in splits_of(outputs))
    others = sum(len(each.tiles) for (_, name), each in outputs.items() if name != TEST)
    return paragraph(
        "lead",
        benchmark=manifest.get("benchmark", "?"),
        made_of=made_of,
        profile=manifest.get("profile", "?"),
        members=run.get("members", "?"),
        passes=run.get("dropout_passes", "?"),
        tests=tests,
        splits=len(splits_of(outputs)),
        others=others,
    )


def provenance_section(manifest: Mapping[str, Any], rechecked: Rechecked | None) -> Section:
    """What the report rests on."""
    again = paragraph("not-rechecked")
    if rechecked is not None:
        sets = ", ".join(f"{name} {count:,}" for name, count in rechecked.tiles.items())
        allowed = {"absolute": ABSOLUTE, "relative": 100 * RELATIVE}
        tiles = sum(rechecked.tiles.values())
        again = paragraph("rechecked", checked=rechecked, tiles=tiles, sets=sets, **allowed)
        if rechecked.accuracy is not None:
            accuracies = {"now": rechecked.accuracy, "stored": rechecked.stored_accuracy}
            again += paragraph("rechecked-accuracy", **accuracies)
    hashes = {
        "benchmark data": manifest.get("data_version"),
        "stored predictions": manifest.get("arrays_sha256"),
    }
    for split, run in manifest.get("runs", {}).items():
        for method, digest in run.get("weights_sha256", {}).items():
            hashes[f"weights of {split}, {method}"] = digest
    rows = [Row({"of": name, "sha": digest}, {}) for name, digest in hashes.items() if digest]
    stored = paragraph("stored", rechecked=again)
    blocks = (stored, runs_table(manifest), table("hashes", rows), paragraph("sources"))
    return Section("provenance", "Provenance and sources", blocks)


def _json(content: Mapping[str, Any]) -> str:
    """JSON with one record a line."""
    records = [json.dumps(each, allow_nan=False) for each in content["records"]]
    text = json.dumps({**content, "records": ["@"]}, indent=1, allow_nan=False)
    return text.replace('"@"', ",\n  ".join(records)) + "\n"


def _recheck(
    outputs: Predictions, manifest: Mapping[str, Any], models: Path, seed: int, err: Console
) -> Rechecked:
    def shown(batches: Sequence[slice], title: str) -> Iterable[slice]:
        return track(batches, title, console=err)

    version = frozen()[1]
    with served_models(models) as served:
        committee = ServedCommittee(served)
        return recheck(
            outputs,
            manifest,
            committee,
            tile_places,
            render_places,
            version,
            seed=seed,
            track=shown,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lotwise_training.report",
        description="Build the report from stored predictions, and check some with served models.",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="stored predictions")
    parser.add_argument("--models", type=Path, default=MODELS, help="served model repository")
    parser.add_argument("--out", type=Path, default=OUT, help="where the report is written")
    parser.add_argument(
        "--no-recheck", action="store_true", help="ask no served models (saves minutes)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of bootstraps")
    return parser
