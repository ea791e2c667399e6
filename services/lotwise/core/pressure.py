"""Pressures in psi and MPa."""

from __future__ import annotations

from typing import Final

PSI_IN_MPA: Final = 0.006894757293168361
"""One psi in MPa, by the definitions of pound, inch and standard gravity."""

_IN_MPA: Final = {"psi": PSI_IN_MPA, "mpa": 1.0}


def convert(value: float, unit: str, wanted: str) -> float:
    """The same quantity in another unit.

    Args:
        value: In `unit`.
        unit: Of `value`, "psi" or "MPa" in any case, or whatever else `wanted` is too.
        wanted: Unit of the result.

    Raises:
        ValueError: Between these units nothing can be converted.
    """
    if unit == wanted:
        return value
    if unit.lower() not in _IN_MPA or wanted.lower() not in _IN_MPA:
        raise ValueError(f"'{unit}' cannot be converted to '{wanted}': only psi and MPa are known.")
    if unit.lower() == wanted.lower():
        return value
    return value * _IN_MPA[unit.lower()] / _IN_MPA[wanted.lower()]
