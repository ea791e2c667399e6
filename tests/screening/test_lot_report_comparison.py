"""Two screenings side by side, and the verbs `lotwise report` and `lotwise compare`."""

import json
import sys

import pytest
from typer.testing import CliRunner

from lotwise.cli import app
from lotwise.core.errors import NotFound
from lotwise.screening.lot_report.comparison import (
    LISTED,
    compare_lots,
    compare_screenings,
    comparison_page,
)
from lotwise.store import FoundTile
from tests.support import lot_reports
from tests.support.lot_reports import STATED, Page, finish, screen, tiles_in
from tests.support.stores import Clock

OTHER = STATED | {"policy_version": "policy-4"}


@pytest.fixture
def store(tmp_path):
    with lot_reports.new_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def found(tmp_path):
    return tiles_in(tmp_path / "lot", [f"t{index:02}.png" for index in range(12)])


def accepted(tile, index):
    return lot_reports.said_of(tile, index, decision="accept", reasons=(), value=2500.0 + index)


@pytest.fixture
def two_lots(store, found):
    finish(store, screen(store, found, name="A", source="/a", simulated=True))
    second = screen(store, found, name="<b>B</b>", source="/b", said=accepted, stated=OTHER)
    finish(store, second, "accept", None, mean=2505.5, sd=None)
    return store.lot("A"), store.lot("<b>B</b>")


def page_of(compared):
    page = Page(comparison_page(compared, Clock()()))
    page.assert_harmless()
    return page


def test_two_lots_side_by_side(store, two_lots):
    compared = compare_lots(store, *two_lots)
    lines = {line.label: line for line in compared.lines}
    assert (lines["verdict"].first, lines["verdict"].second) == ("REFER", "ACCEPT")
    assert lines["verdict"].differs
    assert (lines["property"].first, lines["property"].second) == ("2,000 ± 50 psi", "2,506 psi")
    assert (lines["referred"].first, lines["referred"].second) == ("4", "0")
    assert (lines["interval of the lot"].first, lines["interval of the lot"].second) == (
        "1,800 to 2,300 psi (90% of lots)", "–",
    )  # fmt: skip
    assert not lines["tiles in the lot"].differs
    page = page_of(compared)
    for said in ("A", "<b>B</b>", "REFER", "ACCEPT", "share of tiles [%]", "peak stress [psi]"):
        assert said in page.text, said
    assert "The two were screened with other models, another policy" in page.text
    assert "One of the lots was drawn by a program." in page.text
    assert page.count("b") < 20  # the name's own is none


def test_both_are_in_one_unit(store, found):
    def in_mpa(tile, index):
        return lot_reports.said_of(tile, index, value=13.78951, unit="MPa")

    finish(store, screen(store, found, name="A", source="/a"))
    finish(store, screen(store, found, name="B", source="/b", said=in_mpa), mean=13.78951,
           sd=0.344738, unit="MPa")  # fmt: skip
    compared = compare_lots(store, store.lot("A"), store.lot("B"))
    [line] = [line for line in compared.lines if line.label == "property"]
    assert (line.first, line.second) == ("2,000 ± 50 psi", "2,000 ± 50 psi")
    assert compared.second.columns.value == pytest.approx(2000, abs=1e-3)
    in_mpa = compare_lots(store, store.lot("A"), store.lot("B"), unit="MPa")
    assert in_mpa.first.mean == pytest.approx(13.78951, abs=1e-5)


def test_two_lots_of_one_name_are_told_apart(store, found):
    for source in ("/a", "/b"):
        finish(store, screen(store, found, name="A", source=source))
    lots = [store.lot("A", source) for source in ("/a", "/b")]
    assert compare_lots(store, *lots).names == ("A (/a)", "A (/b)")


def test_unfinished_and_unscreened_lots(store, found):
    screen(store, found, name="A", source="/a", limit=0)
    finish(store, screen(store, found, name="B", source="/b"))
    store.register_lot("C", "/c")
    compared = compare_lots(store, store.lot("A"), store.lot("B"))
    assert "The first is not finished: its numbers are of its tiles so far." in compared.warnings
    assert "NOT FINISHED" in page_of(compared).text
    with pytest.raises(NotFound, match="has not been screened"):
        compare_lots(store, store.lot("C"), store.lot("B"))


def rescreened(store, found, **options):
    """One lot twice: under the second policy the first referred tiles are accepted."""

    def later(tile, index):
        return accepted(tile, index) if index < 6 else lot_reports.said_of(tile, index)

    finish(store, screen(store, found, **options))
    second = screen(store, found, said=later, stated=OTHER, **options)
    finish(store, second, "accept")


def test_what_another_screening_says_otherwise(store, found):
    rescreened(store, found)
    compared = compare_screenings(store, store.lot("R01"), 1, 2)
    changes = compared.changes
    assert changes.count == 2
    assert changes.transitions == ((("refer", "accept"), 2),)
    assert [each.tile.path for each in changes.tiles] == ["t00.png", "t03.png"]
    assert [(each.verdict_before, each.verdict_after) for each in changes.lots] == [
        ("refer", "accept")
    ]
    page = page_of(compared)
    assert "2 tiles are decided differently." in page.text
    assert "t03.png 0 3 refer accept" in page.text
    assert "R01 /nowhere REFER ACCEPT" in page.text
    same = compare_screenings(store, store.lot("R01"), 1, 1)
    assert same.changes.count == 0
    assert "Both are one and the same screening." in same.warnings
    assert "Every tile is decided as before." in page_of(same).text


def test_a_page_lists_the_first_of_many_changed_tiles(store):
    found = [
        FoundTile(sha256=f"{at:064x}", tile_id=f"{at}", path=f"{at:04}.png", bytes=1, row=at)
        for at in range(700)
    ]
    screen(store, found)
    screen(store, found, said=accepted, stated=OTHER, limit=300)
    compared = compare_screenings(store, store.lot("R01"), 1, 2)
    transitions = dict(compared.changes.transitions)
    assert transitions == {
        ("refer", "accept"): 100, ("accept", "no result"): 266, ("refer", "no result"): 134,
    }  # fmt: skip
    assert len(compared.changes.tiles) == LISTED
    assert "The first 200 of 500 tiles" in page_of(compared).text


@pytest.fixture
def lotwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOTWISE_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        return CliRunner().invoke(app, [str(each) for each in arguments])

    return run


def test_report_is_named_after_the_lot(store, found, lotwise, tmp_path):
    finish(store, screen(store, found, name="../lot 1/<x>", source=tmp_path / "lot"))
    done = lotwise("report", "../lot 1/<x>")
    assert done.exit_code == 0, done.output
    assert "REFER. Wrote lot_1_x.html." in done.output
    assert Page((tmp_path / "lot_1_x.html").read_text()).count("img") == 4


def test_report_options(store, found, lotwise, tmp_path):
    for source in (tmp_path / "lot", "/other"):
        finish(store, screen(store, found, name="A", source=source))
    done = lotwise("report", "A")
    assert done.exit_code == 1
    assert "LOT_AMBIGUOUS" in done.stderr
    done = lotwise("report", "A", "--source", tmp_path / "lot", "--unit", "MPa", "--tiles", 2,
                   "--out", "new/a.html", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["verdict"], said["html"], said["pdf"]) == ("refer", "new/a.html", None)
    page = Page((tmp_path / "new" / "a.html").read_text())
    assert page.count("img") == 2
    assert "13.79 ± 0.34 MPa" in page.text
    done = lotwise("report", "A", "--source", "/other", "--screening", 2)
    assert done.exit_code == 1
    assert "SCREENING_UNKNOWN" in done.stderr
    done = lotwise("report", "A", "--source", "/other", "--out", "store.sqlite/a.html")
    assert done.exit_code == 1
    assert "OUTPUT_UNWRITABLE" in done.stderr


def test_a_pdf_that_cannot_be_made_is_said_before_any_work(store, lotwise, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nowhere")
    done = lotwise("report", "none", "--pdf", "a.pdf")
    assert done.exit_code == 1
    assert "PDF_UNAVAILABLE" in done.stderr
    assert list(tmp_path.glob("*.pdf")) == []


def test_missing_packages_are_said(store, lotwise, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("lotwise.screening.lot_report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for arguments in (("report", "A"), ("compare", "A", "B")):
        done = lotwise(*arguments)
        assert done.exit_code == 1
        assert f"`lotwise {arguments[0]}` needs more packages" in done.stderr
        assert "pip install 'lotwise[report]'" in done.stderr


def test_compare_shows_both_and_writes_a_page(two_lots, lotwise, tmp_path):
    done = lotwise("compare", "A", "<b>B</b>", "--out", "both.html")
    assert done.exit_code == 0, done.output
    for said in ("<b>B</b>", "REFER", "ACCEPT", "2,000 ± 50 psi", "2,506 psi", "both.html"):
        assert said in done.output, said
    assert "ACCEPT" in Page((tmp_path / "both.html").read_text()).text
    said = json.loads(lotwise("compare", "A", "<b>B</b>", "--json").stdout)
    assert {"label": "verdict", "first": "REFER", "second": "ACCEPT"} in said["lines"]
    assert said["changed_tiles"] is None


def test_compare_screenings_lists_what_has_changed(store, found, lotwise):
    rescreened(store, found)
    done = lotwise("compare", "--screenings", "R01", 1, 2)
    assert done.exit_code == 0, done.output
    assert "2 tiles are decided differently." in done.output
    assert "t03.png: refer, now accept" in done.output
    assert "Lots with another verdict" in done.output
    said = json.loads(lotwise("compare", "--screenings", "R01", 1, 2, "--json").stdout)
    assert said["transitions"] == [{"before": "refer", "after": "accept", "tiles": 2}]
    assert [each["after"] for each in said["changed_lots"]] == ["accept"]


def test_compare_with_the_wrong_number_of_names(store, lotwise):
    for arguments in ((), ("A",), ("A", "B", "--screenings", "A", 1, 2)):
        done = lotwise("compare", *arguments)
        assert done.exit_code == 1
        assert "Name two lots" in done.stderr


def test_lots_of_one_name_can_be_compared_by_their_sources(store, found, lotwise):
    for source in ("/a", "/b"):
        finish(store, screen(store, found, name="A", source=source))
    done = lotwise("compare", "A", "A", "--source-a", "/a", "--source-b", "/b")
    assert done.exit_code == 0, done.output
    assert "A (/a) beside A (/b)" in done.output
