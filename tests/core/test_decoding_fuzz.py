"""Malformed files of every kind are read or refused with a documented reason; nothing else."""

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lotwise.core.decoding import decode_file
from lotwise.core.errors import InvalidTile
from tests.core.headers import TAGGED
from tests.core.images import GREY, RGB, WIDE_GREY, encoded, tiff
from tests.core.test_data_bar import bar, micrograph
from tests.core.tiffs import DEFLATE, LZW, PACKBITS, craft, made, page

ERRORS = (Path(__file__).parents[2] / "docs/errors.md").read_text(encoding="utf-8")
REASONS = set(re.findall(r"^\| `(TILE_\w+)`", ERRORS, re.MULTILINE))
CASES = 120
EXIF = Image.Exif()
EXIF[274], EXIF[315] = 6, "Jane Q. Operator"
WITH_BAR = np.vstack([micrograph(width=160, height=120), bar(160, 30)])

VALID = {
    "png": encoded(GREY, dpi=(25_400, 25_400)),
    "png 16": encoded(WIDE_GREY),
    "png palette": encoded(Image.fromarray(RGB).quantize(16), transparency=bytes(range(16))),
    "png rgba": encoded(np.dstack([RGB, GREY])),
    "png la": encoded(Image.fromarray(GREY).convert("LA")),
    "png bar": encoded(WITH_BAR),
    "jpeg": encoded(GREY, "JPEG", exif=EXIF),
    "jpeg colour": encoded(RGB, "JPEG", progressive=True),
    "bmp": encoded(GREY, "BMP"),
    "bmp colour": encoded(RGB, "BMP"),
    "tiff": tiff(GREY),
    "tiff int32": made(GREY.astype(np.int32) - 9),
    "tiff float": made((GREY / 255).astype(np.float32), compression=DEFLATE, predictor=3),
    "tiff lzw": made(WIDE_GREY, compression=LZW, predictor=2, rows=8),
    "tiff packbits": made(GREY, compression=PACKBITS, tile=16),
    "tiff deflate": made(RGB, compression=DEFLATE, planar=True, order=">"),
    "big": made(GREY, compression=LZW, big=True, order=">"),
    "pages": craft(page(GREY), page(np.ascontiguousarray(GREY[::2, ::2]))),
    "palette": made(GREY, photometric=3, tags={320: (3, list(range(0, 65536, 256)) * 3)}),
    **{
        f"{name} header": made(GREY, tags={code: (kind, text)})
        for name, (code, kind, text, _) in TAGGED.items()
    },
}


def mutants(valid, rng):
    """Cut, flipped, overwritten, shifted and repeated bytes; headers more often than pixels."""
    octets = np.frombuffer(valid, np.uint8)
    for _ in range(CASES):
        changed = octets.copy()
        front = rng.choice([min(300, len(octets)), len(octets)])
        where = int(rng.integers(0, front))
        match int(rng.integers(0, 6)):
            case 0:
                changed = changed[: int(rng.integers(1, len(octets)))]
            case 1:
                changed[rng.integers(0, front, 3)] ^= 1 << int(rng.integers(0, 8))
            case 2:
                changed[where : where + 4] = rng.choice([0, 255, 127, 128])
            case 3:
                changed[where : where + 8] = rng.integers(0, 256, len(changed[where : where + 8]))
            case 4:
                changed = np.delete(changed, where)
            case _:
                changed = np.insert(changed, where, changed[where : where + 12])
        yield changed.tobytes()


def outcome(data):
    try:
        return None, decode_file(data, max_pixels=10**6)
    except InvalidTile as refusal:
        return refusal, None


@pytest.mark.parametrize("name", VALID)
def test_a_mutant_is_read_or_refused(name):
    rng = np.random.default_rng(sum(name.encode()))
    refused = 0
    tracemalloc.start()
    try:
        for data in mutants(VALID[name], rng):
            refusal, tile = outcome(data)
            if refusal is None:
                assert tile.grey.dtype == np.uint8
                assert tile.grey.ndim == 2
                assert min(tile.grey.shape) >= 16
                continue
            refused += 1
            assert refusal.reason in REASONS
            assert refusal.message.endswith(".")
            assert refusal.__suppress_context__ or refusal.__context__ is None
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    assert refused > 5


@pytest.mark.parametrize("name", VALID)
def test_a_whole_file_is_read(name):
    tile = decode_file(VALID[name])
    assert min(tile.grey.shape) >= 16
