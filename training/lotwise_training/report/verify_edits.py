"""Compares edits by the served editor with stored measurements, and shows what it draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise_simulator import benchmark
from lotwise_simulator.lots import Lot, mosaic
from lotwise_training.data.attribute_lots import TILES_PER_SIDE
from lotwise_training.data.tiles import Images
from lotwise_training.evaluation.edit_response import REGION, current_attributes, target_attributes
from lotwise_training.evaluation.edits import EditSet
from lotwise_training.report.figures.edits import contact_sheet
from lotwise_training.report.figures.style import Plot
from lotwise_training.report.served_models import RecheckFailed, ServedModels

SHEETS: Final = 2
COLUMNS: Final = 5
CHECKED_LOTS: Final = 4
MOST_DIFFERENCE: Final = 0.005
"""Of the largest stored change of the property: the engine sums in another order than torch."""

Floats = npt.NDArray[np.float32]


def served_edits(
    models: ServedModels,
    stored: EditSet,
    manifest: Mapping[str, Any],
    draw: Callable[[Lot], Images] | None = None,
) -> tuple[list[Plot], float]:
    """Contact sheets of the served editor, and how far it is from the stored measurements.

    Args:
        models: Of the repository.
        stored: What was measured of the kind that is served.
        manifest: Of the stored measurements.
        draw: Renders a tile of a lot, uint8 [H, W]; None as for the stored ones.

    Returns:
        Figures; the largest difference of a change of the property, in its unit.

    Raises:
        RecheckFailed: The repository has another editor than the one that was measured.
        LotwiseError: A model cannot be asked.
    """
    lots = benchmark.new_lots()
    draw = draw or _tile
    worst = _check(models, lots[:CHECKED_LOTS], stored, draw)
    return [_sheet(models, lot, manifest, draw) for lot in lots[:SHEETS]], worst


def edited(
    models: ServedModels, image: npt.NDArray[np.uint8], current: Floats, target: Floats
) -> tuple[npt.NDArray[np.uint8], Floats]:
    """Edits of one tile by the served editor.

    Args:
        models: Of the repository.
        image: uint8 [H, W].
        current: float32 [A], attributes of its lot.
        target: float32 [n, A], requested attributes.

    Returns:
        Drawn tiles uint8 [n, H, W] and their property float32 [n].
    """
    code = models.ask("editor_encoder", {"image": image[None, None], "attributes": current[None]})
    drawn, values = [], []
    for row in target:
        picture = models.ask("editor_decoder", {**code, "attributes": row[None]})["image"]
        pixels = np.rint(picture.clip(0, 255)).astype(np.uint8)
        drawn.append(pixels[0, 0])
        values.append(models.ask("regressor", {"image": pixels})["property"][0, 0])
    return np.stack(drawn), np.array(values, dtype=np.float32)


def _check(
    models: ServedModels, lots: Sequence[Lot], stored: EditSet, draw: Callable[[Lot], Images]
) -> float:
    """The largest difference between changes of the property, stored and made anew."""
    current = current_attributes(lots)
    worst = 0.0
    for number, lot in enumerate(lots):
        row = int(np.flatnonzero(stored.lots == number)[0])
        target = target_attributes(current[number]).reshape(-1, current.shape[1])
        _, values = edited(
            models, draw(lot), current[number], np.concatenate([current[[number]], target])
        )
        difference = np.abs(values[1:] - values[0] - stored.property[row].ravel())
        worst = max(worst, float(difference.max()))
    allowed = MOST_DIFFERENCE * float(np.abs(stored.property).max())
    if not worst <= allowed:
        raise RecheckFailed(
            f"edits by the served models move the property otherwise than stored, by up to "
            f"{worst:.1f}, more than {allowed:.1f}. Run `lotwise-train evaluate` and `export`."
        )
    return worst


def _sheet(
    models: ServedModels, lot: Lot, manifest: Mapping[str, Any], draw: Callable[[Lot], Images]
) -> Plot:
    attributes: list[str] = manifest["attributes"]
    current = current_attributes([lot])[0]
    grid = np.linspace(0.0, 1.0, COLUMNS, dtype=np.float32)
    target = np.repeat(current[None], len(attributes) * COLUMNS, axis=0)
    for number in range(len(attributes)):
        target[number * COLUMNS : (number + 1) * COLUMNS, number] = grid
    images, values = edited(models, draw(lot), current, target)
    images = images.reshape(len(attributes), COLUMNS, *images.shape[1:])
    rows = values.reshape(len(attributes), COLUMNS)
    captions = [
        [f"{at:.2f}: {value:,.0f} {manifest['unit']}" for at, value in zip(grid, row, strict=True)]
        for row in rows
    ]
    stated = ", ".join(
        f"{name} {value:.2f}" for name, value in zip(attributes, current, strict=True)
    )
    title = f"Edits of one tile of simulated lot {lot.lot_id} ({stated})"
    return Plot(
        f"edits-{lot.lot_id.lower()}",
        contact_sheet(images, attributes, captions, title),
        f"Edits of one tile of lot {lot.lot_id}, not used in training; in each row one attribute "
        "rises from 0 to 1, with the predicted property (Liu et al. 2020, Figures 3 and 11 to "
        "17).",
    )


def _tile(lot: Lot) -> npt.NDArray[np.uint8]:
    return mosaic(lot, 1, region=REGION, tiles_per_side=TILES_PER_SIDE)[0].image
