"""The report's section on edits, on measurements whose figures are known."""

from dataclasses import replace

import numpy as np
import pytest

from lotwise_simulator import ATTRIBUTE_NAMES, benchmark
from lotwise_training.evaluation.edit_response import current_attributes, target_attributes
from lotwise_training.evaluation.edits import (
    SIMULATOR,
    EditorRun,
    EditResult,
    EditSet,
    edit_figures,
    edit_records,
    editor_card_rows,
    meter_card_rows,
)
from lotwise_training.pipelines.edit_measurements import CURVE_POINTS, thin_curves
from lotwise_training.report import verify_networks as served_edits
from lotwise_training.report.edits import edit_section, edit_targets, edits_table, redrawn_table
from lotwise_training.report.figures.edits import contact_sheet
from lotwise_training.report.render import Inputs
from lotwise_training.report.served_models import RecheckFailed
from lotwise_training.store.arrays import write

CURVE = [[20.0, 30.0], [40.0, 20.0], [60.0, 12.0]]
MANIFEST = {
    "benchmark": 1,
    "profile": "tiny",
    "served": "difference",
    "attributes": list(ATTRIBUTE_NAMES),
    "unit": "psi",
    "networks": {"difference": {"steps": 60, "seconds": 9}},
    "curves": {"difference": {"redrawing": CURVE, "edits": CURVE[1:]}, "attgan": {"critic": CURVE}},
}


def edits(diagonal, leak=0.0, psnr=40.0, shift=0.0, signs=1.0):
    """Three lots of two tiles, each edit answered alike."""
    requested = np.tile(np.array([-0.3, 0.3], dtype=np.float32), (6, 4, 1))
    response = diagonal * np.eye(4) + leak * (1 - np.eye(4))
    measured = np.einsum("njd,ji->njdi", requested, response).astype(np.float32)
    drawn = psnr is not None
    return EditSet(
        lots=np.repeat(np.arange(3), 2).astype(np.float32),
        requested=requested,
        measured=measured,
        property=signs * 1000.0 * requested,
        redrawn_psnr_db=np.full(6 if drawn else 0, psnr, dtype=np.float32),
        redrawn_shift=np.full(6 if drawn else 0, shift, dtype=np.float32),
        returned_psnr_db=np.full((6 if drawn else 0, 4), 25.0, dtype=np.float32),
    )


@pytest.fixture
def sets():
    return {
        SIMULATOR: edits(0.9, psnr=None),
        "attgan": edits(0.5, 0.3, psnr=24.0, shift=-0.05, signs=-1.0),
        "difference": edits(0.85, -0.1),
    }


def test_targets_are_those_of_the_editor_that_is_served(sets):
    figures = edit_figures(sets)
    assert [target.reached for target in edit_targets(figures["difference"])] == [True] * 6
    missed = edit_targets(figures["attgan"])
    assert [target.reached for target in missed] == [False] * 6
    values = [0.5, 0.3, 0.5 / 0.9, 0.3 / 0.9, 24.0, 0.05]
    assert [target.value for target in missed] == pytest.approx(values, abs=1e-6)


def test_tables_name_editors_once_and_leaks_without_their_sign(sets):
    records = edit_records(edit_figures(sets), ATTRIBUTE_NAMES, "psi")
    rows = edits_table(records, "psi").cells
    assert len(rows) == 3 * 4
    assert rows[4][:2] == ("difference editor", "size")
    assert rows[4][2:] == (
        *("0.85", "0.85 to 0.85", "0.10"),
        *("0.94", "0.94 to 0.94", "0.11"),
        *("1,000", "100"),
    )
    assert rows[0][5:8] == ("–", "–", "–")  # the meter is corrected by these
    assert rows[8][8:] == ("−1,000", "0")
    assert rows[0][-1] == "–"  # the truth is not measured against itself
    drawn = redrawn_table(records).cells
    assert [row[0] for row in drawn] == ["difference editor", "AttGAN"]
    assert drawn[1][1:] == ("6", "24.0", "5.00", "25.0")


def test_the_meters_own_errors_are_taken_out(sets):
    """A meter that sees half of one attribute and takes a tenth of it for another."""
    meter = np.eye(4)
    meter[2] = [0.1, 0.0, 0.5, 0.0]
    true = np.diag([0.9, 0.8, 1.0, 0.7])
    true[0, 2] = 0.2
    requested = sets["difference"].requested

    def seen(changes):
        measured = np.einsum("njd,ji->njdi", requested, changes @ meter).astype(np.float32)
        return replace(sets["difference"], measured=measured)

    figures = edit_figures({SIMULATOR: seen(np.eye(4)), "difference": seen(true)})
    assert figures[SIMULATOR].response.value == pytest.approx(meter, abs=1e-6)
    assert figures["difference"].response.value[2, 2] == pytest.approx(0.5, abs=1e-6)
    assert figures["difference"].corrected.value == pytest.approx(true, abs=1e-5)


def test_an_attribute_at_its_end_counts_only_where_it_can_move(sets):
    requested = sets["difference"].requested.copy()
    requested[:, 1, 0] = 0.0
    cut = edits(0.85)
    one_sided = EditSet(
        **{
            **{name: getattr(cut, name) for name in cut.__dataclass_fields__},
            "requested": requested,
            "property": 1000.0 * requested,
        }
    )
    figures = edit_figures({SIMULATOR: one_sided, "difference": one_sided})["difference"]
    assert figures.true_signs[1] == 1.0
    assert figures.response.value[1, 1] == pytest.approx(0.85)


def test_the_section_is_there_where_edits_are_stored(sets, tmp_path):
    assert edit_section(Inputs(tmp_path)) is None
    kinds = {kind: EditorRun(**run) for kind, run in MANIFEST["networks"].items()}
    curves = {kind: thin_curves(each) for kind, each in MANIFEST["curves"].items()}
    known = {"networks": kinds, "curves": curves, "attributes": ATTRIBUTE_NAMES}
    write(tmp_path, EditResult(**{**MANIFEST, **known}, sets=sets))
    section = edit_section(Inputs(tmp_path))
    assert section.stated["served"] == "difference"
    of = {"editor": "difference", "attribute": "size", "measured": "size"}
    assert section.records.find("edits", "response", **of).value == 0.85
    assert "the difference editor is served" in section.blocks[0]
    assert len(section.plots) == 2
    assert section.verified == ""


def test_cards_show_the_served_editors_figures(sets):
    rows = editor_card_rows(edit_figures(sets)["difference"], ATTRIBUTE_NAMES)
    assert rows["size, of 1 asked"] == (
        "0.85 measured (0.85 to 0.85); property in the true direction in 100% of edits"
    )
    assert rows["redrawn with its own attributes"] == "40.0 dB, prediction moves by 0.00%"


def test_the_meters_card_shows_what_it_makes_of_real_changes(sets):
    rows = meter_card_rows(edit_figures(sets)[SIMULATOR], ATTRIBUTE_NAMES)
    assert rows["size, of a real change of 1"] == "0.90 measured (0.90 to 0.90)"
    assert rows["largest leak of a real change into another attribute"] == "0.00 of 1"


def test_a_contact_sheet_has_a_row_an_attribute():
    images = np.zeros((4, 3, 16, 16), dtype=np.uint8)
    captions = [["0.00", "0.50", "1.00"]] * 4
    figure = contact_sheet(images, ATTRIBUTE_NAMES, captions, "edits")
    assert len(figure.axes) == 12
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == list(ATTRIBUTE_NAMES)


def test_long_curves_are_thinned_to_their_ends():
    points = [[step, 1.0 / step] for step in range(1, 2001)]
    kept = thin_curves({"loss": points, "short": CURVE})
    assert len(kept["loss"]) == CURVE_POINTS
    assert [kept["loss"][0][0], kept["loss"][-1][0]] == [1, 2000]
    assert [list(point) for point in kept["short"]] == CURVE


class ServedEditor:
    """Served models that brighten a tile by what is asked of the size, and read its mean grey."""

    def __init__(self, off=0.0):
        self.off = off

    def infer(self, model, inputs):
        if model == "editor_encoder":
            return {"latent": inputs["image"].astype(np.float32), "skip": inputs["attributes"]}
        if model == "editor_decoder":
            change = (inputs["attributes"] - inputs["skip"])[:, 0, None, None, None]
            return {"image": inputs["latent"] + 100.0 * change}
        factor = 1.0 + self.off
        return {"property": factor * inputs["image"].mean(axis=(1, 2, 3))[:, None]}


def grey(lot):
    return np.full((64, 64), 100, np.uint8)


@pytest.fixture
def measured():
    """What such an editor does to a grey tile of each of the first lots."""
    lots = benchmark.new_lots()[: served_edits.EDITED_LOTS]
    own = current_attributes(lots)
    wanted = target_attributes(own)
    drawn = np.rint(np.float32(100.0) + 100.0 * (wanted - own[:, None, None])[..., 0])
    base = edits(1.0)
    names = base.__dataclass_fields__
    changed = {"lots": np.arange(len(lots), dtype=np.float32), "property": drawn - 100.0}
    return EditSet(**{name: changed.get(name, getattr(base, name)) for name in names})


def test_the_served_editor_is_asked_again_and_shown(measured):
    drawn, worst = served_edits.served_edits(ServedEditor(), measured, MANIFEST, grey)
    assert worst < 0.01
    assert [plot.name for plot in drawn] == ["edits-n001", "edits-n002"]
    titles = [axes.get_title(loc="left") for axes in drawn[0].figure.axes]
    assert len(titles) == 4 * served_edits.COLUMNS
    assert titles[0].startswith("0.00: ")
    assert titles[0].endswith(" psi")


def test_another_editor_is_found_out(measured):
    with pytest.raises(RecheckFailed, match="move the property otherwise than stored"):
        served_edits.served_edits(ServedEditor(off=0.1), measured, MANIFEST, grey)
