"""How familiar tiles are to the served regressor: of new lots, and out of distribution.

The report computes from the p-values how often known tiles are called unfamiliar, and how well
out-of-distribution tiles are told from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from lotwise.core.known_tiles import KNOWN_TILES_FILE, KnownTiles, KnownTilesStatement
from lotwise.core.preprocessing import resample_area
from lotwise_simulator import benchmark, mosaic
from lotwise_simulator.instrument import NOMINAL, InstrumentState
from lotwise_simulator.lots import Lot
from lotwise_simulator.unrelated import unrelated_tiles
from lotwise_training.calibration.familiarity import look
from lotwise_training.data.outliers import outlier_tiles
from lotwise_training.data.tiles import Images, TileDataset
from lotwise_training.evaluation.property_predictions import NEW_LOTS
from lotwise_training.inference.predict import load_regressor
from lotwise_training.store.arrays import Result, Shape
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.property import SERVED, served_name

TILES: Final = 240
"""Of each set beside the new lots, about."""
TILES_PER_SIDE: Final = 3
"""Of scenes, which are drawn whole: no larger than the tiles of a lot need."""
UNRELATED_SEED: Final = 50_000
MADE_UP_SEED: Final = 3

PValues = Mapping[str, Annotated[npt.NDArray[np.float32], Shape("*")]]


@dataclass(frozen=True, eq=False)
class FamiliarityResult(Result):
    """P-values of tiles among the regressor's known tiles.

    Attributes:
        benchmark: Its version.
        profile: Name of the recipes' folder.
        known_tiles: The served regressor's.
        sets: float32 [N] by the set's name.
    """

    stem: ClassVar[str] = "familiarity"
    benchmark: int
    profile: str
    known_tiles: KnownTilesStatement
    sets: PValues


def familiarity_predictions(
    new: TileDataset, runs: Path, *, profile: str, version: int
) -> FamiliarityResult | None:
    """Familiarity of new lots and of out-of-distribution tiles to the served regressor.

    Returns:
        None where the run has no known tiles.

    Raises:
        CheckpointError: The regressor is missing or unfinished.
    """
    path = runs / SERVED / KNOWN_TILES_FILE
    if not path.exists():
        return None
    known = KnownTiles.read(path)
    regressor = load_regressor(checkpoint_path(runs, served_name()))
    images = {NEW_LOTS: new.images, **ood_sets(new.images)}
    return FamiliarityResult(
        benchmark=version,
        profile=profile,
        known_tiles=known.statement,
        sets={
            name: known.p_values(look(regressor, each)).astype(np.float32)
            for name, each in images.items()
        },
    )


def ood_sets(known: Images) -> dict[str, Images]:
    """Sets of tiles of the benchmark at the regressor's scale, by their names.

    Args:
        known: uint8 [N, 256, 256], tiles that pictures are made up from.
    """
    reference, px = benchmark.reference_lots(), known.shape[1]
    return {
        "known lots, new regions": _of_lots(reference, region=benchmark.NEW_REGION),
        **{
            name.replace("_", ", "): _of_lots(reference, state, region=benchmark.NEW_REGION)
            for name, state in benchmark.FILAMENTS.items()
        },
        "ground": _of_lots(benchmark.ground_lots()),
        "between two lots": _of_lots(benchmark.between_lots()),
        "photographs": np.stack(
            [resample_area(tile.image, px) for tile in unrelated_tiles(TILES, UNRELATED_SEED)]
        ),
        "made-up pictures": outlier_tiles(TILES, known[:TILES], MADE_UP_SEED),
    }


def _of_lots(
    lots: Sequence[Lot], instrument: InstrumentState = NOMINAL, *, region: int = 0
) -> Images:
    each = TILES // len(lots)
    shown: Iterable[Lot] = track(
        lots, "render out-of-distribution tiles", console=Console(stderr=True)
    )
    tiles = [
        tile.image
        for lot in shown
        for tile in mosaic(lot, each, instrument, region=region, tiles_per_side=TILES_PER_SIDE)
    ]
    return np.stack(tiles)
