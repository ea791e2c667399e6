"""Tables and figures of the property, on predictions whose errors are known."""

import json

import numpy as np
import pytest

from lotwise_simulator import benchmark
from lotwise_training.evaluation.property_predictions import (
    LOT_HELD_OUT,
    MEAN,
    NETWORK,
    SCORES,
    TEXTURE,
    TILE_RANDOM,
    PropertyResult,
    PropertySet,
    RegressorRun,
)
from lotwise_training.evaluation.records import Records
from lotwise_training.evaluation.regression import (
    GAIN,
    SECTION,
    add_gain,
    card_rows,
    lot_predictions,
    property_records,
)
from lotwise_training.evaluation.regression import LOTS as OF_LOTS
from lotwise_training.report.property import property_section, property_table, property_targets
from lotwise_training.report.render import Inputs
from lotwise_training.report.served_models import RecheckFailed
from lotwise_training.report.verify_networks import check_predictions
from lotwise_training.store.arrays import ResultsError, read, write

MANIFEST = {
    "benchmark": 1,
    "profile": "tiny",
    "property": "peak stress",
    "unit": "psi",
    "networks": {"regressor/regressor": {"train_lots": 3}},
}
LOTS = np.array([0, 0, 1, 1, 2, 2], dtype=np.int16)
VALUES = np.array([100.0, 200.0, 400.0])


def predictions(**errors):
    """A set whose methods are wrong by so many percent, up on one tile of a lot and down on the
    other."""
    true = VALUES[LOTS]
    signs = np.array([1, -1] * 3)
    return PropertySet(
        LOTS,
        ("a", "b", "c"),
        VALUES,
        {m: (true * (1 + signs * e / 100)).astype(np.float32) for m, e in errors.items()},
    )


@pytest.fixture
def sets():
    held = predictions(**{NETWORK: 6.0, TEXTURE: 10.0, SCORES: 8.0, MEAN: 50.0})
    return {TILE_RANDOM: predictions(**{NETWORK: 3.0, MEAN: 40.0}), LOT_HELD_OUT: held}


def test_errors_are_those_that_were_made(sets):
    figures = {(r.of["set"], r.of["method"]): r for r in property_records(sets).rows(SECTION)}
    network = figures[TILE_RANDOM, NETWORK]
    assert (network.metrics["mape"].count, network.value("lots")) == (6, 3)
    assert network.value("mape") == pytest.approx(3.0)
    assert network.metrics["mape"].interval == pytest.approx((3.0, 3.0))
    assert network.value("rmse") == pytest.approx(0.03 * np.sqrt((100**2 + 200**2 + 400**2) / 3))
    # The errors of a lot's two tiles cancel in their mean.
    assert network.value("lot_mape") == pytest.approx(0.0, abs=1e-4)
    assert network.value("lot_rmse") == pytest.approx(0.0, abs=1e-3)
    assert [method for name, method in figures if name == LOT_HELD_OUT] == [
        NETWORK,
        TEXTURE,
        SCORES,
        MEAN,
    ]


def gain(predicted):
    records = Records()
    add_gain(records, predicted)
    return records.find(GAIN, "gain")


def test_the_gain_is_over_the_best_baseline(sets):
    found = gain(sets[LOT_HELD_OUT])
    assert found.of["baseline"] == SCORES
    assert found.value == pytest.approx(1 - 6 / 8)
    assert found.interval == pytest.approx((0.25, 0.25))
    assert gain(predictions(**{NETWORK: 1.0})) is None


def test_a_baseline_that_is_better_is_a_loss():
    assert gain(predictions(**{NETWORK: 10.0, MEAN: 5.0})).value == pytest.approx(-1.0)


def test_lots_are_told_one_by_one(sets):
    lots = lot_predictions(sets[TILE_RANDOM], MEAN)
    assert lots.lot_ids == ("a", "b", "c")
    np.testing.assert_allclose(lots.true, VALUES)
    np.testing.assert_allclose(lots.spread, 0.4 * VALUES, rtol=1e-6)
    np.testing.assert_allclose(lots.rmse, 0.4 * VALUES, rtol=1e-6)
    np.testing.assert_allclose(lots.mape_percent, 40.0, rtol=1e-5)


def test_targets_are_reached_or_missed_by_the_figures(sets):
    tiles, held = property_targets(property_records(sets))
    assert tiles.reached
    assert tiles.measured == "3.00%"
    assert held.reached
    assert held.measured == "by 25% (forest on scores)"
    missed = property_targets(property_records({TILE_RANDOM: predictions(**{NETWORK: 3.1})}))
    assert [each.reached for each in missed] == [False, None]


def test_the_table_shows_every_figure(sets):
    table = property_table(property_records(sets), "psi")
    assert table.cells[0][:5] == (TILE_RANDOM, NETWORK, "6", "3", "3.00")
    assert table.cells[1][:2] == ("", MEAN)
    assert table.lines == {2}
    assert "RMSE, psi" in [column.heading for column in table.columns]


def test_the_section_shows_table_and_figures(sets, tmp_path):
    networks = {"regressor/regressor": RegressorRun("e" * 64, 100, 9.0, 12, 3)}
    stated = {**MANIFEST, "data_version": "d" * 64, "networks": networks}
    write(tmp_path, PropertyResult(**stated, sets=sets))
    section = property_section(Inputs(tmp_path))
    names = ["property-methods", "property-predicted", "property-lots"]
    assert [plot.name for plot in section.plots] == names
    assert "trained on 3 simulated lots" in section.blocks[0]
    assert [table.name for table in section.tables] == ["property"]


def test_figures_are_plain_json(sets):
    records = property_records(sets, "psi")
    content = json.loads(json.dumps(records.as_json(), allow_nan=False))
    assert next(r for r in content if r["metric"] == "gain")["baseline"] == SCORES
    held = [r for r in content if r["section"] == OF_LOTS and r["set"] == LOT_HELD_OUT]
    assert [r["lot"] for r in held if r["metric"] == "true"] == ["a", "b", "c"]
    assert {r["unit"] for r in held} == {"psi", "%"}


def test_the_card_shows_the_network_and_what_it_is_compared_with(sets):
    rows = card_rows(property_records(sets))
    assert rows["tile-random, network"].startswith("MAPE 3.00%, RMSE ")
    assert "lot-held-out, forest on scores" in rows
    assert "tile-random, mean of the lots" not in rows


def test_predictions_that_their_manifest_does_not_speak_of_are_refused(sets, tmp_path):
    networks = {"regressor/regressor": RegressorRun("e" * 64, 100, 9.0, 12, 3)}
    stated = {**MANIFEST, "data_version": "d" * 64, "networks": networks}
    write(tmp_path, PropertyResult(**stated, sets=sets))
    path = tmp_path / "property_predictions.json"
    manifest = json.loads(path.read_text())
    another = dict(manifest["sets"][TILE_RANDOM], lots="another set/lots")
    manifest["sets"]["another set"] = another
    path.write_text(json.dumps(manifest))
    with pytest.raises(ResultsError, match="lacks 'another set/lots'"):
        read(PropertyResult, tmp_path)
    arrays = path.with_suffix(".npz")
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    with pytest.raises(ResultsError, match="is not the file"):
        read(PropertyResult, tmp_path)


class Regressor:
    """Served models that say of a tile its mean grey, and note how many were asked about."""

    def __init__(self, off=0.0):
        self.off = off
        self.asked = []

    def infer(self, model, inputs):
        assert model == "regressor"
        self.asked.append(len(inputs["image"]))
        return {"property": inputs["image"].mean(axis=(1, 2, 3))[:, None] + self.off}


@pytest.fixture
def kept():
    """Stored predictions of ten tiles of each new lot, flat grey, and what renders them."""
    lots = benchmark.new_lots()
    grey = {lot.lot_id: 20 + number for number, lot in enumerate(lots)}

    def render(order):
        return np.full((order.n_tiles, 256, 256), grey[order.lot.lot_id], dtype=np.uint8)

    numbers = np.repeat(np.arange(200), 10).astype(np.int16)
    ids = tuple(lot.lot_id for lot in lots)
    said = np.array([grey[ids[n]] for n in numbers], dtype=np.float32)
    return PropertySet(numbers, ids, np.ones(200), {NETWORK: said}), render


def test_the_served_regressor_is_asked_again(kept):
    models = Regressor(off=0.1)
    tiles, worst = check_predictions(models, kept[0], seed=0, draw=kept[1])
    assert tiles == sum(models.asked) == 120
    assert max(models.asked) == 8
    assert worst == pytest.approx(0.1, abs=1e-4)


def test_another_regressor_is_found_out(kept):
    with pytest.raises(RecheckFailed, match="differs from the stored prediction by 1.0"):
        check_predictions(Regressor(off=1.0), kept[0], seed=0, draw=kept[1])
