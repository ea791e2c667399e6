"""The lot report: what it says, and what it makes of bad input."""

import re
from datetime import UTC, datetime

import pytest

from lotwise.core.errors import InvalidRequest, NotFound
from lotwise.screening.lot_report.gathering import gather
from lotwise.screening.lot_report.page import lot_page
from tests.support import lot_reports
from tests.support.lot_reports import DOCUMENT, Page, finish, screen, tiles_in

MADE = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    with lot_reports.new_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def found(tmp_path):
    return tiles_in(tmp_path / "lot", [f"t{index:02}.png" for index in range(12)])


def page_of(store, name="R01", **options):
    return Page(lot_page(gather(store, store.lot(name), **options), MADE))


def test_says_all_that_is_stored(store, found, tmp_path):
    screening = screen(store, found, source=tmp_path / "lot", simulated=True)
    finish(store, screening)
    page = page_of(store)
    page.assert_harmless()
    for said in (
        "REFER",
        "instrument shift, unfamiliar",
        "4 of 12 tiles count against the lot.",
        "At 95% confidence at least 45% of the lot would be referred; the policy allows 40%.",
        "Set the instrument as it was and scan again",
        "SIMULATED",
        "This lot was drawn by a program",
        "The models learned from simulated lots",
        "The policy was calibrated with simulated tiles.",
        "2,000 ± 50 psi",
        "1,800 and 2,300 psi",
        "for 90% of lots like the calibration lots",
        "the lot is not accepted",
        "At most 2% of accepted tiles are wrong.",
        "Most tiles look like lot R07",
        "settled after 9 tiles",
        "Is the instrument as it was? 0.012 ALARM",
        "Is it one lot? 0.500 no alarm",
        "porosity 0.50 0.25 -0.25 -0.20",
        "from 2,000 psi to the target of 2,400 psi",
        "entropy [nats]",
        "chance of error [probability]",
        "peak stress [psi]",
        "familiarity at least 0.05",
        "committee 7 " + "ab" * 32,
        "policy-3",
        "cd" * 32,
        "onnxruntime (in-process, without Triton)",
        "How to read this report",
    ):
        assert said in page.text, said
    assert page.count("img") == 4
    assert page.count("svg") == 2


def test_an_accepted_lot_is_told_what_it_may_be_used_for(store, found, tmp_path):
    verdict = DOCUMENT["verdict"] | {"referred_share_lower": 0.1, "referred_share_upper": 0.35}
    finish(store, screen(store, found), "accept", DOCUMENT | {"verdict": verdict})
    text = page_of(store).text
    assert "ACCEPT" in text
    assert "at most 35% of the lot would be referred; the policy allows 40%" in text
    assert "The models may be applied to this lot" in text
    assert "the lot is not accepted" not in text


def test_html_in_names_is_text(store, tmp_path):
    evil = "<script>alert(1)</script>"
    tile = '"><img src=x onerror=alert(2)>.png'
    quoted = f"{evil}'\"&amp;"
    found = tiles_in(tmp_path / "lot", [tile, "b.png"])

    def said(tile, index):
        if index:
            return lot_reports.said_of(
                tile, index, decision="failed", error_reason=evil, error_message=quoted
            )
        return lot_reports.said_of(
            tile, 0, reasons=(evil,), looks_like=evil, property_name=evil, unit=evil
        )

    models = {evil: {"version": evil, "weights_sha256": evil}}
    stated = {"models": models, "policy_version": evil, "engine": evil}
    screening = screen(store, found, name=quoted, source=tmp_path / "lot", said=said, stated=stated)
    verdict = DOCUMENT["verdict"] | {"looks_like": evil, "guarantee": {"statement": evil}}
    change = DOCUMENT["explanation"] | {"changes": [{"name": evil, "before": 0, "after": 1}]}
    document = {"verdict": verdict, "explanation": change}
    finish(store, screening, evil, document, reasons=(evil,), unit=evil, property_name=evil)
    page = page_of(store, quoted)
    page.assert_harmless()
    assert page.text.count(evil) > 8
    assert quoted in page.text
    assert page.count("img") == 1
    assert tile in page.text


def test_names_that_no_terminal_can_print(store, tmp_path):
    name = "lot\u202egnp.\x07\n$\\alpha$ 試料 \udcff" + "x" * 400
    finish(store, screen(store, tiles_in(tmp_path / "lot", ["a.png"]), name=name))
    html = lot_page(gather(store, store.lot(name)), MADE)
    assert "\u202e" not in html
    assert "\x07" not in html
    assert "試料" in html
    html.encode()  # can be written


def test_ten_thousand_referred_tiles_make_a_small_page(store, tmp_path):
    names = [f"{index:05}.png" for index in range(10_000)]
    shown = tiles_in(tmp_path / "lot", names[:60], columns=100)
    others = [lot_reports.FoundTile(sha256=f"{index:064x}", tile_id=name, path=name, bytes=9,
                                    row=index // 100, column=index % 100)
              for index, name in enumerate(names[60:], 60)]  # fmt: skip

    def said(tile, index):
        return lot_reports.said_of(
            tile, index, decision="refer", reasons=("unfamiliar",), familiarity=index / 10_000
        )

    screening = screen(store, [*shown, *others], source=tmp_path / "lot", said=said)
    finish(store, screening)
    html = lot_page(gather(store, store.lot("R01")), MADE)
    page = Page(html)
    assert "60 of 10,000 tiles are shown" in page.text
    assert "The other 9,940 are in the table that lotwise store export tiles.csv --lot R01" in (
        page.text
    )
    assert page.count("img") == 60  # those of the least familiarity
    assert len(html) < 3_000_000
    # Marks of all tiles are one picture of some 300 kB; as shapes they would be 3 MB.
    assert len(re.sub(r'src="data:[^"]*"', "", html)) < 600_000


@pytest.mark.parametrize("most", [0, 1, 3])
def test_number_of_tiles_that_are_shown(store, found, tmp_path, most):
    finish(store, screen(store, found, source=tmp_path / "lot"))
    page = page_of(store, most_tiles=most)
    assert page.count("img") == most
    assert f"{most} of 4 tiles are shown" in page.text


def test_files_that_are_gone_or_others_now(store, tmp_path):
    folder = tmp_path / "lot"
    names = ["fine.png", "gone.png", "other.png", "broken.png", "folder.png"]
    content = {3: b"\x89PNG\r\n\x1a\n rest is missing"}
    found = tiles_in(folder, names, content=lambda at: content.get(at) or lot_reports.picture(at))

    def said(tile, index):
        return lot_reports.said_of(tile, 0)

    finish(store, screen(store, found, source=folder, said=said))
    (folder / "gone.png").unlink()
    (folder / "other.png").write_bytes(lot_reports.picture(99))
    (folder / "folder.png").unlink()
    (folder / "folder.png").mkdir()
    page = page_of(store)
    assert page.count("img") == 1
    assert page.text.count("The file is no longer where it was screened.") == 2
    assert page.text.count("The file has changed since it was screened.") == 1
    assert page.text.count("The file cannot be read: TILE_TRUNCATED.") == 1


def test_tiles_without_places_stand_in_the_order_of_their_files(store, tmp_path):
    found = tiles_in(tmp_path / "lot", [f"{index}.png" for index in range(9)], placed=False)
    finish(store, screen(store, found))
    text = page_of(store).text
    assert "places in the mosaic are not known: here they stand in the order of their files" in text
    assert "column of the mosaic" not in text
    assert "row 0, column 0" not in text


def test_some_tiles_without_a_place_are_left_out_of_the_map(store, tmp_path):
    found = tiles_in(tmp_path / "lot", ["a.png", "b.png"])
    found += tiles_in(
        tmp_path / "lot", ["c.png"], placed=False, content=lambda at: lot_reports.picture(77)
    )
    finish(store, screen(store, found))
    assert "1 tile without a place are left out" in page_of(store).text


def test_an_unfinished_screening_says_so(store, found):
    screen(store, found, limit=5)
    text = page_of(store).text
    assert "NOT FINISHED" in text
    assert "5 of 12 tiles have a result. There is no verdict yet" in text
    assert "without a result 7" in text
    assert "of the tiles so far" in text


def test_a_screening_that_has_only_begun(store, found):
    screen(store, found, limit=0)
    page = page_of(store)
    assert "0 of 12 tiles have a result" in page.text
    assert "No tile has a predicted property." in page.text
    assert page.count("svg") == 0


def test_a_screening_with_only_failed_tiles(store, found):
    def said(tile, index):
        more = {"error_reason": "TILE_TRUNCATED", "error_message": "It ends too soon."}
        return lot_reports.TileResult(tile=tile.id, decision="failed", **more)

    finish(store, screen(store, found, said=said), "undecided", None, mean=None, sd=None)
    page = page_of(store)
    assert "12 of 12 tiles count against the lot, 12 of them because they failed." in page.text
    assert "No tile could be judged" in page.text
    assert "TILE_TRUNCATED 12 It ends too soon. t00.png, t01.png, t02.png, t03.png, t04.png, …" in (
        page.text
    )
    assert page.count("svg") == 0


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"verdict": None, "interval": None, "explanation": None},
        {"verdict": "VERDICT_REFER", "interval": [], "explanation": "none", "policy": 3},
        {"verdict": {"diagnosis": {"probabilities": [None, 3, {"shift": 5}]}, "reason_counts": 1}},
        {"verdict": {"diagnosis": {"probabilities": [{"shift": "SHIFT_NEW"}]}, "confidence": "x"}},
        {"verdict": {"guarantee": {}, "calibration_set": {"tiles": True, "lots": -1}}},
        {"interval": {"lower": "-Infinity", "upper": 3, "unit": "psi"}},
        {"explanation": {"changes": [{"name": "a"}, {"before": 1, "after": 2}]}},
        {"verdict": {"referred_share_upper": 1.0, "confidence": 0.95, "max_referred_share": 0.4}},
    ],
)
def test_any_part_of_the_document_may_be_missing_or_odd(store, found, document):
    finish(store, screen(store, found, stated={"models": [], "um_per_px": "x"}), document=document)
    page = page_of(store)
    page.assert_harmless()
    assert "REFER" in page.text
    assert "The models were not stored." in page.text


def test_a_lower_bound_that_the_protocol_leaves_out_is_zero(store, found):
    verdict = {"referred_share_upper": 1.0, "confidence": 0.95, "max_referred_share": 0.4}
    finish(store, screen(store, found), "undecided", {"verdict": verdict})
    assert "between 0% and 100%, each bound at 95% confidence" in page_of(store).text


def test_psi_and_mpa(store, found):
    finish(store, screen(store, found))
    gathered = gather(store, store.lot("R01"), unit="MPa")
    assert gathered.mean == pytest.approx(13.78951, abs=1e-5)
    assert gathered.sd == pytest.approx(0.344738, abs=1e-6)
    assert gathered.interval == pytest.approx((12.41056, 15.85794), abs=1e-5)
    assert gathered.columns.value.min() == pytest.approx(13.78951, abs=1e-5)
    text = Page(lot_page(gathered, MADE)).text
    assert "13.79 ± 0.34 MPa" in text
    assert "12.41 and 15.86 MPa" in text
    assert "to the target of 16.55 MPa" in text
    assert "peak stress [MPa]" in text
    assert "psi" not in text


def test_a_unit_that_cannot_be_converted_is_refused(store, found):
    def said(tile, index):
        return lot_reports.said_of(tile, index, unit="kg")

    finish(store, screen(store, found, said=said), unit="kg")
    with pytest.raises(InvalidRequest) as refused:
        gather(store, store.lot("R01"), unit="MPa")
    assert refused.value.reason == "REPORT_UNIT_UNKNOWN"
    as_it_is = gather(store, store.lot("R01"))
    assert (as_it_is.unit, as_it_is.mean) == ("kg", 2000.0)
    assert as_it_is.interval is None  # stored in psi


def test_a_screening_is_found_by_its_number(store, found):
    finish(store, screen(store, found))
    finish(store, screen(store, found, stated={"policy_version": "p2"}), "accept")
    lot = store.lot("R01")
    assert gather(store, lot).screening.outcome.verdict == "accept"
    assert gather(store, lot, 1).screening.outcome.verdict == "refer"
    for number in (0, 3, -1):
        with pytest.raises(NotFound, match="It has 1 .*refer.*2 .*accept"):
            gather(store, lot, number)
    store.register_lot("new", "/new")
    with pytest.raises(NotFound, match="has not been screened"):
        gather(store, store.lot("new"))
