import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from lotwise.core.decoding import decode_file, decode_raw, to_grey
from lotwise.core.errors import InvalidTile

GREY = np.random.default_rng(0).integers(0, 256, (32, 48), dtype=np.uint8)
RGB = np.stack([GREY] * 3, axis=-1)


def encoded(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def tiff(image, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, **options)
    return buffer.getvalue()


def reason(call, *args, **kwargs):
    with pytest.raises(InvalidTile) as refused:
        call(*args, **kwargs)
    assert refused.value.message.endswith(".")
    return refused.value.reason


def with_tiff_tags(data, **values):
    changed = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        for name, value in values.items():
            tag = opened.pages.first.tags[name]
            struct.pack_into(
                {3: "<H", 4: "<I", 16: "<Q"}[int(tag.dtype)], changed, tag.valueoffset, value
            )
    return bytes(changed)


def png_claiming(width, height):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        encoded(GREY),
        encoded(RGB),
        encoded(Image.fromarray(RGB).convert("RGBA")),
        encoded(Image.fromarray(GREY).convert("LA")),
        encoded(GREY.astype(np.uint16) * 257),
        encoded(GREY, "BMP"),
        encoded(RGB, "BMP"),
        tiff(GREY),
        tiff(GREY, bigtiff=True),
        tiff(GREY, byteorder=">"),
        tiff(GREY, tile=(16, 16)),
        tiff(GREY, compression="zlib"),
        tiff(GREY, compression="zlib", predictor=True, tile=(16, 16)),
        tiff(RGB, photometric="rgb"),
        tiff(GREY.astype(np.uint16) * 257),
        tiff(GREY.astype(np.uint16) * 257, byteorder=">"),
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
        encoded(np.dstack([GREY] * 4), "TIFF", compression="tiff_lzw"),
        encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
        encoded(Image.fromarray(RGB).convert("CMYK"), "TIFF"),
        tiff(GREY, compression="lzma"),
        tiff(GREY.astype(np.int16)),
        tiff(GREY > 9),
        tiff(np.dstack([GREY] * 2), photometric="minisblack", planarconfig="contig"),
        tiff(np.stack([GREY] * 5), volumetric=True),
    ],
    ids=[
        "text",
        "gif",
        "webp",
        "lzw",
        "cmyk jpeg",
        "cmyk tiff",
        "lzma",
        "int16",
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


VALID = {
    "png": encoded(GREY),
    "palette": encoded(Image.fromarray(RGB).quantize(16), transparency=bytes(range(16))),
    "png16": encoded(GREY.astype(np.uint16) * 257, dpi=(25_400, 25_400)),
    "jpeg": encoded(GREY, "JPEG"),
    "bmp": encoded(GREY, "BMP"),
    "tiff": tiff(GREY),
    "float": tiff(GREY / 255),
    "tiles": tiff(GREY, tile=(16, 16), compression="zlib", byteorder=">"),
}


@pytest.mark.parametrize("name", VALID)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(name):
    rng = np.random.default_rng(sum(name.encode()))
    valid = VALID[name]
    damaged = [valid[: rng.integers(1, len(valid))] for _ in range(40)]
    for flips in (1, 3, 10):
        for _ in range(40):
            data = np.frombuffer(valid, dtype=np.uint8).copy()
            # Headers decide most: half of the flips go there.
            end = rng.choice([min(200, len(data)), len(data)])
            data[rng.integers(0, end, flips)] ^= 1 << rng.integers(0, 8, flips).astype(np.uint8)
            damaged.append(data.tobytes())
    damaged += [valid[:8] + rng.bytes(200) for _ in range(40)]
    refused = 0
    with warnings.catch_warnings():
        # Pillow and tifffile may warn; a reader's logs are not the matter here.
        warnings.simplefilter("ignore")
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
