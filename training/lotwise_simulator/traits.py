"""Peak stress of a pressed lot as a closed form, with its exact derivatives ("traits").

    sigma = sigma0 * [(1-w) + w r] * exp(-b P) * [1 + kappa (f - 1/2)],   r = (d / d0)^-m
    P     = P_intra + P0 * (1 - phi(delta)) / (1 - 0.634)
    phi   = 0.634 + 0.0658 delta + 0.0857 S delta^2,   S = delta (delta^2 + 3)

Because the truth is known exactly, an explanation (a slope that a model claims) can be checked.

Sources: m = 1/2 Hall (1951), Petch (1953), Griffith (1921); exp(-b P) Ryshkewitch (1953) and
Duckworth (1953), b 4 to 7; phi Desmond & Weeks, Phys. Rev. E 90, 022204 (2014), with the skewness
S of a log-normal. The combination, kappa and the constants' values are ours: a plausible powder,
not a measured one.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lotwise_simulator.attributes import (
    DELTA_AT_ONE,
    DIAMETER_RATIO,
    MAX_PORE_FRACTION,
    Attributes,
)

RANDOM_CLOSE_PACKING: Final = 0.634
"""Packing fraction of equal spheres."""
DELTA_VALID: Final = 0.4
"""Largest relative spread for which the packing formula is published."""


@dataclass(frozen=True, slots=True)
class StressConstants:
    """Constants of the closed form.

    ``sigma0_psi`` is chosen so that a lot of d = 30 um, its other attributes in the middle of the
    design range, breaks at 1,700 psi.

    Raises:
        ValueError: a constant for which the stress could be zero or negative.
    """

    sigma0_psi: float = 3067.0
    reference_diameter_um: float = 30.0
    size_weight: float = 1.0
    size_exponent: float = 0.5
    pore_decay: float = 5.0
    packing_porosity: float = 0.071
    """Porosity of a pressing of equal crystals: 1.800 g/cc against a crystal's 1.937."""
    facet_gain: float = 0.3

    def __post_init__(self) -> None:
        if not (self.sigma0_psi > 0.0 and self.reference_diameter_um > 0.0):
            raise ValueError("sigma0_psi and reference_diameter_um must be positive")
        if not 0.0 <= self.size_weight <= 1.0:
            raise ValueError(f"size_weight must lie in 0..1, got {self.size_weight!r}")
        if not abs(self.facet_gain) < 2.0:
            raise ValueError(f"facet_gain must lie between -2 and 2, got {self.facet_gain!r}")


DEFAULT_CONSTANTS: Final = StressConstants()


@dataclass(frozen=True, slots=True)
class LogSensitivities:
    """Derivatives of ln(sigma) in physical variables, all dimensionless."""

    log_diameter: float
    """d ln sigma / d ln d"""
    pore_fraction: float
    """d ln sigma / d P"""
    delta: float
    """d ln sigma / d delta"""
    facet_blend: float
    """d ln sigma / d f"""


def packing_fraction(delta: float) -> float:
    """Random close packing of spheres whose log-normal diameters have relative spread ``delta``.

    Published up to 0.4. Above, it goes on as a straight line with the slope at 0.4: continuous
    with its derivative and below 0.76 up to 0.8, where the polynomial would run away (0.85). The
    line is our assumption, so trust stresses of ground lots in sign, not in value.

    Raises:
        ValueError: ``delta`` is negative or not finite.
    """
    if not (math.isfinite(delta) and delta >= 0.0):
        raise ValueError(f"delta must be a non-negative number, got {delta!r}")
    inside = min(delta, DELTA_VALID)
    skewness = inside * (inside**2 + 3.0)
    phi = RANDOM_CLOSE_PACKING + 0.0658 * inside + 0.0857 * skewness * inside**2
    return phi + packing_slope(DELTA_VALID) * (delta - inside)


def packing_slope(delta: float) -> float:
    """Slope d phi / d delta of :func:`packing_fraction`; constant above 0.4."""
    inside = min(delta, DELTA_VALID)
    return 0.0658 + 0.0857 * (9.0 * inside**2 + 5.0 * inside**4)


def peak_stress_psi(
    attributes: Attributes, constants: StressConstants = DEFAULT_CONSTANTS
) -> float:
    """True peak stress of a lot, psi."""
    c = constants
    ratio = (attributes.diameter_um / c.reference_diameter_um) ** -c.size_exponent
    loose = (1.0 - packing_fraction(attributes.delta)) / (1.0 - RANDOM_CLOSE_PACKING)
    porosity = attributes.pore_fraction + c.packing_porosity * loose
    return float(
        c.sigma0_psi
        * ((1.0 - c.size_weight) + c.size_weight * ratio)
        * math.exp(-c.pore_decay * porosity)
        * (1.0 + c.facet_gain * (attributes.facet_blend - 0.5))
    )


def log_sensitivities(
    attributes: Attributes, constants: StressConstants = DEFAULT_CONSTANTS
) -> LogSensitivities:
    """Exact derivatives of ln(sigma) with respect to the physical variables."""
    c = constants
    ratio = (attributes.diameter_um / c.reference_diameter_um) ** -c.size_exponent
    size_factor = (1.0 - c.size_weight) + c.size_weight * ratio
    return LogSensitivities(
        log_diameter=-c.size_weight * c.size_exponent * ratio / size_factor,
        pore_fraction=-c.pore_decay,
        delta=c.pore_decay
        * c.packing_porosity
        * packing_slope(attributes.delta)
        / (1.0 - RANDOM_CLOSE_PACKING),
        facet_blend=c.facet_gain / (1.0 + c.facet_gain * (attributes.facet_blend - 0.5)),
    )


def peak_stress_gradient(
    attributes: Attributes, constants: StressConstants = DEFAULT_CONSTANTS
) -> NDArray[np.float64]:
    """Derivatives of the peak stress with respect to the normalised attributes.

    Returns:
        float64 (4,), psi per unit of each attribute, in the order of ``ATTRIBUTE_NAMES``: the
        physical derivatives through the chain rule (d ln d / d size = ln 8, and so on).
    """
    by_log = log_sensitivities(attributes, constants)
    relative = np.array(
        [
            by_log.log_diameter * math.log(DIAMETER_RATIO),
            by_log.pore_fraction * MAX_PORE_FRACTION,
            by_log.delta * DELTA_AT_ONE,
            by_log.facet_blend,
        ],
        dtype=np.float64,
    )
    return peak_stress_psi(attributes, constants) * relative


def strength_tests(
    attributes: Attributes,
    rng: np.random.Generator,
    n: int = 2,
    *,
    relative_scatter: float = 0.02,
    constants: StressConstants = DEFAULT_CONSTANTS,
) -> NDArray[np.float64]:
    """Duplicate strength tests of a lot: the true stress with log-normal scatter.

    Args:
        attributes: the lot's attributes.
        rng: source of the scatter.
        n: how many tests; a lot has two.
        relative_scatter: standard deviation of ln(stress); 2 % by default.
        constants: constants of the closed form.

    Returns:
        float64 (n,), psi.

    Raises:
        ValueError: ``n`` below 1 or negative scatter.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if not relative_scatter >= 0.0:
        raise ValueError(f"relative_scatter must not be negative, got {relative_scatter!r}")
    scatter = np.exp(relative_scatter * rng.standard_normal(n))
    return peak_stress_psi(attributes, constants) * scatter
