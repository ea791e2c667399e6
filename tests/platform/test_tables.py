"""Tables of the command line at the width of a terminal."""

import io

import pytest
from rich.console import Console

from lotwise.cli import tables

COLUMNS = ["~tile", "~format", ">um/px", ">data bar\npx"]


@pytest.fixture
def printed(monkeypatch):
    def show(*rows, width=80):
        console = Console(file=io.StringIO(), width=width)
        monkeypatch.setattr(tables, "out", console)
        tables.show("What the files say", COLUMNS, rows)
        return console.file.getvalue().splitlines()

    return show


def test_a_table_that_fits_has_a_line_for_each_row(printed):
    lines = printed(("a.tif", "TIFF", "0.5", "-"), ("b.tif", "TIFF", "0.25", "59"))
    assert lines[0] == "What the files say"
    assert [line.split()[0] for line in lines if ".tif" in line] == ["a.tif", "b.tif"]


def test_a_far_too_wide_table_becomes_blocks_whose_words_stay_whole(printed):
    name = "a_long_folder/of_a_microscope/with_many_words/and_a_file_whose_name_never_ends.tif"
    rows = [(name, "TIFF (uncompressed, 16 bit)", "0.003333", "59"), ("b.tif", "PNG", "?", "-")]
    lines = [line.rstrip() for line in printed(*rows, width=60)]
    assert name in lines
    block = lines[lines.index(name) + 1 :]
    assert block[0].strip() == "format TIFF (uncompressed, 16 bit)   um/px 0.003333"
    assert block[1].strip() == "data bar px 59"
    # What a row does not say is left out.
    assert lines[-1].strip() == "format PNG   um/px ?"
    assert max(len(line) for line in lines if line != name) <= 60


def test_brackets_in_a_name_are_no_markup(printed):
    assert any("[red]x.tif" in line for line in printed(("[red]x.tif", "TIFF", "1", "-")))
