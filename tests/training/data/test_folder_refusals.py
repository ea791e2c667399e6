"""What is refused of a laboratory's own folder, and which pictures are of one region."""

import shutil

import pytest

from tests.core.images import tiff
from tests.support.lot_folders import grey, lots_csv, read, refused, two_lots, write


@pytest.fixture
def root(tmp_path):
    return two_lots(tmp_path / "laboratory")


# What is refused

TABLES = {
    "no lots": ("lot_id,recipe\n", "LOTS_TABLE_INVALID", "no rows"),
    "nothing": ("", "LOTS_TABLE_INVALID", "row 1"),
    "no lot_id": ("lot,recipe\nA,A\n", "LOTS_TABLE_INVALID", "lot_id"),
    "semicolons": ("lot_id;recipe\nA;A\n", "LOTS_TABLE_INVALID", "commas"),
    "column twice": ("lot_id,size,size\nA,1,1\n", "LOTS_TABLE_INVALID", "once"),
    "short row": ("lot_id,recipe,size\nA,A,1\nB,B\n", "LOTS_TABLE_INVALID", "row 3"),
    "long row": ("lot_id,recipe\nA,a,b\n", "LOTS_TABLE_INVALID", "row 2"),
    "cell of no column": ("lot_id,,size\nA,7,1\n", "LOTS_TABLE_INVALID", "row 2"),
    "open quote": ('lot_id,recipe\nA,"x\n', "LOTS_TABLE_INVALID", "lots.csv"),
    "value of nothing": ("lot_id,value\nA,12\n", "LOTS_TABLE_INVALID", "row 2"),
    "twice": ("lot_id\nA\nB\nA\n", "LOT_DUPLICATE", "row 4: lot A is in row 2"),
    "empty id": ("lot_id,recipe\n,A\n", "LOT_ID_INVALID", "row 2"),
    "above": ("lot_id\nA\n../A\n", "LOT_ID_INVALID", "row 3"),
    "parent": ("lot_id\n..\n", "LOT_ID_INVALID", "row 2"),
    "here": ("lot_id\n.\n", "LOT_ID_INVALID", "row 2"),
    "absolute": ("lot_id\n/etc\n", "LOT_ID_INVALID", "row 2"),
    "path": ("lot_id\nA/B\n", "LOT_ID_INVALID", "row 2"),
    "Windows path": ("lot_id\n..\\A\n", "LOT_ID_INVALID", "row 2"),
    "Windows drive": ("lot_id\nC:\\A\n", "LOT_ID_INVALID", "row 2"),
    "control": ("lot_id\nA\x07\n", "LOT_ID_INVALID", "row 2"),
    "missing": ("lot_id\nA\nB\nC\n", "LOT_MISSING", "lists lot C"),
    "unlisted": ("lot_id\nA\n", "LOT_UNLISTED", "no lot B"),
    "two names": (
        "lot_id,property,value\nA,stress,1\nB,hardness,1\n", "PROPERTY_MIXED", "row 3: hardness"),
    "two units": (
        "lot_id,property,value,unit\nA,s,1,psi\nB,s,1,MPa\n", "PROPERTY_MIXED", "s in 'MPa'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_that_cannot_be_trusted_is_refused(root, kind):
    text, reason, words = TABLES[kind]
    lots_csv(root, text)
    given, message = refused(root)
    assert given == reason
    assert words in message
    assert "lots.csv" in message


@pytest.mark.parametrize("value", ["strong", "12,5", "nan", "inf", "-inf", "1_000"])
def test_a_value_that_is_no_number_is_refused(root, value):
    lots_csv(root, f'lot_id,property,value,unit\nA,stress,1,psi\nB,stress,"{value}",psi\n')
    reason, message = refused(root)
    assert reason == "PROPERTY_NOT_NUMERIC"
    assert f"lots.csv, row 3: the value {value!r}" in message


@pytest.mark.parametrize("score", ["high", "1.01", "-0.1", "nan", "inf", "0,5"])
def test_a_score_that_is_no_number_from_0_to_1_is_refused(root, score):
    lots_csv(root, f'lot_id,size\nA,"{score}"\nB,\n')
    reason, message = refused(root)
    assert reason == "ATTRIBUTE_INVALID"
    assert f"lots.csv, row 2: size is {score!r}" in message


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_table_in_another_encoding_is_refused(root, encoding):
    (root / "lots.csv").write_bytes("lot_id,recipe\nA,grün\n".encode(encoding))
    reason, message = refused(root)
    assert reason == "LOTS_TABLE_INVALID"
    assert "UTF-8" in message


@pytest.mark.parametrize("folder", ["laboratory", "gone"])
def test_a_missing_table_is_named(root, folder):
    (root / "lots.csv").unlink()
    reason, message = refused(root.parent / folder)
    assert reason == "LOTS_TABLE_MISSING"
    assert str(root.parent / folder / "lots.csv") in message


def test_a_folder_without_pictures_need_not_be_listed(root):
    (root / "reports").mkdir()
    (root / "reports/summary.docx").write_bytes(b"text")
    write(root / ".thumbnails/1.png", grey(9))
    assert len(read(root).dataset) == 5


def test_a_lot_without_a_picture_that_can_be_used_is_refused(root):
    for name in ("1", "2"):
        (root / f"A/{name}.png").write_bytes(b"text")
    reason, message = refused(root)
    assert reason == "LOT_EMPTY"
    assert "None of the 2 pictures" in message
    assert "1.png: TILE_UNSUPPORTED_FORMAT" in message
    for name in ("1", "2"):
        (root / f"A/{name}.png").unlink()
    reason, message = refused(root)
    assert reason == "LOT_EMPTY"
    assert "None of the 0 pictures" in message


@pytest.mark.parametrize("second", ["A/2.png", "B/1.png", "A/another.tif"])
def test_the_same_picture_twice_is_refused(root, second):
    if second.endswith(".png"):
        shutil.copy(root / "A/1.png", root / second)
    else:  # other bytes, the same pixels
        options = {"resolution": (10_000, 10_000), "resolutionunit": "CENTIMETER"}
        (root / second).write_bytes(tiff(grey(3), **options))
    reason, message = refused(root)
    assert reason == "TILE_DUPLICATE"
    assert str(root / "A/1.png") in message
    assert str(root / second) in message


@pytest.mark.parametrize(
    "text", ['{"um_per_px": 0}', '{"um_per_pixel": 1}', "no json", '{"um_per_px": "wide"}', "[]"]
)
def test_a_wrong_lot_json_is_refused(root, text):
    (root / "A/lot.json").write_text(text)
    reason, message = refused(root)
    assert reason == "LOT_SIDECAR_INVALID"
    assert str(root / "A/lot.json") in message


# Regions


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("file,region\n1.png,5\n2.png,7\n3.png,5\n", [0, 1, 0]),
        ("file,scene\n3.png,x\n2.png,x\n1.png,\n", [0, 1, 1]),
        ("file,region,scene\n1.png,0,0\n2.png,0,1\n3.png,0,0\n", [0, 1, 0]),
        ("file,note\n1.png,a\n2.png,a\n3.png,a\n", [0, 1, 2]),
        ("file,region\n1.png,a\n2.png,a\n3.png,a\ngone.png,a\n", [0, 0, 0]),
    ],
)
def test_tiles_csv_says_which_pictures_are_of_one_region(root, text, regions):
    (root / "B/tiles.csv").write_text(text)
    assert read(root).dataset.regions.tolist() == [*regions, *(max(regions) + i for i in (1, 2))]


def test_regions_of_the_same_name_in_two_lots_are_two(root):
    (root / "B/tiles.csv").write_text("file,region\n1.png,1\n2.png,1\n3.png,2\n")
    (root / "A/tiles.csv").write_text("file,region\n1.png,1\n2.png,1\n")
    assert read(root).dataset.regions.tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,region\n1.png,1\n2.png,1\n", "does not list 3.png"),
        ("file,region\n1.png,1\n1.png,2\n", "row 3"),
        ("picture,region\n1.png,1\n", "row 1"),
        ("file,region\n", "no rows"),
    ],
)
def test_a_tiles_csv_that_leaves_regions_open_is_refused(root, text, words):
    (root / "B/tiles.csv").write_text(text)
    reason, message = refused(root)
    assert reason == "TILES_TABLE_INVALID"
    assert words in message
    assert str(root / "B/tiles.csv") in message
