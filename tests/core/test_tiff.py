"""TIFF: every layout gives the same picture; what is ambiguous or a bomb is refused."""

import io
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from lotwise.core.decoding import decode_file
from lotwise.core.errors import InvalidTile
from tests.core.images import GREY, RGB, WIDE_GREY, encoded, tiff
from tests.core.tiffs import DEFLATE, LZW, NONE, PACKBITS, craft, made, page

COMPRESSIONS = {"none": NONE, "lzw": LZW, "deflate": DEFLATE, "packbits": PACKBITS}
UNIT_FLOAT = (GREY / 255).astype(np.float32)


def reason(data, **limits):
    with pytest.raises(InvalidTile) as refused:
        decode_file(data, **limits)
    return refused.value.reason


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", [{}, {"rows": 7}, {"tile": 16}, {"tile": 64}], ids=str)
@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
def test_every_layout_of_every_type_gives_its_grey_levels(compression, order, layout, big):
    for pixels in (GREY, WIDE_GREY, RGB, *(UNIT_FLOAT.astype(f"f{n}") for n in (2, 4, 8))):
        predictors = [1] if compression == "none" else [1, 3 if pixels.dtype.kind == "f" else 2]
        for predictor in predictors:
            for planar in (False, True) if pixels.ndim == 3 else (False,):
                data = made(
                    pixels,
                    compression=COMPRESSIONS[compression],
                    predictor=predictor,
                    planar=planar,
                    order=order,
                    big=big,
                    **layout,
                )
                np.testing.assert_array_equal(decode_file(data).grey, GREY)


@pytest.mark.parametrize("name", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate"])
def test_what_pillow_writes_with_libtiff_is_read(name):
    for picture in (GREY, RGB, np.dstack([RGB, GREY])):
        np.testing.assert_array_equal(
            decode_file(encoded(picture, "TIFF", compression=name)).grey, GREY
        )
    predicted = encoded(GREY, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    np.testing.assert_array_equal(decode_file(predicted).grey, GREY)
    for mode in ("I;16", "F"):
        picture = Image.fromarray(WIDE_GREY if mode == "I;16" else UNIT_FLOAT)
        np.testing.assert_array_equal(
            decode_file(encoded(picture, "TIFF", compression=name)).grey, GREY
        )


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_white_may_be_zero(compression):
    for pixels in (255 - GREY, 65535 - WIDE_GREY):
        data = made(pixels, photometric=0, compression=COMPRESSIONS[compression])
        np.testing.assert_array_equal(decode_file(data).grey, GREY)


@pytest.mark.parametrize("factor", [256, 257])
def test_a_palette_is_right_by_either_scaling_of_its_colours(factor):
    ramp = np.tile(np.arange(256) * factor, 3)
    data = made(GREY, photometric=3, tags={320: (3, ramp.tolist())}, compression=LZW)
    np.testing.assert_array_equal(decode_file(data).grey, GREY)
    short = made(GREY, photometric=3, tags={320: (3, ramp.reshape(3, -1)[:, :16].ravel().tolist())})
    assert reason(short) == "TILE_TRUNCATED"
    assert reason(made(GREY, photometric=3)) == "TILE_TRUNCATED"


def test_alpha_is_dropped_and_a_second_channel_is_refused():
    both = np.dstack([GREY, np.full_like(GREY, 40)])
    np.testing.assert_array_equal(decode_file(made(both, photometric=1)).grey, GREY)
    np.testing.assert_array_equal(decode_file(made(np.dstack([RGB, GREY]), planar=True)).grey, GREY)
    assert reason(made(both, photometric=1, tags={338: (3, [0])})) == "TILE_UNSUPPORTED_FORMAT"
    assert reason(made(RGB, photometric=1)) == "TILE_UNSUPPORTED_FORMAT"
    assert reason(made(np.dstack([GREY] * 4), photometric=5)) == "TILE_UNSUPPORTED_FORMAT"
    with pytest.raises(InvalidTile, match="CMYK"):
        decode_file(made(np.dstack([GREY] * 4), photometric=5))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied_so_that_the_picture_is_upright(orientation):
    # The way that EXIF and TIFF describe it, as Pillow turns it back.
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = Image.fromarray(GREY)
    stored = upright.transpose(turns[orientation]) if orientation > 1 else upright
    data = made(np.asarray(stored), tags={274: (3, [orientation])})
    np.testing.assert_array_equal(decode_file(data).grey, GREY)
    exif = Image.Exif()
    exif[274] = orientation
    smooth = Image.fromarray(np.add.outer(np.arange(32) * 2, np.arange(48) * 3).astype(np.uint8))
    turned = smooth.transpose(turns[orientation]) if orientation > 1 else smooth
    read = decode_file(encoded(turned, "JPEG", quality=98, exif=exif)).grey.astype(int)
    assert read.shape == (32, 48)
    assert np.abs(read - np.asarray(smooth)).max() < 6


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint32", "uint64"])
def test_types_without_a_full_scale_are_stretched_and_it_is_said(dtype):
    low = -20 if dtype[0] == "i" else 7
    pixels = (GREY.astype(np.int64) // 4 + low).astype(dtype)
    for compression in (NONE, LZW):
        tile = decode_file(made(pixels, compression=compression))
        spread = (GREY // 4).astype(float)
        wanted = np.rint((spread - spread.min()) / np.ptp(spread) * 255)
        assert tile.stretched
        assert np.abs(tile.grey - wanted).max() <= 1
        assert (tile.grey.min(), tile.grey.max()) == (0, 255)
    constant = decode_file(made(np.full_like(pixels, 9)))
    assert not constant.grey.any()
    extremes = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype=dtype)
    assert set(decode_file(made(np.tile(extremes, (16, 8)))).grey.ravel().tolist()) == {0, 255}


def test_eight_and_sixteen_bits_and_floats_are_never_stretched():
    dim = GREY // 4
    for pixels in (dim, dim.astype(np.uint16) * 257, (dim / 255).astype(np.float32)):
        tile = decode_file(made(pixels))
        assert not tile.stretched
        np.testing.assert_array_equal(tile.grey, dim)


@pytest.mark.parametrize("code", [281, 341])
def test_a_stated_bit_depth_is_the_full_scale(code):
    twelve = np.rint(GREY / 255 * 4095).astype(np.uint16)
    tile = decode_file(made(twelve, tags={code: (3, [4095])}))
    assert np.abs(tile.grey.astype(int) - GREY).max() <= 1
    signed = decode_file(made(twelve.astype(np.int32), tags={code: (4, [4095])}))
    assert not signed.stretched
    np.testing.assert_array_equal(signed.grey, tile.grey)


@pytest.mark.parametrize("stated", [0, 1, 4000, 1023, 65535])
def test_a_largest_value_that_is_no_bit_depth_or_is_exceeded_is_ignored(stated):
    twelve = np.rint(GREY / 255 * 4095).astype(np.uint16)
    tile = decode_file(made(twelve, tags={281: (3, [stated])}))
    np.testing.assert_array_equal(tile.grey, decode_file(made(twelve)).grey)
    dim = twelve // 5  # so that 1023 is not exceeded, and counts; the others are no bit depths
    read = decode_file(made(dim, tags={281: (3, [stated])})).grey
    assert np.array_equal(read, decode_file(made(dim)).grey) == (stated != 1023)


def thumbnail(pixels, **tags):
    return page(np.ascontiguousarray(pixels[::4, ::4]), tags=tags)


def test_thumbnails_and_masks_are_no_pictures():
    picture = page(GREY)
    for pages in (
        [picture, thumbnail(GREY)],
        [thumbnail(GREY), picture],
        [picture, thumbnail(GREY), thumbnail(GREY)],
        [page(255 - GREY, tags={254: (4, [1])}), picture],
        [picture, page(255 - GREY, tags={254: (4, [4])})],
        [picture, page(255 - GREY, tags={255: (3, [2])})],
    ):
        np.testing.assert_array_equal(decode_file(craft(*pages)).grey, GREY)
    alone = craft(page(GREY, tags={254: (4, [1])}))
    np.testing.assert_array_equal(decode_file(alone).grey, GREY)


def test_a_stack_is_refused_with_what_to_do():
    larger = np.pad(GREY, ((0, 8), (0, 8)))
    imagej = {270: (2, b"ImageJ=1.53k\nimages=12\nslices=12\n")}
    for data in (
        craft(page(GREY), page(GREY)),
        craft(page(GREY), page(larger)),
        craft(*[page(GREY)] * 5, thumbnail(GREY)),
        tiff(np.stack([GREY] * 5)),
        made(GREY, tags=imagej),
    ):
        assert reason(data) == "TILE_SEVERAL_PAGES"
        with pytest.raises(InvalidTile, match="Send each page as a tile"):
            decode_file(data)
    assert reason(tiff(np.stack([GREY] * 5), volumetric=True)) == "TILE_UNSUPPORTED_FORMAT"


def test_a_chain_of_pages_that_bites_its_tail_ends():
    data = bytearray(made(GREY))
    first = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[first : first + 2], "little")
    data[first + 2 + 12 * entries :][:4] = data[4:8]
    after = first + 2 + 12 * entries
    data[after : after + 4] = data[4:8]
    np.testing.assert_array_equal(decode_file(bytes(data)).grey, GREY)
    data[after : after + 4] = b"\xf0\xff\xff\xff"
    np.testing.assert_array_equal(decode_file(bytes(data)).grey, GREY)


@pytest.mark.parametrize(
    "tags",
    [
        {258: (3, [1])},
        {258: (3, [12])},
        {258: (3, [8, 16])},
        {339: (3, [5])},
        {259: (3, [4])},
        {259: (3, [6])},
        {259: (3, [7])},
        {259: (3, [34712])},
        {262: (3, [6])},
        {262: (3, [32803])},
        {266: (3, [2])},
        {277: (3, [9])},
        {277: (3, [0])},
        {32997: (4, [4])},
    ],
    ids=str,
)
def test_other_kinds_of_tiff_are_refused(tags):
    assert reason(made(GREY, tags=tags)) == "TILE_UNSUPPORTED_FORMAT"


@pytest.mark.parametrize(
    "tags",
    [
        {256: (4, [0])},
        {257: (4, [0])},
        {256: (2, b"ab")},
        {278: (4, [0])},
        {278: (4, [5])},
        {257: (4, [64])},
        {256: (4, [96])},
    ],
    ids=str,
)
def test_a_page_whose_size_and_pieces_disagree_is_damaged(tags):
    assert reason(made(GREY, tags=tags)) == "TILE_TRUNCATED"


@pytest.mark.parametrize("compression", [DEFLATE, LZW, PACKBITS])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_a_bomb_does_not_fill_the_memory(compression, dtype):
    """A piece that would unpack to 64 MiB, in a picture of 48 x 32."""
    small = np.zeros((32, 48), dtype=dtype)
    tags, _ = page(small, compression=compression)
    if compression == DEFLATE:
        piece = zlib.compress(bytes(2**26))
    elif compression == PACKBITS:
        piece = b"\x81\x00" * (2**26 // 128)
    else:
        buffer = io.BytesIO()
        zeros = np.zeros((2**13, 2**13), np.uint8)
        Image.fromarray(zeros).save(buffer, "TIFF", compression="tiff_lzw", tiffinfo={278: 2**13})
        piece = buffer.getvalue()[8:]
    data = craft((tags, [piece]))
    tracemalloc.start()
    try:
        if compression == DEFLATE:
            assert reason(data) == "TILE_DECOMPRESSION_BOMB"
        else:  # what fits is all that is unpacked
            assert not decode_file(data).grey.any()
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "tags",
    [
        {256: (4, [9_000]), 257: (4, [9_000])},
        {256: (4, [2**31]), 257: (4, [2**31])},
        {322: (4, [2**31]), 323: (4, [2**31])},
        {322: (4, [30_000]), 323: (4, [30_000])},
        {256: (4, [8_000]), 257: (4, [8_000]), 258: (3, [64] * 4), 277: (3, [4]), 262: (3, [2])},
        {256: (4, [16]), 257: (4, [60_000]), 322: (4, [60_000]), 323: (4, [16])},
    ],
    ids=str,
)
def test_a_page_that_claims_too_much_is_refused_before_it_is_unpacked(tags):
    for compression in (NONE, DEFLATE, LZW, PACKBITS):
        options = {"tile": 16} if 322 in tags else {}
        pages = page(GREY, compression=compression, tags=tags, **options)
        tracemalloc.start()
        try:
            assert reason(craft(pages)) == "TILE_DECOMPRESSION_BOMB"
            assert tracemalloc.get_traced_memory()[1] < 2**22
        finally:
            tracemalloc.stop()


def test_a_directory_of_a_million_entries_costs_nothing():
    data = made(GREY, big=True)
    at = int.from_bytes(data[8:16], "little")
    claims = bytearray(data)
    claims[at : at + 8] = (2**40).to_bytes(8, "little")
    np.testing.assert_array_equal(decode_file(bytes(claims)).grey, GREY)
