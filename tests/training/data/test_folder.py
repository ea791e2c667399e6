"""A laboratory's own folder: what is read of it and how it is shown."""

import re
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import lotwise_training
from lotwise.core import lot_sidecar
from lotwise.core.preprocessing import fit_to_model, resample_area
from lotwise.core.signature import TileGeometry
from lotwise.core.tile import DecodedTile
from lotwise_simulator.benchmark_files import write_set
from lotwise_training.data.folder import show_lot_folder
from lotwise_training.data.images import cut
from lotwise_training.data.lots_csv import read_table
from lotwise_training.data.tiles import SIMULATED, dataset_version
from tests.core.headers import JEOL, TAGGED, TESCAN_HDR
from tests.core.images import tiff
from tests.core.tiffs import craft, page, shared, with_header
from tests.support.lot_folders import FIELD, grey, lots_csv, read, refused, two_lots, write

ROOT = Path(__file__).parents[3]
COMMITTEE = TileGeometry(px=64, um_per_px=4)


@pytest.fixture
def root(tmp_path):
    return two_lots(tmp_path / "laboratory")


# What is read


def test_lots_are_in_the_order_of_the_table_and_tiles_in_that_of_names(root):
    data = read(root).dataset
    assert data.table.lot_ids == data.table.recipes == ("B", "A")
    assert data.lots.tolist() == [0, 0, 0, 1, 1]
    assert data.regions.tolist() == [0, 1, 2, 3, 4]
    assert data.lots.dtype == data.regions.dtype == np.int64
    assert data.images.dtype == np.uint8
    assert data.um_per_px == 4.0
    for number, image in enumerate(data.images):
        np.testing.assert_array_equal(image, resample_area(grey(number), 16))
    assert data.version == dataset_version(data.images, 4.0, data.lots, data.regions, data.table)


def test_a_table_of_lot_ids_alone_is_enough(root):
    table = read(root).dataset.table
    assert (table.property_name, table.unit, table.attribute_names) == ("", "", ())
    assert table.attributes.shape == (2, 0)
    assert np.isnan(table.values).all()
    assert table.origins == ("", "")


def test_a_full_table_is_read(tmp_path):
    text = (
        "\ufefflot_id, recipe ,property,value,unit,size,shine,origin\r\n"
        "A,,hardness,12.5,HV,0,1.0,furnace 2\r\n"
        ",,,,,,,\r\n"
        'B,A,,,,0.25,,"plant, north"\r\n'
        "\r\n"
        "C,C,hardness,1e2,HV,,,\r\n"
    )
    lots_csv(tmp_path, text)
    table = read_table(tmp_path / "lots.csv")
    assert table.lot_ids == ("A", "B", "C")
    assert table.recipes == ("A", "A", "C")
    assert (table.property_name, table.unit) == ("hardness", "HV")
    np.testing.assert_array_equal(table.values, [12.5, np.nan, 100])
    assert table.attribute_names == ("size", "shine")
    np.testing.assert_array_equal(table.attributes, [[0, 1], [0.25, np.nan], [np.nan, np.nan]])
    assert table.origins == ("furnace 2", "plant, north", "")


def test_what_lot_json_calls_simulated_stays_simulated(root):
    (root / "A/lot.json").write_text('{"simulated": true}')
    assert read(root).dataset.table.origins == ("", SIMULATED)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_umlauts_of_a_mac_and_of_a_spreadsheet_are_the_same(tmp_path, form):
    lots_csv(tmp_path, "lot_id\nGrün\n")
    write(tmp_path / unicodedata.normalize(form, "Grün") / "1.png", grey())
    assert read(tmp_path).dataset.table.lot_ids == (unicodedata.normalize("NFC", "Grün"),)


def test_benchmark_folders_are_read_as_they_were_written(tmp_path):
    write_set(tmp_path, "reference", 2, ["R02", "R01"])
    data = read(tmp_path, COMMITTEE)
    assert data.unreadable == ()
    table = data.dataset.table
    assert table.lot_ids == ("R02", "R01")
    assert len(set(table.recipes)) == 1
    assert (table.property_name, table.unit) == ("peak stress", "psi")
    assert (table.values > 100).all()
    assert table.attribute_names == ("size", "porosity", "polydispersity", "facetness")
    assert table.origins == (SIMULATED, SIMULATED)
    assert data.dataset.lots.tolist() == [0, 0, 1, 1]
    # Tiles of one mosaic overlap, so they are one region.
    assert data.dataset.regions.tolist() == [0, 0, 1, 1]
    files = sorted((tmp_path / "R02").glob("*.png"))
    for image, file in zip(data.dataset.images, files, strict=False):
        with Image.open(file) as picture:
            np.testing.assert_array_equal(image, resample_area(np.asarray(picture), 64))


# One file


@pytest.mark.parametrize(
    ("edge", "um_per_px"), [(64, 1.0), (128, 0.5), (90, 0.71), (16, 4.0), (15, 4.3), (159, 0.4)]
)
def test_a_picture_of_one_field_is_what_serving_makes_of_it(edge, um_per_px):
    tile = DecodedTile(grey(1, edge, edge + 3), um_per_px)
    images, _, faults = cut(tile, FIELD)
    assert faults == []
    np.testing.assert_array_equal(images, [fit_to_model(tile, FIELD)])


def test_a_large_picture_is_cut_into_whole_tiles_about_its_centre(root):
    large = grey(9, height=150, width=203)
    write(root / "A/3.png", large)
    data = read(root).dataset
    expected = [
        resample_area(large[y : y + 64, x : x + 64], 16) for y in (11, 75) for x in (5, 69, 133)
    ]
    np.testing.assert_array_equal(data.images[5:], expected)
    assert data.lots.tolist() == [0, 0, 0, 1, 1, *[1] * 6]
    assert data.regions.tolist() == [0, 1, 2, 3, 4, *[5] * 6]


def test_tiles_without_signal_are_left_out_and_said(root):
    half_black = grey(9, width=128)
    half_black[:, :64] = 0
    path = write(root / "A/3.png", half_black)
    data = read(root)
    assert len(data.dataset) == 6
    (fault,) = data.unreadable
    assert (fault.path, fault.reason) == (path, "TILE_BLACK")
    assert fault.message.startswith("1 of its 2 tiles: ")


def two_pages():
    return craft(page(grey(1)), page(grey(2)))


UNREADABLE = {
    "empty": (b"", "TILE_EMPTY"),
    "no picture": (b"Jane's holidays", "TILE_UNSUPPORTED_FORMAT"),
    "broken PNG": (b"\x89PNG\r\n\x1a\n" + bytes(50), "TILE_TRUNCATED"),
    "stack": (two_pages(), "TILE_SEVERAL_PAGES"),
    "not finite": (tiff(np.full((64, 64), np.nan, dtype=np.float32)), "TILE_NOT_FINITE"),
}
PIXELS = {
    "unknown scale": (grey(9), None, "TILE_SCALE_UNKNOWN"),
    "small field": (grey(9, 64, 60), 1.0, "WRONG_MAGNIFICATION"),
    "coarse": (grey(9), 4.5, "WRONG_MAGNIFICATION"),
    "few pixels": (grey(9, 8, 8), 1.0, "TILE_TOO_SMALL"),
    "black": (grey(9) // 64, 1.0, "TILE_BLACK"),
    "white": (np.full((64, 64), 255, dtype=np.uint8), 1.0, "TILE_SATURATED"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_cannot_be_read_is_listed(root, kind):
    content, reason = UNREADABLE[kind]
    (root / "A/1.png").write_bytes(content)
    data = read(root)
    assert [(each.path, each.reason) for each in data.unreadable] == [(root / "A/1.png", reason)]
    assert data.unreadable[0].message
    assert data.dataset.lots.tolist() == [0, 0, 0, 1]
    assert data.dataset.regions.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", PIXELS)
def test_a_picture_that_serving_would_refuse_is_listed_for_the_same_reason(root, kind):
    pixels, um_per_px, reason = PIXELS[kind]
    path = write(root / "A/1.png", pixels, um_per_px)
    data = read(root)
    assert [(each.path, each.reason) for each in data.unreadable] == [(path, reason)]
    assert len(data.dataset) == 4


def test_a_link_to_nothing_is_listed(root):
    (root / "A/3.png").symlink_to("gone.png")
    assert [each.reason for each in read(root).unreadable] == ["TILE_EMPTY"]


def test_files_that_instruments_write_beside_pictures_are_passed_over(root):
    for name in ("notes.txt", "log.csv", "Thumbs.db", ".hidden.png", "1.xml"):
        (root / "A" / name).write_bytes(b"text")
    (root / "A/raw").mkdir()
    data = read(root)
    assert (len(data.dataset), data.unreadable) == (5, ())


# Instruments


@pytest.mark.parametrize("vendor", TAGGED)
def test_instrument_files_bring_their_scale(root, vendor):
    code, kind, header, (nm, *_) = TAGGED[vendor]
    (root / "A/1.png").unlink()
    (root / "A/2.png").unlink()
    (root / "A/scan.tif").write_bytes(with_header(grey(9, 64, 80), code, header, kind))
    write(root / "B/1.png", grey(0, 32, 32), nm / 1000)
    write(root / "B/2.png", grey(1, 32, 32), nm / 1000)
    write(root / "B/3.png", grey(2, 32, 32), nm / 1000)
    # A field of 32 px of theirs.
    data = read(root, TileGeometry(px=16, um_per_px=2 * nm / 1000))
    tiles = data.dataset.images[data.dataset.lots == 1]
    expected = [
        resample_area(grey(9, 64, 80)[y : y + 32, x : x + 32], 16) for y in (0, 32) for x in (8, 40)
    ]
    np.testing.assert_array_equal(tiles, expected)


def test_tiff_of_16_bits_with_a_resolution_is_read(root):
    wide = grey(9).astype(np.uint16) * 257
    options = {"resolution": (10_000, 10_000), "resolutionunit": "CENTIMETER"}
    (root / "A/1.png").write_bytes(tiff(wide, **options))
    images = read(root).dataset.images
    np.testing.assert_array_equal(images[3], resample_area(grey(9), 16))


def test_scale_of_a_sidecar_goes_before_the_files_and_lot_json_before_both(root):
    for name in ("A/1.png", "A/2.png"):
        (root / name).unlink()
    (root / "A/1.tif").write_bytes(tiff(grey(9)))
    assert refused(root)[0] == "LOT_EMPTY"
    # 53 px are 10 um, so the picture shows 12 um of the 64 that are needed.
    (root / "A/1.txt").write_bytes(JEOL)
    assert "shows 12.1 um" in refused(root)[1]
    (root / "A/1.hdr").write_bytes(TESCAN_HDR)
    assert "shows 0.1 um" in refused(root)[1]
    (root / "A/lot.json").write_text('{"lot_id": "another", "um_per_px": 1}')
    assert len(read(root).dataset) == 4


def test_real_instrument_files_are_read(tmp_path):
    folder = shared("vendor_files")
    lots_csv(tmp_path, "lot_id\nzeiss\njeol\nfei\n")
    jeol, fei = "matchmaker_MIT/jeol/JEOL_Exp_Reference_6005_T6_05", "nexuslims_MIT/fei/quanta_"
    lots = {
        "zeiss": ["matchmaker_MIT/zeiss/Zeiss_0.5k_2_high.tif"],
        "jeol": [jeol + ".bmp", jeol + ".txt"],
        "fei": [f"{fei}{name}.tif" for name in ("image", "image_32bit", "bad_metadata")],
    }
    for lot, files in lots.items():
        (tmp_path / lot).mkdir()
        for file in files:
            shutil.copy(folder / file, tmp_path / lot)
    data = read(tmp_path, TileGeometry(px=64, um_per_px=1))
    # Fields of 287, 339 and 145 of their pixels, without the data bars.
    assert np.bincount(data.dataset.lots).tolist() == [3 * 2, 3 * 2, 7 * 6]
    assert {each.path.name: each.reason for each in data.unreadable} == {
        "quanta_bad_metadata.tif": "TILE_TRUNCATED",
        "quanta_image_32bit.tif": "TILE_SCALE_UNKNOWN",
    }


def test_real_photographs_with_a_stated_scale_are_read(tmp_path):
    # Their true scale is not known; this one is for the test.
    lots_csv(tmp_path, "lot_id\npowder\n")
    (tmp_path / "powder").mkdir()
    for file in sorted((shared("ampis_powder") / "images").glob("*.png"))[:3]:
        shutil.copy(file, tmp_path / "powder")
    assert {*refused(tmp_path)[1].split()} >= {"TILE_SCALE_UNKNOWN."}
    (tmp_path / "powder/lot.json").write_text('{"um_per_px": 0.5}')
    data = read(tmp_path, COMMITTEE).dataset
    assert np.bincount(data.regions).tolist() == [2 * 3] * 3


# The same everywhere


def test_order_and_version_do_not_depend_on_the_file_system(root, monkeypatch):
    expected = read(root).dataset.version
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(sorted(listed(path), reverse=True)))
    assert read(root).dataset.version == expected


def test_several_processes_read_the_same(root, capsys):
    (root / "A/3.png").write_bytes(b"text")
    (root / "B/0.png").write_bytes(b"")
    one, several = read(root), read(root, jobs=2)
    assert several.dataset.version == one.dataset.version
    assert several.unreadable == one.unreadable
    assert len(one.unreadable) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert "read the pictures" in written.err


def test_every_part_of_the_data_is_in_the_version(root):
    versions = [read(root).dataset.version]
    lots_csv(root, "lot_id,recipe\nB,1\nA,1\n")
    versions.append(read(root).dataset.version)
    (root / "B/tiles.csv").write_text("file,region\n1.png,1\n2.png,1\n3.png,2\n")
    versions.append(read(root).dataset.version)
    write(root / "A/1.png", grey(9))
    versions.append(read(root).dataset.version)
    versions.append(read(root, TileGeometry(px=32, um_per_px=2)).dataset.version)
    assert len(set(versions)) == 5


# What people see


def shown(data):
    console = Console(width=100)
    with console.capture() as capture:
        show_lot_folder(data, console)
    return capture.get()


def test_lots_faults_and_version_are_shown(root):
    lots_csv(root, "lot_id,recipe,property,value,unit\nB,[b]7,stress,1234.5,psi\nA,[b]7,,,\n")
    (root / "B/tiles.csv").write_text("file,region\n1.png,1\n2.png,1\n3.png,2\n")
    (root / "A/1.png").write_bytes(b"text")
    data = read(root)
    text = shown(data)
    assert re.search(r"lot +recipe +tiles +regions +stress \(psi\)", text)
    assert re.search(r"^B +\[b\]7 +3 +2 +1234\.5 *$", text, re.MULTILINE)
    assert re.search(r"^A +\[b\]7 +1 +1 *$", text, re.MULTILINE)
    assert f"{root / 'A/1.png'}: TILE_UNSUPPORTED_FORMAT. The bytes are no" in text
    assert text.rstrip().endswith(f"4 tiles, version {data.dataset.version[:12]}")


def test_no_faults_are_shown_where_there_are_none(root):
    assert "Not used" not in shown(read(root))


def test_the_document_lists_the_reasons_that_the_code_gives():
    package = Path(lotwise_training.__file__).parent
    given = set(
        re.findall(
            r'DatasetError\(\s*"([A-Z_]+)"',
            "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py")),
        )
    ) | set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', Path(lot_sidecar.__file__).read_text("utf-8")))
    assert {"TILE_DUPLICATE", "REGIONS_TOO_FEW"} <= given
    document = (ROOT / "docs/your-own-data.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([A-Z_]+)` \|", document, re.MULTILINE)
    assert len(listed) == len(set(listed))
    # Of one picture, of a run, and of the benchmark.
    others = {"TILE_TOO_SMALL", "LOTS_FILE_INVALID", "ATTRIBUTES_UNKNOWN", "BENCHMARK_DIFFERS"}
    assert sorted(listed) == sorted(given - others)
