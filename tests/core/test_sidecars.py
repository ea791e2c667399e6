import shutil

import numpy as np
import pytest

from lotwise.core.sidecars import read_sidecar
from lotwise.core.tile import InstrumentTags, TileMetadata
from tests.core.headers import FEI, JEOL, TESCAN_HDR
from tests.core.images import encoded

GREY = np.random.default_rng(5).integers(0, 256, (64, 80), dtype=np.uint8)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "tile 1.tif"
    path.write_bytes(encoded(GREY, "TIFF"))
    return path


def test_without_a_sidecar_nothing_is_said(image):
    assert read_sidecar(image) is None
    assert read_sidecar(image.with_name("nowhere.tif")) is None


@pytest.mark.parametrize(
    ("name", "text", "um_per_px", "detector"),
    [
        ("tile 1.hdr", TESCAN_HDR, 0.0015625, "E-T"),
        ("tile 1-tif.hdr", TESCAN_HDR, 0.0015625, "E-T"),
        ("tile 1.tif.hdr", TESCAN_HDR, 0.0015625, "E-T"),
        ("tile 1.HDR", TESCAN_HDR, 0.0015625, "E-T"),
        ("tile 1.txt", JEOL, 10 / 53, "SEI"),
        ("tile 1.TXT", JEOL, 10 / 53, "SEI"),
        ("tile 1.INI", FEI, 1.25, "ETD"),
    ],
)
def test_each_kind_is_found_and_read(image, name, text, um_per_px, detector):
    image.with_name(name).write_bytes(text)
    said = read_sidecar(image)
    assert said.um_per_px == pytest.approx(um_per_px)
    assert said.instrument.detector == detector


def test_other_files_say_nothing(image):
    for name, text in (
        ("tile 1.txt", b"notes of the day\nWD 5 mm\n"),
        ("tile 1.hdr", b"\0\1\2" * 100),
        ("tile 1.ini", b""),
        ("tile 2.txt", JEOL),
    ):
        image.with_name(name).write_bytes(text)
    assert read_sidecar(image) is None
    (image.parent / "tile 1.INI").mkdir()
    assert read_sidecar(image) is None


def test_a_sidecar_of_a_picture_of_another_width_gives_no_scale(image):
    image.with_name("tile 1.ini").write_bytes(FEI)
    assert read_sidecar(image).um_per_px == 1.25
    for ending, kind in ((".tif", "TIFF"), (".png", "PNG"), (".bmp", "BMP")):
        other = image.with_name(f"tile 1{ending}")
        other.write_bytes(encoded(np.kron(GREY, np.ones((2, 2), np.uint8)), kind))
        assert read_sidecar(other).um_per_px is None
        assert read_sidecar(other).instrument.detector == "ETD"
    broken = image.with_name("tile 1.jpg")
    broken.write_bytes(b"no picture")
    assert read_sidecar(broken).um_per_px == 1.25


def test_a_huge_sidecar_is_read_as_far_as_a_header_goes(image):
    with image.with_name("tile 1.txt").open("wb") as file:
        file.write(JEOL)
        file.write(b"$CM_MAG 9\n" * 2_000_000)
    assert read_sidecar(image).instrument.magnification == 500
    image.with_name("tile 1.txt").write_bytes(b"x" * (2**20) + JEOL)
    assert read_sidecar(image) is None


@pytest.mark.parametrize(("ending", "text"), [(".hdr", TESCAN_HDR), (".txt", JEOL), (".ini", FEI)])
def test_a_broken_sidecar_never_raises(image, ending, text):
    rng = np.random.default_rng(sum(text))
    for _ in range(60):
        octets = np.frombuffer(text, np.uint8).copy()
        octets[rng.integers(0, len(octets), 6)] = rng.integers(0, 256, 6)
        image.with_suffix(ending).write_bytes(octets[: rng.integers(1, len(octets))].tobytes())
        said = read_sidecar(image)
        assert said is None or said.um_per_px is None or 0 < said.um_per_px < 1e5


def test_the_fixed_fields_alone_are_kept(image):
    assert set(vars(TileMetadata())) == {"um_per_px", "instrument"}
    assert set(vars(InstrumentTags())) == {
        "manufacturer",
        "model",
        "detector",
        "beam_energy_kev",
        "working_distance_mm",
        "magnification",
    }
    shutil.copy(image, image.with_name("copy.tif"))
    assert read_sidecar(image.with_name("copy.tif")) is None
