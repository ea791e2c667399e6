"""Simulated SEM lots whose ground truth is known exactly. No torch, no service.

    lot = reference_lots()[0]
    tiles = mosaic(lot, 32)                     # uint8 (256, 256) each, 1 um/px
    new = mosaic(lot, 32, region=1)             # other crystals of the same lot
    dim = mosaic(lot, 32, after_filament_change(NOMINAL))
    lot.peak_stress_psi, lot.peak_stress_gradient, lot.strength_tests()

A scene is packed and rendered from a lot's attributes (crystals, packing, render,
secondary_electrons, pores), then scanned by an instrument (imaging). Whatever shows these images
must call them simulated.
"""

from lotwise_simulator.attributes import ATTRIBUTE_NAMES, Attributes, grind
from lotwise_simulator.faults import FAULTS
from lotwise_simulator.imaging import acquire
from lotwise_simulator.instrument import NOMINAL, InstrumentState, after_filament_change
from lotwise_simulator.lots import OVERLAP_PX, TILE_PX, UM_PER_PX, Lot, Tile, mosaic
from lotwise_simulator.reference import ground_lot, reference_lots, tested_lots
from lotwise_simulator.traits import peak_stress_gradient, peak_stress_psi, strength_tests
from lotwise_simulator.unrelated import unrelated_tiles

__all__ = [
    "ATTRIBUTE_NAMES",
    "FAULTS",
    "NOMINAL",
    "OVERLAP_PX",
    "TILE_PX",
    "UM_PER_PX",
    "Attributes",
    "InstrumentState",
    "Lot",
    "Tile",
    "acquire",
    "after_filament_change",
    "grind",
    "ground_lot",
    "mosaic",
    "peak_stress_gradient",
    "peak_stress_psi",
    "reference_lots",
    "strength_tests",
    "tested_lots",
    "unrelated_tiles",
]
