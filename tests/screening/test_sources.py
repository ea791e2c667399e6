"""Where tiles lie: folders, patterns, archives; and where in the mosaic, by their names."""

import hashlib
import tarfile
import zipfile

import pytest

from lotwise.core.errors import InvalidRequest
from lotwise.screening.sources import open_source, place_of

FILES = {"r0_c0.png": b"first", "r0_c1.png": b"second", "r1_c0.png": b"first"}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "lot 7"
    made.mkdir()
    for name, content in FILES.items():
        (made / name).write_bytes(content)
    (made / "lot.json").write_text('{"lot_id": "L7", "um_per_px": 0.5, "simulated": true}')
    (made / "notes.txt").write_text("no tile")
    (made / ".r9_c9.png").write_bytes(b"still written")
    (made / "inner").mkdir()
    return made


def packed(folder, path):
    """An archive of a folder."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for each in sorted(folder.iterdir()):
                if each.is_file():
                    archive.write(each, f"tiles/{each.name}")
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, "tiles")
    return path


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("r003_c012.tif", (3, 12)),
        ("lot7_row3_col12.png", (3, 12)),
        ("lot7-R3-C12.TIF", (3, 12)),
        ("x12_y3.png", (3, 12)),
        ("Y3X12.bmp", (3, 12)),
        ("tile_3_12.png", (3, 12)),
        ("lot7 r3c12 final.png", (3, 12)),
        ("A12-0003.png", (None, None)),
        ("microscope1c2.png", (None, None)),
        ("r99999999_c1.png", (None, None)),
    ],
)
def test_names_say_where_a_tile_lies(name, place):
    assert place_of(name) == place


def test_a_folder_is_listed_with_hashes_and_places(folder):
    source = open_source(str(folder))
    assert (source.name, source.um_per_px, source.simulated) == ("L7", 0.5, True)
    assert source.source == str(folder.resolve())
    tiles = list(source.found())
    assert [tile.tile_id for tile in tiles] == sorted(FILES)
    assert [(tile.row, tile.column) for tile in tiles] == [(0, 0), (0, 1), (1, 0)]
    for tile in tiles:
        assert tile.sha256 == hashlib.sha256(FILES[tile.path]).hexdigest()
        assert tile.bytes == len(FILES[tile.path])
        assert source.read(tile.path) == FILES[tile.path]
    assert source.unreadable == []


@pytest.mark.parametrize("name", ["batch.zip", "batch.tar.gz", "batch.tgz"])
def test_an_archive_says_what_its_folder_says(folder, tmp_path, name):
    source = open_source(str(packed(folder, tmp_path / name)))
    plain = open_source(str(folder))
    assert (source.name, source.um_per_px, source.simulated) == ("L7", 0.5, True)
    found, wanted = list(source.found()), list(plain.found())
    assert [tile.sha256 for tile in found] == [tile.sha256 for tile in wanted]
    assert [tile.tile_id for tile in found] == [tile.tile_id for tile in wanted]
    assert [source.read(tile.path) for tile in found] == [FILES[t.tile_id] for t in found]
    assert source.beside(found[0].path) is None


def test_an_archive_without_a_lots_file_is_named_after_itself(folder, tmp_path):
    (folder / "lot.json").unlink()
    source = open_source(str(packed(folder, tmp_path / "A12.tar.gz")), 0.25)
    assert (source.name, source.um_per_px, source.simulated) == ("A12", 0.25, False)


def test_a_pattern_names_some_files_of_a_folder(folder):
    source = open_source(f"{folder}/r0_*.png")
    assert source.name == "L7"
    assert [tile.tile_id for tile in source.found()] == ["r0_c0.png", "r0_c1.png"]


def test_a_file_that_goes_away_is_empty_not_an_error(folder):
    source = open_source(str(folder))
    (folder / "r0_c0.png").unlink()
    assert source.read("r0_c0.png") == b""


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda tmp: tmp / "nowhere", "LOT_MISSING"),
        (lambda tmp: tmp / "nowhere" / "*.png", "LOT_MISSING"),
        (lambda tmp: _written(tmp / "tile.png", b"x"), "LOT_MISSING"),
        (lambda tmp: _written(tmp / "damaged.zip", b"PK\x03\x04 no archive"), "ARCHIVE_INVALID"),
        (lambda tmp: _written(tmp / "damaged.tar.gz", b"\x1f\x8b no archive"), "ARCHIVE_INVALID"),
        (lambda tmp: tmp / "*.tif", "LOT_EMPTY"),
    ],
)
def test_what_is_no_source_is_said(tmp_path, make, reason):
    with pytest.raises(InvalidRequest) as refused:
        list(open_source(str(make(tmp_path))).found())
    assert refused.value.reason == reason


def _written(path, content):
    path.write_bytes(content)
    return path


def test_a_damaged_member_is_listed_and_the_others_are_found(folder, tmp_path):
    path = packed(folder, tmp_path / "batch.zip")
    content = path.read_bytes()
    at = content.index(b"second")
    path.write_bytes(content[:at] + b"SECOND" + content[at + 6 :])
    source = open_source(str(path))
    assert [tile.tile_id for tile in source.found()] == ["r0_c0.png", "r1_c0.png"]
    (bad,) = source.unreadable
    assert bad.path == "tiles/r0_c1.png"
    assert "CRC" in bad.why
