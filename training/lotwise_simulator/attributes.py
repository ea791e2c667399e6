"""The four attributes of a lot: what synthesis decides, free of any instrument.

Each is normalised to 0-1 over the design range, because models and editors work there, and is
read in physical units through a property.
"""

import math
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

ATTRIBUTE_NAMES: Final = ("size", "porosity", "polydispersity", "facetness")

SMALLEST_DIAMETER_UM: Final = 10.0
DIAMETER_RATIO: Final = 8.0
"""Largest over smallest mean diameter of the design range: 10 to 80 um."""
MAX_PORE_FRACTION: Final = 0.10
DELTA_AT_ONE: Final = 0.4
"""Relative spread at polydispersity 1: the end of the published packing formula (traits.py)."""
MAX_POLYDISPERSITY: Final = 2.0
"""Grinding leaves the design range; 2 (a relative spread of 0.8) is as far as it is drawn."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes of a lot, each normalised to 0-1 over the design range.

    Only ``polydispersity`` may exceed 1, up to 2, because grinding takes it there.

    Raises:
        ValueError: a value is not finite or lies outside its range.
    """

    size: float
    porosity: float
    polydispersity: float
    facetness: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = float(getattr(self, field.name))
            upper = MAX_POLYDISPERSITY if field.name == "polydispersity" else 1.0
            if not (math.isfinite(value) and 0.0 <= value <= upper):
                raise ValueError(f"{field.name} must lie in 0..{upper:g}, got {value!r}")
            object.__setattr__(self, field.name, value)

    @property
    def diameter_um(self) -> float:
        """Mean crystal diameter, um: ``10 * 8**size``, so 10 to 80."""
        return float(SMALLEST_DIAMETER_UM * DIAMETER_RATIO**self.size)

    @property
    def pore_fraction(self) -> float:
        """Share of the crystals' area that is pin-prick pores, 0 to 0.10."""
        return MAX_PORE_FRACTION * self.porosity

    @property
    def delta(self) -> float:
        """Relative spread of the log-normal diameters, 0 to 0.4; up to 0.8 once ground."""
        return DELTA_AT_ONE * self.polydispersity

    @property
    def facet_blend(self) -> float:
        """Weight of the polyhedron against the ellipsoid, 0 (rounded) to 1 (flat faces)."""
        return self.facetness

    def as_array(self) -> NDArray[np.float32]:
        """The four normalised values, float32 (4,), in the order of ``ATTRIBUTE_NAMES``."""
        return np.array([getattr(self, name) for name in ATTRIBUTE_NAMES], dtype=np.float32)

    @classmethod
    def from_array(cls, values: ArrayLike) -> Self:
        """Read four normalised values in the order of ``ATTRIBUTE_NAMES``.

        Raises:
            ValueError: not four numbers, or one outside its range.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (len(ATTRIBUTE_NAMES),):
            raise ValueError(f"attributes need shape (4,), got {array.shape}")
        return cls(*(float(value) for value in array))


def grind(attributes: Attributes, severity: float) -> Attributes:
    """Grind a lot after synthesis: smaller, more widely spread and slightly rounder crystals.

    At ``severity`` 1 the size falls by 0.6 of the design range (a factor 3.5 in diameter),
    polydispersity rises by 1.5 (0.6 in relative spread) and a quarter of the facetness is lost;
    between, each changes in proportion. Values stop at the ends of their ranges. Porosity stays:
    pin-pricks are far smaller than the fragments.

    Raises:
        ValueError: ``severity`` outside 0..1.
    """
    if not 0.0 <= severity <= 1.0:
        raise ValueError(f"severity must lie in 0..1, got {severity!r}")
    return Attributes(
        size=max(0.0, attributes.size - 0.6 * severity),
        porosity=attributes.porosity,
        polydispersity=min(MAX_POLYDISPERSITY, attributes.polydispersity + 1.5 * severity),
        facetness=attributes.facetness * (1.0 - 0.25 * severity),
    )
