"""Benchmark v1: the lots on which Lotwise's claims rest, fixed by seed and by hash.

====================  ========================================================================
``reference``         30 lots of 15 recipes, 59,690 tiles: the classes, as many as in zhang2020
``new_regions``       the same lots elsewhere, the instrument unchanged: what shifts compare with
``filament_*``        those very places after three changes of the filament (covariate shift)
``ground``            reference lots ground after synthesis (unseen synthesis); their attributes
                      lie inside the box that training sees
``between``           lots half way between two reference lots of different recipes
``new``               200 further lots from the same box, for statements about lots
``unrelated``         pictures of no powder
====================  ========================================================================

Tests ask how models do here, so nothing may be fitted to any set but ``reference``: neither
weights, nor thresholds, nor a choice between scores. Change nothing in this module either: the
frozen hashes hold it, and what must change becomes a version 2 beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from lotwise_simulator.attributes import ATTRIBUTE_NAMES, Attributes, grind
from lotwise_simulator.instrument import NOMINAL, InstrumentState
from lotwise_simulator.lots import Lot, Tile, mosaic
from lotwise_simulator.reference import VISIBILITY
from lotwise_simulator.unrelated import unrelated_tiles

VERSION: Final = 1
BOX: Final = (0.05, 0.95)
"""Reference and new lots are drawn inside this range of every attribute."""
TILES_PER_SIDE: Final = 10
"""A mosaic holds 10 x 10 tiles."""
REFERENCE_LOTS: Final = 30
RECIPES: Final = 15
"""Each recipe was made twice, so that half of the difficulty is to tell a lot from its repeat."""
REPEAT_DISTANCE: Final = 0.08
"""Distance of a lot to its repeat, weighted by ``VISIBILITY``: it alone sets how hard the benchmark
is. See docs/benchmark.md for how it was chosen."""
REFERENCE_TILES: Final = 59_690
"""Tiles of all reference lots together: 20 lots have 1,990 and ten have 1,989."""
SHIFTED_TILES: Final = 100
"""Tiles a lot in every other set: one mosaic."""
NEW_LOTS: Final = 200
BETWEEN_LOTS: Final = 20
GROUND_LOTS: Final = 10
GROUND_FRACTURE: Final = 0.6
MOST_GROUND: Final = 0.5
"""Hardest grinding; beyond, no lot would stay inside the box."""
UNRELATED_TILES: Final = 1_000
NEW_REGION: Final = 7
"""Patch of the lots that only the sets of tests show; reference tiles come from patch 0."""

FILAMENTS: Final[Mapping[str, InstrumentState]] = MappingProxyType(
    {
        "filament_soft": replace(NOMINAL, gain=0.95, dose=600.0, beam_sigma_px=1.12),
        "filament_dim": replace(NOMINAL, gain=0.78, dose=600.0),
        "filament_bright": replace(NOMINAL, gain=1.12, dose=700.0, beam_sigma_px=0.9),
    }
)
"""Three new filaments at unchanged brightness and contrast settings: one whose beam is wider, one
of too little current, one of too much. Their strengths were set on other lots, before the freeze,
so that each costs a single WRN-16-2 between 13 and 19 points of accuracy, as in Table 2 of
zhang2020; see docs/benchmark.md for the figures."""


@dataclass(frozen=True, slots=True)
class LotOfTiles:
    """Tiles of one lot under one instrument.

    Attributes:
        lot: the lot.
        n_tiles: how many tiles.
        instrument: state of the microscope.
        region: patch of the lot.
    """

    lot: Lot
    n_tiles: int
    instrument: InstrumentState = NOMINAL
    region: int = 0

    def tiles(self, n_tiles: int | None = None) -> list[Tile]:
        """The first ``n_tiles`` tiles, or all of them."""
        return mosaic(
            self.lot,
            self.n_tiles if n_tiles is None else min(n_tiles, self.n_tiles),
            self.instrument,
            region=self.region,
            tiles_per_side=TILES_PER_SIDE,
        )


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures of no powder, as if they were one lot."""

    n_tiles: int
    seed: int

    def tiles(self, n_tiles: int | None = None) -> list[Tile]:
        """The first ``n_tiles`` pictures, or all of them."""
        return unrelated_tiles(
            self.n_tiles if n_tiles is None else min(n_tiles, self.n_tiles), self.seed
        )


Part = LotOfTiles | Pictures


def _box(n: int, seed: int) -> NDArray[np.float64]:
    """The first ``n`` of a scrambled Sobol sequence in the box, float64 (n, 4)."""
    sampler = qmc.Sobol(len(ATTRIBUTE_NAMES), scramble=True, rng=np.random.default_rng(seed))
    points = sampler.random_base2((n - 1).bit_length())[:n]
    return np.asarray(BOX[0] + (BOX[1] - BOX[0]) * points)


def _repeated(
    recipes: NDArray[np.float64], distance: float, direction_seed: int, prefix: str, first_seed: int
) -> tuple[Lot, ...]:
    """Two lots of each recipe, ``distance`` apart in a random direction, inside the box."""
    rng = np.random.default_rng(direction_seed)
    lots: list[Lot] = []
    for recipe in recipes:
        direction = rng.standard_normal(len(ATTRIBUTE_NAMES))
        step = direction * distance / np.sqrt(np.sum(direction**2)) / VISIBILITY
        # Pushed back into the box whole, so that the distance stays.
        middle = recipe.clip(BOX[0] + np.abs(step) / 2, BOX[1] - np.abs(step) / 2)
        for point in (middle - step / 2, middle + step / 2):
            number = len(lots) + 1
            name = f"{prefix}{number:02d}"
            lots.append(Lot(name, Attributes.from_array(point), seed=first_seed + number))
    return tuple(lots)


@cache
def reference_lots() -> tuple[Lot, ...]:
    """The 30 classes, "R01".."R30": R01 and R02 are repeats of one recipe, and so on."""
    return _repeated(_box(RECIPES, seed=41), REPEAT_DISTANCE, 42, "R", 10_000)


def rehearsal_lots(distance: float = REPEAT_DISTANCE, recipes: int = RECIPES) -> tuple[Lot, ...]:
    """Lots like the reference lots, of other recipes: no part of the benchmark.

    On these the benchmark's difficulty was set, and on these anything else may be tried.

    Args:
        distance: of a lot to its repeat.
        recipes: how many; each gives two lots.
    """
    return _repeated(_box(recipes, seed=51), distance, 52, "X", 60_000)


def recipe_of(lot_id: str) -> int:
    """Number of a reference lot's recipe, from 1: whoever holds a lot out holds its repeat out.

    Raises:
        ValueError: not a reference lot.
    """
    names = [lot.lot_id for lot in reference_lots()]
    if lot_id not in names:
        raise ValueError(f"no reference lot {lot_id!r}")
    return names.index(lot_id) // 2 + 1


@cache
def new_lots() -> tuple[Lot, ...]:
    """The 200 further lots, "N001".."N200"."""
    return tuple(
        Lot(f"N{number:03d}", Attributes.from_array(point), seed=20_000 + number)
        for number, point in enumerate(_box(NEW_LOTS, seed=43), start=1)
    )


@cache
def ground_lots() -> tuple[Lot, ...]:
    """Reference lots that can be ground hardest without leaving the box, "G01".."G10"."""

    def severity(lot: Lot) -> float:
        spread = (BOX[1] - lot.attributes.polydispersity) / 1.5
        size = (lot.attributes.size - BOX[0]) / 0.6
        facets = (1.0 - BOX[0] / lot.attributes.facetness) / 0.25
        return min(spread, size, facets, MOST_GROUND)

    # Equally hard ones in the order of their names.
    sources = sorted(reference_lots(), key=lambda lot: (-severity(lot), lot.lot_id))[:GROUND_LOTS]
    return tuple(
        Lot(
            f"G{number:02d}",
            grind(lot.attributes, severity(lot)),
            seed=30_000 + number,
            fracture=GROUND_FRACTURE,
        )
        for number, lot in enumerate(sources, start=1)
    )


@cache
def between_lots() -> tuple[Lot, ...]:
    """Half way between the closest pairs of reference lots, "B01".."B20"."""

    def points(pair: tuple[Lot, Lot]) -> NDArray[np.float64]:
        return np.array(
            [[getattr(lot.attributes, name) for name in ATTRIBUTE_NAMES] for lot in pair]
        )

    def distance(pair: tuple[Lot, Lot]) -> float:
        first, second = points(pair)
        return float(np.sum((first - second) ** 2))

    pairs = [
        pair
        for pair in combinations(reference_lots(), 2)
        if recipe_of(pair[0].lot_id) != recipe_of(pair[1].lot_id)
    ]
    closest = sorted(pairs, key=distance)[:BETWEEN_LOTS]
    return tuple(
        Lot(
            f"B{number:02d}", Attributes.from_array(points(pair).mean(axis=0)), seed=40_000 + number
        )
        for number, pair in enumerate(closest, start=1)
    )


@cache
def benchmark_v1() -> Mapping[str, tuple[Part, ...]]:
    """The sets by name, each a tuple of its lots."""
    elsewhere = [LotOfTiles(lot, SHIFTED_TILES, region=NEW_REGION) for lot in reference_lots()]
    more = REFERENCE_TILES % REFERENCE_LOTS
    return MappingProxyType(
        {
            "reference": tuple(
                LotOfTiles(lot, REFERENCE_TILES // REFERENCE_LOTS + (number < more))
                for number, lot in enumerate(reference_lots())
            ),
            "new_regions": tuple(elsewhere),
            **{
                name: tuple(replace(part, instrument=state) for part in elsewhere)
                for name, state in FILAMENTS.items()
            },
            "ground": tuple(LotOfTiles(lot, SHIFTED_TILES) for lot in ground_lots()),
            "between": tuple(LotOfTiles(lot, SHIFTED_TILES) for lot in between_lots()),
            "new": tuple(LotOfTiles(lot, SHIFTED_TILES) for lot in new_lots()),
            "unrelated": (Pictures(UNRELATED_TILES, seed=50_000),),
        }
    )


def parts() -> Iterator[tuple[str, Part]]:
    """Every lot of every set, with the set's name."""
    for name, lots in benchmark_v1().items():
        for part in lots:
            yield name, part
