import zlib

import numpy as np
import pytest
from PIL import Image

from lotwise.core.decoding import decode_file, decode_raw
from lotwise.core.errors import InvalidTile
from lotwise.core.grey import to_grey
from tests.core.images import GREY, RGB, WIDE_GREY, encoded, png_claiming, tiff, with_tiff_tags


def reason(call, *args, **kwargs):
    with pytest.raises(InvalidTile) as refused:
        call(*args, **kwargs)
    assert refused.value.message.endswith(".")
    return refused.value.reason


def test_a_tile_without_bytes_is_refused():
    assert reason(decode_file, b"") == "TILE_EMPTY"
    assert reason(decode_raw, b"", 16, 16, "uint8") == "TILE_EMPTY"


@pytest.mark.parametrize(
    "data",
    [
        encoded(GREY),
        encoded(GREY, "JPEG"),
        encoded(GREY, "BMP"),
        tiff(GREY),
        tiff(GREY, compression="zlib"),
    ],
    ids=["png", "jpeg", "bmp", "tiff", "deflate tiff"],
)
def test_a_file_that_breaks_off_is_refused_with_its_reason(data):
    assert reason(decode_file, data[: len(data) // 2]) == "TILE_TRUNCATED"
    assert reason(decode_file, data[:9]) == "TILE_TRUNCATED"


@pytest.mark.parametrize("length", [1, 16 * 16 - 1, 16 * 16 + 1, 2 * 16 * 16])
def test_raw_pixels_of_another_number_than_stated_are_refused(length):
    assert reason(decode_raw, bytes(length), 16, 16, "uint8") == "TILE_TRUNCATED"


def test_a_raw_tile_without_width_is_refused():
    assert reason(decode_raw, bytes(16), 0, 16, "uint8") == "TILE_TRUNCATED"


def test_more_bytes_than_the_limit_are_refused_and_the_limit_itself_is_not():
    data = encoded(GREY)
    assert decode_file(data, max_bytes=len(data)).grey.shape == GREY.shape
    assert reason(decode_file, data, max_bytes=len(data) - 1) == "TILE_TOO_LARGE"
    assert reason(decode_raw, bytes(256), 16, 16, "uint8", max_bytes=255) == "TILE_TOO_LARGE"
    assert reason(decode_file, bytes(32 * 2**20 + 1)) == "TILE_TOO_LARGE"


@pytest.mark.parametrize(
    "edge", [20_000, 9_700, 8_001], ids=["Pillow refuses", "Pillow warns", "only we refuse"]
)
def test_a_png_that_claims_too_many_pixels_is_refused_before_it_is_unpacked(edge):
    assert reason(decode_file, png_claiming(edge, edge)) == "TILE_DECOMPRESSION_BOMB"


def test_a_tiff_that_claims_too_many_pixels_is_refused_before_it_is_unpacked():
    bomb = with_tiff_tags(tiff(GREY), ImageWidth=9_000, ImageLength=9_000)
    assert reason(decode_file, bomb) == "TILE_DECOMPRESSION_BOMB"


def test_the_limit_of_pixels_is_the_callers():
    for data in (encoded(GREY), tiff(GREY)):
        assert decode_file(data, max_pixels=GREY.size).grey.shape == GREY.shape
        assert reason(decode_file, data, max_pixels=GREY.size - 1) == "TILE_DECOMPRESSION_BOMB"
    raw = (GREY.tobytes(), 48, 32, "uint8")
    assert reason(decode_raw, *raw, max_pixels=GREY.size - 1) == "TILE_DECOMPRESSION_BOMB"


def test_a_tiff_whose_strip_unpacks_to_more_than_its_pixels_is_refused():
    small = tiff(GREY, compression="zlib")
    strip = zlib.compress(bytes(2**20))
    bomb = with_tiff_tags(small, StripOffsets=len(small), StripByteCounts=len(strip)) + strip
    assert reason(decode_file, bomb) == "TILE_DECOMPRESSION_BOMB"


def test_a_tiff_that_lacks_a_piece_is_not_filled_with_black():
    for whole in (tiff(GREY, compression="zlib"), tiff(GREY, tile=(16, 16))):
        longer = with_tiff_tags(whole, ImageLength=2 * len(GREY))
        assert reason(decode_file, longer) == "TILE_TRUNCATED"
    pieceless = with_tiff_tags(tiff(GREY, compression="zlib"), StripByteCounts=0)
    assert reason(decode_file, pieceless) == "TILE_TRUNCATED"


def test_a_tiff_of_huge_blocks_is_refused():
    bomb = with_tiff_tags(
        tiff(GREY, compression="zlib", tile=(64, 64)), TileWidth=30_000, TileLength=30_000
    )
    assert reason(decode_file, bomb) == "TILE_DECOMPRESSION_BOMB"


@pytest.mark.parametrize(
    "data",
    [
        b"lot,stress\nA,1700\n",
        encoded(GREY, "GIF"),
        encoded(GREY, "WEBP"),
        encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
        encoded(Image.fromarray(RGB).convert("CMYK"), "TIFF"),
        tiff(GREY, compression="lzma"),
        tiff(GREY > 9),
        tiff(np.dstack([GREY] * 2), photometric="minisblack", planarconfig="contig"),
        tiff(np.stack([GREY] * 5), volumetric=True),
    ],
    ids=[
        "text",
        "gif",
        "webp",
        "cmyk jpeg",
        "cmyk tiff",
        "lzma",
        "1 bit",
        "2",
        "3D",
    ],
)
def test_other_formats_are_refused_by_their_content(data):
    assert reason(decode_file, data) == "TILE_UNSUPPORTED_FORMAT"


@pytest.mark.parametrize("shape", [(1, 1), (15, 400), (400, 15)])
def test_a_picture_with_a_tiny_edge_is_refused(shape):
    picture = np.full(shape, 90, dtype=np.uint8)
    for data in (encoded(picture), tiff(picture)):
        assert reason(decode_file, data) == "TILE_TOO_SMALL"
    assert reason(decode_raw, picture.tobytes(), *shape[::-1], "uint8") == "TILE_TOO_SMALL"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.nan, "TILE_NOT_FINITE"),
        (np.inf, "TILE_NOT_FINITE"),
        (-np.inf, "TILE_NOT_FINITE"),
        (1.01, "TILE_VALUE_RANGE"),
        (-0.01, "TILE_VALUE_RANGE"),
    ],
)
def test_one_bad_float_value_refuses_the_tile(value, expected):
    pixels = np.full((16, 16), 0.5, dtype="<f4")
    pixels[7, 3] = value
    assert reason(decode_raw, pixels.tobytes(), 16, 16, "float32") == expected
    assert reason(decode_file, tiff(pixels)) == expected


def test_a_value_beyond_single_precision_is_refused():
    assert reason(decode_file, tiff(np.full((16, 16), 1e300))) == "TILE_NOT_FINITE"


def test_complex_pixels_are_refused():
    assert reason(to_grey, np.zeros((16, 16), dtype=np.complex64)) == "TILE_UNSUPPORTED_FORMAT"


VALID = {
    "png": encoded(GREY),
    "palette": encoded(Image.fromarray(RGB).quantize(16), transparency=bytes(range(16))),
    "png16": encoded(WIDE_GREY, dpi=(25_400, 25_400)),
    "jpeg": encoded(GREY, "JPEG"),
    "bmp": encoded(GREY, "BMP"),
    "tiff": tiff(GREY),
    "float": tiff(GREY / 255),
    "tiles": tiff(GREY, tile=(16, 16), compression="zlib", byteorder=">"),
}


@pytest.mark.parametrize("name", VALID)
def test_a_file_cut_anywhere_is_refused_or_complete(name):
    valid = VALID[name]
    whole = decode_file(valid).grey
    rng = np.random.default_rng(sum(name.encode()))
    lengths = {1, 4, 8, *range(len(valid) - 30, len(valid)), *rng.integers(1, len(valid), 60)}
    refused = 0
    for length in lengths:
        try:
            read = decode_file(valid[:length]).grey
        except InvalidTile:
            refused += 1
        else:
            np.testing.assert_array_equal(read, whole)
    assert refused > 50


@pytest.mark.parametrize("name", VALID)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(name):
    valid = np.frombuffer(VALID[name], dtype=np.uint8)
    rng = np.random.default_rng(sum(name.encode()))
    damaged = [valid[:8].tobytes() + rng.bytes(200) for _ in range(40)]
    for flips in (1, 3, 10):
        for _ in range(40):
            data = valid.copy()
            # Headers decide most: half of the flips go there.
            end = rng.choice([min(200, len(data)), len(data)])
            data[rng.integers(0, end, flips)] ^= 1 << rng.integers(0, 8, flips).astype(np.uint8)
            damaged.append(data.tobytes())
    refused = 0
    for data in damaged:
        try:
            grey = decode_file(data, max_pixels=10**6).grey
        except InvalidTile:
            refused += 1
        else:
            assert grey.dtype == np.uint8
            assert grey.ndim == 2
    assert refused > 40


def test_noise_is_refused():
    rng = np.random.default_rng(1)
    for _ in range(300):
        assert reason(decode_file, rng.bytes(rng.integers(1, 400))) == "TILE_UNSUPPORTED_FORMAT"
