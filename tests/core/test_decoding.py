import numpy as np
import pytest
from PIL import Image

from lotwise.core.decoding import decode_file, decode_raw
from tests.core.images import GREY, RGB, WIDE_GREY, encoded, tiff


@pytest.mark.parametrize(
    "data",
    [
        encoded(GREY),
        encoded(RGB),
        encoded(Image.fromarray(RGB).convert("RGBA")),
        encoded(Image.fromarray(GREY).convert("LA")),
        encoded(WIDE_GREY),
        encoded(GREY, "BMP"),
        encoded(RGB, "BMP"),
        tiff(GREY),
        tiff(GREY, bigtiff=True),
        tiff(GREY, byteorder=">"),
        tiff(GREY, tile=(16, 16)),
        tiff(GREY, compression="zlib"),
        tiff(GREY, compression="zlib", predictor=True, tile=(16, 16)),
        tiff(RGB, photometric="rgb"),
        tiff(WIDE_GREY),
        tiff(WIDE_GREY, byteorder=">"),
        tiff((GREY / 255).astype(np.float32)),
        tiff((GREY / 255).astype(np.float32), byteorder=">"),
        tiff(GREY / 255),
    ],
    ids=range(19),
)
def test_every_lossless_file_of_a_picture_gives_its_grey_levels(data):
    tile = decode_file(data)
    assert tile.grey.dtype == np.uint8
    np.testing.assert_array_equal(tile.grey, GREY)


def test_a_jpeg_gives_nearly_its_grey_levels():
    smooth = np.tile(np.linspace(20, 230, 64).astype(np.uint8), (64, 1))
    for picture in (smooth, np.stack([smooth] * 3, axis=-1)):
        decoded = decode_file(encoded(picture, "JPEG", quality=95)).grey
        assert np.abs(decoded.astype(int) - smooth).max() <= 3


def test_a_palette_picture_is_read_by_its_colours_transparent_or_not():
    indexed = Image.fromarray(RGB).quantize(16)
    wanted = np.asarray(indexed.convert("L"))
    for options in ({}, {"transparency": 3}, {"transparency": bytes(range(16))}):
        read = decode_file(encoded(indexed, **options)).grey
        assert np.abs(read.astype(int) - wanted).max() <= 1


def test_colour_is_weighed_by_luma():
    picture = np.zeros((16, 16, 3), dtype=np.uint8)
    picture[..., 1] = 200
    assert decode_file(encoded(picture)).grey[0, 0] == round(0.587 * 200)


def test_alpha_does_not_dim_a_picture():
    picture = np.dstack([RGB, np.full_like(GREY, 40)])
    np.testing.assert_array_equal(decode_file(encoded(picture)).grey, GREY)


def test_sixteen_bits_map_over_their_full_range():
    ramp = np.repeat(np.array([0, 128, 129, 257, 32_896, 65_406, 65_407, 65_535]), 32)
    levels = decode_file(encoded(ramp.reshape(16, 16).astype(np.uint16))).grey.ravel()[::32]
    assert levels.tolist() == [0, 0, 1, 1, 128, 254, 255, 255]


def test_a_tiff_whose_zero_is_white_is_turned_over():
    np.testing.assert_array_equal(
        decode_file(tiff(255 - GREY, photometric="miniswhite")).grey, GREY
    )


def test_a_tiff_palette_is_looked_up():
    falling = np.stack([np.arange(256)[::-1] * 257] * 3).astype(np.uint16)
    data = tiff(255 - GREY, photometric="palette", colormap=falling)
    np.testing.assert_array_equal(decode_file(data).grey, GREY)


def test_raw_pixels_are_rows_from_the_top_little_endian():
    levels = np.arange(16 * 20, dtype=np.uint16).reshape(16, 20) * 200
    expected = np.rint(levels / 257).astype(np.uint8)
    np.testing.assert_array_equal(
        decode_raw(levels.astype("<u2").tobytes(), 20, 16, "uint16").grey, expected
    )
    np.testing.assert_array_equal(
        decode_raw((levels / 65535).astype("<f4").tobytes(), 20, 16, "float32").grey, expected
    )
    np.testing.assert_array_equal(decode_raw(GREY.tobytes(), 48, 32, "uint8").grey, GREY)


@pytest.mark.parametrize("um_per_px", [0.05, 1.0, 9.9])
def test_a_png_states_the_scale_of_a_microscope(um_per_px):
    dpi = 25_400 / um_per_px
    assert decode_file(encoded(GREY, dpi=(dpi, dpi))).um_per_px == pytest.approx(
        um_per_px, rel=1e-3
    )


@pytest.mark.parametrize("dpi", [(300, 300), (72, 72), (25_400, 12_700), (0, 0), None])
def test_a_printers_or_uneven_resolution_is_no_scale(dpi):
    options = {} if dpi is None else {"dpi": dpi}
    assert decode_file(encoded(GREY, **options)).um_per_px is None
