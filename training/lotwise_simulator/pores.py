"""Pin-prick pores: dark dots of 1-2 um with a thin bright rim on the crystals' surfaces."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lotwise_simulator.compiled import compiled
from lotwise_simulator.render import Surface

DIAMETER_UM: Final = (1.3, 2.5)
"""Pores are drawn evenly between these."""
RIM_UM: Final = 0.9
DARKENING: Final = 0.92
RIM_GAIN: Final = 0.3
CROWDING: Final = (0.4, 1.6)
"""A crystal's pore density over the lot's mean: crystals of one lot differ."""


def prick(
    grey: NDArray[np.float32],
    surface: Surface,
    pore_fraction: float,
    rng: np.random.Generator,
) -> None:
    """Draw pores into a yield image, in place, until they cover ``pore_fraction`` of its area.

    Dots keep to their own crystal and are foreshortened with its surface. Places are independent
    and may overlap; the count allows for it: a share p needs -ln(1 - p) areas' worth of dots.

    Args:
        grey: float32 (h, w), the yield.
        surface: what the beam meets.
        pore_fraction: share of the area, 0 to below 1.
        rng: source of places, sizes and densities.

    Raises:
        ValueError: ``pore_fraction`` outside 0..1.
    """
    if not 0.0 <= pore_fraction < 1.0:
        raise ValueError(f"pore_fraction must lie in 0..1, got {pore_fraction!r}")
    low, high = (0.5 * d for d in DIAMETER_UM)
    mean_area = np.pi * (low * low + low * high + high * high) / 3.0
    wanted = -math.log1p(-pore_fraction) * grey.size / mean_area
    # Candidates are drawn at the highest crowding and thinned crystal by crystal.
    n = round(wanted * CROWDING[1])
    places = rng.random((n, 2)) * grey.shape
    radii = rng.uniform(low, high, n).astype(np.float32)
    density = rng.uniform(*CROWDING, int(surface.crystal.max()) + 2)
    owner = surface.crystal[places[:, 0].astype(np.intp), places[:, 1].astype(np.intp)]
    kept = (owner >= 0) & (rng.random(n) * CROWDING[1] < density[owner])
    _prick(grey, surface.normal, surface.crystal, places[kept].astype(np.float32), radii[kept])


@compiled
def _prick(
    grey: NDArray[np.float32],
    normal: NDArray[np.float32],
    crystal: NDArray[np.int32],
    places: NDArray[np.float32],
    radii: NDArray[np.float32],
) -> None:
    """Multiply dots (with soft, one-pixel borders) and rims into ``grey``."""
    height, width = grey.shape
    one = np.float32(1.0)
    zero = np.float32(0.0)
    rim = np.float32(RIM_UM)
    half = np.float32(0.5)
    for p in range(len(radii)):
        row0, column0 = int(places[p, 0]), int(places[p, 1])
        owner = crystal[row0, column0]
        nz = max(normal[row0, column0, 2], np.float32(0.3))
        slope_x = normal[row0, column0, 0] / nz
        slope_y = normal[row0, column0, 1] / nz
        reach = int(np.ceil(radii[p] + rim))
        for row in range(row0 - reach, row0 + reach + 1):
            for column in range(column0 - reach, column0 + reach + 1):
                r, c = row % height, column % width
                if crystal[r, c] != owner:
                    continue
                dy = np.float32(row) + half - places[p, 0]
                dx = np.float32(column) + half - places[p, 1]
                climb = dx * slope_x + dy * slope_y
                distance = np.sqrt(dx * dx + dy * dy + climb * climb)
                inside = min(max(radii[p] + half - distance, zero), one)
                ring = max(one - abs(distance - radii[p] - half) / rim, zero)
                grey[r, c] *= (one - np.float32(DARKENING) * inside) * (
                    one + np.float32(RIM_GAIN) * ring * (one - inside)
                )
