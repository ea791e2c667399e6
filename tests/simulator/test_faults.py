"""Faults: each spoils an image in its own measurable way."""

import numpy as np
import pytest

from lotwise_simulator.attributes import Attributes
from lotwise_simulator.faults import FAULTS, black_margin, charging_out, defocus, saturation
from lotwise_simulator.lots import Lot, mosaic


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return mosaic(Lot("test", Attributes(0.4, 0.3, 0.4, 0.6), seed=11), 1)[0].image


@pytest.mark.parametrize("name", FAULTS)
def test_faults_keep_the_shape_and_leave_the_input_alone(name: str, image: np.ndarray) -> None:
    before = image.copy()
    faulty = FAULTS[name](image)
    assert faulty.shape == image.shape
    assert faulty.dtype == np.uint8
    assert np.array_equal(image, before)
    assert not np.array_equal(faulty, image)
    assert np.array_equal(faulty, FAULTS[name](image))


def test_black_margin_blackens_the_margin_only(image: np.ndarray) -> None:
    faulty = black_margin(image, 40)
    assert not faulty[:, -40:].any()
    assert np.array_equal(faulty[:, :-40], image[:, :-40])


def test_saturation_clips_most_of_the_image(image: np.ndarray) -> None:
    assert (saturation(image) == 255).mean() > 0.4 > 0.05 > (image == 255).mean()


def test_defocus_removes_detail(image: np.ndarray) -> None:
    def detail(picture: np.ndarray) -> float:
        return float(np.abs(np.diff(picture.astype(float), axis=1)).mean())

    assert detail(defocus(image)) < 0.5 * detail(image)


def test_empty_is_black(image: np.ndarray) -> None:
    assert not FAULTS["empty"](image).any()


def test_charging_bands_lie_along_the_scan_lines(image: np.ndarray) -> None:
    faulty = charging_out(image).astype(float)
    assert faulty.mean(axis=1).std() > 2.0 * faulty.mean(axis=0).std()


def test_errors(image: np.ndarray) -> None:
    for fault in FAULTS.values():
        with pytest.raises(ValueError, match="uint8"):
            fault(image.astype(np.float32))
    with pytest.raises(ValueError, match="width_px"):
        black_margin(image, 0)
    with pytest.raises(ValueError, match="gain"):
        saturation(image, 1.0)
    with pytest.raises(ValueError, match="sigma_px"):
        defocus(image, 0.0)
    with pytest.raises(ValueError, match="strength"):
        charging_out(image, 0.0)
