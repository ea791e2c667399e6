import numpy as np
import pytest

from lotwise.core.errors import InvalidTile, WrongMagnification
from lotwise.core.preprocessing import field_px, fit_to_model, resample_area
from lotwise.core.signature import TileGeometry
from lotwise.core.tile import DecodedTile

MODEL = TileGeometry(px=64, um_per_px=1.0)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def naive_area_average(picture, px):
    n = len(picture)
    result = np.zeros((px, px))
    for row in range(px):
        for column in range(px):
            total = area = 0.0
            top, left = row * n / px, column * n / px
            for y in range(int(top), min(n, int(np.ceil(top + n / px)))):
                height = min(y + 1, top + n / px) - max(y, top)
                for x in range(int(left), min(n, int(np.ceil(left + n / px)))):
                    width = min(x + 1, left + n / px) - max(x, left)
                    total += height * width * picture[y, x]
                    area += height * width
            result[row, column] = total / area
    return result


def test_a_tile_of_exactly_the_models_field_and_pixels_is_untouched():
    picture = noise(64, 64)
    np.testing.assert_array_equal(fit_to_model(DecodedTile(picture, 1.0), MODEL), picture)


def test_a_larger_field_is_cropped_about_its_centre_without_resampling():
    picture = noise(100, 80)
    fitted = fit_to_model(DecodedTile(picture, 1.0), MODEL)
    np.testing.assert_array_equal(fitted, picture[18:82, 8:72])


def test_finer_pixels_are_averaged_and_keep_the_mean():
    picture = noise(128, 128)
    fitted = fit_to_model(DecodedTile(picture, 0.5), MODEL)
    assert fitted.shape == (64, 64)
    assert fitted.mean() == pytest.approx(picture.mean(), abs=0.1)
    assert fitted.std() < 0.6 * picture.std()


def test_finer_pixels_of_a_larger_field_are_cropped_to_the_field_first():
    picture = np.zeros((200, 200), dtype=np.uint8)
    picture[36:164, 36:164] = noise(128, 128)
    fitted = fit_to_model(DecodedTile(picture, 0.5), MODEL)
    np.testing.assert_array_equal(fitted, resample_area(picture[36:164, 36:164], 64))


@pytest.mark.parametrize("um_per_px", [0.3, 0.5, 0.77, 0.99, 1.0, 1.0999])
def test_the_result_has_the_models_size_and_field_at_every_scale(um_per_px):
    ramp = np.tile(np.linspace(0, 255, 300), (300, 1)).astype(np.uint8)
    fitted = fit_to_model(DecodedTile(ramp, um_per_px), MODEL)
    assert fitted.shape == (64, 64)
    # A ramp shows which part of the tile the result covers: 64 um about the middle.
    span = float(fitted[0, -1]) - float(fitted[0, 0])
    assert span == pytest.approx(63 / um_per_px * 255 / 299, abs=3)
    assert fitted.mean() == pytest.approx(127.5, abs=1.5)


def test_a_field_within_a_hundredth_of_the_models_is_accepted():
    assert fit_to_model(DecodedTile(noise(127, 127), 0.5), MODEL).shape == (64, 64)
    with pytest.raises(WrongMagnification):
        fit_to_model(DecodedTile(noise(126, 126), 0.5), MODEL)


def test_the_shorter_edge_decides_on_the_field():
    with pytest.raises(WrongMagnification, match="shows 50.0 um; the model needs 64.0"):
        fit_to_model(DecodedTile(noise(500, 50), 1.0), MODEL)


def test_pixels_that_are_a_tenth_coarser_are_the_limit():
    assert fit_to_model(DecodedTile(noise(99, 99), 1.099), MODEL).shape == (64, 64)
    with pytest.raises(WrongMagnification, match="too coarse") as refused:
        fit_to_model(DecodedTile(noise(99, 99), 1.11), MODEL)
    assert refused.value.reason == "WRONG_MAGNIFICATION"


def test_an_unknown_scale_is_refused():
    for ask in (fit_to_model, field_px):
        with pytest.raises(InvalidTile) as refused:
            ask(DecodedTile(noise(64, 64), None), MODEL)
        assert refused.value.reason == "TILE_SCALE_UNKNOWN"


@pytest.mark.parametrize("um_per_px", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_a_scale_that_is_no_positive_number_is_refused(um_per_px):
    with pytest.raises(InvalidTile) as refused:
        fit_to_model(DecodedTile(noise(64, 64), um_per_px), MODEL)
    assert refused.value.reason == "TILE_SCALE_INVALID"


def test_an_absurdly_fine_scale_is_a_wrong_magnification():
    with pytest.raises(WrongMagnification):
        fit_to_model(DecodedTile(noise(64, 64), 5e-324), MODEL)


def test_the_field_in_pixels_never_exceeds_the_tile():
    assert field_px(DecodedTile(noise(400, 300), 0.25), MODEL) == 256
    assert field_px(DecodedTile(noise(127, 200), 0.5), MODEL) == 127


@pytest.mark.parametrize("factor", [2, 3, 4, 7])
def test_a_whole_factor_gives_exact_block_means(factor):
    picture = noise(16 * factor, 16 * factor)
    blocks = picture.reshape(16, factor, 16, factor).astype(int).sum(axis=(1, 3))
    np.testing.assert_array_equal(resample_area(picture, 16), np.rint(blocks / factor**2))


@pytest.mark.parametrize(("n", "px"), [(24, 16), (37, 16), (63, 32), (41, 40), (31, 32), (20, 32)])
def test_any_factor_gives_the_mean_of_the_area_under_a_pixel(n, px):
    picture = noise(n, n)
    resampled = resample_area(picture, px)
    assert resampled.dtype == np.uint8
    assert np.abs(resampled - naive_area_average(picture, px)).max() <= 0.51


def test_a_flat_picture_stays_flat_at_every_factor():
    for n in (17, 31, 32, 33, 64, 100):
        assert (resample_area(np.full((n, n), 200, dtype=np.uint8), 32) == 200).all()


def test_only_square_pictures_are_resampled():
    with pytest.raises(ValueError, match="square"):
        resample_area(noise(32, 64), 16)
