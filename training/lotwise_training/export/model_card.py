"""MODEL_CARD.md: what a model is, what it learned from and what was measured on it.

Every figure comes from the run's own reports (`lotwise-train evaluate`), none is typed in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lotwise.core.signature import ModelSignature, TensorSpec

EVALUATION: Final = "evaluation.json"


def write_card(
    signature: ModelSignature,
    path: Path,
    *,
    what: str,
    parity: float,
    tolerance: float,
    figures: Mapping[str, str],
    measured: str,
    trained: str = "",
    remarks: Sequence[str] = (),
) -> None:
    """Write a model's card.

    Args:
        signature: Of the model.
        path: MODEL_CARD.md.
        what: The architecture in a few words.
        parity: Worst difference between the exported graph and the network.
        tolerance: Parity above which the export fails.
        figures: What was measured, by name.
        measured: How and on what, as a sentence.
        trained: By `training_sentence`; "" where no network was trained.
        remarks: What its lots made necessary, in sentences.
    """
    metadata = signature.metadata
    lines = [f"# {signature.name}", "", f"{what[0].upper()}{what[1:]}.", ""]
    if metadata.trained_on_simulated_lots:
        lines += [
            "**Trained on simulated lots alone** (`lotwise_simulator`). It shows that the platform "
            "works; it says nothing about a real material. Train on your own lots before use.",
            "",
        ]
    lines += ["| tensor | type | shape of one tile |", "| --- | --- | --- |"]
    lines += [_tensor_row(spec, "in") for spec in signature.inputs]
    lines += [_tensor_row(spec, "out") for spec in signature.outputs]
    lines.append("")
    if metadata.geometry:
        geometry = metadata.geometry
        lines.append(
            f"- Field of view {geometry.field_of_view_um:g} um: {geometry.px} x {geometry.px} "
            f"pixels of {geometry.um_per_px:g} um."
        )
    if metadata.property:
        learned = metadata.property
        lines.append(
            f"- Gives {learned.name} in {learned.unit or 'no unit'}; learned between "
            f"{learned.minimum:,.6g} and {learned.maximum:,.6g}."
        )
    if metadata.members and metadata.reference_lots:
        lots = ", ".join(lot.lot_id for lot in metadata.reference_lots)
        lines.append(f"- {metadata.members} members; reference lots {lots}.")
    if metadata.attributes:
        lines.append(
            "- Attributes, 0 to 1: "
            + "; ".join(f"{a.name} ({a.low} to {a.high})" for a in metadata.attributes)
            + "."
        )
    if trained:
        lines.append(f"- {trained}")
    lines += [
        f"- Parity of the exported graph with the trained network: {parity:.1e} "
        f"(relative to the output's scale; above {tolerance:.0e} the export fails).",
        f"- Weights: SHA-256 `{metadata.weights_sha256}`.",
        "",
    ]
    if remarks:
        lines += ["## Its lots", "", *(f"- {remark}" for remark in remarks), ""]
    lines += ["## Measured", ""]
    if figures:
        lines += [measured, "", "| figure | value |", "| --- | --- |"]
        lines += [f"| {name} | {value} |" for name, value in figures.items()]
    else:
        lines.append("Nothing yet beside the parity.")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def training_sentence(states: Sequence[Mapping[str, Any]]) -> str:
    """How networks were trained, of what their checkpoints state; "" for none."""
    states = [each for each in states if each.get("step")]  # one that was restored states none
    if not states:
        return ""
    taken = [each["step"] for each in states]
    steps = f"{min(taken):,}" if len({*taken}) == 1 else f"{min(taken):,} to {max(taken):,}"
    if any("steps" not in each for each in states):
        return (
            f"Trained for {steps} steps by a recipe of an older format, in which time decided: "
            "not bit-exact."
        )
    planned = max(each["steps"] for each in states)
    limits = [each["max_seconds"] for each in states if each["max_seconds"]]
    if limits:
        return (
            f"Trained with --max-seconds {max(limits):g}: {steps} of {planned:,} steps; "
            "not bit-exact."
        )
    early = " (stopped early)" if min(taken) < planned else ""
    if any(each["device"] != "cpu" for each in states):
        return f"Trained for {steps} of {planned:,} steps{early} on CUDA: not bit-exact."
    return (
        f"Trained for {steps} of {planned:,} steps{early} on a CPU: bit-exact by seed, machine, "
        "thread and process count."
    )


def _tensor_row(spec: TensorSpec, direction: str) -> str:
    return f"| {spec.name} ({direction}) | {spec.dtype} | {' x '.join(map(str, spec.shape))} |"


def run_figures(runs: Path, run: str) -> dict[str, str]:
    """Figures of a run's own evaluation report; none where there is no report."""
    path = runs / run / EVALUATION
    if not path.is_file():
        return {}
    report: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {name: _shown(value) for name, value in _flat(report, "")}


def _flat(report: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in report.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}: ")
        elif value is not None:  # a figure that does not apply, such as the accuracy of no lot
            rows.append((f"{prefix}{name.replace('_', ' ')}", value))
    return rows


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
