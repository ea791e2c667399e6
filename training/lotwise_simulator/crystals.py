"""Shapes of the crystals of one scene, drawn from a lot's attributes.

A body is given by its gauge (Minkowski functional) ``g``: the body is ``g(x) <= 1``. With ``y`` the
point in the crystal's frame, scaled so that its ellipsoid is the unit ball,

    g = f * max_i (facet_i . y) + (1 - f) * |y|,     f the facetness,

a convex combination of a polyhedron's gauge and the ball's. Such a sum is a gauge again, so every
blend is one convex body, and f runs smoothly from an ellipsoid to flat faces that meet at edges.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lotwise_simulator.attributes import Attributes

FACETS: Final = 14
"""Half-spaces of a crystal."""
SMALLEST_UM: Final = 3.0
LARGEST_UM: Final = 230.0
"""Diameters are cut here: below the packing grid's reach, and not wider than a tile."""
COVERAGE: Final = 3.0
"""Projected area of all crystals over the scene's area: about four layers, so that few gaps reach
the floor."""


@dataclass(frozen=True, slots=True, eq=False)
class Crystals:
    """``n`` crystals without positions.

    Attributes:
        frame: float32 (n, 3, 3), 1/um; maps a displacement from the centre to ``y`` above.
        facets: float32 (n, FACETS, 3); ``facet_i . y <= 1`` are the half-spaces.
        extent: float32 (n, 3), um; half-widths of the ellipsoid along x, y, z.
        brightness: float32 (n,); base yield over its mean.
        facet_blend: weight of the polyhedron, 0..1.
    """

    frame: NDArray[np.float32]
    facets: NDArray[np.float32]
    extent: NDArray[np.float32]
    brightness: NDArray[np.float32]
    facet_blend: float

    def __len__(self) -> int:
        return len(self.frame)


def draw_crystals(attributes: Attributes, area_um2: float, rng: np.random.Generator) -> Crystals:
    """Draw as many crystals as cover ``area_um2`` about ``COVERAGE`` times, in random order."""
    diameters = _diameters(attributes, COVERAGE * area_um2, rng)
    n = len(diameters)

    # Slightly flattened bodies (TATB grows as plates), lying flatter than at random: settling
    # turns the short axis upwards.
    shape = np.stack([np.ones(n), rng.uniform(0.68, 1.0, n), rng.uniform(0.5, 0.85, n)], axis=1)
    shape /= np.prod(shape, axis=1, keepdims=True) ** (1.0 / 3.0)
    semi_axes = 0.5 * diameters[:, None] * shape
    spin = Rotation.from_euler("z", rng.uniform(0.0, 2.0 * np.pi, (n, 1)))
    tilt_axis = rng.uniform(0.0, 2.0 * np.pi, n)
    tilt = np.minimum(rng.rayleigh(0.5, n), 0.5 * np.pi)
    lean = Rotation.from_rotvec(
        tilt[:, None] * np.stack([np.cos(tilt_axis), np.sin(tilt_axis), np.zeros(n)], axis=1)
    )
    to_lab = (lean * spin).as_matrix()

    frame = to_lab.transpose(0, 2, 1) / semi_axes[:, :, None]
    extent = np.sqrt(np.einsum("nij,nj->ni", to_lab**2, semi_axes**2))
    return Crystals(
        frame=frame.astype(np.float32),
        facets=_facets(n, rng),
        extent=extent.astype(np.float32),
        brightness=rng.normal(1.0, 0.1, n).clip(0.7, 1.3).astype(np.float32),
        facet_blend=attributes.facet_blend,
    )


def _diameters(
    attributes: Attributes, area_um2: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Log-normal diameters, um, with mean d and relative spread delta, until they cover the area.

    Cut at 2.5 standard deviations of the logarithm, so that no single crystal rules a scene.
    """
    sigma = np.sqrt(np.log1p(attributes.delta**2))
    mu = np.log(attributes.diameter_um) - 0.5 * sigma**2
    mean_area = 0.25 * np.pi * np.exp(2.0 * mu + 2.0 * sigma**2)
    n = int(1.3 * area_um2 / mean_area) + 64
    logs = mu + sigma * rng.standard_normal(n).clip(-2.5, 2.5)
    diameters = np.exp(logs).clip(SMALLEST_UM, LARGEST_UM)
    covered = np.cumsum(0.25 * np.pi * diameters**2)
    return np.asarray(diameters[: int(np.searchsorted(covered, area_um2)) + 1])


def _facets(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Half-spaces around the unit ball: evenly spread directions, jittered and turned at random.

    Directions drawn independently leave wide sectors open, hence spikes; a jittered spiral of
    points on the sphere does not. Each plane's distance is random, so faces differ in area.
    """
    index = np.arange(FACETS) + 0.5
    height = 1.0 - 2.0 * index / FACETS
    angle = np.pi * (1.0 + np.sqrt(5.0)) * index
    radius = np.sqrt(1.0 - height**2)
    spiral = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
    turned = np.einsum("nij,kj->nki", Rotation.random(n, rng=rng).as_matrix(), spiral)
    normals = turned + 0.28 * rng.standard_normal((n, FACETS, 3), dtype=np.float32)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    distance = rng.uniform(0.72, 1.02, (n, FACETS, 1))
    return np.asarray(normals / distance, dtype=np.float32)
