"""Lots and their tiles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lotwise_simulator import traits
from lotwise_simulator.attributes import Attributes
from lotwise_simulator.expert import expert_scores
from lotwise_simulator.imaging import acquire
from lotwise_simulator.instrument import NOMINAL, InstrumentState
from lotwise_simulator.scene import draw_scene

TILE_PX: Final = 256
UM_PER_PX: Final = 1.0
OVERLAP_PX: Final = 26
"""Width that neighbouring tiles of a scene share."""
STRIDE_PX: Final = TILE_PX - OVERLAP_PX
SCENE_TILES: Final = 4
"""Tiles a side of a mosaic, unless said otherwise."""
MAX_SCENE_TILES: Final = 16
"""A scene is held in memory whole: 3.7 mm a side are about 400 MB."""


def scene_px(tiles_per_side: int) -> int:
    """Side of the scene from which a mosaic is cut, px.

    Raises:
        ValueError: ``tiles_per_side`` outside 1..16.
    """
    if not 1 <= tiles_per_side <= MAX_SCENE_TILES:
        raise ValueError(f"tiles_per_side must lie in 1..{MAX_SCENE_TILES}, got {tiles_per_side}")
    return TILE_PX + (tiles_per_side - 1) * STRIDE_PX


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One image of a simulated lot.

    Attributes:
        image: uint8 (256, 256).
        lot_id: the lot it shows.
        row, column: place in its mosaic; neighbours share ``OVERLAP_PX``.
        um_per_px: width of a pixel.
        region, scene: which mosaic of the lot; tiles of different mosaics share nothing.
    """

    image: NDArray[np.uint8]
    lot_id: str
    row: int
    column: int
    um_per_px: float = UM_PER_PX
    region: int = 0
    scene: int = 0


@dataclass(frozen=True, slots=True)
class Lot:
    """A simulated lot: attributes, and the seed of everything random about it.

    Attributes:
        lot_id: its name.
        attributes: what synthesis decided.
        seed: of scenes, acquisitions, strength tests and expert scores.
        fracture: share of the crystals that grinding broke through, 0..1; 0 as synthesised.

    Raises:
        ValueError: empty ``lot_id``, negative ``seed``, or ``fracture`` outside 0..1.
    """

    lot_id: str
    attributes: Attributes
    seed: int
    fracture: float = 0.0

    def __post_init__(self) -> None:
        if not self.lot_id:
            raise ValueError("lot_id must not be empty")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not 0.0 <= self.fracture <= 1.0:
            raise ValueError(f"fracture must lie in 0..1, got {self.fracture!r}")

    @property
    def peak_stress_psi(self) -> float:
        """True peak stress, psi."""
        return traits.peak_stress_psi(self.attributes)

    @property
    def peak_stress_gradient(self) -> NDArray[np.float64]:
        """float64 (4,), psi per unit of each normalised attribute."""
        return traits.peak_stress_gradient(self.attributes)

    def strength_tests(self, n: int = 2) -> NDArray[np.float64]:
        """Duplicate tests, float64 (n,), psi; the same at every call."""
        # The trailing word keeps this stream apart from the scenes' streams.
        return traits.strength_tests(self.attributes, np.random.default_rng([self.seed, 1]), n)

    def expert_scores(self) -> NDArray[np.float64]:
        """Attributes as two experts state them, float64 (2, 4); the same at every call.

        Their mean is what a model may learn from. See ``expert.py`` for scatter and step.
        """
        return expert_scores(self.attributes, np.random.default_rng([self.seed, 4]))


def scene_yield(
    lot: Lot, *, region: int = 0, scene: int = 0, tiles_per_side: int = SCENE_TILES
) -> NDArray[np.float32]:
    """Secondary-electron yield of one scene, float32 (n, n), n as :func:`scene_px`.

    It depends on the lot, the region, the scene's number and its width, never on an instrument.

    Raises:
        ValueError: negative ``region`` or ``scene``, or ``tiles_per_side`` outside 1..16.
    """
    side_px = scene_px(tiles_per_side)
    if region < 0 or scene < 0:
        raise ValueError(f"region and scene must not be negative, got {region} and {scene}")
    rng = np.random.default_rng([lot.seed, 2, region, scene])
    return draw_scene(lot.attributes, side_px, rng, lot.fracture)


def mosaic(
    lot: Lot,
    n_tiles: int,
    instrument: InstrumentState = NOMINAL,
    seed: int = 0,
    *,
    region: int = 0,
    tiles_per_side: int = SCENE_TILES,
) -> list[Tile]:
    """Tiles of a lot, cut row by row as an overlapping mosaic from one scene.

    A mosaic has ``tiles_per_side`` rows and columns; further tiles come from further mosaics.

    The material is fixed by ``lot`` and ``region``; ``seed`` draws the acquisition only (noise,
    drift, charging). So another instrument or seed sees the same crystals, another region sees
    none of them ("new tiles of the known lot"), and fewer tiles are a prefix of more.

    Args:
        lot: the lot.
        n_tiles: how many tiles; whole mosaics waste nothing.
        instrument: state of the microscope.
        seed: of the acquisition.
        region: patch of the lot.
        tiles_per_side: rows and columns of a mosaic, 1..16.

    Raises:
        ValueError: ``n_tiles`` below 1, a negative ``seed`` or ``region``, or ``tiles_per_side``
            outside 1..16.
    """
    if n_tiles < 1:
        raise ValueError(f"n_tiles must be at least 1, got {n_tiles}")
    tiles: list[Tile] = []
    per_scene = tiles_per_side**2
    for scene in range(-(-n_tiles // max(per_scene, 1))):
        places = range(min(per_scene, n_tiles - len(tiles)))
        tiles += scene_tiles(
            lot, places, instrument, seed, region=region, scene=scene, tiles_per_side=tiles_per_side
        )
    return tiles


def scene_tiles(
    lot: Lot,
    places: Iterable[int],
    instrument: InstrumentState = NOMINAL,
    seed: int = 0,
    *,
    region: int = 0,
    scene: int = 0,
    tiles_per_side: int = SCENE_TILES,
) -> list[Tile]:
    """Some tiles of one scene, the same as in its :func:`mosaic`.

    Args:
        lot: the lot.
        places: numbers of the tiles, row by row from 0.
        instrument: state of the microscope.
        seed: of the acquisition.
        region: patch of the lot.
        scene: number of the scene.
        tiles_per_side: rows and columns of the mosaic, 1..16.

    Raises:
        ValueError: a negative ``seed``, ``region`` or ``scene``, ``tiles_per_side`` outside 1..16,
            or a place outside the scene.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    grey = scene_yield(lot, region=region, scene=scene, tiles_per_side=tiles_per_side)
    tiles: list[Tile] = []
    for place in places:
        if not 0 <= place < tiles_per_side**2:
            raise ValueError(f"there is no place {place} in {tiles_per_side} x {tiles_per_side}")
        row, column = divmod(place, tiles_per_side)
        top, left = row * STRIDE_PX, column * STRIDE_PX
        rng = np.random.default_rng([lot.seed, 3, region, scene, place, seed])
        image = acquire(grey[top : top + TILE_PX, left : left + TILE_PX], instrument, rng)
        tiles.append(Tile(image, lot.lot_id, row, column, UM_PER_PX, region, scene))
    return tiles


def stitch(tiles: Sequence[Tile]) -> NDArray[np.uint8]:
    """Put the tiles of one mosaic back together, each overlap shown as its later tile saw it.

    Args:
        tiles: of one lot, region and scene; places that none fills stay black.

    Returns:
        uint8 (h, w).

    Raises:
        ValueError: no tiles, or tiles of several mosaics.
    """
    if len({(tile.lot_id, tile.region, tile.scene) for tile in tiles}) != 1:
        raise ValueError("only tiles of one mosaic can be stitched")
    rows = 1 + max(tile.row for tile in tiles)
    columns = 1 + max(tile.column for tile in tiles)
    stitched = np.zeros(
        (TILE_PX + (rows - 1) * STRIDE_PX, TILE_PX + (columns - 1) * STRIDE_PX), dtype=np.uint8
    )
    for tile in tiles:
        top, left = tile.row * STRIDE_PX, tile.column * STRIDE_PX
        stitched[top : top + TILE_PX, left : left + TILE_PX] = tile.image
    return stitched
