"""One scene: a patch of a lot as wide as a mosaic, rendered at once so that tiles share its cost.

A scene depends on the material alone (attributes and seed); no instrument enters.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lotwise_simulator.attributes import Attributes
from lotwise_simulator.crystals import draw_crystals
from lotwise_simulator.faces import mark_faces
from lotwise_simulator.packing import deposit
from lotwise_simulator.pores import prick
from lotwise_simulator.render import render
from lotwise_simulator.secondary_electrons import secondary_electron_yield

SMALLEST_SIDE_PX: Final = 64


def draw_scene(
    attributes: Attributes, side_px: int, rng: np.random.Generator, fracture: float = 0.0
) -> NDArray[np.float32]:
    """Pack, render and shade one square scene with periodic borders, at 1 um/px.

    Args:
        attributes: the lot's attributes.
        side_px: side of the scene; keep it well above the largest crystals (230 um).
        rng: source of shapes, places and pores.
        fracture: share of the crystals that are broken through, 0..1.

    Returns:
        float32 (side_px, side_px): secondary-electron yield, 0 to about 3.

    Raises:
        ValueError: ``side_px`` below 64, or ``fracture`` outside 0..1.
    """
    if not 0.0 <= fracture <= 1.0:
        raise ValueError(f"fracture must lie in 0..1, got {fracture!r}")
    if side_px < SMALLEST_SIDE_PX:
        raise ValueError(f"side_px must be at least {SMALLEST_SIDE_PX}, got {side_px}")
    crystals = draw_crystals(attributes, float(side_px) ** 2, rng, fracture)
    centres = deposit(crystals, float(side_px), rng)
    surface = render(crystals, centres, side_px)
    marks = mark_faces(surface, crystals, centres, rng)
    grey = secondary_electron_yield(surface, crystals, marks, attributes.diameter_um)
    prick(grey, surface, attributes.pore_fraction, rng)
    return grey
