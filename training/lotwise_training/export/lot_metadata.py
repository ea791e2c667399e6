"""What a model's metadata says of lots: names, attributes, and whether they are simulated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from lotwise.core.signature import AttributeSpec, ReferenceLot
from lotwise_simulator import benchmark, reference_lots
from lotwise_training.data.tiles import LOTS_FILE, SIMULATED, DatasetError, read_table

ATTRIBUTES: Final = (
    AttributeSpec(name="size", low="crystals of 10 um", high="crystals of 80 um"),
    AttributeSpec(name="porosity", low="solid crystals", high="many pin-prick holes"),
    AttributeSpec(name="polydispersity", low="crystals of one size", high="a broad distribution"),
    AttributeSpec(name="facetness", low="rounded crystals", high="flat faces that meet at edges"),
)


def known_lots() -> tuple[ReferenceLot, ...]:
    """The lots that the editor is told of: ten of development and the 30 of the benchmark."""
    return tuple(
        ReferenceLot(lot_id=lot.lot_id, attributes=_rounded(lot.attributes.as_array().tolist()))
        for lot in (*reference_lots(), *benchmark.reference_lots())
    )


def stated_lots(
    run: Path, lot_ids: Sequence[str]
) -> tuple[bool, tuple[AttributeSpec, ...], tuple[ReferenceLot, ...]]:
    """What is known of a committee's lots, from the table beside its members.

    Args:
        run: Folder of the committee.
        lot_ids: The classes, in the order of the logits.

    Returns:
        Whether all are simulated; the attributes that every lot has scores of, in the services'
        order (all of them, or none); the lots.

    Raises:
        DatasetError: The table is missing or unreadable, or lacks a lot (LOT_MISSING).
    """
    table = read_table(run / LOTS_FILE)
    if missing := sorted(set(lot_ids) - set(table.lot_ids)):
        raise DatasetError("LOT_MISSING", f"{run / LOTS_FILE} lacks the lot {missing[0]}.")
    rows = [table.lot_ids.index(lot_id) for lot_id in lot_ids]
    names = [spec.name for spec in ATTRIBUTES]
    scored = set(names) <= set(table.attribute_names)
    columns = [table.attribute_names.index(name) for name in names] if scored else []
    scores = table.attributes[rows][:, columns]
    if np.isnan(scores).any():
        scores = scores[:, :0]
    lots = tuple(
        ReferenceLot(lot_id=lot_id, attributes=_rounded(row.tolist()))
        for lot_id, row in zip(lot_ids, scores, strict=True)
    )
    simulated = all(table.origins[row] == SIMULATED for row in rows)
    return simulated, ATTRIBUTES if scores.shape[1] else (), lots


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value, 4) for value in values)
