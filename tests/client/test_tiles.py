import io

import numpy as np
import pytest
from PIL import Image

from lotwise.client import tiles
from lotwise.client.tiles import Tile, TileReader
from lotwise.core.errors import InvalidRequest, InvalidTile
from lotwise.core.tile import InstrumentTags, TileMetadata
from lotwise.v1 import tile_pb2
from tests.support.tiles import png

MIB = 2**20


@pytest.fixture
def reader():
    return TileReader(MIB)


@pytest.fixture
def file(tmp_path, pictures):
    path = tmp_path / "one.png"
    path.write_bytes(png(pictures[0]))
    return path


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_path_goes_as_the_files_own_bytes_under_its_name(reader, file, kind):
    message = reader.read(kind(file)).message
    assert message.file == file.read_bytes()
    assert message.tile_id == "one.png"
    assert message.lot_id == ""
    assert not message.HasField("um_per_px")
    assert not message.HasField("instrument")


def test_bytes_go_as_a_file(reader):
    assert reader.read(b"anything").message.file == b"anything"


@pytest.mark.parametrize(
    ("dtype", "pixel_type"),
    [
        ("u1", tile_pb2.PIXEL_TYPE_UINT8),
        (">u2", tile_pb2.PIXEL_TYPE_UINT16),
        ("<f4", tile_pb2.PIXEL_TYPE_FLOAT32),
    ],
)
def test_an_array_goes_row_by_row_little_endian(reader, dtype, pixel_type):
    rows = np.arange(6).reshape(2, 3).astype(dtype)
    raw = reader.read(rows.T).message.raw  # not contiguous
    assert (raw.height, raw.width, raw.pixel_type) == (3, 2, pixel_type)
    wire = np.dtype(dtype).newbyteorder("<")
    assert np.frombuffer(raw.data, wire).tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "I;16"])
def test_a_pillow_image_goes_as_a_png_of_the_same_pixels(reader, mode):
    grey = Image.fromarray(np.arange(1024, dtype=np.uint16).reshape(32, 32))
    given = grey if mode == "I;16" else grey.point(lambda v: v / 4).convert("L").convert(mode)
    with Image.open(io.BytesIO(reader.read(given).message.file)) as sent:
        assert np.array_equal(np.asarray(sent), np.asarray(given))


def test_a_pillow_image_of_floats_goes_as_pixels(reader):
    given = Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16))
    assert reader.read(given).message.raw.pixel_type == tile_pb2.PIXEL_TYPE_FLOAT32


def test_a_png_that_pillow_opened_keeps_its_scale(reader, tmp_path, pictures):
    Image.fromarray(pictures[0]).save(tmp_path / "a.png", dpi=(25_400, 25_400))
    with (
        Image.open(tmp_path / "a.png") as opened,
        Image.open(io.BytesIO(reader.read(opened).message.file)) as sent,
    ):
        assert sent.info["dpi"] == pytest.approx((25_400, 25_400), rel=1e-4)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.int64), np.zeros((4, 4))]
)
def test_an_array_of_another_kind_is_refused(reader, pixels):
    with pytest.raises(InvalidTile) as refused:
        reader.read(pixels)
    assert refused.value.reason == "TILE_UNSUPPORTED_FORMAT"


def test_what_is_no_tile_is_a_mistake(reader):
    with pytest.raises(TypeError, match="not int"):
        reader.read(5)


def test_a_file_that_is_not_there_is_said_by_its_name(reader, tmp_path):
    with pytest.raises(InvalidTile, match=r"gone\.tif cannot be read") as refused:
        reader.read(tmp_path / "gone.tif")
    assert refused.value.reason == "TILE_EMPTY"


def test_a_file_above_the_limit_is_not_sent(file):
    with pytest.raises(InvalidTile) as refused:
        TileReader(file.stat().st_size - 1).read(file)
    assert refused.value.reason == "TILE_TOO_LARGE"
    assert TileReader(file.stat().st_size).read(file).message.file


def test_a_tile_says_more_than_its_picture(reader, file):
    message = reader.read(
        Tile(file, "t", "L", 0.5, 2, 3, InstrumentTags(detector="SE", beam_energy_kev=5.0))
    ).message
    assert (message.tile_id, message.lot_id, message.um_per_px) == ("t", "L", 0.5)
    assert (message.row, message.column) == (2, 3)
    assert (message.instrument.detector, message.instrument.beam_energy_kev) == ("SE", 5.0)
    assert not message.instrument.HasField("magnification")


def test_lot_json_beside_a_file_names_lot_scale_and_simulation(reader, file):
    (file.parent / "lot.json").write_text('{"lot_id": "B", "um_per_px": 2, "simulated": true}')
    prepared = reader.read(file)
    assert (prepared.message.lot_id, prepared.message.um_per_px) == ("B", 2.0)
    assert prepared.simulated


def test_what_is_stated_nearer_goes_first(monkeypatch, file):
    monkeypatch.setattr(tiles, "read_sidecar", lambda path: TileMetadata(um_per_px=4.0))
    assert TileReader(MIB).read(file).message.um_per_px == 4.0
    (file.parent / "lot.json").write_text('{"lot_id": "B", "um_per_px": 3}')
    assert TileReader(MIB).read(file).message.um_per_px == 3.0
    of_call = TileReader(MIB, "C", 2.0)
    assert of_call.read(file).message.um_per_px == 2.0
    assert of_call.read(file).message.lot_id == "C"
    assert of_call.read(Tile(file, lot_id="D", um_per_px=1.0)).message.um_per_px == 1.0
    assert of_call.read(Tile(file, lot_id="D")).message.lot_id == "D"


def test_the_instruments_sidecar_goes_with_the_tile(monkeypatch, reader, file):
    asked = []

    def beside(path):
        asked.append(path)
        return TileMetadata(instrument=InstrumentTags(model="VEGA", working_distance_mm=9.5))

    monkeypatch.setattr(tiles, "read_sidecar", beside)
    message = reader.read(file).message
    assert asked == [file]
    assert (message.instrument.model, message.instrument.working_distance_mm) == ("VEGA", 9.5)


def test_a_lot_json_that_is_wrong_is_named(reader, file):
    (file.parent / "lot.json").write_text('{"um_per_px": -1}')
    with pytest.raises(InvalidRequest, match="um_per_px"):
        reader.read(file)


def test_many_tiles_are_named_and_their_errors_kept(reader, file):
    assert reader.read_or_say(file, 7).tile_id == "one.png"
    assert reader.read_or_say(b"x", 7).message.tile_id == "tile-7"
    assert reader.read_or_say(Tile(b"x", "own"), 7).message.tile_id == "own"
    missing = reader.read_or_say("nowhere/two.png", 8)
    assert (missing.tile_id, missing.message) == ("two.png", None)
    assert missing.error.reason == "TILE_EMPTY"
