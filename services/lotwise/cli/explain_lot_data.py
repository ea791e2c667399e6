"""Explanations of lots as plain data for programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from lotwise.cli import tables
from lotwise.cli.options import PressureUnit
from lotwise.client.lot_answers import LotAnswer, LotBackward, LotForward, Spread


def common_data(folder: Path, answer: LotAnswer) -> dict[str, Any]:
    """What every explanation of a lot says."""
    return {
        "path": str(folder),
        "lot_id": answer.lot_id,
        "simulated": answer.simulated,
        "trained_on_simulated_lots": answer.trained_on_simulated_lots,
        "property": answer.property_name,
        "tiles": {
            "received": answer.received,
            "usable": answer.usable,
            "poor": answer.poor,
            "sampled": answer.sampled,
            "unfamiliar": answer.unfamiliar,
            "seed": answer.seed,
        },
        "failed": [
            {"tile_id": each.tile_id, "reason": each.reason, "message": each.message}
            for each in answer.failed
        ],
        "ended_by_deadline": answer.ended_by_deadline,
        "provenance": asdict(answer.provenance),
    }


def _spread_data(spread: Spread, unit: PressureUnit | None) -> dict[str, float]:
    return {
        name: tables.in_unit(getattr(spread, name), unit).value
        for name in ("lower_quartile", "median", "upper_quartile", "mean")
    }


def forward_data(answer: LotForward, unit: PressureUnit | None) -> dict[str, Any]:
    """What one along attributes says beside it."""
    return {
        "unit": tables.in_unit(answer.original.mean, unit).unit,
        "attributes": dict(answer.attributes),
        "original": _spread_data(answer.original, unit),
        "curves": [
            {
                "attribute": curve.attribute,
                "points": [
                    {"attribute_value": value, **_spread_data(spread, unit)}
                    for value, spread in curve.points
                ],
                "sensitivity": {
                    name: tables.in_unit(getattr(curve.sensitivity, name), unit).value
                    for name in ("mean", "lower", "upper")
                },
            }
            for curve in answer.curves
        ],
        "surfaces": [
            {
                "attributes": [surface.first, surface.second],
                "points": [
                    {"attribute_values": [first, second], **_spread_data(spread, unit)}
                    for first, second, spread in surface.points
                ],
            }
            for surface in answer.surfaces
        ],
    }


def backward_data(answer: LotBackward, unit: PressureUnit) -> dict[str, Any]:
    """What one to a target says beside it."""
    return {
        "unit": unit.value,
        "target": tables.in_unit(answer.target, unit).value,
        "tolerance": tables.in_unit(answer.tolerance, unit).value,
        "reached": answer.reached,
        "before": _spread_data(answer.before, unit),
        "after": _spread_data(answer.after, unit),
        "after_mean": {
            name: tables.in_unit(getattr(answer.after_mean, name), unit).value
            for name in ("mean", "lower", "upper")
        },
        "changes": [
            vars(change) | {"sensitivity": tables.in_unit(change.sensitivity, unit).value}
            for change in answer.changes
        ],
        "share_reaching": answer.share_reaching,
        "own_changes": {name: vars(own) for name, own in answer.own_changes.items()},
        "alone": answer.alone,
        "alone_reached": answer.alone_reached,
        "front": [
            {
                "cost": point.cost,
                "value": tables.in_unit(point.quantity, unit).value,
                "attributes": dict(point.attributes),
            }
            for point in answer.front
        ],
        "edited_tile_id": answer.image_of,
        "evaluations": answer.evaluations,
        "changed": answer.changed,
        "cost": answer.cost,
        "starts": answer.starts,
        "starts_reached": answer.starts_reached,
        "spread": answer.spread,
        "fidelity": answer.fidelity,
        "realism": answer.realism,
    }
