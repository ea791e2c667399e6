"""Datasets: whatever is known of tiles is in their version, and tables survive a file."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from lotwise_training.data.tiles import (
    DatasetError,
    LotTable,
    dataset_version,
    read_table,
    table_sha256,
    write_table,
)
from tests.training.small_lots import lot_table

TABLE = LotTable(
    lot_ids=("α-1", "B"),
    recipes=("one", "two"),
    property_name="peak stress",
    unit="psi",
    values=np.array([1234.5, np.nan]),
    attribute_names=("size", "porosity"),
    attributes=np.array([[0.1, np.nan], [0.7, 1.0]]),
    origins=("simulated", "a furnace"),
)
OTHERS = {
    "lot_ids": ("α-1", "C"),
    "recipes": ("one", "one"),
    "property_name": "density",
    "unit": "MPa",
    "values": np.array([1234.5, 0.0]),
    "attribute_names": ("size", "facetness"),
    "attributes": np.array([[0.1, np.nan], [0.7, 0.9]]),
    "origins": ("simulated", "simulated"),
}
PARTS = {
    "images": np.zeros((3, 2, 2), dtype=np.uint8),
    "um_per_px": 4.0,
    "lots": np.array([0, 1, 1]),
    "regions": np.array([0, 1, 2]),
    "table": TABLE,
}


def same(one, other):
    return all(
        np.array_equal(a, b, equal_nan=True) if isinstance(a, np.ndarray) else a == b
        for a, b in ((getattr(one, f.name), getattr(other, f.name)) for f in fields(LotTable))
    )


def test_a_version_is_a_hash_of_the_content_alone():
    version = dataset_version(**PARTS)
    assert len(version) == 64
    copies = {k: np.array(v) if isinstance(v, np.ndarray) else v for k, v in PARTS.items()}
    assert dataset_version(**copies) == version
    # Where pixels lie in memory is no part of what they are.
    copies["images"] = np.asfortranarray(copies["images"])
    assert dataset_version(**copies) == version


@pytest.mark.parametrize(
    "other",
    [
        {"images": np.eye(2, dtype=np.uint8)[None].repeat(3, axis=0)},
        {"images": np.zeros((3, 1, 4), dtype=np.uint8)},
        {"um_per_px": np.nextafter(4.0, 5.0)},
        {"lots": np.array([0, 1, 0])},
        {"regions": np.array([0, 1, 1])},
        {"lots": PARTS["regions"], "regions": PARTS["lots"]},
        {"table": replace(TABLE, unit="MPa")},
    ],
)
def test_any_other_input_has_another_version(other):
    assert dataset_version(**{**PARTS, **other}) != dataset_version(**PARTS)


def test_no_column_of_a_table_is_left_out_of_its_hash():
    assert set(OTHERS) == {field.name for field in fields(LotTable)}
    hashes = {table_sha256(replace(TABLE, **{name: other})) for name, other in OTHERS.items()}
    assert len(hashes | {table_sha256(TABLE)}) == len(OTHERS) + 1


def test_words_are_hashed_apart_from_one_another():
    one = replace(TABLE, lot_ids=("ab", "c"))
    assert table_sha256(one) != table_sha256(replace(TABLE, lot_ids=("a", "bc")))


def test_a_table_survives_a_file(tmp_path):
    path = tmp_path / "run" / "lots.json"
    write_table(TABLE, path)
    found = read_table(path)
    assert same(found, TABLE)
    assert table_sha256(found) == table_sha256(TABLE)
    # NaN is no JSON, though Python writes it.
    json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_a_table_without_scores_survives_a_file(tmp_path):
    table = lot_table(3)
    assert table.attributes.shape == (3, 0)
    write_table(table, tmp_path / "lots.json")
    assert same(read_table(tmp_path / "lots.json"), table)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        "[]",
        "{}",
        json.dumps({"lot_ids": ["A"]}),
        b"\xff\xfe",
    ],
)
def test_a_file_that_is_no_table_is_refused(content, tmp_path):
    path = tmp_path / "lots.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError, match=r"lots.json.*lotwise-train committee") as caught:
        read_table(path)
    assert caught.value.reason == "LOTS_FILE_INVALID"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attributes", [[0.1, 0.2, 0.3], [0.7, 1.0, 0.0]]),
        ("attributes", [["small", "large"]] * 2),
        ("attributes", [[0.1], [0.2, 0.3]]),
        ("values", ["strong", 3.0]),
        ("values", {"A": 3.0}),
        ("lot_ids", 7),
    ],
)
def test_columns_that_do_not_fit_are_refused(key, value, tmp_path):
    path = tmp_path / "lots.json"
    write_table(TABLE, path)
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), key: value}))
    with pytest.raises(DatasetError) as caught:
        read_table(path)
    assert caught.value.reason == "LOTS_FILE_INVALID"
