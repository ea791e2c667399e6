"""Visible surface of packed crystals: a depth buffer with the normal kept at every pixel."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lotwise_simulator.compiled import compiled
from lotwise_simulator.crystals import Crystals

BOUND: Final = 1.3
"""Bodies are cut at this multiple of their ellipsoid: it blunts the rare long corner and bounds
where a ray can meet the body."""
FLOOR: Final = -1
"""Crystal index of a pixel where no crystal is met."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What the beam meets at each pixel of a square scene.

    Attributes:
        height: float32 (h, w), um above the floor.
        normal: float32 (h, w, 3), unit, z towards the beam.
        crystal: int32 (h, w), index of the crystal, ``FLOOR`` where there is none.
        facet: int8 (h, w), the facet that is nearest; from ``FACETS`` on a fracture face; -1 where
            there is none.
    """

    height: NDArray[np.float32]
    normal: NDArray[np.float32]
    crystal: NDArray[np.int32]
    facet: NDArray[np.int8]


def render(crystals: Crystals, centres: NDArray[np.float32], side_px: int) -> Surface:
    """Render crystals from above at 1 um/px on a torus of ``side_px`` pixels a side.

    Args:
        crystals: the bodies.
        centres: float32 (n, 3), um.
        side_px: side of the scene, px.
    """
    surface = Surface(
        height=np.zeros((side_px, side_px), dtype=np.float32),
        normal=np.zeros((side_px, side_px, 3), dtype=np.float32),
        crystal=np.full((side_px, side_px), FLOOR, dtype=np.int32),
        facet=np.full((side_px, side_px), -1, dtype=np.int8),
    )
    surface.normal[..., 2] = 1.0
    # Highest first: most of what is hidden then fails the depth test before any root is sought.
    order = np.argsort(-(centres[:, 2] + crystals.extent[:, 2]), kind="stable")
    _render(
        order,
        centres,
        crystals.frame,
        crystals.facets,
        crystals.cuts,
        crystals.extent,
        np.float32(crystals.facet_blend),
        surface.height,
        surface.normal,
        surface.crystal,
        surface.facet,
    )
    return surface


@compiled
def _render(
    order: NDArray[np.int64],
    centres: NDArray[np.float32],
    frame: NDArray[np.float32],
    facets: NDArray[np.float32],
    cuts: NDArray[np.float32],
    extent: NDArray[np.float32],
    blend: np.float32,
    height: NDArray[np.float32],
    normal: NDArray[np.float32],
    crystal: NDArray[np.int32],
    facet: NDArray[np.int8],
) -> None:
    """Fill the surface arrays in place."""
    side = height.shape[0]
    n_facets = facets.shape[1]
    one = np.float32(1.0)
    zero = np.float32(0.0)
    bound = np.float32(BOUND)
    round_blend = one - blend
    n_cuts = cuts.shape[1]
    n_planes = n_facets + n_cuts
    plane_x = np.empty(n_planes, dtype=np.float32)
    plane_y = np.empty(n_planes, dtype=np.float32)
    plane_z = np.empty(n_planes, dtype=np.float32)
    offset = np.empty(n_planes, dtype=np.float32)
    for i in order:
        m = frame[i]
        k0, k1, k2 = m[0, 2], m[1, 2], m[2, 2]
        kk = k0 * k0 + k1 * k1 + k2 * k2
        # Facets and cuts as planes in the lab frame: facet . (frame x) <= 1.
        whole = True
        for j in range(n_planes):
            plane = facets[i, j] if j < n_facets else cuts[i, j - n_facets]
            f0, f1, f2 = plane[0], plane[1], plane[2]
            if j >= n_facets and (f0 != zero or f1 != zero or f2 != zero):
                whole = False
            plane_x[j] = f0 * m[0, 0] + f1 * m[1, 0] + f2 * m[2, 0]
            plane_y[j] = f0 * m[0, 1] + f1 * m[1, 1] + f2 * m[2, 1]
            plane_z[j] = f0 * k0 + f1 * k1 + f2 * k2
        centre_x, centre_y, centre_z = centres[i, 0], centres[i, 1], centres[i, 2]
        x_first = int(np.ceil(centre_x - bound * extent[i, 0]))
        x_last = int(np.floor(centre_x + bound * extent[i, 0]))
        y_first = int(np.ceil(centre_y - bound * extent[i, 1]))
        y_last = int(np.floor(centre_y + bound * extent[i, 1]))
        for y_px in range(y_first, y_last + 1):
            row = y_px % side
            dy = np.float32(y_px) - centre_y
            for x_px in range(x_first, x_last + 1):
                column = x_px % side
                dx = np.float32(x_px) - centre_x
                u0 = m[0, 0] * dx + m[0, 1] * dy
                u1 = m[1, 0] * dx + m[1, 1] * dy
                u2 = m[2, 0] * dx + m[2, 1] * dy
                half_b = u0 * k0 + u1 * k1 + u2 * k2
                uu = u0 * u0 + u1 * u1 + u2 * u2
                discriminant = half_b * half_b - kk * (uu - bound * bound)
                if discriminant <= zero:
                    continue
                z = (np.sqrt(discriminant) - half_b) / kk
                seen = height[row, column] - centre_z
                if z <= seen:
                    continue
                for j in range(n_planes):
                    offset[j] = plane_x[j] * dx + plane_y[j] * dy
                # Newton from the bounding ellipsoid downwards: the gauge is convex along the ray,
                # so the iterates fall monotonically on the upper root and cannot pass it.
                hit = False
                cut = True
                active = -1
                broken = -1
                norm = one
                for _ in range(12):
                    gauge = zero
                    for j in range(n_facets):
                        value = offset[j] + plane_z[j] * z
                        if value > gauge:
                            gauge = value
                            active = j
                    norm = np.sqrt(uu + z * (np.float32(2.0) * half_b + z * kk))
                    excess = blend * gauge + round_blend * norm - one
                    broken = -1
                    if not whole:
                        for j in range(n_facets, n_planes):
                            value = offset[j] + plane_z[j] * z - one
                            if value > excess:
                                excess = value
                                broken = j
                    if excess <= np.float32(2e-3):
                        hit = True
                        break
                    if broken >= 0:
                        slope = plane_z[broken]
                    else:
                        slope = blend * plane_z[active] + round_blend * (half_b + z * kk) / norm
                    if slope <= np.float32(1e-6):
                        break
                    z -= excess / slope
                    cut = False
                    if z <= seen:
                        break
                if not hit or z <= seen:
                    continue
                # The normal is the gauge's gradient. A ray inside the body from the start sees the
                # cut, hence the bounding ellipsoid's gradient.
                facet_weight = zero if cut else blend
                round_weight = one if cut else round_blend
                if broken >= 0:
                    active = broken
                    facet_weight = one
                    round_weight = zero
                w0 = round_weight * (u0 + z * k0) / norm
                w1 = round_weight * (u1 + z * k1) / norm
                w2 = round_weight * (u2 + z * k2) / norm
                gx = m[0, 0] * w0 + m[1, 0] * w1 + m[2, 0] * w2
                gy = m[0, 1] * w0 + m[1, 1] * w1 + m[2, 1] * w2
                gz = m[0, 2] * w0 + m[1, 2] * w1 + m[2, 2] * w2
                gx += facet_weight * plane_x[active]
                gy += facet_weight * plane_y[active]
                gz += facet_weight * plane_z[active]
                # The root's tolerance can take a silhouette pixel just past the vertical.
                gz = max(gz, zero)
                length = np.sqrt(gx * gx + gy * gy + gz * gz)
                height[row, column] = centre_z + z
                normal[row, column, 0] = gx / length
                normal[row, column, 1] = gy / length
                normal[row, column, 2] = gz / length
                crystal[row, column] = i
                facet[row, column] = active
