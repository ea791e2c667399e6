"""Dense random packing by deposition: crystals are dropped one after the other on a height map.

Each crystal tries a few places and keeps the lowest rest (Visscher & Bolsterli, Nature 239, 504
(1972), with a random search instead of rolling). It never enters what lies below it, fines find
the gaps between large crystals, and the surface stays level. Bodies touch as ellipsoids: their
polyhedra then overlap by a few percent at most, which reads as contact.

The map is a torus, so density is the same up to the borders and no margin is computed for nothing.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lotwise_simulator.compiled import compiled
from lotwise_simulator.crystals import Crystals

CELL_UM: Final = 2.0
"""Cell of the height map."""
PLACES: Final = 40
"""Places that a crystal of the mean size or above tries."""
PLACES_OF_DUST: Final = 2
"""Places that the finest try. Adhesion over weight grows as 1/d^2, so fines stick about where they
land (places fall as d^2) and dust the large crystals instead of all sinking into the gaps."""


def deposit(crystals: Crystals, extent_um: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Place crystals, in their order, in a square of ``extent_um`` with periodic borders.

    Returns:
        float32 (n, 3): centres, um; x and y in 0..extent, z above the floor.
    """
    cells = round(extent_um / CELL_UM)
    widths = crystals.extent.mean(axis=1)
    tries = np.rint(PLACES * (widths / widths.mean()) ** 2).clip(PLACES_OF_DUST, PLACES)
    places = rng.random((len(crystals), PLACES, 2), dtype=np.float32)
    centres = np.empty((len(crystals), 3), dtype=np.float32)
    _deposit(
        crystals.frame,
        crystals.extent,
        crystals.cuts,
        places,
        tries.astype(np.int64),
        cells,
        np.float32(extent_um / cells),
        np.zeros((cells, cells), dtype=np.float32),
        centres,
    )
    return centres


@compiled
def _deposit(
    frame: NDArray[np.float32],
    extent: NDArray[np.float32],
    cuts: NDArray[np.float32],
    places: NDArray[np.float32],
    tries: NDArray[np.int64],
    cells: int,
    cell_um: np.float32,
    height: NDArray[np.float32],
    centres: NDArray[np.float32],
) -> None:
    """Fill ``centres``; ``height`` is the working height map, um."""
    reach_max = int(np.ceil(extent[:, :2].max() / cell_um)) + 1
    side_max = 2 * reach_max + 1
    rows = np.empty(side_max * side_max, dtype=np.int32)
    columns = np.empty(side_max * side_max, dtype=np.int32)
    bottom = np.empty(side_max * side_max, dtype=np.float32)
    top = np.empty(side_max * side_max, dtype=np.float32)
    for i in range(len(frame)):
        # The body over each cell: solve |y0 + z k| = 1 for the lower and the upper z of its
        # ellipsoid, and stop at the fracture faces.
        k0, k1, k2 = frame[i, 0, 2], frame[i, 1, 2], frame[i, 2, 2]
        kk = k0 * k0 + k1 * k1 + k2 * k2
        reach_x = int(extent[i, 0] / cell_um)
        reach_y = int(extent[i, 1] / cell_um)
        count = 0
        for row in range(-reach_y, reach_y + 1):
            for column in range(-reach_x, reach_x + 1):
                x = column * cell_um
                y = row * cell_um
                y0 = frame[i, 0, 0] * x + frame[i, 0, 1] * y
                y1 = frame[i, 1, 0] * x + frame[i, 1, 1] * y
                y2 = frame[i, 2, 0] * x + frame[i, 2, 1] * y
                half_b = y0 * k0 + y1 * k1 + y2 * k2
                c = y0 * y0 + y1 * y1 + y2 * y2 - np.float32(1.0)
                discriminant = half_b * half_b - kk * c
                if discriminant <= np.float32(0.0):
                    continue
                root = np.sqrt(discriminant)
                low = (-half_b - root) / kk
                high = (-half_b + root) / kk
                for j in range(cuts.shape[1]):
                    beside = cuts[i, j, 0] * y0 + cuts[i, j, 1] * y1 + cuts[i, j, 2] * y2
                    rise = cuts[i, j, 0] * k0 + cuts[i, j, 1] * k1 + cuts[i, j, 2] * k2
                    if rise > np.float32(1e-6):
                        high = min(high, (np.float32(1.0) - beside) / rise)
                    elif rise < np.float32(-1e-6):
                        low = max(low, (np.float32(1.0) - beside) / rise)
                    elif beside > np.float32(1.0):
                        high = low
                if high <= low:
                    continue
                rows[count] = row
                columns[count] = column
                bottom[count] = low
                top[count] = high
                count += 1

        best = np.float32(1e9)
        best_row = 0
        best_column = 0
        for place in range(tries[i]):
            row0 = int(places[i, place, 0] * cells) % cells
            column0 = int(places[i, place, 1] * cells) % cells
            rest = np.float32(0.0)
            for s in range(count):
                level = height[(row0 + rows[s]) % cells, (column0 + columns[s]) % cells]
                rest = max(rest, level - bottom[s])
                if rest >= best:
                    break
            if rest < best:
                best = rest
                best_row = row0
                best_column = column0

        for s in range(count):
            row = (best_row + rows[s]) % cells
            column = (best_column + columns[s]) % cells
            height[row, column] = best + top[s]
        # Within its cell the place is continuous, or centres would sit on a visible lattice.
        centres[i, 0] = (best_column + places[i, 0, 0] * cells % 1.0) * cell_um
        centres[i, 1] = (best_row + places[i, 0, 1] * cells % 1.0) * cell_um
        centres[i, 2] = best
