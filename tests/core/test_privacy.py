"""Headers name people. Nothing that leaves the readers does: no value, no error, no log line."""

import io
import logging
import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from lotwise.core.decoding import decode_file
from lotwise.core.errors import InvalidTile
from lotwise.core.inspection import inspect_file
from lotwise.core.sidecars import find_sidecar, read_sidecar
from tests.core.headers import FEI, JEOL, NAMES, TAGGED, TESCAN_HDR
from tests.core.images import encoded
from tests.core.tiffs import made, shared

GREY = np.random.default_rng(5).integers(0, 256, (64, 80), dtype=np.uint8)
# As they stand in the headers of the real files.
REAL_NAMES = ("Supervisor", "user_", "nx_user", "nxuser", "Nexus User", "GUEST", "julie", "GENERAL")
REAL_NAMES += ("xxxx", "NorFab", "CONSOLE18", "HPN4-MPC", "SV337-MPC")


@pytest.fixture
def said(caplog, capfd):
    """Everything that was returned, raised, logged or printed."""
    caplog.set_level(logging.DEBUG)
    for name in ("PIL", "PIL.TiffImagePlugin", "PIL.PngImagePlugin", "tifffile"):
        caplog.set_level(logging.DEBUG, logger=name)
    heard = []

    def run(call, *args):
        try:
            heard.append(repr(call(*args)))
        except InvalidTile as error:
            heard.append(f"{error!r} {error.message}")
        printed = capfd.readouterr()
        return "\n".join([*heard, caplog.text, printed.out, printed.err])

    return run


def assert_nobody(text, names=NAMES):
    for name in names:
        assert name not in text


@pytest.mark.parametrize("vendor", TAGGED)
def test_no_reader_lets_a_name_out(said, tmp_path, vendor):
    code, kind, header, _ = TAGGED[vendor]
    assert NAMES[0].encode() in header
    whole = made(GREY, tags={code: (kind, header), 315: (2, NAMES[0].encode())})
    path = tmp_path / "a.tif"
    for data in (whole, whole[: len(whole) // 2], whole.replace(b"\x01\x01\x04", b"\x01\x01\x63")):
        assert_nobody(said(decode_file, data))
        path.write_bytes(data)
        assert_nobody(said(inspect_file, path))
    # A line that the reader takes for a value, broken off or of a wrong kind.
    for cut in range(0, len(header), 37):
        assert_nobody(said(decode_file, made(GREY, tags={code: (kind, header[: cut or 1])})))


def test_no_sidecar_lets_a_name_out(said, tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(encoded(GREY))
    for ending, text in ((".hdr", TESCAN_HDR), (".txt", JEOL), (".ini", FEI)):
        beside = image.with_suffix(ending)
        beside.write_bytes(text)
        assert read_sidecar(image) is not None
        assert_nobody(said(read_sidecar, image))
        assert_nobody(said(find_sidecar, image))
        assert_nobody(said(inspect_file, image))
        beside.unlink()


def test_other_formats_do_not_let_a_name_out(said):
    exif = Image.Exif()
    exif[315], exif[274], exif[282] = NAMES[0], 6, 72.0
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", NAMES[0])
    text.add_itxt("Operator", NAMES[1])
    for data in (
        encoded(GREY, "JPEG", exif=exif, comment=NAMES[0].encode()),
        encoded(GREY, "PNG", exif=exif, pnginfo=text),
        encoded(GREY, "JPEG", exif=exif)[:300],
    ):
        assert_nobody(said(decode_file, data))
    broken = bytearray(encoded(GREY, "JPEG", exif=exif))
    at = broken.index(NAMES[0].encode())
    broken[at - 40 : at - 30] = b"\xff" * 10
    assert_nobody(said(decode_file, bytes(broken)))


def test_what_pillow_writes_of_a_tag_to_its_debug_log_is_kept_back(caplog):
    caplog.set_level(logging.DEBUG, logger="PIL.TiffImagePlugin")
    data = made(GREY, tags={315: (2, NAMES[0].encode())})
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.tag_v2[315] == NAMES[0]
    assert NAMES[0] not in caplog.text


def test_a_title_that_a_writer_put_in_front_is_not_quoted(said):
    for data in (NAMES[0].encode() * 9, struct.pack("<4sI", b"II*\0", 99) + NAMES[0].encode() * 9):
        assert_nobody(said(decode_file, data))


def test_the_real_files_name_nobody(said):
    seen = 0
    for path in sorted(shared("vendor_files").rglob("*.*")):
        if path.suffix in (".tif", ".bmp"):
            text = said(inspect_file, path).replace(str(path.parent), "")
            assert_nobody(text, REAL_NAMES)
            seen += 1
    assert seen >= 17
