"""Peak stress: derivatives against finite differences, known values, duplicate tests."""

import math
from dataclasses import replace

import numpy as np
import pytest

from lotwise_simulator.attributes import ATTRIBUTE_NAMES, DIAMETER_RATIO, Attributes
from lotwise_simulator.traits import (
    StressConstants,
    log_sensitivities,
    packing_fraction,
    packing_slope,
    peak_stress_gradient,
    peak_stress_psi,
    strength_tests,
)

# The last lies beyond the published range of the packing formula.
POINTS = [
    Attributes(0.1, 0.2, 0.3, 0.9),
    Attributes(0.5, 0.5, 0.5, 0.5),
    Attributes(0.9, 0.8, 0.7, 0.1),
    Attributes(0.3, 0.5, 1.6, 0.5),
]
CONSTANTS = [StressConstants(), StressConstants(size_weight=0.6, size_exponent=0.25)]


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("point", POINTS)
def test_gradient_matches_finite_differences(point: Attributes, constants: StressConstants) -> None:
    step = 1e-5
    numeric = []
    for name in ATTRIBUTE_NAMES:
        value = getattr(point, name)
        above = peak_stress_psi(replace(point, **{name: value + step}), constants)
        below = peak_stress_psi(replace(point, **{name: value - step}), constants)
        numeric.append((above - below) / (2 * step))
    np.testing.assert_allclose(peak_stress_gradient(point, constants), numeric, rtol=1e-6)


@pytest.mark.parametrize("delta", [0.0, 0.2, 0.4, 0.7])
def test_packing_slope_matches_finite_differences(delta: float) -> None:
    step = 1e-6
    forward = (packing_fraction(delta + step) - packing_fraction(delta)) / step
    assert packing_slope(delta) == pytest.approx(forward, rel=1e-4)


def test_packing_fraction_at_published_points() -> None:
    assert packing_fraction(0.0) == 0.634
    skewness = 0.3 * (0.3**2 + 3)
    expected = 0.634 + 0.0658 * 0.3 + 0.0857 * skewness * 0.3**2
    assert packing_fraction(0.3) == pytest.approx(expected)
    assert packing_fraction(0.8) < 0.76


def test_stress_of_the_middle_lot_at_30_um_is_1700_psi() -> None:
    size = math.log(3.0) / math.log(DIAMETER_RATIO)
    assert peak_stress_psi(Attributes(size, 0.5, 0.5, 0.5)) == pytest.approx(1700, abs=5)


def test_size_alone_follows_the_inverse_root() -> None:
    small, large = (peak_stress_psi(Attributes(size, 0.5, 0.5, 0.5)) for size in (0.0, 1.0))
    assert small / large == pytest.approx(math.sqrt(8.0))
    assert log_sensitivities(POINTS[0]).log_diameter == pytest.approx(-0.5)


def test_signs_of_the_traits() -> None:
    for point in POINTS:
        size, porosity, polydispersity, facetness = peak_stress_gradient(point)
        assert size < 0
        assert porosity < 0
        assert polydispersity > 0
        assert facetness > 0


def test_duplicates_scatter_by_two_percent_around_the_truth() -> None:
    values = strength_tests(POINTS[1], np.random.default_rng(3), 4000)
    ratio = np.log(values / peak_stress_psi(POINTS[1]))
    assert ratio.mean() == pytest.approx(0.0, abs=0.002)
    assert ratio.std() == pytest.approx(0.02, rel=0.05)


def test_errors() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="n must"):
        strength_tests(POINTS[0], rng, 0)
    with pytest.raises(ValueError, match="relative_scatter"):
        strength_tests(POINTS[0], rng, relative_scatter=-0.1)
    with pytest.raises(ValueError, match="delta"):
        packing_fraction(-0.1)
    with pytest.raises(ValueError, match="sigma0_psi"):
        StressConstants(sigma0_psi=0.0)
    with pytest.raises(ValueError, match="size_weight"):
        StressConstants(size_weight=1.5)
    with pytest.raises(ValueError, match="facet_gain"):
        StressConstants(facet_gain=2.0)
