"""Compares the served regressors and the served editor with stored predictions and measurements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.errors import Contradiction
from lotwise.core.intervals import IntervalCalibration
from lotwise_simulator import benchmark
from lotwise_simulator.lots import Lot, mosaic
from lotwise_training.calibration.conformal import FOLDS, INTERVALS_FILE
from lotwise_training.data.property_lots import SMALL_SCENES, STRENGTH_GEOMETRY
from lotwise_training.data.render_cache import RenderOrder, render
from lotwise_training.data.tiles import Images
from lotwise_training.evaluation.conformal import NewLots
from lotwise_training.evaluation.edit_response import REGION, current_attributes, target_attributes
from lotwise_training.evaluation.edits import EditSet
from lotwise_training.evaluation.property_predictions import NETWORK, PropertySet
from lotwise_training.report.figures.edits import contact_sheet
from lotwise_training.report.figures.style import Plot
from lotwise_training.report.served_models import RecheckFailed, ServedModels

SHEETS: Final = 2
COLUMNS: Final = 5
EDITED_LOTS: Final = 4
MOST_EDIT_DIFFERENCE: Final = 0.005
"""Of the largest stored change of the property: the engine sums in another order than torch."""

Floats = npt.NDArray[np.float32]
CHECKED_LOTS: Final = 12
"""A lot's scene is drawn whole, two seconds each."""
MOST_DIFFERENCE: Final = 1e-3
"""Of the range of the stored predictions: the engine sums in another order than torch."""
MOST_RESIDUAL: Final = 1e-3
"""Relative to the largest: stored predictions may come from another device."""
BATCH: Final = 8
Render = Callable[[RenderOrder], Images]


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
        LotwiseError: A model cannot be run.
    """
    lots = benchmark.new_lots()
    draw = draw or _tile
    worst = _check(models, lots[:EDITED_LOTS], stored, draw)
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
    code = models.infer("editor_encoder", {"image": image[None, None], "attributes": current[None]})
    drawn, values = [], []
    for row in target:
        picture = models.infer("editor_decoder", {**code, "attributes": row[None]})["image"]
        pixels = np.rint(picture.clip(0, 255)).astype(np.uint8)
        drawn.append(pixels[0, 0])
        values.append(models.infer("regressor", {"image": pixels})["property"][0, 0])
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
    allowed = MOST_EDIT_DIFFERENCE * float(np.abs(stored.property).max())
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
    return mosaic(lot, 1, region=REGION, tiles_per_side=SMALL_SCENES)[0].image


def check_predictions(
    models: ServedModels, stored: PropertySet | NewLots, *, seed: int, draw: Render = render
) -> tuple[int, float]:
    """Render tiles of some of the benchmark's new lots again and compare the served networks.

    Returns:
        How many tiles; the largest difference, in the property's unit.

    Raises:
        RecheckFailed: A prediction differs.
        LotwiseError: The model cannot be loaded.
    """
    model, what = FOLDS, "fold networks differ"
    if isinstance(stored, PropertySet):
        model, what = "regressor", "regressor differs"
        kept = stored.predicted[NETWORK].astype(np.float64)[:, None]
    else:
        kept = stored.predicted.astype(np.float64)
    lots = {lot.lot_id: lot for lot in benchmark.new_lots()}
    allowed = MOST_DIFFERENCE * float(np.ptp(kept))
    tiles, worst = 0, 0.0
    side, px = benchmark.TILES_PER_SIDE, STRENGTH_GEOMETRY.px
    chosen = np.random.default_rng(seed).permutation(np.unique(stored.lots))[:CHECKED_LOTS]
    for number in chosen:
        rows, lot_id = np.flatnonzero(stored.lots == number), stored.lot_ids[number]
        images = draw(RenderOrder(lots[lot_id], 0, len(rows), px, tiles_per_side=side))
        found = [
            models.infer(model, {"image": images[start : start + BATCH, None]})["property"]
            for start in range(0, len(images), BATCH)
        ]
        predicted = np.concatenate(found).reshape(len(rows), -1)
        difference = np.abs(predicted - kept[rows]).max(axis=1)
        if not difference.max() <= allowed:
            raise RecheckFailed(
                f"lot {lot_id}, tile {int(difference.argmax())}: the served {what} from the stored "
                f"prediction by {difference.max():.1f}, more than {allowed:.1f}. Run "
                "`lotwise-train evaluate` and `lotwise-train export`."
            )
        tiles, worst = tiles + len(rows), max(worst, float(difference.max()))
    return tiles, worst


def check_calibration(models: Path, stored: IntervalCalibration) -> None:
    """Compare the calibration of a repository with the one that follows from stored predictions.

    Raises:
        RecheckFailed: It is missing, of other networks, or has other lots or residuals.
    """
    try:
        served = IntervalCalibration.read(models / FOLDS / INTERVALS_FILE)
    except Contradiction as error:
        raise RecheckFailed(error.message) from None
    for what, mine, theirs in (
        ("weights", served.weights_sha256, stored.weights_sha256),
        ("lots", _lots(served), _lots(stored)),
        ("coverage", served.coverage, stored.coverage),
        ("scale", served.logarithmic, stored.logarithmic),
    ):
        if mine != theirs:
            raise RecheckFailed(
                f"the served calibration {served.calibration_version} has other {what} than the "
                "stored predictions. Run `lotwise-train evaluate` and `lotwise-train export`."
            )
    kept, found = _residuals(stored), _residuals(served)
    worst = float(np.abs(found - kept).max())
    if not worst <= MOST_RESIDUAL * max(1.0, float(kept.max())):
        raise RecheckFailed(
            f"the served calibration {served.calibration_version} differs from the stored "
            f"predictions by {worst:.4g}. Run `lotwise-train evaluate` and `lotwise-train export`."
        )


def _lots(calibration: IntervalCalibration) -> list[tuple[str, str, int, int]]:
    return [(lot.lot_id, lot.recipe, lot.fold, len(lot.tile_residuals)) for lot in calibration.lots]


def _residuals(calibration: IntervalCalibration) -> np.ndarray:
    return np.array([(*lot.tile_residuals, lot.lot_residual) for lot in calibration.lots])
