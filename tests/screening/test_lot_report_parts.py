"""Parts of a lot report: tiles that are kept, scale bars, the map, figures, PDF."""

import io
import os
import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from lotwise.core.errors import Contradiction
from lotwise.screening.lot_report import figures, gathering, pdf
from lotwise.screening.lot_report.gathering import Columns, gather
from lotwise.screening.lot_report.mosaic_map import MOST_CELLS, mosaic_map
from lotwise.screening.lot_report.page import drawn, lot_page
from lotwise.screening.lot_report.telling import TellingTiles
from lotwise.screening.lot_report.thumbnails import scale_bar, thumbnail
from lotwise.screening.lot_report.wording import number, readable, share
from lotwise.store import StoredResult, StoredTile, TileResult
from tests.support import lot_reports

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def stored(index, **more):
    tile = StoredTile(
        id=index, sha256=f"{index:064x}", tile_id=f"{index}.png", path=f"{index}.png", bytes=9,
        row=index // 100, column=index % 100,
    )  # fmt: skip
    fields = {"decision": "refer", "reasons": ("unfamiliar",), "familiarity": 0.01} | more
    return StoredResult(tile, TileResult(tile=index, **fields), "w", NOW)


def columns_of(entropy, row=None, column=None):
    count = len(entropy)
    nowhere = np.full(count, -1)
    nothing = np.full(count, np.nan)
    return Columns(
        familiarity=nothing, score=nothing, entropy=np.array(entropy, float), value=nothing,
        referred=np.zeros(count, bool), failed=np.zeros(count, bool),
        row=nowhere if row is None else np.array(row),
        column=nowhere if column is None else np.array(column),
    )  # fmt: skip


def test_of_each_reason_the_most_telling_are_kept():
    kept = TellingTiles(5)
    for index in range(100):
        kept.add(stored(index, familiarity=0.5 - index / 1000))
        kept.add(stored(1000 + index, reasons=("ambiguous",), score=index / 100))
    kept.add(stored(5000, reasons=("REASON_POOR_QUALITY",), familiarity=None))
    groups = {group.reason: group for group in kept.groups()}
    assert {name: group.tiles for name, group in groups.items()} == {
        "unfamiliar": 100, "ambiguous": 100, "poor quality": 1,
    }  # fmt: skip
    ids = {name: [each.tile.id for each in group.shown] for name, group in groups.items()}
    assert ids == {"unfamiliar": [99, 98], "ambiguous": [1099, 1098], "poor quality": [5000]}


def test_reasons_without_end_do_not_fill_the_page():
    kept = TellingTiles(60)
    for index in range(1000):
        kept.add(stored(index, reasons=(f"reason {index}",)))
    groups = kept.groups()
    assert len(groups) <= 20
    assert sum(group.tiles for group in groups) == 1000
    assert sum(len(group.shown) for group in groups) == 60


def test_memory_does_not_grow_with_what_is_said_of_tiles():
    def peak(count):
        collected = gathering._Collected("", 60)
        tracemalloc.start()
        collected.read(
            stored(index, diagnosis={"probabilities": [{"shift": f"{index}" * 200}]})
            for index in range(count)
        )
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    more = peak(12_000) - peak(2_000)
    assert more < 10_000 * 150  # a tile that is kept whole takes some 2,000 bytes


@pytest.mark.parametrize(
    ("width_um", "label", "length_um"),
    [
        (100, "50 µm", 50),
        (256, "100 µm", 100),
        (99.9, "20 µm", 20),
        (1.6, "500 nm", 0.5),
        (0.03, "10 nm", 0.01),
        (5000, "2 mm", 2000),
    ],
)
def test_scale_bars_have_round_lengths(width_um, label, length_um):
    bar = scale_bar(width_um)
    assert bar.label == label
    assert bar.share * width_um == pytest.approx(length_um)
    assert 0.2 <= bar.share <= 0.5


@pytest.mark.parametrize("width_um", [0.0, -3.0, float("nan"), float("inf"), 1e-30])
def test_no_bar_for_a_width_that_cannot_be(width_um):
    assert scale_bar(width_um) is None


def test_pixel_size_is_that_of_the_screening_then_of_the_file(tmp_path):
    data = io.BytesIO()
    grey = np.tile(np.arange(100, dtype=np.uint8), (60, 1))
    Image.fromarray(grey).save(data, format="PNG", dpi=(25_400 / 0.5,) * 2)
    [tile] = lot_reports.tiles_in(tmp_path, ["a.png"], content=lambda at: data.getvalue())
    stated, by_file = (thumbnail(str(tmp_path), tile, known) for known in (2.0, None))
    assert (stated.bar.label, stated.bar.share) == ("100 µm", pytest.approx(0.5))
    assert (by_file.bar.label, by_file.bar.share) == ("20 µm", pytest.approx(0.4, rel=1e-3))
    assert (by_file.width, by_file.height) == (1.0, pytest.approx(0.6))
    [plain] = lot_reports.tiles_in(tmp_path, ["b.png"])
    unknown = thumbnail(str(tmp_path), plain, None)
    assert unknown.uri
    assert unknown.bar is None


@pytest.mark.parametrize("source", ["https://example.org/lot", "", "/nowhere", "a\0b"])
def test_a_source_that_is_no_folder_here(source):
    tile = stored(1).tile
    assert thumbnail(source, tile, 1.0).missing.startswith("The file")


def test_a_large_mosaic_is_averaged():
    rng = np.random.default_rng(0)
    row, column = np.divmod(np.arange(90_000), 300)
    entropy = rng.uniform(0, 2, 90_000)
    grid = mosaic_map(columns_of(entropy, row + 40, column))
    assert grid.entropy.shape == (150, 150)
    assert (grid.step, grid.top, grid.left) == (2, 40, 0)
    first = entropy[[0, 1, 300, 301]].mean()
    assert grid.entropy[0, 0] == pytest.approx(first)


def test_places_far_apart_do_not_make_a_large_map():
    grid = mosaic_map(columns_of([1.0, 2.0], [0, 1_000_000], [5, 2_000_000]))
    assert max(grid.entropy.shape) <= MOST_CELLS
    assert np.isfinite(grid.entropy).sum() == 2


def test_no_map_without_entropy():
    assert mosaic_map(columns_of([np.nan, np.nan])) is None


@pytest.fixture
def gathered(tmp_path):
    found = lot_reports.tiles_in(tmp_path / "lot", [f"t{index:02}.png" for index in range(12)])
    with lot_reports.new_store(tmp_path) as store:
        lot_reports.finish(store, lot_reports.screen(store, found, source=tmp_path / "lot"))
        yield gather(store, store.lot("R01"))


def test_every_figure_has_units(gathered):
    grid = mosaic_map(gathered.columns)
    made = [
        figures.map_figure(grid),
        figures.histogram_figure(gathered),
        figures.overlay_figure(gathered, gathered, ("a", "b")),
    ]
    labels = [[axes.get_xlabel() or axes.get_ylabel() for axes in each.axes] for each in made]
    histograms = ["familiarity [p-value]", "chance of error [probability]", "peak stress [psi]"]
    assert labels == [
        ["column of the mosaic [tiles]", "entropy [nats]"], histograms, histograms,
    ]  # fmt: skip
    heights = [axes.get_ylabel() for each in made for axes in (each.axes[0],)]
    assert heights == ["row [tiles]", "tiles", "share of tiles [%]"]


def test_calibration_tiles_would_be_spread_evenly(gathered):
    familiar = figures.histogram_figure(gathered).axes[0]
    [line] = [each for each in familiar.lines if "calibration" in each.get_label()]
    assert set(line.get_ydata()) == {12 / 20}


@pytest.mark.parametrize("name", ["_hidden", "$x$", "a & <b>", "\\frac", "試料"])
def test_any_name_can_stand_in_a_legend(gathered, name):
    figure = figures.overlay_figure(gathered, gathered, (name, "other"))
    svg = drawn(figure, "overlay", "histograms")
    shown = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert shown in str(svg)


def test_numbers_for_people():
    assert [number(each) for each in (2000.4, 13.789, 0.01234, 0.0, None)] == [
        "2,000", "13.79", "0.01234", "0.000", "–",
    ]  # fmt: skip
    assert number(0.9653, 12.76) == "0.97"
    assert [share(each) for each in (0.0, 1.0, 0.9996, 0.0001, 0.125, None)] == [
        "0%", "100%", "above 99.9%", "below 0.1%", "12.5%", "–",
    ]  # fmt: skip
    assert readable("a" * 90, 20) == "a" * 12 + "…" + "a" * 7


def _with_chromium():
    try:
        return pdf.find_browser()
    except Contradiction as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(missing.message)


def test_the_pdf_has_pages_with_text(gathered):
    _with_chromium()
    data = pdf.pdf_bytes(lot_page(gathered, NOW))
    assert data.startswith(b"%PDF-")
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(data)).pages]
    assert len(pages) >= 2
    for at, text in enumerate(pages, 1):
        assert f"Page {at} of {len(pages)}" in text
    whole = " ".join(" ".join(pages).split())
    for said in ("REFER", "2,000 ± 50 psi", "ab" * 32, "entropy [nats]", "t00.png"):
        assert said in whole, said


def test_the_pdf_fetches_nothing(gathered, tmp_path):
    _with_chromium()
    (tmp_path / "secret.html").write_text("<p>TOPSECRET</p>")
    frame = (
        f'<iframe src="file://{tmp_path}/secret.html"></iframe><script>document.write(1)</script>'
    )
    html = lot_page(gathered, NOW).replace("<main>", f"<main>{frame}")
    pages = PdfReader(io.BytesIO(pdf.pdf_bytes(html))).pages
    assert "TOPSECRET" not in "".join(page.extract_text() for page in pages)


def test_a_missing_browser_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Contradiction, match="apt-get install chromium") as said:
        pdf.pdf_bytes("<p>text</p>")
    assert said.value.reason == "PDF_UNAVAILABLE"


@pytest.mark.parametrize("script", ["exit 3", "sleep 9", "echo no display >&2"])
def test_a_browser_that_does_not_print_is_said(monkeypatch, tmp_path, script):
    program = tmp_path / "chromium"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(pdf, "LIMIT_S", 0.5)
    with pytest.raises(Contradiction) as said:
        pdf.pdf_bytes("<p>text</p>")
    assert said.value.reason == "PDF_UNAVAILABLE"
    assert str(program) in said.value.message
