"""The data bar is found on every vendor's pictures and in no genuine picture."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from lotwise.core.data_bar import find_data_bar
from lotwise.core.decoding import decode_file
from lotwise_simulator.faults import FAULTS
from tests.core.headers import FEI
from tests.core.images import encoded
from tests.core.tiffs import made, shared, with_header


def micrograph(seed=0, width=512, height=384):
    """Bright particles on a dark ground with noise; everything that text must not be taken for."""
    rng = np.random.default_rng(seed)
    picture = Image.new("L", (width, height), 30)
    draw = ImageDraw.Draw(picture)
    for _ in range(150):
        x, y, r = rng.integers(0, width), rng.integers(0, height), rng.integers(2, 14)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=int(rng.integers(120, 256)))
    noisy = np.asarray(picture) + rng.normal(0, 6, (height, width))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def bar(width=512, height=40, paper=0, ink=255, frame=0):
    strip = Image.new("L", (width, height), paper)
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=15)
    draw.text((12, 10), "SEI  10.0 kV  WD 9.9 mm  X500", fill=ink, font=font)
    draw.line((width - 90, 12, width - 30, 12), fill=ink, width=4)
    draw.text((width - 80, 18), "10 um", fill=ink, font=font)
    if frame:
        draw.rectangle((0, 0, width - 1, height - 1), outline=ink, width=frame)
    return np.asarray(strip)


STYLES = {
    "white on black": {},
    "black on white": {"paper": 255, "ink": 0},
    "white on grey": {"paper": 70},
    "framed": {"frame": 1},
    "framed white": {"paper": 255, "ink": 0, "frame": 2},
    "high": {"height": 80},
}


@pytest.mark.parametrize("style", STYLES)
def test_a_bar_of_every_style_is_cropped_to_the_row(style):
    for seed in range(3):
        picture, strip = micrograph(seed), bar(**STYLES[style])
        whole = np.vstack([picture, strip])
        assert find_data_bar(whole) == len(strip)
        tile = decode_file(encoded(whole))
        assert tile.data_bar_px == len(strip)
        np.testing.assert_array_equal(tile.grey, picture)
        assert find_data_bar(picture) == 0


@pytest.mark.parametrize("style", STYLES)
def test_a_bar_is_found_in_a_jpeg_and_above_a_last_row_of_picture(style):
    strip = bar(**STYLES[style])
    picture = micrograph(1)
    tile = decode_file(encoded(np.vstack([picture, strip]), "JPEG", quality=85))
    assert abs(tile.data_bar_px - len(strip)) <= 3
    extra = np.vstack([picture, strip, picture[-1:]])
    assert find_data_bar(extra) == len(strip) + 1


def test_a_bar_below_a_picture_that_is_flat_or_partly_of_its_level_is_found():
    strip = bar()
    flat = np.clip(np.random.default_rng(0).normal(44, 4, (384, 512)), 0, 255).astype(np.uint8)
    assert find_data_bar(np.vstack([flat, strip])) == 40
    half = micrograph(2)
    half[:, :256] = 0
    assert find_data_bar(np.vstack([half, strip])) == 40


@pytest.mark.parametrize("seed", range(4))
def test_what_is_no_bar_stays(seed):
    picture = micrograph(seed)
    margin = picture.copy()
    margin[-40:] = 0
    hot = margin.copy()
    hot[-20, [10, 200, 300]] = 255
    hot_row = margin.copy()
    hot_row[-20, ::50] = 255
    blocks = margin.copy()
    for left in (50, 200, 350):
        blocks[-25:-10, left : left + 60] = 255
    dark_floor = picture.copy()
    dark_floor[-60:] = np.where(dark_floor[-60:] < 90, 0, dark_floor[-60:])
    saturated = np.clip(picture.astype(int) + 160, 0, 255).astype(np.uint8)
    crushed = np.clip(picture.astype(int) - 110, 0, 255).astype(np.uint8)
    edge = picture.copy()
    edge[-50:] = np.random.default_rng(seed).normal(60, 3, (50, 512)).clip(0, 255)
    stripes = np.tile(np.repeat([0, 255], 8), 32)[None].repeat(40, 0).astype(np.uint8)
    no_padding = np.vstack([picture, stripes])
    text_in_picture = picture.copy()
    text_in_picture[-40:] = np.maximum(text_in_picture[-40:], bar())
    for each in (
        margin,
        hot,
        hot_row,
        blocks,
        dark_floor,
        saturated,
        crushed,
        edge,
        no_padding,
        text_in_picture,
        np.zeros((384, 512), np.uint8),
        np.full((384, 512), 255, np.uint8),
        bar(height=384),  # nothing but text
        np.vstack([bar(height=60), picture]),
    ):
        assert find_data_bar(each) == 0
        assert find_data_bar(np.ascontiguousarray(each[:, ::-1])) == 0


def test_a_header_that_counts_the_pictures_rows_is_believed():
    whole = np.vstack([micrograph(), bar()])
    header = FEI.replace(b"ResolutionX=80", b"ResolutionX=512")
    for rows, bar_px in ((424, 0), (400, 24), (384, 40)):
        counted = header.replace(b"ResolutionY=64", b"ResolutionY=%d" % rows)
        assert decode_file(with_header(whole, 34682, counted)).data_bar_px == bar_px
    # Of another width, it says nothing of this picture.
    assert decode_file(with_header(whole, 34682, FEI)).data_bar_px == 40


def test_levels_are_stretched_without_the_bar():
    picture = micrograph() // 4 + 20
    whole = np.vstack([picture, bar()]).astype(np.int32)
    tile = decode_file(made(whole))
    assert (tile.data_bar_px, tile.stretched) == (40, True)
    np.testing.assert_array_equal(tile.grey, decode_file(made(picture.astype(np.int32))).grey)
    assert tile.grey.max() == 255


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (16, 400), (400, 16), (60, 60), (100, 3)])
def test_small_pictures_have_no_bar(shape):
    for value in (0, 255):
        assert find_data_bar(np.full(shape, value, np.uint8)) == 0
    assert find_data_bar(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)) == 0


def test_simulated_tiles_whole_or_faulty_are_never_cropped(pictures):
    for picture in pictures:
        for each in (picture, *(fault(picture) for fault in FAULTS.values())):
            assert find_data_bar(each) == 0


@pytest.mark.parametrize(
    "folder",
    [
        "ampis_powder/images",
        "ampis_spheroidite/images",
        "nasa_ebc/images",
        "nasa_superalloy/images",
    ],
)
def test_real_pictures_without_a_bar_are_never_cropped(folder):
    files = sorted(shared(folder).glob("*.png"))
    assert len(files) >= 10
    for path in files:
        tile = decode_file(path.read_bytes())
        assert tile.data_bar_px == 0, path.name
