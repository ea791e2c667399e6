"""Fits what a regressor knows of tiles beside their property, at the end of its training."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lotwise.core.committee_outputs import BLOCKS, FeatureOutputs
from lotwise.core.familiarity_fit import fit_familiarity
from lotwise.core.known_tiles import KNOWN_TILES_FILE, Example, KnownTiles, KnownTilesStatement
from lotwise.core.preprocessing import resample_area
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.config.schema import RegressorRecipe
from lotwise_training.data.tiles import SIMULATED, Numbers, TileDataset, some_of_each_lot
from lotwise_training.inference.predict import Images, load_regressor, predict_outputs
from lotwise_training.models.heads import ObservedRegressor
from lotwise_training.models.wide_resnet import TileRegressor
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.property import SERVED, regressor_splits, served_name

LEAST_LOTS: Final = 8
"""Half of the lots are the bank, and the others calibrate in two groups: fewer say nothing."""
CALIBRATION_TILES: Final = 4096
EXAMPLES: Final = 512
"""With pictures of some five kilobytes each."""
PICTURE_PX: Final = 128
JPEG_QUALITY: Final = 80


class Features(nn.Module):
    """Both blocks of a regressor's features side by side: float32 [B, D1 + D2]."""

    def __init__(self, regressor: TileRegressor) -> None:
        super().__init__()
        self.observed = ObservedRegressor.of(regressor)

    def forward(self, image: Tensor) -> Tensor:
        """Of uint8 [B, 1, H, W]."""
        _, features, early, _ = self.observed(image)
        return torch.cat([features, early], dim=1)


def fit_known_tiles(
    regressor: TileRegressor, data: TileDataset, recipe: RegressorRecipe
) -> KnownTiles | None:
    """Ask a regressor about tiles of its own lots.

    Familiarity is calibrated with tiles that it did not learn from, of lots that are not in the
    bank; examples are tiles that it did learn from. Of lots of a folder only the tiles that are
    kept to calibrate count, because validation tiles have chosen the weights.

    Returns:
        None where there are fewer than LEAST_LOTS lots, or no tiles to calibrate on.
    """
    table, seed = data.table, recipe.network.seed
    if len(table.lot_ids) < LEAST_LOTS:
        return None
    split = regressor_splits(data, recipe)[served_name()]
    train, unseen = split.train, split.calibration
    if data.positions is None:
        unseen = np.setdiff1d(np.arange(len(data)), train)
    if not len(unseen):
        return None
    each = max(1, CALIBRATION_TILES // len(table.lot_ids))
    chosen = some_of_each_lot(data, unseen, each, seed)
    shown = _examples(data, train, seed)
    seen = look(regressor, data.images[np.concatenate([chosen, shown])])
    known, places = seen.take(slice(len(chosen))), seen.take(slice(len(chosen), None))
    # Lots at random: their numbers may be in the order of an attribute.
    lots = np.random.default_rng(seed).permutation(len(table.lot_ids))
    half, quarter = len(lots) // 2, len(lots) // 4
    bank, tails, fused = (
        np.flatnonzero(np.isin(data.lots[chosen], group))
        for group in (lots[:half], lots[half : half + quarter], lots[half + quarter :])
    )
    familiarity = fit_familiarity(
        (known.take(bank), data.lots[chosen[bank]]), known.take(tails), known.take(fused)
    )
    reference = familiarity.blocks[BLOCKS[0]]
    weights = committee_sha256([regressor])
    return KnownTiles(
        KnownTilesStatement(
            version=f"{weights[:8]}-{data.version[:8]}",
            weights_sha256=weights,
            calibration_tiles=len(tails) + len(fused),
            lots=len(lots),
        ),
        familiarity,
        tuple(
            Example(
                table.lot_ids[lot],
                float(table.values[lot]),
                table.origins[lot] == SIMULATED,
                _jpeg(image),
            )
            for lot, image in zip(data.lots[shown], data.images[shown], strict=True)
        ),
        reference.places(places.blocks[BLOCKS[0]]).astype(np.float16),
    )


def look(regressor: TileRegressor, images: Images) -> FeatureOutputs:
    """What a regressor sees of tiles.

    Args:
        regressor: In evaluation mode.
        images: uint8 [N, H, W].
    """
    module = Features(regressor).eval()
    first = module.observed.network.head.in_features
    both = predict_outputs(module, "features", images)
    return FeatureOutputs.of(dict(zip(BLOCKS, np.split(both, [first], axis=1), strict=True)))


def write_known_tiles(data: TileDataset, recipe: RegressorRecipe, runs: Path) -> str:
    """Fit them for a run and leave the file in it; what it rests on, as a sentence.

    Raises:
        CheckpointError: The regressor is missing or unfinished.
    """
    path = runs / SERVED / KNOWN_TILES_FILE
    regressor = load_regressor(checkpoint_path(runs, served_name()))
    known = fit_known_tiles(regressor, data, recipe)
    if known is None:
        path.unlink(missing_ok=True)
        return (
            f"With fewer than {LEAST_LOTS} lots with values, or without tiles of each to calibrate "
            "on, nothing is reported on how familiar a tile is."
        )
    known.write(path)
    stated = known.statement
    return (
        f"Familiarity rests on {stated.calibration_tiles:,} tiles of {stated.lots:,} lots; "
        f"{len(known.examples)} tiles are kept as examples."
    )


def _examples(data: TileDataset, tiles: Numbers, seed: int) -> Numbers:
    """Some tiles of lots spread evenly over the property: int64, rising."""
    ranked = np.argsort(data.table.values)
    chosen = np.unique(np.linspace(0, len(ranked) - 1, EXAMPLES).round().astype(int))
    rows = tiles[np.isin(data.lots[tiles], ranked[chosen])]
    return some_of_each_lot(data, rows, max(1, EXAMPLES // len(chosen)), seed)


def _jpeg(image: Images) -> bytes:
    buffer = io.BytesIO()
    small = Image.fromarray(resample_area(image, min(PICTURE_PX, len(image))))
    small.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
