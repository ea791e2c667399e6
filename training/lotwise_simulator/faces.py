"""Marks on the crystals' faces: growth steps, cracks and the relief of fracture faces.

Growth steps run across a flat face in parallel to one of its edges (layer growth of molecular
crystals); rounded crystals have none. A few of the larger crystals carry a crack that runs in a
zigzag and ends on the way. Fracture faces are rough and dull.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lotwise_simulator.compiled import compiled
from lotwise_simulator.crystals import FACETS, Crystals
from lotwise_simulator.render import Surface

STEPPED_FACES: Final = 0.55
"""Share of the faces with growth steps."""
MOST_STEPS: Final = 9.0
"""Steps over a face's radius; a face carries between 2 and this many."""
STEP_GAIN: Final = 0.34
CRACKED_CRYSTALS: Final = 0.12
CRACK_DARKENING: Final = 0.62
SMALLEST_CRACKED_UM: Final = 12.0
"""Half-width from which a crystal may be cracked; strain grows with size."""


def mark_faces(
    surface: Surface,
    crystals: Crystals,
    centres: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Factor on the yield by steps and cracks, float32 (h, w), 1 where there is neither.

    Args:
        surface: what the beam meets.
        crystals: the bodies.
        centres: float32 (n, 3), um.
        rng: decides which faces and crystals carry what.
    """
    n = len(crystals)
    steps = rng.uniform(2.0, MOST_STEPS, (n, FACETS)).astype(np.float32)
    steps[rng.random((n, FACETS), dtype=np.float32) >= STEPPED_FACES] = 0.0
    radius = crystals.extent.mean(axis=1, dtype=np.float32)
    cracked = (rng.random(n) < CRACKED_CRYSTALS) & (radius > SMALLEST_CRACKED_UM)
    cracks = rng.standard_normal((n, 2, 3), dtype=np.float32)
    cracks /= np.sqrt(np.sum(cracks * cracks, axis=2, keepdims=True))
    factor: NDArray[np.float32] = np.ones_like(surface.height)
    _mark(
        surface.height,
        surface.crystal,
        surface.facet,
        crystals.frame,
        crystals.facets,
        centres,
        radius,
        steps,
        cracked,
        cracks,
        np.float32(crystals.facet_blend),
        factor,
    )
    return factor


@compiled
def _zigzag(t: np.float32) -> np.float32:
    """Triangle wave of period 1 between -0.5 and 0.5."""
    away: np.float32 = abs(t - np.floor(t) - np.float32(0.5))
    return np.float32(2.0) * away - np.float32(0.5)


@compiled
def _mark(
    height: NDArray[np.float32],
    crystal: NDArray[np.int32],
    facet: NDArray[np.int8],
    frame: NDArray[np.float32],
    facets: NDArray[np.float32],
    centres: NDArray[np.float32],
    radius: NDArray[np.float32],
    steps: NDArray[np.float32],
    cracked: NDArray[np.bool_],
    cracks: NDArray[np.float32],
    blend: np.float32,
    factor: NDArray[np.float32],
) -> None:
    """Fill ``factor``."""
    side = height.shape[0]
    full = np.float32(side)
    half = np.float32(0.5) * full
    one = np.float32(1.0)
    zero = np.float32(0.0)
    n_facets = facets.shape[1]
    for row in range(side):
        for column in range(side):
            i = crystal[row, column]
            if i < 0:
                continue
            j = facet[row, column]
            stepped = 0 <= j < n_facets and steps[i, j] > zero and blend > zero
            if not (stepped or cracked[i]):
                continue
            dx = np.float32(column) - centres[i, 0]
            dy = np.float32(row) - centres[i, 1]
            # The scene is a torus: take the nearest image of the centre.
            dx = dx - full if dx > half else (dx + full if dx < -half else dx)
            dy = dy - full if dy > half else (dy + full if dy < -half else dy)
            dz = height[row, column] - centres[i, 2]
            m = frame[i]
            y0 = m[0, 0] * dx + m[0, 1] * dy + m[0, 2] * dz
            y1 = m[1, 0] * dx + m[1, 1] * dy + m[1, 2] * dz
            y2 = m[2, 0] * dx + m[2, 1] * dy + m[2, 2] * dz
            value = one
            if stepped:
                # Lines along which another face's plane is equally far run parallel to the edge
                # of the two.
                other = facets[i, (j + 3) % n_facets]
                along = other[0] * y0 + other[1] * y1 + other[2] * y2
                # Terraces differ in width: the phase runs unevenly.
                phase = steps[i, j] * along
                phase += np.float32(0.35) * _zigzag(np.float32(0.37) * phase + np.float32(j))
                off = abs(phase - np.floor(phase) - np.float32(0.5))
                distance_px = off * radius[i] / steps[i, j]
                line = max(zero, one - distance_px / np.float32(0.9))
                # Steps closer than the beam is wide are not resolved.
                spacing_px = radius[i] / steps[i, j]
                resolved = min(max((spacing_px - np.float32(1.5)) / np.float32(4.0), zero), one)
                value += np.float32(STEP_GAIN) * blend * resolved * line
            if cracked[i]:
                across = cracks[i, 0, 0] * y0 + cracks[i, 0, 1] * y1 + cracks[i, 0, 2] * y2
                along = cracks[i, 1, 0] * y0 + cracks[i, 1, 1] * y1 + cracks[i, 1, 2] * y2
                if along > np.float32(-0.25):
                    across += np.float32(0.14) * _zigzag(np.float32(1.7) * along)
                    across += np.float32(0.05) * _zigzag(np.float32(5.3) * along)
                    # It opens towards the rim.
                    width_px = np.float32(0.5) + np.float32(0.9) * min(
                        along + np.float32(0.25), one
                    )
                    gap = max(zero, one - max(zero, abs(across) * radius[i] - width_px))
                    value *= one - np.float32(CRACK_DARKENING) * gap
            factor[row, column] = value
