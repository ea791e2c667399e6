"""Tiles of a laboratory's own folder are read once."""

import shutil

import numpy as np
import PIL
import pytest

from lotwise.core.signature import TileGeometry
from tests.core.headers import JEOL
from tests.support.lot_folders import grey, lots_csv, read, refused, two_lots, write


@pytest.fixture
def root(tmp_path):
    return two_lots(tmp_path / "laboratory")


# The cache


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def kept(cache):
    return {path.name: path for path in cache.iterdir()}


def test_what_was_read_is_not_read_again(root, cache, capsys):
    (root / "A/3.png").write_bytes(b"text")
    first = read(root, cache=cache)
    assert "read the pictures" in capsys.readouterr().err
    again = read(root, cache=cache)
    assert capsys.readouterr().err == ""
    assert again.dataset.version == first.dataset.version == read(root).dataset.version
    assert again.unreadable == first.unreadable
    assert [each.path for each in again.unreadable] == [root / "A/3.png"]
    np.testing.assert_array_equal(again.dataset.images, first.dataset.images)
    assert len(kept(cache)) == 1


def test_a_folder_that_was_moved_is_known_again(root, cache, capsys):
    (root / "A/3.png").write_bytes(b"text")
    read(root, cache=cache)
    moved = root.rename(root.with_name("moved"))
    capsys.readouterr()
    assert [each.path for each in read(moved, cache=cache).unreadable] == [moved / "A/3.png"]
    assert capsys.readouterr().err == ""


CHANGES = {
    "picture": lambda root: write(root / "A/1.png", grey(9)),
    "new picture": lambda root: write(root / "A/3.png", grey(9)),
    "one less": lambda root: (root / "A/2.png").unlink(),
    "renamed": lambda root: (root / "A/2.png").rename(root / "A/0.png"),
    "to another lot": lambda root: (root / "B/3.png").rename(root / "A/0.png"),
    "table": lambda root: lots_csv(root, "lot_id,recipe\nB,1\nA,1\n"),
    "lot.json": lambda root: (root / "A/lot.json").write_text('{"um_per_px": 1.0}'),
    "tiles.csv": lambda root: (root / "A/tiles.csv").write_text("file\n1.png\n2.png\n"),
    "sidecar": lambda root: (root / "A/1.txt").write_bytes(JEOL),
    "link": lambda root: (root / "A/3.png").symlink_to("gone.png"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_read_anew(root, cache, change):
    read(root, cache=cache)
    CHANGES[change](root)
    after = read(root, cache=cache)
    assert len(kept(cache)) == 2
    uncached = read(root)
    assert after.dataset.version == uncached.dataset.version
    assert after.unreadable == uncached.unreadable


def test_a_picture_that_went_to_the_next_lot_is_read_anew(root, cache):
    for name in ("1", "2"):
        (root / f"A/{name}.png").rename(root / f"A/{name}0.png")
    (root / "B/3.png").rename(root / "B/09.png")
    (root / "B/1.png").rename(root / "B/00.png")
    (root / "B/2.png").rename(root / "B/01.png")
    read(root, cache=cache)
    # Without their folders, names and contents follow each other as before.
    (root / "B/09.png").rename(root / "A/09.png")
    assert read(root, cache=cache).dataset.lots.tolist() == [0, 0, 1, 1, 1]


def test_another_geometry_or_decoder_is_read_anew(root, cache, monkeypatch):
    read(root, cache=cache)
    read(root, TileGeometry(px=32, um_per_px=2), cache=cache)
    assert len(kept(cache)) == 2
    monkeypatch.setattr(PIL, "__version__", "0.0")
    read(root, cache=cache)
    assert len(kept(cache)) == 3


def test_a_folder_is_checked_even_if_its_tiles_are_kept(root, cache):
    read(root, cache=cache)
    write(root / "C/1.png", grey(9))
    assert refused(root, cache=cache)[0] == "LOT_UNLISTED"


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:300], lambda data: b"PK"])
def test_a_damaged_cache_is_replaced(root, cache, damage):
    expected = read(root, cache=cache).dataset.version
    (path,) = kept(cache).values()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert read(root, cache=cache).dataset.version == expected
    assert path.read_bytes() == whole


def test_what_is_kept_needs_no_pickle(root, cache):
    read(root, cache=cache)
    (path,) = kept(cache).values()
    with np.load(path, allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.kind for name in arrays.files} == {
            "images": "u",
            "lots": "i",
            "regions": "i",
            "positions": "i",
            "unreadable": "U",
        }


def test_nothing_is_kept_of_a_refused_laboratory(root, cache):
    shutil.copy(root / "A/1.png", root / "A/2.png")
    assert refused(root, cache=cache)[0] == "TILE_DUPLICATE"
    assert not cache.exists()
