import json

import pytest

from lotwise.core.errors import InvalidRequest
from lotwise.screening.folder import read_lot_folder


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.tif", "c"):
        (tmp_path / name).write_bytes(b"tile")
    for name in (".hidden.png", "tiles.csv", "readme.txt"):
        (tmp_path / name).write_bytes(b"no tile")
    (tmp_path / "folder").mkdir()
    return tmp_path


def test_tiles_come_in_the_order_of_their_names_without_sidecars(folder):
    lot = read_lot_folder(folder)
    assert [path.name for path in lot.tiles] == ["a.tif", "b.png", "c"]
    assert lot.lot_id == folder.name
    assert lot.um_per_px is None
    assert not lot.simulated


def test_a_sidecar_names_the_lot_and_its_scale(folder):
    sidecar = {"lot_id": "AS-12", "um_per_px": 0.256, "simulated": True}
    (folder / "lot.json").write_text(json.dumps(sidecar))
    lot = read_lot_folder(folder)
    assert (lot.lot_id, lot.um_per_px, lot.simulated) == ("AS-12", 0.256, True)
    assert read_lot_folder(folder, um_per_px=0.5).um_per_px == 0.5


def test_what_is_no_lot_is_refused_with_its_reason(folder):
    empty = folder / "folder"
    for path, reason in ((folder / "nowhere", "LOT_MISSING"), (empty, "LOT_EMPTY")):
        with pytest.raises(InvalidRequest) as refused:
            read_lot_folder(path)
        assert refused.value.reason == reason
    (folder / "lot.json").write_text('{"um_per_px": -1}')
    with pytest.raises(InvalidRequest) as refused:
        read_lot_folder(folder)
    assert refused.value.reason == "LOT_SIDECAR_INVALID"
    assert "um_per_px" in refused.value.message
