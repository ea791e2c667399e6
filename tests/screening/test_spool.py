"""The instruments' spool: on disk whole or not at all, and a lot's tiles never mixed up."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from lotwise.core.errors import InvalidRequest, InvalidTile
from lotwise.core.lot_sidecar import COMPLETE
from lotwise.screening import spool as spool_module
from lotwise.screening.sources import open_source
from lotwise.screening.spool import Spool

GREY = np.arange(48 * 32, dtype=np.uint16).reshape(48, 32)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


def test_pixels_are_kept_as_they_are_with_their_place(spool):
    path = spool.add(GREY, lot_id="A12", row=3, column=12, um_per_px=0.5)
    assert path.name == "r0003_c0012.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), GREY)
    assert json.loads((path.parent / "lot.json").read_text())["um_per_px"] == 0.5
    (tile,) = open_source(str(path.parent)).found()
    assert (tile.row, tile.column) == (3, 12)


@pytest.mark.parametrize(("form", "ending"), [("PNG", ".png"), ("TIFF", ".tif"), ("BMP", ".bmp")])
def test_files_keep_their_bytes(spool, form, ending):
    buffer = io.BytesIO()
    Image.fromarray(GREY.astype(np.uint8)).save(buffer, format=form)
    path = spool.add(buffer.getvalue(), lot_id="A", row=0, column=0)
    assert path.suffix == ending
    assert path.read_bytes() == buffer.getvalue()


def test_a_tile_that_is_added_again_is_written_once(spool):
    first = spool.add(GREY, lot_id="A", row=0, column=0)
    before = first.stat().st_mtime_ns
    assert spool.add(GREY, lot_id="A", row=0, column=0) == first
    assert first.stat().st_mtime_ns == before
    with pytest.raises(InvalidRequest) as refused:
        spool.add(GREY + 1, lot_id="A", row=0, column=0)
    assert refused.value.reason == "LOT_CONTRADICTORY"


def test_nothing_is_added_to_a_complete_lot(spool):
    spool.add(GREY, lot_id="A", row=0, column=0)
    spool.complete("A")
    spool.complete("A")
    assert (spool.folder / "A" / COMPLETE).exists()
    spool.add(GREY, lot_id="A", row=0, column=0)  # it is there already
    with pytest.raises(InvalidRequest, match="is complete"):
        spool.add(GREY, lot_id="A", row=0, column=1)


def test_a_lot_has_one_scale(spool):
    spool.add(GREY, lot_id="A", row=0, column=0, um_per_px=0.5)
    with pytest.raises(InvalidRequest) as refused:
        spool.add(GREY, lot_id="A", row=0, column=1, um_per_px=0.25)
    assert refused.value.reason == "LOT_CONTRADICTORY"


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "a/b", "a\x00b", "Größe 7", ".."])
def test_no_name_of_a_lot_leads_out_of_the_spool(spool, name):
    path = spool.add(GREY, lot_id=name, row=0, column=0)
    assert path.parent.parent == spool.folder
    assert path.resolve().is_relative_to(spool.folder.resolve())
    assert open_source(str(path.parent)).name == name
    assert not path.parent.name.startswith(".")


def test_names_that_are_replaced_alike_stay_apart(spool):
    folders = {spool.begin(name) for name in ("a b", "a_b", "a/b")}
    assert len(folders) == 3


@pytest.mark.parametrize("name", ["", "  "])
def test_a_lot_needs_a_name(spool, name):
    with pytest.raises(InvalidRequest) as refused:
        spool.begin(name)
    assert refused.value.reason == "LOT_MISSING"
    with pytest.raises(InvalidRequest):
        spool.complete("never begun")


@pytest.mark.parametrize(
    "picture", [b"", GREY.astype(np.float32), np.zeros((4, 4, 3), np.uint8), GREY[:0]]
)
def test_what_is_no_picture_is_refused(spool, picture):
    with pytest.raises(InvalidTile):
        spool.add(picture, lot_id="A", row=0, column=0)


def test_a_full_disk_leaves_nothing_half_written(spool, monkeypatch):
    spool.begin("A")
    monkeypatch.setattr(spool_module.os, "fsync", _full)
    with pytest.raises(OSError, match="No space left"):
        spool.add(GREY, lot_id="A", row=0, column=0)
    assert [each.name for each in (spool.folder / "A").iterdir()] == ["lot.json"]


def _full(_):
    raise OSError(28, "No space left on device")
