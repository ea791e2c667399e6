"""Intervals are calibrated by networks that had not seen the lots, and stored answers say so."""

import numpy as np
import pytest

from lotwise_training.calibration.conformal import (
    HeldOut,
    calibrate_intervals,
    calibrated,
    in_a_sentence,
    load_folds,
)
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.evaluation.conformal import (
    IntervalResult,
    interval_predictions,
)
from lotwise_training.inference.predict import predict_property
from lotwise_training.store.arrays import ResultsError, read, write
from lotwise_training.store.checkpoint import CheckpointError
from lotwise_training.training.tasks.property import (
    fold_name,
    regressor_splits,
)
from tests.training.striped_lots import RECIPE, striped_lots

DATA = striped_lots()
NEW = striped_lots((5, 7), regions=3, seed=1)

SAID = HeldOut(
    lots=np.array([0, 0, 1, 1, 2, 2], dtype=np.int16),
    predicted=np.array([100, 121, 200, 242, 400, 400], dtype=np.float32),
    folds=np.array([0, 0, 1], dtype=np.int8),
    values=np.array([110.0, 220.0, 400.0]),
    lot_ids=("a", "b", "c"),
    recipes=("x", "x", "c"),
)


def made(said=SAID, **changes):
    stated = {"logarithmic": True, "weights_sha256": "a" * 64, **changes}
    return calibrated(said, RECIPE.intervals, 2, **stated)


def test_residuals_are_relative_where_logarithms_were_learned():
    first, second, third = made().lots
    assert first.tile_residuals == pytest.approx((np.log(1.1), np.log(1.1)), rel=1e-4)
    assert first.lot_residual == pytest.approx(np.log(110.5 / 110), rel=1e-3)
    assert second.tile_residuals == pytest.approx(first.tile_residuals, rel=1e-4)
    assert third.tile_residuals == (0.0, 0.0)
    assert [lot.fold for lot in (first, second, third)] == [0, 0, 1]
    assert made().recipes == 2


def test_residuals_are_differences_where_they_were_not():
    first, *_ = made(logarithmic=False).lots
    assert first.tile_residuals == (10.0, 11.0)
    assert first.lot_residual == 0.5


def test_what_it_rests_on_is_said_and_a_default_is_never_lowered_in_silence():
    said = in_a_sentence(made())
    assert "with 3 lots of 2 recipes, 2 tiles of each" in said
    assert "up to 66.7%" in said
    assert "The recipe's 0.75 needs 3 recipes: requests must name a lower coverage" in said
    assert "needs" not in in_a_sentence(made().model_copy(update={"coverage": 0.6}))


def test_some_lots_can_calibrate_alone():
    alone = made(SAID.only(["c", "a"])).lots
    assert [lot.lot_id for lot in alone] == ["a", "c"]
    whole = {lot.lot_id: lot for lot in made().lots}
    assert alone == (whole["a"], whole["c"])


def test_every_lot_is_judged_by_the_network_that_held_it_out(regressor_runs):
    calibration = calibrate_intervals(DATA, RECIPE, regressor_runs)
    assert [lot.lot_id for lot in calibration.lots] == list(DATA.table.lot_ids)
    assert calibration.tiles_per_lot == 6
    assert calibration.logarithmic
    assert calibration.coverage == 0.75
    networks = load_folds(regressor_runs, 2)
    assert calibration.weights_sha256 == committee_sha256(networks)
    splits = regressor_splits(DATA, RECIPE)
    for number, lot in enumerate(calibration.lots):
        assert number in DATA.lots[splits[fold_name(lot.fold)].unseen]
        assert number not in DATA.lots[splits[fold_name(lot.fold)].train]
        answers = predict_property(networks[lot.fold], DATA.images[DATA.lots == number])
        possible = np.abs(np.log(answers / DATA.table.values[number]))
        for residual in lot.tile_residuals:
            assert np.abs(possible - residual).min() < 1e-4 * (1 + residual)


def test_a_lot_of_few_tiles_sets_how_many_are_taken_of_each(regressor_runs):
    few = DATA.few(4)
    assert calibrate_intervals(few, RECIPE, regressor_runs).tiles_per_lot == 4


def test_without_fold_networks_nothing_is_calibrated(tmp_path):
    with pytest.raises(CheckpointError, match="lotwise-train regressor"):
        calibrate_intervals(DATA, RECIPE, tmp_path)


def test_answers_are_stored_from_which_the_calibration_follows(regressor_runs, tmp_path):
    result = interval_predictions(
        DATA,
        NEW,
        RECIPE,
        regressor_runs,
        profile="tiny",
        benchmark=1,
        reference=DATA.table.lot_ids[:2],
    )
    new = result.new
    assert new.predicted.shape == (len(NEW), 2)
    for number, network in enumerate(load_folds(regressor_runs, 2)):
        np.testing.assert_array_equal(
            new.predicted[:, number], predict_property(network, NEW.images)
        )
    write(tmp_path, result)
    stored = read(IntervalResult, tmp_path)
    again, other, manifest = stored.held, stored.new, stored.manifest()
    followed = calibrated(
        again,
        RECIPE.intervals,
        2,
        logarithmic=manifest["logarithmic"],
        weights_sha256=manifest["weights_sha256"],
    )
    assert followed == calibrate_intervals(DATA, RECIPE, regressor_runs)
    np.testing.assert_array_equal(other.predicted, new.predicted)
    assert other.lot_ids == NEW.table.lot_ids
    assert manifest["reference_lots"] == list(DATA.table.lot_ids[:2])
    (tmp_path / "interval_predictions.npz").write_bytes(b"other")
    with pytest.raises(ResultsError, match="not the file that its manifest describes"):
        read(IntervalResult, tmp_path)
