import pytest

from lotwise.client import PSI_IN_MPA, Quantity


def test_a_psi_is_a_pound_force_on_a_square_inch():
    assert pytest.approx(0.45359237 * 9.80665 / 25.4**2, rel=1e-15) == PSI_IN_MPA


def test_the_services_own_unit_comes_back_unchanged():
    assert Quantity(0.1 + 0.2, "psi").psi == 0.1 + 0.2
    assert Quantity(0.1 + 0.2, "MPa").to("mpa") == 0.1 + 0.2


def test_it_converts_both_ways():
    assert Quantity(1000.0, "psi").mpa == pytest.approx(6.894757293168361, rel=1e-15)
    assert Quantity(6.894757293168361, "MPa").psi == pytest.approx(1000.0, rel=1e-15)


def test_a_unit_that_is_no_pressure_converts_to_itself_alone():
    hot = Quantity(300.0, "K")
    assert hot.to("K") == 300.0
    with pytest.raises(ValueError, match="only psi and MPa"):
        _ = hot.psi
