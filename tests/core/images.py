"""Image files for the tests of decoding, good and bad."""

import io
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image

GREY = np.random.default_rng(0).integers(0, 256, (32, 48), dtype=np.uint8)
RGB = np.stack([GREY] * 3, axis=-1)
WIDE_GREY = GREY.astype(np.uint16) * 257


def encoded(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def tiff(image, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, **options)
    return buffer.getvalue()


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
