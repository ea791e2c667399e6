"""Lots that are told apart in seconds: tiles of a few pixels, each lot with a grey of its own."""

from dataclasses import replace

import numpy as np

from lotwise_training.config.schema import (
    CalibrationRecipe,
    CommitteeRecipe,
    ComparisonRecipe,
    NetworkRecipe,
    PolicyRecipe,
)
from lotwise_training.data.tiles import LotTable, TileDataset, dataset_version
from lotwise_training.training.tasks.classifier import ClassifierJob

PX = 16
UM_PER_PX = 4.0

NETWORK = NetworkRecipe(
    depth=10,
    widen=1,
    steps=32,
    batch_size=8,
    optimiser="adam",
    learning_rate=5e-3,
    schedule="one-cycle",
    warmup_share=0.2,
    halve_every=100,
    weight_decay=5e-4,
    crops=((0.0, 8), (0.6, 16)),
    head_tiles=24,
    outliers=0,
    outlier_batch_size=0,
    outlier_weight=0.5,
    validations=4,
    validation_tiles=100,
    patience=100,
    checkpoint_every=4,
    seed=3,
)
WITH_OUTLIERS = replace(NETWORK, outliers=12, outlier_batch_size=2)

RECIPE = CommitteeRecipe(
    members=2,
    split="tile-random",
    field_um=256.0,
    dropout=0.3,
    dropout_passes=3,
    parallel=2,
    network=NETWORK,
    comparison=ComparisonRecipe(
        other_splits_members=2,
        other_splits_steps=16,
        short_members=0,
        head_tiles=12,
        test_tiles=8,
    ),
    policy=PolicyRecipe(
        kind="threshold",
        target=0.5,
        min_familiarity=0.3,
        max_referred_share=0.6,
        confidence=0.9,
    ),
    calibration=CalibrationRecipe(tiles=20, fresh_tiles=12),
)


def lot_table(n_lots, recipes=None, **stated):
    """Lots "L0", "L1" and so on; each of a recipe of its own, unless said otherwise."""
    names = tuple(f"L{number}" for number in range(n_lots))
    table = LotTable(
        lot_ids=names,
        recipes=names if recipes is None else tuple(recipes),
        property_name="",
        unit="",
        values=np.full(n_lots, np.nan),
        attribute_names=(),
        attributes=np.empty((n_lots, 0)),
        origins=("a furnace",) * n_lots,
    )
    return replace(table, **stated)


def grey_lots(n_lots=2, regions=10, per_region=4, *, recipes=None, seed=0):
    """Noise about a grey that tells the lot, from dark to bright, in no order of lot or region."""
    rng = np.random.default_rng(seed)
    n_regions = n_lots * regions
    places = rng.permutation(np.repeat(np.arange(n_regions), per_region))
    lots = places // regions
    grey = np.linspace(40, 215, n_lots)[lots][:, None, None]
    noisy = grey + rng.normal(0, 10, (len(lots), PX, PX))
    return dataset(noisy.clip(0, 255).astype(np.uint8), lots, places, lot_table(n_lots, recipes))


def folder_lots(*lots, regions=None, px=1, **stated):
    """Lots of a folder by their pictures, each of (rows, columns) of tiles; a picture is a region.

    `regions` names another region of each picture by its number, `stated` is of the table.
    """
    places = [
        (lot, picture, row, column)
        for lot, pictures in enumerate(lots)
        for picture, size in enumerate(pictures, start=100 * lot)
        for row, column in np.ndindex(*size)
    ]
    table = np.array(places, dtype=np.int64)
    images = np.random.default_rng(0).integers(0, 255, (len(table), px, px), dtype=np.uint8)
    of = table[:, 1] if regions is None else np.asarray(regions)[table[:, 1]]
    named = lot_table(len(lots), **stated)
    version = dataset_version(images, UM_PER_PX, table[:, 0], of, named)
    return TileDataset(images, UM_PER_PX, table[:, 0], of, named, version, table[:, 1:])


def dataset(images, lots, regions, table):
    version = dataset_version(images, UM_PER_PX, lots, regions, table)
    return TileDataset(images, UM_PER_PX, lots, regions, table, version)


TWO_LOTS = grey_lots(n_lots=2, regions=8, per_region=8)
TILES = np.arange(len(TWO_LOTS))
JOB = ClassifierJob(
    name="some/member_00",
    train=TILES[:64],
    validation=TILES[64::2],
    classes=np.array([0, 1]),
    seed=7,
    dropout=0.0,
    steps=16,
    head_tiles=0,
)
"""What tests of training train: a member that tells two lots apart after its sixteen steps."""
