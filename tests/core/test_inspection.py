import numpy as np
import pytest

from lotwise.core.decoding import decode_file
from lotwise.core.errors import InvalidTile
from lotwise.core.inspection import Inspection, inspect_file
from lotwise.core.tile import InstrumentTags
from tests.core.headers import FEI, JEOL
from tests.core.images import encoded
from tests.core.test_data_bar import bar, micrograph
from tests.core.tiffs import made, with_header

GREY = np.random.default_rng(5).integers(0, 256, (64, 80), dtype=np.uint8)


def test_a_file_is_said_as_the_decoder_reads_it(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(with_header(GREY, 34682, FEI))
    found = inspect_file(path)
    tile = decode_file(path.read_bytes())
    assert found == Inspection(
        format="TIFF (uncompressed, 8 bit)",
        width=80,
        height=64,
        um_per_px=tile.um_per_px,
        scale_source="FEI/Thermo tag 34682",
        instrument=tile.instrument,
        data_bar_px=0,
        sidecar=None,
        stretched=False,
        doubts=(),
    )


def test_a_sidecars_word_goes_before_the_files_own(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(with_header(GREY, 34682, FEI))
    path.with_suffix(".txt").write_bytes(JEOL.replace(b"$CM_MAG 500", b""))
    found = inspect_file(path)
    assert found.um_per_px == pytest.approx(10 / 53)
    assert found.scale_source == "JEOL .txt"
    assert found.sidecar == path.with_suffix(".txt")
    assert found.instrument.manufacturer == "JEOL"
    assert found.instrument.magnification == 1280  # which the sidecar does not say


def test_the_height_is_with_the_data_bar(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(np.vstack([micrograph(), bar()])))
    found = inspect_file(path)
    assert (found.height, found.data_bar_px) == (424, 40)
    assert (found.um_per_px, found.scale_source) == (None, None)
    assert found.instrument == InstrumentTags()


def test_what_makes_a_reader_doubt_is_told(tmp_path):
    path = tmp_path / "a.tif"
    skewed = FEI.replace(b"PixelHeight=1.25", b"PixelHeight=1.5")
    path.write_bytes(made(GREY.astype(np.int32), tags={34682: (2, skewed)}))
    found = inspect_file(path)
    assert found.stretched
    assert len(found.doubts) == 1
    assert "not square" in found.doubts[0]


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("PNG", {}, "PNG (8 bit)"),
        ("JPEG", {}, "JPEG (8 bit)"),
        ("BMP", {}, "BMP (8 bit)"),
        ("TIFF", {"compression": "tiff_lzw"}, "TIFF (LZW, 8 bit)"),
    ],
)
def test_the_format_is_named(tmp_path, kind, options, said):
    path = tmp_path / "a"
    path.write_bytes(encoded(GREY, kind, **options))
    assert inspect_file(path).format == said


def test_refusals_are_the_decoders_and_black_is_none(tmp_path):
    path = tmp_path / "a"
    for data, reason, limits in (
        (b"", "TILE_EMPTY", {}),
        (b"no picture", "TILE_UNSUPPORTED_FORMAT", {}),
        (encoded(GREY)[:200], "TILE_TRUNCATED", {}),
        (encoded(GREY), "TILE_TOO_LARGE", {"max_bytes": 99}),
        (encoded(GREY), "TILE_DECOMPRESSION_BOMB", {"max_pixels": 99}),
    ):
        path.write_bytes(data)
        with pytest.raises(InvalidTile) as refused:
            inspect_file(path, **limits)
        assert refused.value.reason == reason
    path.write_bytes(encoded(np.zeros_like(GREY)))
    assert inspect_file(path).width == 80
    with pytest.raises(OSError, match="No such file"):
        inspect_file(tmp_path / "nowhere")
