"""Lots and their tiles."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lotwise_simulator import traits
from lotwise_simulator.attributes import Attributes
from lotwise_simulator.imaging import acquire
from lotwise_simulator.instrument import NOMINAL, InstrumentState
from lotwise_simulator.scene import draw_scene

TILE_PX: Final = 256
UM_PER_PX: Final = 1.0
OVERLAP_PX: Final = 26
"""Width that neighbouring tiles of a scene share."""
SCENE_TILES: Final = 4
"""A scene holds 4 x 4 tiles."""
STRIDE_PX: Final = TILE_PX - OVERLAP_PX
SCENE_PX: Final = TILE_PX + (SCENE_TILES - 1) * STRIDE_PX
TILES_PER_SCENE: Final = SCENE_TILES**2


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One image of a simulated lot.

    Attributes:
        image: uint8 (256, 256).
        lot_id: the lot it shows.
        row, column: place in its scene, 0..3; neighbours share ``OVERLAP_PX``.
        um_per_px: width of a pixel.
        region, scene: which patch of the lot; tiles of different patches share nothing.
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

    Raises:
        ValueError: empty ``lot_id`` or negative ``seed``.
    """

    lot_id: str
    attributes: Attributes
    seed: int

    def __post_init__(self) -> None:
        if not self.lot_id:
            raise ValueError("lot_id must not be empty")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")

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


def scene_yield(lot: Lot, *, region: int = 0, scene: int = 0) -> NDArray[np.float32]:
    """Secondary-electron yield of one scene, float32 (``SCENE_PX``, ``SCENE_PX``).

    It depends on the lot, the region and the scene's number, never on an instrument.

    Raises:
        ValueError: negative ``region`` or ``scene``.
    """
    if region < 0 or scene < 0:
        raise ValueError(f"region and scene must not be negative, got {region} and {scene}")
    rng = np.random.default_rng([lot.seed, 2, region, scene])
    return draw_scene(lot.attributes, SCENE_PX, rng)


def mosaic(
    lot: Lot,
    n_tiles: int,
    instrument: InstrumentState = NOMINAL,
    seed: int = 0,
    *,
    region: int = 0,
) -> list[Tile]:
    """Tiles of a lot, cut row by row as an overlapping mosaic from scenes of 4 x 4.

    The material is fixed by ``lot`` and ``region``; ``seed`` draws the acquisition only (noise,
    drift, charging). So another instrument or seed sees the same crystals, another region sees
    none of them ("new tiles of the known lot"), and fewer tiles are a prefix of more.

    Args:
        lot: the lot.
        n_tiles: how many tiles; multiples of 16 waste nothing.
        instrument: state of the microscope.
        seed: of the acquisition.
        region: patch of the lot.

    Raises:
        ValueError: ``n_tiles`` below 1, or a negative ``seed`` or ``region``.
    """
    if n_tiles < 1:
        raise ValueError(f"n_tiles must be at least 1, got {n_tiles}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    tiles: list[Tile] = []
    for scene in range(-(-n_tiles // TILES_PER_SCENE)):
        grey = scene_yield(lot, region=region, scene=scene)
        for place in range(min(TILES_PER_SCENE, n_tiles - len(tiles))):
            row, column = divmod(place, SCENE_TILES)
            top, left = row * STRIDE_PX, column * STRIDE_PX
            rng = np.random.default_rng([lot.seed, 3, region, scene, place, seed])
            image = acquire(grey[top : top + TILE_PX, left : left + TILE_PX], instrument, rng)
            tiles.append(Tile(image, lot.lot_id, row, column, UM_PER_PX, region, scene))
    return tiles
