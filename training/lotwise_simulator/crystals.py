"""Shapes of the crystals of one scene, drawn from a lot's attributes.

A body is given by its gauge (Minkowski functional) ``g``: the body is ``g(x) <= 1``. With ``y`` the
point in the crystal's frame, scaled so that its ellipsoid is the unit ball,

    g = max( f * max_i (facet_i . y) + (1 - f) * |y|,  max_j (cut_j . y) ),     f the facetness.

The first part is a convex combination of a polyhedron's gauge and the ball's, so f runs smoothly
from an ellipsoid to flat faces that meet at edges; the second cuts broken crystals through. Sums
and maxima of gauges are gauges again, so every body is convex.

Nothing here takes a transcendental function of an array by numpy, whose last bit depends on the
processor's instruction set: a lot must come out the same on every machine.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lotwise_simulator.attributes import Attributes
from lotwise_simulator.compiled import compiled

FACETS: Final = 14
"""Half-spaces of a crystal."""
CUTS: Final = 2
"""Fracture faces of a broken crystal."""
SMALLEST_UM: Final = 3.0
LARGEST_UM: Final = 230.0
"""Diameters are cut here: below the packing grid's reach, and not wider than a tile."""
COVERAGE: Final = 3.0
"""Projected area of all crystals over the scene's area: about four layers, so that few gaps reach
the floor."""
DEBRIS_COVERAGE: Final = 0.006
"""Projected area of the debris that lies on top of any powder. It is not counted as crystals."""
DEBRIS_UM: Final = (1.8, 4.2)
_BASE_SPREAD: Final = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Crystals:
    """``n`` crystals without positions.

    Attributes:
        frame: float32 (n, 3, 3), 1/um; maps a displacement from the centre to ``y`` above.
        facets: float32 (n, FACETS, 3); ``facet_i . y <= 1`` are the half-spaces.
        cuts: float32 (n, CUTS, 3); likewise the fracture faces, zero where there is none.
        extent: float32 (n, 3), um; half-widths of the ellipsoid along x, y, z.
        brightness: float32 (n,); base yield over its mean.
        facet_blend: weight of the polyhedron, 0..1.
        debris: how many of them, the last ones, are debris.
    """

    frame: NDArray[np.float32]
    facets: NDArray[np.float32]
    cuts: NDArray[np.float32]
    extent: NDArray[np.float32]
    brightness: NDArray[np.float32]
    facet_blend: float
    debris: int

    def __len__(self) -> int:
        return len(self.frame)


def draw_crystals(
    attributes: Attributes, area_um2: float, rng: np.random.Generator, fracture: float = 0.0
) -> Crystals:
    """Draw as many crystals as cover ``area_um2`` about ``COVERAGE`` times, in random order.

    A little debris comes last, so that it ends up on top.

    Args:
        attributes: the lot's attributes.
        area_um2: area of the scene, um^2.
        rng: source of shapes.
        fracture: share of the crystals that are broken through, 0..1.
    """
    whole = _diameters(attributes, COVERAGE * area_um2, rng)
    debris = _debris(DEBRIS_COVERAGE * area_um2, rng)
    diameters = np.concatenate([whole, debris])
    n = len(diameters)

    # Slightly flattened bodies (TATB grows as plates).
    shape = np.stack([np.ones(n), rng.uniform(0.68, 1.0, n), rng.uniform(0.5, 0.85, n)], axis=1)
    shape /= np.cbrt(shape[:, 0] * shape[:, 1] * shape[:, 2])[:, None]
    semi_axes = 0.5 * diameters[:, None] * shape
    to_lab = _settled(n, rng)

    frame = to_lab.transpose(0, 2, 1) / semi_axes[:, :, None]
    extent = np.sqrt(np.sum(to_lab**2 * semi_axes[:, None, :] ** 2, axis=2))
    return Crystals(
        frame=frame.astype(np.float32),
        facets=_facets(n, rng),
        cuts=_cuts(n, fracture, rng),
        extent=extent.astype(np.float32),
        brightness=rng.normal(1.0, _BASE_SPREAD, n).clip(0.7, 1.3).astype(np.float32),
        facet_blend=attributes.facet_blend,
        debris=len(debris),
    )


def _diameters(
    attributes: Attributes, area_um2: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Log-normal diameters, um, with mean d and relative spread delta, until they cover the area.

    Cut at 2.5 standard deviations of the logarithm, so that no single crystal rules a scene.
    """
    sigma = math.sqrt(math.log1p(attributes.delta**2))
    mu = math.log(attributes.diameter_um) - 0.5 * sigma**2
    mean_area = 0.25 * math.pi * math.exp(2.0 * mu + 2.0 * sigma**2)
    n = int(1.3 * area_um2 / mean_area) + 64
    diameters = _exponential(mu + sigma * rng.standard_normal(n).clip(-2.5, 2.5))
    diameters = diameters.clip(SMALLEST_UM, LARGEST_UM)
    covered = np.cumsum(0.25 * math.pi * diameters**2)
    return np.asarray(diameters[: int(np.searchsorted(covered, area_um2)) + 1])


def _debris(area_um2: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Diameters of debris, um, that together cover the area."""
    low, high = DEBRIS_UM
    mean_area = 0.25 * math.pi * (low * low + low * high + high * high) / 3.0
    return rng.uniform(low, high, int(area_um2 / mean_area))


@compiled
def _exponential(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exponential of each value by the C library, the same on every machine."""
    result = np.empty_like(values)
    for i in range(len(values)):
        result[i] = math.exp(values[i])
    return result


def _settled(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Rotations of bodies that settled, float64 (n, 3, 3), body to laboratory.

    Any turn about z; the short axis leans from it by about 30 degrees. The lean comes from a
    quaternion whose vector part is a normal deviate: no sine, no cosine.
    """
    x, y = 0.28 * rng.standard_normal((2, n))
    lean = _matrices(np.ones(n), x, y, np.zeros(n))
    spin = _matrices(rng.standard_normal(n), np.zeros(n), np.zeros(n), rng.standard_normal(n))
    return _product(lean, spin)


def _matrices(
    w: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rotation matrices (n, 3, 3) of quaternions that need not be of unit length."""
    s = 2.0 / (w * w + x * x + y * y + z * z)
    return np.stack(
        [
            np.stack([1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)], axis=1),
            np.stack([s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)], axis=1),
            np.stack([s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)], axis=1),
        ],
        axis=1,
    )


def _product(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix products (n, 3, 3), summed in one fixed order (a BLAS need not)."""
    return np.asarray(np.sum(first[:, :, :, None] * second[:, None, :, :], axis=2))


def _facets(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Half-spaces around the unit ball: evenly spread directions, jittered and turned at random.

    Directions drawn independently leave wide sectors open, hence spikes; a jittered spiral of
    points on the sphere does not. Each plane's distance is random, so faces differ in area.
    """
    turn = _matrices(*rng.standard_normal((4, n)))
    jitter = rng.standard_normal((n, FACETS, 3), dtype=np.float32)
    distance = rng.uniform(0.72, 1.02, (n, FACETS))
    facets = np.empty((n, FACETS, 3), dtype=np.float32)
    _fill_facets(turn, _SPIRAL, jitter, distance, facets)
    return facets


def _spiral() -> NDArray[np.float64]:
    """``FACETS`` points spread evenly on the unit sphere, float64 (FACETS, 3)."""
    points = []
    for index in range(FACETS):
        height = 1.0 - 2.0 * (index + 0.5) / FACETS
        angle = math.pi * (1.0 + math.sqrt(5.0)) * (index + 0.5)
        radius = math.sqrt(1.0 - height**2)
        points.append((radius * math.cos(angle), radius * math.sin(angle), height))
    return np.array(points)


_SPIRAL: Final = _spiral()


@compiled
def _fill_facets(
    turn: NDArray[np.float64],
    spiral: NDArray[np.float64],
    jitter: NDArray[np.float32],
    distance: NDArray[np.float64],
    facets: NDArray[np.float32],
) -> None:
    for i in range(len(facets)):
        for j in range(facets.shape[1]):
            nx = turn[i, 0, 0] * spiral[j, 0] + turn[i, 0, 1] * spiral[j, 1]
            ny = turn[i, 1, 0] * spiral[j, 0] + turn[i, 1, 1] * spiral[j, 1]
            nz = turn[i, 2, 0] * spiral[j, 0] + turn[i, 2, 1] * spiral[j, 1]
            nx += turn[i, 0, 2] * spiral[j, 2] + 0.28 * jitter[i, j, 0]
            ny += turn[i, 1, 2] * spiral[j, 2] + 0.28 * jitter[i, j, 1]
            nz += turn[i, 2, 2] * spiral[j, 2] + 0.28 * jitter[i, j, 2]
            scale = 1.0 / (math.sqrt(nx * nx + ny * ny + nz * nz) * distance[i, j])
            facets[i, j, 0] = nx * scale
            facets[i, j, 1] = ny * scale
            facets[i, j, 2] = nz * scale


def _cuts(n: int, fracture: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fracture planes near the centre of the broken crystals: one, and for half of them two."""
    cuts = np.zeros((n, CUTS, 3), dtype=np.float32)
    if fracture == 0.0:
        return cuts
    broken = rng.random(n) < fracture
    count = np.where(rng.random(n) < 0.5, 1, CUTS)
    normals = rng.standard_normal((n, CUTS, 3))
    normals /= np.sqrt(np.sum(normals**2, axis=2, keepdims=True))
    planes = normals / rng.uniform(0.1, 0.5, (n, CUTS, 1))
    cut = broken[:, None] & (np.arange(CUTS) < count[:, None])
    cuts[cut] = planes[cut]
    return cuts
