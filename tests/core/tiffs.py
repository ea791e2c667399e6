"""TIFFs made by hand, of every kind of layout that instruments and their software write."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 16: 8}
ROOT = Path(__file__).parents[2]


def shared(folder):
    """A folder of real files, which are not part of the product; without them the test skips."""
    for base in (ROOT / "shared/data", ROOT.parent / "shared/data"):
        if (base / folder).is_dir():
            return base / folder
    pytest.skip(f"the real files of shared/data/{folder} are not here")
    return None


def craft(*pages, order="<", big=False):
    """A file of pages, each a dict of tags: code -> (type, values or bytes), and its pieces."""
    offset_kind = 16 if big else 4
    body = bytearray(16 if big else 8)
    directories = []
    for tags, pieces in pages:
        offsets = []
        for piece in pieces:
            offsets.append(len(body))
            body += piece
        tiled = 322 in tags
        full = {
            **tags,
            324 if tiled else 273: (offset_kind, offsets),
            325 if tiled else 279: (4, [len(piece) for piece in pieces]),
        }
        entries = []
        for code, (kind, values) in sorted(full.items()):
            raw = values if isinstance(values, bytes) else pack(order, kind, values)
            count = len(raw) // _SIZES[kind]
            if len(raw) > (8 if big else 4):
                at = len(body)
                body += raw
                raw = struct.pack(order + ("Q" if big else "I"), at)
            raw = raw.ljust(8 if big else 4, b"\0")
            entries.append(struct.pack(order + ("HHQ" if big else "HHI"), code, kind, count) + raw)
        directories.append(entries)
    at = [4] if not big else [8]
    for entries in directories:
        struct.pack_into(order + ("Q" if big else "I"), body, at[0], len(body))
        body += struct.pack(order + ("Q" if big else "H"), len(entries)) + b"".join(entries)
        at[0] = len(body)
        body += bytes(8 if big else 4)
    magic = b"II" if order == "<" else b"MM"
    head = magic + struct.pack(order + "H", 43 if big else 42)
    body[: len(head)] = head
    if big:
        body[4:8] = struct.pack(order + "HH", 8, 0)
    return bytes(body)


def pack(order, kind, values):
    letter = {1: "B", 3: "H", 4: "I", 5: "I", 16: "Q"}[kind]
    return struct.pack(f"{order}{len(values)}{letter}", *values)


def page(
    pixels,
    *,
    compression=NONE,
    predictor=1,
    tile=None,
    rows=None,
    planar=False,
    photometric=None,
    order="<",
    tags=None,
):
    """One page for `craft`: any array [h, w] or [h, w, samples]."""
    cube = pixels if pixels.ndim == 3 else pixels[..., None]
    height, width, samples = cube.shape
    planes = [cube[..., i : i + 1] for i in range(samples)] if planar else [cube]
    pieces = []
    for plane in planes:
        if tile:
            padded = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)))
            parts = [
                padded[y : y + tile, x : x + tile]
                for y in range(0, height, tile)
                for x in range(0, width, tile)
            ]
        else:
            parts = [plane[y : y + (rows or height)] for y in range(0, height, rows or height)]
        pieces += [compressed(part, compression, predictor, order) for part in parts]
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    made = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [8 * pixels.dtype.itemsize] * samples),
        259: (3, [compression]),
        262: (3, [photometric if photometric is not None else 2 if samples > 2 else 1]),
        277: (3, [samples]),
        284: (3, [2 if planar else 1]),
        317: (3, [predictor]),
        339: (3, [kind] * samples),
        **({322: (4, [tile]), 323: (4, [tile])} if tile else {278: (4, [rows or height])}),
        **({338: (3, [2])} if samples in (2, 4) else {}),
        **(tags or {}),
    }
    return made, pieces


def made(pixels, *, big=False, order="<", **options):
    return craft(page(pixels, order=order, **options), order=order, big=big)


def compressed(part, compression, predictor, order):
    height, width, samples = part.shape
    stored = part.astype(part.dtype.newbyteorder(order))
    if predictor == 2:
        unsigned = part.view(f"u{part.itemsize}")
        steps = np.diff(unsigned, axis=1, prepend=np.zeros_like(unsigned[:, :1]))
        stored = steps.astype(np.dtype(f"{order}u{part.itemsize}"))
    raw = stored.tobytes()
    if predictor == 3:
        high_first = part.astype(part.dtype.newbyteorder(">"))
        shape = (height, width * samples, part.itemsize)
        planes = np.frombuffer(high_first.tobytes(), np.uint8).reshape(shape).transpose(0, 2, 1)
        row = planes.reshape(height, part.itemsize * width, samples)
        raw = np.diff(row, axis=1, prepend=np.zeros_like(row[:, :1])).tobytes()
    if compression == DEFLATE:
        return zlib.compress(raw)
    if compression in (LZW, PACKBITS):
        return by_libtiff(np.frombuffer(raw, np.uint8).reshape(height, -1), compression)
    return raw


def by_libtiff(octets, compression):
    buffer = io.BytesIO()
    name = {LZW: "tiff_lzw", PACKBITS: "packbits"}[compression]
    Image.fromarray(octets).save(buffer, "TIFF", compression=name, tiffinfo={278: len(octets)})
    data = buffer.getvalue()
    with Image.open(io.BytesIO(data)) as saved:
        (start,), (length,) = saved.tag_v2[273], saved.tag_v2[279]
    return data[start : start + length]


def with_header(pixels, code, header, kind=2, **more):
    """A small picture with a vendor's header in a tag."""
    tags = {code: (kind, header), **more}
    return made(pixels, tags=tags)
