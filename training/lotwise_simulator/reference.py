"""The development set: reference lots, tested lots and one ground lot, all simulated.

- Ten reference lots "A".."J" are the classes of the classifier. Their attributes are well
  separated: chosen greedily, each as far as possible from those before, from a Sobol set.
- Forty tested lots "T01".."T40" fill the design box evenly. Their strength tests train the
  regressor and their attributes the editor.
- One ground lot was made like a reference lot and ground hard afterwards: nothing in the training
  sets resembles it.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from lotwise_simulator.attributes import ATTRIBUTE_NAMES, Attributes, grind
from lotwise_simulator.lots import Lot

BOX: Final = (0.05, 0.95)
"""Lots are drawn inside this range of every attribute."""
REFERENCE_NAMES: Final = "ABCDEFGHIJ"
TESTED_LOTS: Final = 40
VISIBILITY: Final = np.array([2.0, 0.5, 0.7, 1.0])
"""Weight of each attribute in the distance between reference lots. The classifier sees 4 um pixels,
where size is plain and pin-pricks nearly vanish; equal weights would choose pairs that differ in
porosity alone."""
GROUND_FROM: Final = "A"
GROUND_SEVERITY: Final = 1.0
GROUND_FRACTURE: Final = 0.7


def _sobol(n_log2: int, seed: int) -> NDArray[np.float64]:
    """Scrambled Sobol points in the box, float64 (2**n_log2, 4)."""
    sampler = qmc.Sobol(len(ATTRIBUTE_NAMES), scramble=True, rng=np.random.default_rng(seed))
    return np.asarray(BOX[0] + (BOX[1] - BOX[0]) * sampler.random_base2(n_log2))


def visible_distance(first: Attributes, second: Attributes) -> float:
    """Distance of two lots in normalised attributes, weighted by ``VISIBILITY``."""
    return float(np.linalg.norm((first.as_array() - second.as_array()) * VISIBILITY))


@cache
def reference_lots() -> tuple[Lot, ...]:
    """The ten classes of the classifier, "A".."J"."""
    candidates = _sobol(8, seed=17)
    seen = candidates * VISIBILITY
    # Greedy maximin: start at the point farthest from the centre of the box.
    chosen = [int(np.argmax(np.linalg.norm(seen - seen.mean(axis=0), axis=1)))]
    nearest = np.linalg.norm(seen - seen[chosen[0]], axis=1)
    while len(chosen) < len(REFERENCE_NAMES):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, np.linalg.norm(seen - seen[chosen[-1]], axis=1))
    return tuple(
        Lot(name, Attributes.from_array(candidates[index]), seed=1_000 + position)
        for position, (name, index) in enumerate(zip(REFERENCE_NAMES, chosen, strict=True))
    )


@cache
def tested_lots() -> tuple[Lot, ...]:
    """The forty lots with strength tests, "T01".."T40"."""
    # 64 points, the next power of two: a prefix of a Sobol sequence is still even.
    points = _sobol(6, seed=29)[:TESTED_LOTS]
    return tuple(
        Lot(f"T{number:02d}", Attributes.from_array(point), seed=2_000 + number)
        for number, point in enumerate(points, start=1)
    )


def ground_lot() -> Lot:
    """A lot made like reference lot ``GROUND_FROM`` and ground hard after synthesis.

    Its spread lies beyond the design range. Its distance to the nearest reference lot, by
    :func:`visible_distance`, exceeds that of any reference lot to its own nearest; a test holds it.
    """
    source = next(lot for lot in reference_lots() if lot.lot_id == GROUND_FROM)
    return Lot(
        "ground", grind(source.attributes, GROUND_SEVERITY), seed=3_000, fracture=GROUND_FRACTURE
    )
