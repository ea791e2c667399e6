"""Numbers of headers, which come with units, decimal commas and degree signs of many encodings."""

from __future__ import annotations

import math
import re
from typing import Final

# To metres. "\xb5" and "\u03bc" are two micro signs; broken encodings leave "?" or "\ufffd".
_METRES: Final = {
    "fm": 1e-15,
    "pm": 1e-12,
    "a": 1e-10,
    "nm": 1e-9,
    "um": 1e-6,
    "mm": 1e-3,
    "cm": 1e-2,
    "m": 1.0,
    "inch": 0.0254,
    "in": 0.0254,
}
_NAMES: Final = {
    "micron": "um",
    "microns": "um",
    "micrometer": "um",
    "micrometre": "um",
    "micrometers": "um",
    "micrometres": "um",
    "nanometer": "nm",
    "nanometers": "nm",
    "millimeters": "mm",
    "millimeter": "mm",
    "meter": "m",
    "meters": "m",
    "metre": "m",
    "å": "a",
    "ångström": "a",
    "\\u00b5m": "um",
    "\\u03bcm": "um",
    "?m": "um",
}
_MICRO: Final = re.compile("Âµ|Î¼|[\u00b5\u03bc\ufffd]")
_NUMBER: Final = re.compile(
    r"\s*=?\s*([-+]?[0-9.,]+(?:[eE][-+]?[0-9]{1,4})?)\s*(.*?)\s*$", re.DOTALL
)
_GROUPED: Final = re.compile(r"[-+]?[1-9][0-9]{0,2}(,[0-9]{3})+$")
_MAX_CHARS: Final = 100


def quantity(text: str) -> tuple[float, str] | None:
    """A number and what follows it: "223.3 nm" is (223.3, "nm").

    A lone comma is a decimal comma, unless it may as well group thousands: then nobody can
    tell, and there is no number.
    """
    found = _NUMBER.match(text[:_MAX_CHARS])
    if found is None:
        return None
    digits, unit = found[1], found[2]
    if "," in digits and "." in digits:
        digits = digits.replace(",", "")
    elif _GROUPED.match(digits):
        return None
    else:
        digits = digits.replace(",", ".")
    try:
        value = float(digits)
    except ValueError:
        return None
    return (value, unit) if math.isfinite(value) else None


def metres(text: str, default_unit: str = "") -> float | None:
    """A positive length in metres; None where the unit is unknown or there is none."""
    found = quantity(text)
    if found is None or found[0] <= 0:
        return None
    factor = metres_of_unit(found[1] or default_unit)
    return None if factor is None else found[0] * factor


def metres_of_unit(name: str) -> float | None:
    """Length of a unit in metres; None where it is unknown."""
    unit = _MICRO.sub("u", name.strip())
    return _METRES.get(_NAMES.get(unit.lower(), unit.lower() if unit != "M" else ""))


def volts(text: str, default_unit: str = "V") -> float | None:
    """A positive voltage in volts."""
    found = quantity(text)
    if found is None or found[0] <= 0:
        return None
    factor = {"v": 1.0, "volt": 1.0, "volts": 1.0, "kv": 1e3, "kev": 1e3}.get(
        (found[1] or default_unit).lower()
    )
    return None if factor is None else found[0] * factor


def magnification(text: str) -> float | None:
    """A magnification: "500 X", "1.00 K X", "160000.0"."""
    found = quantity(text)
    if found is None or found[0] <= 0:
        return None
    factor = {"": 1.0, "x": 1.0, "k": 1e3, "kx": 1e3}.get(found[1].lower().replace(" ", ""))
    return None if factor is None else found[0] * factor
