"""Attributes: ranges, physical units, grinding."""

import math

import numpy as np
import pytest

from lotwise_simulator.attributes import ATTRIBUTE_NAMES, Attributes, grind

MIDDLE = Attributes(size=0.5, porosity=0.5, polydispersity=0.5, facetness=0.5)


def test_physical_units_at_the_ends_of_the_design_range() -> None:
    low, high = Attributes(0, 0, 0, 0), Attributes(1, 1, 1, 1)
    assert (low.diameter_um, high.diameter_um) == (10.0, 80.0)
    assert (low.pore_fraction, high.pore_fraction) == (0.0, 0.10)
    assert (low.delta, high.delta) == (0.0, 0.4)
    assert (low.facet_blend, high.facet_blend) == (0.0, 1.0)


def test_diameter_is_logarithmic() -> None:
    assert MIDDLE.diameter_um == pytest.approx(math.sqrt(10.0 * 80.0))


def test_array_round_trip_keeps_the_order() -> None:
    values = [0.125, 0.25, 1.5, 0.75]
    attributes = Attributes.from_array(values)
    array = attributes.as_array()
    assert array.dtype == np.float32
    assert array.tolist() == values == [getattr(attributes, name) for name in ATTRIBUTE_NAMES]


@pytest.mark.parametrize("name", ATTRIBUTE_NAMES)
@pytest.mark.parametrize("value", [-0.01, 2.01, math.nan, math.inf])
def test_rejects_values_outside_the_range(name: str, value: float) -> None:
    values = dict.fromkeys(ATTRIBUTE_NAMES, 0.5) | {name: value}
    with pytest.raises(ValueError, match=name):
        Attributes(**values)


def test_only_polydispersity_may_leave_the_design_range() -> None:
    assert Attributes(0.5, 0.5, 2.0, 0.5).delta == pytest.approx(0.8)
    for name in ("size", "porosity", "facetness"):
        with pytest.raises(ValueError, match=name):
            Attributes(**(dict.fromkeys(ATTRIBUTE_NAMES, 0.5) | {name: 1.01}))


def test_rejects_an_array_of_another_length() -> None:
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        Attributes.from_array([0.1, 0.2, 0.3])


def test_grinding_makes_crystals_smaller_more_spread_and_rounder() -> None:
    ground = grind(MIDDLE, 0.5)
    assert ground.size < MIDDLE.size
    assert ground.polydispersity > MIDDLE.polydispersity
    assert ground.facetness < MIDDLE.facetness
    assert ground.porosity == MIDDLE.porosity


def test_grinding_stays_within_the_range_and_severity_zero_changes_nothing() -> None:
    assert grind(Attributes(0.0, 0.0, 2.0, 1.0), 1.0).polydispersity == 2.0
    assert grind(MIDDLE, 0.0) == MIDDLE


@pytest.mark.parametrize("severity", [-0.1, 1.1, math.nan])
def test_grinding_rejects_a_severity_outside_its_range(severity: float) -> None:
    with pytest.raises(ValueError, match="severity"):
        grind(MIDDLE, severity)
