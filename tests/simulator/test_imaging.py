"""Instrument and acquisition."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from lotwise_simulator.imaging import acquire
from lotwise_simulator.instrument import NOMINAL, InstrumentState, after_filament_change

QUIET = InstrumentState(
    dose=1e7, beam_sigma_px=0.0, astigmatism=0.0, drift_px=0.0, noise_sigma=0.0, charging=0.0
)


def ramp() -> np.ndarray:
    return np.tile(np.linspace(0.1, 0.6, 64, dtype=np.float32), (64, 1))


def test_a_quiet_instrument_returns_the_yield() -> None:
    image = acquire(ramp(), QUIET, np.random.default_rng(0))
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image, 255 * ramp(), atol=1.0)


def test_gain_and_offset_map_grey_levels() -> None:
    state = replace(QUIET, gain=0.5, offset=0.2)
    image = acquire(ramp(), state, np.random.default_rng(0))
    np.testing.assert_allclose(image, 255 * (0.5 * ramp() + 0.2), atol=1.0)


def test_noise_follows_dose() -> None:
    flat = np.full((128, 128), 0.5, np.float32)
    low, high = (
        acquire(flat, replace(QUIET, dose=dose), np.random.default_rng(0)).std() / 255
        for dose in (100.0, 1600.0)
    )
    assert low == pytest.approx(math.sqrt(0.5 / 100), rel=0.05)
    assert high == pytest.approx(math.sqrt(0.5 / 1600), rel=0.05)


def test_beam_blurs_and_drift_displaces_lines() -> None:
    edge = np.full((64, 64), 0.2, np.float32)
    edge[:, 32:] = 0.6
    sharp, soft, shaken = (
        acquire(edge, state, np.random.default_rng(0)).astype(float)
        for state in (QUIET, replace(QUIET, beam_sigma_px=2.0), replace(QUIET, drift_px=1.0))
    )
    assert np.abs(np.diff(soft, axis=1)).max() < 0.5 * np.abs(np.diff(sharp, axis=1)).max()
    assert sharp[:, 31].std() < 1.0 < shaken[:, 31].std()


def test_charging_leaves_a_streak_behind_a_bright_spot() -> None:
    spot = np.full((64, 128), 0.3, np.float32)
    spot[30:34, 40:50] = 1.0
    image = acquire(spot, replace(QUIET, charging=0.1), np.random.default_rng(0)).astype(float)
    assert image[30:34, 52:60].mean() > image[30:34, 20:38].mean() + 10


def test_filament_change_alters_four_settings_only() -> None:
    changed = after_filament_change(NOMINAL)
    differing = {
        field.name
        for field in fields(InstrumentState)
        if getattr(changed, field.name) != getattr(NOMINAL, field.name)
    }
    assert differing == {"gain", "offset", "dose", "beam_sigma_px"}
    assert after_filament_change(NOMINAL, 0.0) == NOMINAL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gain", 0.0),
        ("dose", -1.0),
        ("beam_sigma_px", -0.1),
        ("astigmatism", 1.0),
        ("noise_sigma", math.nan),
        ("offset", math.inf),
    ],
)
def test_rejects_impossible_states(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        InstrumentState(**{name: value})


def test_errors() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="finite"):
        acquire(np.full((8, 8), np.nan, np.float32), NOMINAL, rng)
    with pytest.raises(ValueError, match="shape"):
        acquire(np.zeros((8, 8, 3), np.float32), NOMINAL, rng)
    with pytest.raises(ValueError, match="strength"):
        after_filament_change(NOMINAL, 2.5)
