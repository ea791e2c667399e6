"""Lots whose property is the width of their stripes: learned in seconds."""

from dataclasses import replace

import numpy as np

from lotwise_training.config.schema import (
    IntervalRecipe,
    PropertyNetworkRecipe,
    RegressorComparisonRecipe,
    RegressorRecipe,
    StrengthDataRecipe,
)
from lotwise_training.data.tiles import TileDataset, dataset_version
from tests.training.small_lots import lot_table

PX = 32

NETWORK = PropertyNetworkRecipe(
    depth=10,
    widen=1,
    steps=40,
    batch_size=16,
    optimiser="adam",
    learning_rate=5e-3,
    schedule="one-cycle",
    warmup_share=0.2,
    halve_every=1000,
    weight_decay=0.0,
    crops=((0.0, 32),),
    head_tiles=40,
    validations=2,
    validation_tiles=100,
    patience=100,
    checkpoint_every=10,
    seed=0,
    pool=1,
    gain_range=0.2,
    offset_range=10.0,
    max_noise_sigma=4.0,
    max_blur_sigma_px=0.5,
    unshuffle=2,
    logarithmic=True,
    score_weight=0.5,
)
RECIPE = RegressorRecipe(
    parallel=1,
    tiles=100,
    field_um=256.0,
    network=NETWORK,
    comparison=RegressorComparisonRecipe(region_blocked_steps=20, folds=2, folds_steps=20),
    data=StrengthDataRecipe(1, 0, 1),
    intervals=IntervalRecipe(coverage=0.75, lot_tiles=6),
)


def striped_lots(widths=(2, 4, 8, 3, 6), regions=10, per_region=2, seed=0):
    """Tiles of stripes; the property is 100 times their width, in newton."""
    rng = np.random.default_rng(seed)
    lots = np.repeat(np.arange(len(widths)), regions * per_region)
    places = np.repeat(np.arange(len(widths) * regions), per_region)
    images = np.empty((len(lots), PX, PX), dtype=np.uint8)
    for number, lot in enumerate(lots):
        line = np.where((np.arange(PX) + rng.integers(0, 64)) // widths[lot] % 2, 170.0, 80.0)
        noisy = np.tile(line, (PX, 1)) + rng.normal(0, 5, (PX, PX))
        images[number] = noisy.clip(0, 255)
    scores = np.array([[width / 10, 0.5] for width in widths])
    table = replace(
        lot_table(len(widths)),
        property_name="load",
        unit="N",
        values=100.0 * np.array(widths),
        attribute_names=("width", "nothing"),
        attributes=scores,
    )
    version = dataset_version(images, 1.0, lots, places, table)
    return TileDataset(images, 1.0, lots, places, table, version)
