"""Faults: each spoils an image in its own measurable way."""

import numpy as np
import pytest

from lotwise_simulator.attributes import Attributes
from lotwise_simulator.faults import (
    FAULTS,
    astigmatism,
    black_margin,
    charging_out,
    contamination,
    defocus,
    low_dose,
    mains_hum,
    saturation,
    scan_stopped,
    stage_jump,
)
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


def test_a_stopped_scan_is_black_below(image: np.ndarray) -> None:
    faulty = scan_stopped(image, 50)
    assert not faulty[-50:].any()
    assert np.array_equal(faulty[:-50], image[:-50])


def test_a_stage_jump_displaces_whole_lines(image: np.ndarray) -> None:
    faulty = stage_jump(image, 14)
    slips = []
    for before, after in zip(image, faulty, strict=True):
        shifts = [
            k for k in range(-42, 43, 14) if np.array_equal(after[50:200], before[50 + k : 200 + k])
        ]
        slips.append(shifts[0])
    assert slips[0] == 0
    assert 1 <= np.count_nonzero(np.diff(slips)) <= 3


def test_mains_hum_displaces_lines_alike_a_period_apart() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    shift = mains_hum(ramp, 3.0).astype(int)[:, 128] - 128
    assert shift.max() == 3
    assert shift.min() == -3
    assert np.array_equal(shift[:23], shift[23:46])


def test_astigmatism_smears_along_one_diagonal_only(image: np.ndarray) -> None:
    faulty = astigmatism(image).astype(float)
    along = np.abs(faulty[1:, 1:] - faulty[:-1, :-1]).mean()
    across = np.abs(faulty[1:, :-1] - faulty[:-1, 1:]).mean()
    assert across > 2.0 * along


def test_contamination_darkens_a_rectangle(image: np.ndarray) -> None:
    faulty = contamination(image)
    assert np.array_equal(faulty[:40], image[:40])
    assert faulty[100:150, 100:150].mean() < 0.6 * image[100:150, 100:150].mean()


def test_low_dose_leaves_a_handful_of_grey_levels(image: np.ndarray) -> None:
    assert len(np.unique(low_dose(image, 4.0))) < 16


def test_errors(image: np.ndarray) -> None:
    for fault in FAULTS.values():
        with pytest.raises(ValueError, match="uint8"):
            fault(image.astype(np.float32))
    with pytest.raises(ValueError, match="width_px"):
        black_margin(image, 0)
    with pytest.raises(ValueError, match="height_px"):
        scan_stopped(image, 257)
    with pytest.raises(ValueError, match="jump_px"):
        stage_jump(image, 0)
    with pytest.raises(ValueError, match="amplitude_px"):
        mains_hum(image, 0.0)
    with pytest.raises(ValueError, match="sigma_px"):
        astigmatism(image, -1.0)
    with pytest.raises(ValueError, match="darkening"):
        contamination(image, 0.0)
    with pytest.raises(ValueError, match="electrons"):
        low_dose(image, 0.0)
    with pytest.raises(ValueError, match="gain"):
        saturation(image, 1.0)
    with pytest.raises(ValueError, match="sigma_px"):
        defocus(image, 0.0)
    with pytest.raises(ValueError, match="strength"):
        charging_out(image, 0.0)
