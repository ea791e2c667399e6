"""Simulated shifts of known kinds, on which the diagnosis of shifts is fitted.

Other kinds and strengths than those of the benchmark, whose sets only measure: lots of other seeds,
ground otherwise; settings of the microscope of which none is one of the benchmark's filaments;
pictures drawn by formula instead of photographs. Every lot has tiles of a kind or of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from lotwise.core.diagnosis import Shift
from lotwise_simulator.attributes import ATTRIBUTE_NAMES, Attributes, grind
from lotwise_simulator.benchmark import BOX, reference_lots
from lotwise_simulator.instrument import NOMINAL, InstrumentState
from lotwise_simulator.lots import Lot
from lotwise_training.data.benchmark import PX
from lotwise_training.data.outliers import outlier_tiles
from lotwise_training.data.render_cache import RenderOrder, rendered
from lotwise_training.data.tiles import Images, Numbers

TILES_PER_SIDE: Final = 6
"""Of the scenes, which are drawn whole."""
TILES: Final = TILES_PER_SIDE**2
"""Of a lot."""
REGION: Final = 30_000
"""Patch of the reference lots; all other sets stay below."""
FIRST_KNOWN_REGION: Final = 31_000
"""Patch of the first of the scenes by which known lots are ranked, a region for each."""
KNOWN_SCENES: Final = 4
"""Of each reference lot: 120 ranks in all."""
SEED: Final = 61
FIRST_LOT_SEED: Final = 70_000
NEW_LOTS: Final = 300
"""Lots from the box of all lots, as they are; the last CALIBRATION_LOTS of them fit nothing but the
verdicts on lots."""
CALIBRATION_LOTS: Final = 200
GROUND_LOTS: Final = 60
STATES: Final = 150
"""Settings of the microscope, a lot each: half of them reference lots."""
UNRELATED: Final = 2_000
SAME_LOT: Final = 0.03
"""A new lot nearer than this to a reference lot, by the largest difference of an attribute, cannot
be told from it, and is left out."""
BENCHMARK_FRACTURE: Final = (0.5, 0.7)
"""Grinding in the benchmark is within."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ShiftedTiles:
    """Tiles whose shift is known.

    Attributes:
        images: uint8 [N, 64, 64].
        kinds: int64 [N], number of the kind in `Shift`.
        lots: int64 [N], numbered through all kinds.
        calibration: bool [N], of lots that fit nothing but the verdicts on lots.
    """

    images: Images
    kinds: Numbers
    lots: Numbers
    calibration: Flags

    def __len__(self) -> int:
        return len(self.images)


def shifted_tiles(cache: Path) -> ShiftedTiles:
    """All of them, from disk where they were rendered before."""
    new = new_lots(NEW_LOTS)
    fitted = new[:-CALIBRATION_LOTS]
    sets = {
        "known": [_order(lot) for lot in reference_lots()],
        "new": [_order(lot) for lot in new],
        "ground": [_order(lot) for lot in ground_lots(fitted, GROUND_LOTS)],
        "instrument": _instruments([*reference_lots(), *fitted]),
    }
    kinds = {
        "known": Shift.NONE,
        "new": Shift.SYNTHESIS,
        "ground": Shift.SYNTHESIS,
        "instrument": Shift.INSTRUMENT,
    }
    images, _ = rendered("shifts", sets, cache)
    parts = [images[name] for name in sets]
    parts.append(outlier_tiles(UNRELATED, images["known"], SEED))
    numbers = [list(Shift).index(kinds[name]) for name in sets] + [len(Shift) - 1]
    lots = np.concatenate([np.arange(len(part)) // TILES for part in parts])
    sizes = [len(part) for part in parts]
    first = np.repeat(np.cumsum([0, *[-(-size // TILES) for size in sizes[:-1]]]), sizes)
    calibration = [np.zeros(size, dtype=bool) for size in sizes]
    calibration[1][-CALIBRATION_LOTS * TILES :] = True
    return ShiftedTiles(
        np.concatenate(parts), np.repeat(numbers, sizes), first + lots, np.concatenate(calibration)
    )


def known_scenes(cache: Path) -> tuple[Images, Numbers]:
    """Scenes of the reference lots that fit nothing: known lots are ranked by them.

    Returns:
        uint8 [N, 64, 64], and the number of each tile's scene, int64 [N].
    """
    regions = range(FIRST_KNOWN_REGION, FIRST_KNOWN_REGION + KNOWN_SCENES)
    orders = [_order(lot, region) for lot in reference_lots() for region in regions]
    images, _ = rendered("known", {"known": orders}, cache)
    return images["known"], np.repeat(np.arange(len(orders)), TILES)


def new_lots(count: int) -> list[Lot]:
    """Lots of the box of all lots that are no reference lot, "F001" and on."""
    sampler = qmc.Sobol(len(ATTRIBUTE_NAMES), rng=np.random.default_rng(SEED))
    points = BOX[0] + (BOX[1] - BOX[0]) * sampler.random_base2((2 * count - 1).bit_length())
    known = np.stack([lot.attributes.as_array() for lot in reference_lots()])
    distances = np.abs(points[:, None] - known).max(axis=2).min(axis=1)
    return [
        Lot(f"F{number:03d}", Attributes.from_array(point), seed=FIRST_LOT_SEED + number)
        for number, point in enumerate(points[distances > SAME_LOT][:count], start=1)
    ]


def ground_lots(sources: Sequence[Lot], count: int) -> list[Lot]:
    """Lots ground after synthesis, otherwise than the benchmark's, "FG01" and on."""
    rng = np.random.default_rng([SEED, 1])
    lots = []
    for number, source in enumerate(rng.permutation(len(sources))[:count], start=1):
        attributes = grind(sources[source].attributes, rng.uniform(0.1, 0.6))
        fracture = rng.uniform(0.2, 1.0 - np.diff(BENCHMARK_FRACTURE)[0])
        if fracture > BENCHMARK_FRACTURE[0]:
            fracture += np.diff(BENCHMARK_FRACTURE)[0]
        seed = FIRST_LOT_SEED + NEW_LOTS + number
        lots.append(Lot(f"FG{number:02d}", attributes, seed=seed, fracture=float(fracture)))
    return lots


def random_state(rng: np.random.Generator) -> InstrumentState:
    """A microscope of which one, two or three settings have changed.

    Never gain and dose together: that is what the benchmark's filaments do.
    """
    ranges = {
        "gain": (0.7, 1.35),
        "dose": (0.4, 0.8),
        "beam_sigma_px": (1.2, 2.2),
        "offset": (-0.08, 0.12),
        "astigmatism": (0.25, 0.6),
        "drift_px": (0.6, 1.6),
        "noise_sigma": (0.035, 0.1),
        "charging": (0.1, 0.3),
    }
    names = list(rng.permutation(list(ranges))[: rng.integers(1, 4)])
    if "gain" in names and "dose" in names:
        names.remove("dose")
    changes = {}
    for name in names:
        value = rng.uniform(*ranges[name])
        if name == "gain":
            value = value if abs(value - 1.0) > 0.05 else 0.85
        if name == "offset":
            value = value if abs(value) > 0.02 else 0.06
        changes[name] = float(value)
    return replace(NOMINAL, **changes)


def _instruments(lots: Sequence[Lot]) -> list[RenderOrder]:
    rng = np.random.default_rng([SEED, 2])
    known, new = len(reference_lots()), len(lots) - len(reference_lots())
    orders = []
    for number in range(STATES):
        at = int(rng.integers(known) if number % 2 else known + rng.integers(new))
        orders.append(replace(_order(lots[at]), instrument=random_state(rng)))
    return orders


def _order(lot: Lot, region: int = REGION) -> RenderOrder:
    return RenderOrder(lot, region, TILES, PX, tiles_per_side=TILES_PER_SIDE)
