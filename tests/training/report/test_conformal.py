"""Coverage of intervals in the report, on predictions whose errors are known."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from lotwise_simulator import benchmark
from lotwise_training.calibration.conformal import FOLDS, HeldOut
from lotwise_training.evaluation.conformal import (
    ALL_LOTS,
    REFERENCE,
    IntervalResult,
    NewLots,
    beta_binomial_band,
    binomial_band,
    calibrations,
    card_rows,
    coverage_records,
)
from lotwise_training.report.build import main
from lotwise_training.report.figures.style import as_svg
from lotwise_training.report.intervals import (
    coverage_table,
    coverage_targets,
    intervals_plot,
    intervals_section,
)
from lotwise_training.report.render import Inputs
from lotwise_training.report.served_models import RecheckFailed
from lotwise_training.report.verify_networks import check_calibration, check_predictions
from lotwise_training.store.arrays import write
from tests.training.answered_tiles import ensemble_result, every_set

LOTS, NEW, TILES, NETWORKS = 120, 50, 6, 3
STATED = {
    "benchmark": 1,
    "profile": "tiny",
    "property": "peak stress",
    "unit": "psi",
    "reference_lots": tuple(f"L{n}" for n in range(8)),
    "coverage": 0.9,
    "lot_tiles": TILES,
    "logarithmic": True,
    "weights_sha256": "a" * 64,
}


def noisy(rng, values, shape):
    """Predictions that err by 5% for a lot and by 5% more for each tile."""
    of_lot = rng.normal(0, 0.05, len(values))
    errors = of_lot[:, None] + rng.normal(0, 0.05, (len(values), TILES))
    said = values[:, None] * np.exp(errors)
    return np.broadcast_to(said.ravel()[:, None], (len(values) * TILES, shape))


@pytest.fixture(scope="module")
def answered():
    rng = np.random.default_rng(3)
    values, new = rng.uniform(1000, 3000, LOTS), rng.uniform(1000, 3000, NEW)
    held = HeldOut(
        lots=np.repeat(np.arange(LOTS), TILES).astype(np.int16),
        predicted=noisy(rng, values, 1)[:, 0].astype(np.float32),
        folds=(np.arange(LOTS) % NETWORKS).astype(np.int8),
        values=values,
        lot_ids=tuple(f"L{n}" for n in range(LOTS)),
        recipes=tuple(f"L{n}" for n in range(LOTS)),
    )
    said = NewLots(
        lots=np.repeat(np.arange(NEW), TILES).astype(np.int16),
        predicted=noisy(rng, new, NETWORKS).astype(np.float32),
        values=new,
        lot_ids=tuple(lot.lot_id for lot in benchmark.new_lots()[:NEW]),
    )
    return IntervalResult(**STATED, held=held, new=said)


@pytest.fixture(scope="module")
def records(answered):
    return coverage_records(answered)


def one(records, calibrated, kind, nominal):
    (found,) = records.rows("coverage", calibrated=calibrated, kind=kind, nominal=nominal)
    return {name: metric.value for name, metric in found.metrics.items()}


def test_coverage_is_the_share_of_new_lots_that_were_held(answered, records):
    held, new = answered.held, answered.new
    residuals = [
        abs(np.log(held.predicted[held.lots == n].mean(dtype=float) / held.values[n]))
        for n in range(LOTS)
    ]
    # All networks say the same here, so the interval is the point times a factor.
    factor = np.exp(np.sort(residuals)[int(np.ceil(0.9 * (LOTS + 1))) - 1])
    points = [new.predicted[new.lots == n, 0].mean(dtype=float) for n in range(NEW)]
    inside = (points / factor <= new.values) & (new.values <= np.multiply(points, factor))
    lot = one(records, ALL_LOTS, "lot", 0.9)
    assert lot["held"] == pytest.approx(inside.mean(), abs=0.021)  # residuals are rounded
    assert lot["width"] == pytest.approx(factor - 1 / factor, rel=1e-3)
    assert (lot["lots"], lot["tiles"], lot["calibration_recipes"]) == (NEW, NEW * TILES, LOTS)
    tile = one(records, ALL_LOTS, "tile", 0.9)
    assert tile["width"] > 1.2 * lot["width"]
    assert tile["held"] == pytest.approx(0.9, abs=0.12)
    assert one(records, ALL_LOTS, "lot", 0.8)["width"] < lot["width"]


def test_the_band_is_the_binomials():
    low, high = binomial_band(0.9, 200)
    assert (low, high) == (0.855, 0.94)
    for share, inside in ((low, True), (high, True), (low - 0.005, False), (high + 0.005, False)):
        side = "less" if share < 0.9 else "greater"
        p = binomtest(round(200 * share), 200, 0.9, alternative=side).pvalue
        assert (p > 0.025) == inside
    wider = beta_binomial_band(0.9, 200, 30)
    assert wider[0] < low
    assert wider[1] > high
    assert beta_binomial_band(0.9, 200, 10**6) == pytest.approx((low, high), abs=0.006)


def test_few_lots_cannot_certify_every_coverage(records):
    few = one(records, REFERENCE, "lot", 0.95)
    assert few["calibration_recipes"] == 8
    assert (few["held"], few["width"], few["within_band"]) == (None, None, None)
    assert few["recipes_needed"] == 19
    assert one(records, REFERENCE, "lot", 0.8)["held"] is not None
    cells = coverage_table(records).cells
    assert "needs 19" in {row[4] for row in cells}
    assert [row[0] for row in cells if row[0]] == [ALL_LOTS, REFERENCE]


def test_targets_are_those_of_what_is_served(records):
    targets = coverage_targets(records, 0.9)
    assert [target.what.split(" of ")[1].split(" ")[0] for target in targets] == ["lot", "tile"]
    for target in targets:
        assert target.reached == (0.82 <= target.value <= 0.98)
        assert target.wanted == "82.0 to 98.0% (binomial)"


def test_intervals_that_never_hold_miss_the_target(answered):
    off = replace(answered.new, predicted=answered.new.predicted * 2)
    lot, tile = coverage_targets(coverage_records(replace(answered, new=off)), 0.9)
    assert (lot.reached, lot.value) == (False, 0.0)
    assert not tile.reached


def test_the_card_names_what_is_served_alone(records):
    rows = card_rows(records)
    assert len(rows) == 6
    lot = one(records, ALL_LOTS, "lot", 0.9)
    assert rows["lot interval, 90% nominal"].startswith(f"held {lot['held']:.1%} of 50 new lots")


def test_page_and_figures_show_every_row(answered, records):
    plot = intervals_plot(calibrations(answered)[ALL_LOTS], answered)
    assert len(coverage_table(records).cells) == 12
    svg = as_svg(plot.figure, plot.name, plot.caption)
    assert "Lot intervals of 90% nominal coverage" in svg
    assert "covers it" in svg
    few = calibrations(answered)[REFERENCE]
    assert intervals_plot(few, answered) is None


def test_nothing_stored_gives_no_section(tmp_path):
    assert intervals_section(Inputs(tmp_path)) is None


def test_the_report_has_the_section(answered, tmp_path, capsys):
    write(tmp_path / "results", ensemble_result(every_set()))
    write(tmp_path / "results", answered)
    arguments = ["--results", tmp_path / "results", "--out", tmp_path / "out", "--no-recheck"]
    assert main([str(each) for each in arguments]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"Table \d+: Coverage of intervals on 50 new lots", shown)
    # Nothing is cut off at the edge.
    assert "mean width, %" in shown
    written = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    rows = [row for row in written["records"] if row["section"] == "coverage"]
    within = [row["value"] for row in rows if row["metric"] == "within_band"]
    assert len(within) == 12
    assert set(within) <= {True, False, None}
    assert any("coverage of lot intervals" in target["what"] for target in written["targets"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"weights_sha256": "b" * 64}, "other weights"),
        ({"coverage": 0.8}, "other coverage"),
        ({"logarithmic": False}, "other scale"),
        ({"lots": 1}, "other lots"),
        ({"residual": 1}, "differs from the stored predictions by 1"),
        ({"gone": True}, "No calibration of intervals"),
    ],
)
def test_the_served_calibration_is_compared_with_the_stored_one(answered, change, said, tmp_path):
    stored = calibrations(answered)[ALL_LOTS]
    served = stored
    if "lots" in change:
        served = stored.model_copy(update={"lots": stored.lots[1:]})
    elif "residual" in change:
        worse = stored.lots[0].model_copy(
            update={"lot_residual": stored.lots[0].lot_residual + 1.0}
        )
        served = stored.model_copy(update={"lots": (worse, *stored.lots[1:])})
    elif "gone" not in change:
        served = stored.model_copy(update=change)
    if "gone" not in change:
        served.write(tmp_path / FOLDS / "intervals.json")
    if not said:
        check_calibration(tmp_path, stored)
        return
    with pytest.raises(RecheckFailed, match=said):
        check_calibration(tmp_path, stored)


class Folds:
    """Says a network's number beside the tile's mean, and is off by something."""

    def __init__(self, off):
        self.off, self.asked = off, 0

    def infer(self, model, inputs):
        assert model == FOLDS
        images = inputs["image"]
        self.asked += len(images)
        mean = images.mean(axis=(1, 2, 3))
        said = np.stack([mean + network for network in range(NETWORKS)], axis=1)
        return {"property": (said + self.off).astype(np.float32)[:, :, None]}


@pytest.mark.parametrize(("off", "found"), [(0.01, False), (1.0, True)])
def test_the_fold_networks_are_asked_again(off, found):
    def render(order):
        """Tiles that are as grey as the number of their lot."""
        return np.full((order.n_tiles, 8, 8), int(order.lot.lot_id[1:]), dtype=np.uint8)

    names = tuple(lot.lot_id for lot in benchmark.new_lots())
    numbers = np.repeat(np.arange(200), 4).astype(np.int16)
    grey = np.array([int(names[n][1:]) for n in numbers], dtype=np.float32)
    said = grey[:, None] + np.arange(NETWORKS, dtype=np.float32)
    stored = NewLots(numbers, said, np.ones(200), names)
    if found:
        with pytest.raises(RecheckFailed, match="fold networks differ from the stored prediction"):
            check_predictions(Folds(off), stored, seed=0, draw=render)
        return
    models = Folds(off)
    tiles, worst = check_predictions(models, stored, seed=0, draw=render)
    assert tiles == models.asked == 48
    assert worst == pytest.approx(off, abs=1e-4)
