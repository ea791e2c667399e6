"""Attributes as people state them: two experts look at a lot and write down steps of a scale.

The networks of liu2020 learned from such estimates ("two material scientists provided by visual
inspection quantitative estimations", its section 3), never from true values; so do ours.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lotwise_simulator.attributes import ATTRIBUTE_NAMES, Attributes

EXPERTS: Final = 2
STEP: Final = 0.1
"""Experts write down multiples of this, on each attribute's scale of 0 to 1."""
SCATTER: Final = 0.08
"""Standard deviation of one expert's error before rounding."""


def expert_scores(
    attributes: Attributes, rng: np.random.Generator, experts: int = EXPERTS
) -> NDArray[np.float64]:
    """What each expert writes down: the truth with an error, rounded to ``STEP`` within 0..1.

    Args:
        attributes: the lot's true attributes.
        rng: source of the errors.
        experts: how many look at the lot.

    Returns:
        float64 (experts, 4), in the order of ``ATTRIBUTE_NAMES``.

    Raises:
        ValueError: ``experts`` below 1.
    """
    if experts < 1:
        raise ValueError(f"experts must be at least 1, got {experts}")
    truth = np.array([getattr(attributes, name) for name in ATTRIBUTE_NAMES])
    judged = truth + SCATTER * rng.standard_normal((experts, len(ATTRIBUTE_NAMES)))
    # Dividing by the whole number of steps gives the float nearest to each decimal.
    steps = round(1.0 / STEP)
    return np.asarray(np.rint(judged * steps).clip(0.0, steps) / steps)
