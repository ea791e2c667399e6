"""How familiar tiles are to the served regressor: of new lots, and of what is strange.

Stored as p-values; `make evaluate` computes from them how often what is known is called strange,
and how well what is strange is told from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from lotwise.core.known_tiles import KNOWN_TILES_FILE, KnownTiles
from lotwise.core.preprocessing import resample_area
from lotwise_simulator import benchmark, mosaic
from lotwise_simulator.instrument import NOMINAL, InstrumentState
from lotwise_simulator.lots import Lot
from lotwise_simulator.unrelated import unrelated_tiles
from lotwise_training.calibration.familiarity import look
from lotwise_training.data.outliers import outlier_tiles
from lotwise_training.data.tiles import Images, TileDataset
from lotwise_training.inference.predict import load_regressor
from lotwise_training.store.arrays import ResultsError, read_stored, write_stored
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.property import SERVED, served_name

FILE: Final = "known_tiles.npz"
NEW_LOTS: Final = "new lots"
TILES: Final = 240
"""Of each set beside the new lots, about."""
TILES_PER_SIDE: Final = 3
"""Of scenes, which are drawn whole: no larger than the tiles of a lot need."""
UNRELATED_SEED: Final = 50_000
MADE_UP_SEED: Final = 3

PValues = Mapping[str, npt.NDArray[np.float32]]


def familiarity_predictions(
    new: TileDataset, runs: Path, *, profile: str, version: int
) -> tuple[PValues, dict[str, Any]] | None:
    """Ask the served regressor about new lots and strange tiles.

    Args:
        new: Tiles of the benchmark's new lots.
        runs: Folder of all runs.
        profile: Name of the recipes' folder.
        version: Of the benchmark.

    Returns:
        P-values float32 [N] by the set's name, and what else is known of the run in JSON's types;
        None where the run has no known tiles.

    Raises:
        CheckpointError: The regressor is missing or unfinished.
    """
    path = runs / SERVED / KNOWN_TILES_FILE
    if not path.exists():
        return None
    known = KnownTiles.read(path)
    regressor = load_regressor(checkpoint_path(runs, served_name()))
    said = {
        name: known.p_values(look(regressor, images)).astype(np.float32)
        for name, images in {NEW_LOTS: new.images, **ood_sets(new.images)}.items()
    }
    stated = known.statement.model_dump(mode="json")
    return said, {"benchmark": version, "profile": profile, "known_tiles": stated}


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


def write_familiarity_predictions(folder: Path, said: PValues, stated: Mapping[str, Any]) -> None:
    """Write `known_tiles.npz` and `known_tiles.json`."""
    write_stored(folder / FILE, dict(said), {**stated, "sets": list(said)})


def read_familiarity_predictions(folder: Path) -> tuple[PValues, dict[str, Any]]:
    """What `write_familiarity_predictions` wrote.

    Raises:
        ResultsError: A file is missing or unreadable, or the answers are not the manifest's.
    """
    arrays, stated = read_stored(folder / FILE)
    try:
        return {name: arrays[name] for name in stated["sets"]}, stated
    except KeyError as error:
        raise ResultsError(f"{folder / FILE} lacks {error}") from None


def _of_lots(
    lots: Sequence[Lot], instrument: InstrumentState = NOMINAL, *, region: int = 0
) -> Images:
    each = TILES // len(lots)
    shown: Iterable[Lot] = track(lots, "render strange tiles", console=Console(stderr=True))
    tiles = [
        tile.image
        for lot in shown
        for tile in mosaic(lot, each, instrument, region=region, tiles_per_side=TILES_PER_SIDE)
    ]
    return np.stack(tiles)
