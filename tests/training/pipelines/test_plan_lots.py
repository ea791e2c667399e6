"""Plans of tests: from lots and what the committee sees of them to the next lot."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from lotwise_training.active_learning.acquisition import INFORMATION, RISK
from lotwise_training.active_learning.embedding import PlaceSpace
from lotwise_training.active_learning.forecast import FARTHEST, Outlook, expected_error
from lotwise_training.active_learning.gaussian_process import LotKernel, LotProcess
from lotwise_training.active_learning.power_law import PowerLaw
from lotwise_training.data.tiles import DatasetError
from lotwise_training.export.repository import write_repository
from lotwise_training.pipelines.plan_lots import plan_lots, ranks
from lotwise_training.pipelines.plan_table import needed, sentences, show_plan
from tests.support.lot_folders import grey, lots_csv, write
from tests.training.commands import said
from tests.training.planned_lots import curve, lots, planned, table_of
from tests.training.small_runs import write_committee

# The plan


def test_a_plan_ranks_all_untested_lots_and_predicts_them():
    plan = planned(tested=14, count=4)
    _, _, true = lots()
    assert sorted(lot.lot_id for lot in plan.lots) == sorted(f"L{n}" for n in range(14, 30))
    assert [lot.risk_rank for lot in plan.lots] == list(range(1, 17))
    assert sorted(lot.information_rank for lot in plan.lots) == list(range(1, 17))
    cuts = [lot.cut_of_risk for lot in plan.lots]
    assert cuts == sorted(cuts, reverse=True)
    assert plan.batches[RISK][0] == plan.lots[0].lot_id
    best = next(lot for lot in plan.lots if lot.information_rank == 1)
    assert plan.batches[INFORMATION][0] == best.lot_id
    assert len(plan.batches[RISK]) == len(plan.batches[INFORMATION]) == 4
    off = np.array([lot.predicted / true[int(lot.lot_id[1:])] - 1 for lot in plan.lots])
    assert np.abs(off).mean() < 0.5 * np.abs(true[14:] / true[:14].mean() - 1).mean()


def test_the_deviation_is_that_of_a_log_normal():
    means, values, _ = lots()
    values[10:] = np.nan
    plan = plan_lots(table_of(values), means, resamples=2)
    kernel = LotKernel.of(PlaceSpace.of(means).places(means))
    mean, covariance = LotProcess.fitted(kernel, np.arange(10), values[:10]).posterior()
    lot = next(lot for lot in plan.lots if lot.lot_id == "L17")
    drawn = np.random.default_rng(0).normal(mean[17], np.sqrt(covariance[17, 17]), 400_000)
    assert lot.predicted == pytest.approx(np.median(np.exp(drawn)), rel=0.01)
    assert lot.deviation == pytest.approx(np.exp(drawn).std(), rel=0.02)


def test_the_same_lots_give_the_same_plan():
    first, again = planned(), planned()
    assert first.lots == again.lots
    assert first.outlook.more(0.03) == again.outlook.more(0.03)


def test_ranks_of_equal_gains_keep_their_order():
    assert ranks(np.array([0.1, 0.3, 0.1, 0.2])).tolist() == [3, 1, 4, 2]


def test_five_tested_lots_and_one_untested_are_enough():
    means, values, _ = lots(6)
    values[2] = np.nan
    plan = plan_lots(table_of(values), means, 3, resamples=5)
    assert [lot.lot_id for lot in plan.lots] == ["L2"]
    assert plan.batches == {RISK: ("L2",), INFORMATION: ("L2",)}
    assert 0 < plan.outlook.error(5)[0] < 1


@pytest.mark.parametrize(
    ("tested", "values", "reason"),
    [(4, None, "TESTED_TOO_FEW"), (30, None, "UNTESTED_NONE"), (8, 5.0, "PROPERTY_CONSTANT")],
)
def test_what_cannot_be_planned_is_refused(tested, values, reason):
    means, measured, _ = lots()
    if values is not None:
        measured[:] = values
    measured[tested:] = np.nan
    with pytest.raises(DatasetError) as refused:
        plan_lots(table_of(measured), means)
    assert refused.value.reason == reason


# What is said


def worded(plan, target):
    return " ".join(sentences(plan, target))


def of_curves(plan, one, *others):
    return replace(plan, outlook=Outlook(one, others, np.array([])))


def test_how_many_more_lots_is_said_with_its_interval_and_where_they_lie():
    plan = planned()
    law = PowerLaw(0.01, 0.4, 0.8)
    soon, late = curve([0.10, 0.06, 0.04], law), curve([0.10, 0.09, 0.08], law)
    told = needed(of_curves(plan, soon, soon, late), 0.05)
    assert "about 2 more lots, tested in that order (90% interval 2 to 8 more lots)" in told
    told = needed(of_curves(plan, late, soon, late), 0.05)
    assert "beyond the 3 at hand" in told
    assert "power law" in told
    assert "reached already" in needed(of_curves(plan, soon, soon), 0.2)
    assert "It may still take 1 more lot " in needed(
        of_curves(plan, soon, curve([0.3, 0.1, 0.1], law)), 0.2
    )


def test_a_target_out_of_reach_is_said_with_why():
    plan = replace(planned(), nugget=0.1)
    low = PowerLaw(0.08, 0.1, 0.5)
    told = needed(of_curves(plan, curve([0.2, 0.2], low), curve([0.2, 0.2], low)), 0.05)
    assert "out of reach: a lot's own deviation" in told
    assert f"{float(expected_error(np.array(0.1))):.1%}" in told
    slow = curve([0.2, 0.2], PowerLaw(0.0, 0.3, 0.1))
    quick = curve([0.2, 0.04], PowerLaw(0.0, 0.3, 0.1))
    told = needed(of_curves(replace(plan, nugget=0.01), slow, quick), 0.05)
    assert f"more than {FARTHEST} times the lots at hand" in told
    assert "At best it takes 1 more lot" in told


def test_a_committee_of_simulated_lots_and_a_short_list_are_warned_of():
    assert "trained on simulated lots" in worded(planned(simulated=True), 0.05)
    assert "simulated" not in worded(planned(), 0.05)
    assert "Only 2 lots are untested" in worded(planned(tested=28), 0.05)


def test_the_table_aligns_and_names_its_units():
    shown = io.StringIO()
    show_plan(planned(count=2), 0.05, Console(file=shown, width=120))
    lines = shown.getvalue().splitlines()
    assert "stress, psi" in lines[0]
    assert len({len(line) for line in lines[:22]}) == 1
    assert sum(line.strip()[:2].strip().isdigit() for line in lines) == 20
    assert "Test next, by cut of risk, in this order:" in shown.getvalue()


# The command


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    write_committee(folder / "runs" / "committee")
    write_repository(folder / "runs", folder / "models", folder, only=("committee",))
    return folder / "models"


def write_lots(root, tested, count=8):
    rows = [f"L{n},stress,{1000 + 90 * n if n < tested else ''},psi" for n in range(count)]
    lots_csv(root, "\n".join(["lot_id,property,value,unit", *rows]) + "\n")
    for number in range(count):
        for tile in range(2):
            pixels = grey(10 * number + tile, 256, 256).astype(float) * (0.4 + 0.07 * number)
            write(root / f"L{number}" / f"{tile}.png", pixels.astype(np.uint8))
    return root


def test_the_command_ranks_a_laboratorys_untested_lots(models, tmp_path):
    root = write_lots(tmp_path / "lots", 5)
    common = ("plan", "lots", "--lots", root, "--repository", models, "--home", tmp_path)
    code, told = said(*common, "--next", 2, "--target-error", 30)
    assert code == 0, told
    assert {"L5", "L6", "L7"} <= set(told.split())
    assert "With 5 of 8 lots tested" in told
    assert "trained on simulated lots" in told
    (root / "L6" / "0.png").unlink()
    (root / "L6" / "1.png").unlink()
    code, told = said(*common)
    assert code == 1
    assert "None of the 0 pictures" in told


def test_the_command_says_what_lacks(models, tmp_path):
    code, told = said("plan", "lots", "--lots", write_lots(tmp_path / "few", 3), "--repository",
                      models, "--home", tmp_path)  # fmt: skip
    assert code == 1
    assert "3 of the lots have a value; 5 at least" in told
    code, told = said("plan", "lots")
    assert code == 1
    assert "--lots FOLDER" in told
