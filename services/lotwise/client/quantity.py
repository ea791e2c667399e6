"""A number with its unit, in psi or MPa as the reader likes."""

from __future__ import annotations

from dataclasses import dataclass

from lotwise.core.pressure import convert


@dataclass(frozen=True)
class Quantity:
    """A value in the unit in which the service gave it.

    Attributes:
        value: In `unit`.
        unit: Of the model that gave it, such as "psi".
    """

    value: float
    unit: str

    @property
    def psi(self) -> float:
        """The value in psi; ValueError where the unit is no pressure."""
        return self.to("psi")

    @property
    def mpa(self) -> float:
        """The value in MPa; ValueError where the unit is no pressure."""
        return self.to("MPa")

    def to(self, unit: str) -> float:
        """The value in another unit; ValueError where there is no way to it."""
        return convert(self.value, self.unit, unit)

    def __str__(self) -> str:
        return f"{self.value:,.6g} {self.unit}"
