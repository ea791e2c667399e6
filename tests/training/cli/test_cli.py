"""The command line: its commands fit together, and what goes wrong is said in a sentence."""

import pytest

from lotwise.core.calibration import read_calibration
from lotwise.core.policy import ReferralPolicy
from lotwise.runtime.model_config import read_pbtxt
from lotwise_training.cli import app as cli
from lotwise_training.data.calibration_sets import FreshTiles
from lotwise_training.data.tiles import read_table
from lotwise_training.evaluation.predictions import METHODS, CalibrationCheck, EnsembleResult
from lotwise_training.pipelines import measure, train
from lotwise_training.pipelines import workspace as workshop
from lotwise_training.pipelines.runs import RunRecord
from lotwise_training.store.arrays import read
from tests.training.answered_tiles import ensemble_result
from tests.training.commands import (
    LOTS,
    TINY_NETWORK,
    said,
    write_grey_lots,
    write_recipes,
)
from tests.training.small_lots import grey_lots
from tests.training.small_runs import write_committee

OF_A_FOLDER = ("region-blocked", "lot-held-out")
"""Splits of a folder's lots: tiles of a picture stay together."""

RECIPE = f"""
members = 2
field_um = 256.0
split = "tile-random"
dropout = 0.3
dropout_passes = 2
parallel = 1
{TINY_NETWORK}[comparison]
other_splits_members = 2
other_splits_steps = 2
short_members = 0
head_tiles = 8
test_tiles = 10
[policy]
kind = "threshold"
target = 0.5
min_familiarity = 0.3
max_referred_share = 0.6
confidence = 0.9
[calibration]
tiles = 20
fresh_tiles = 12
"""


@pytest.fixture(scope="module")
def recipes(tmp_path_factory):
    return write_recipes(tmp_path_factory.mktemp("recipes"), committee=RECIPE)


@pytest.fixture(scope="module")
def lots(tmp_path_factory):
    return write_grey_lots(tmp_path_factory.mktemp("lots"))


@pytest.fixture(scope="module")
def followed(lots, recipes, tmp_path_factory):
    """All commands in turn on the lots of a laboratory: their folder and what they said."""
    home = tmp_path_factory.mktemp("home")
    common = ("--profile", "tiny", "--recipes", recipes, "--home", home, "--lots", lots)
    results, models = home / "results", home / "models"
    trained = said("committee", *common)
    fitted = said("policy", *common)
    answered = said("predict", *common, "--results", results)
    where = ("--repository", models, "--results", results)
    exported = said("export", "--home", home, *where, "--only", "committee")
    return home, (trained, fitted, answered, exported)


def test_a_laboratorys_lots_become_a_model_that_says_whose_it_is(followed):
    home, steps = followed
    assert [code for code, _ in steps] == [0, 0, 0, 0], steps
    stated = read_pbtxt(home / "models" / "committee" / "config.pbtxt").metadata
    assert [lot.lot_id for lot in stated.reference_lots] == list(LOTS)
    assert not stated.trained_on_simulated_lots
    # Scores of one attribute alone are not what the services compare.
    assert stated.attributes == ()
    policy = ReferralPolicy.read(home / "models" / "committee" / "referral_policy.json")
    assert policy.weights_sha256 == stated.weights_sha256
    assert policy.measured.tiles == 3 * 16
    assert policy.calibration_set.tiles == 3 * 16
    assert policy.calibration_set.origin == "laboratory"
    calibrated = read_calibration(home / "models" / "committee")
    calibrated.check_weights(stated.weights_sha256)
    assert calibrated.calibration.calibration_version == policy.calibration_version


def test_its_card_shows_the_figures_of_its_answers(followed):
    home, _ = followed
    card = (home / "models" / "committee" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "simulated" not in card
    assert "By `make evaluate`, on its own lots, profile tiny." in card
    for split in OF_A_FOLDER:
        assert f"| {split}, deep ensemble | accuracy " in card
    assert "Not compared with tile-random: tiles of a region stay together." in card


def test_its_answers_are_those_of_every_split(followed):
    home, _ = followed
    stored = read(EnsembleResult, home / "results")
    outputs, manifest = stored.sets, stored.manifest()
    names = {*((split, "test") for split in OF_A_FOLDER), ("lot-held-out", "unseen")}
    assert set(outputs) == names
    assert all(set(each.predictions) == set(METHODS) for each in outputs.values())
    served = outputs["region-blocked", "test"]
    assert served.familiarity.shape == served.tiles.shape
    assert ((served.familiarity > 0) & (served.familiarity <= 1)).all()
    assert outputs["lot-held-out", "test"].familiarity is None
    assert manifest["benchmark"] is None
    assert manifest["lot_ids"] == list(LOTS)


def test_the_table_of_the_lots_lies_beside_the_members(followed):
    home, _ = followed
    table = read_table(home / "runs" / "committee" / "lots.json")
    assert table.lot_ids == LOTS
    assert table.origins == ("iron",) * 3


def test_lots_of_the_benchmark_are_calibrated_and_judged_on_fresh_tiles(
    recipes, tmp_path, monkeypatch
):
    write_committee(tmp_path / "runs" / "committee")
    known = grey_lots(4, regions=12, per_region=5)
    asked = {}

    def fresh_tiles(name, tiles, cache):
        asked[name] = tiles
        drawn = grey_lots(4, regions=1, per_region=tiles, seed=len(asked))
        return FreshTiles(drawn.images, drawn.lots)

    monkeypatch.setattr(workshop, "benchmark_set", lambda name, cache: known)
    monkeypatch.setattr(workshop, "fresh_tiles", fresh_tiles)
    for name in ("split_predictions", "shifted_predictions"):
        monkeypatch.setattr(measure, name, lambda *_: {})
    monkeypatch.setattr(measure, "ensemble_result", lambda *_, **__: ensemble_result({}))
    common = ("--profile", "tiny", "--recipes", recipes, "--home", tmp_path)
    code, text = said("policy", *common)
    assert code == 0, text
    policy = ReferralPolicy.read(tmp_path / "runs" / "committee" / "referral_policy.json")
    assert policy.calibration_set.tiles == 4 * 20
    assert policy.measured.tiles == len(known) // 10
    code, text = said("predict", *common, "--results", tmp_path / "results")
    assert code == 0, text
    judged = read(CalibrationCheck, tmp_path / "results")
    assert len(judged.fresh) == 4 * 12
    assert judged.policy == policy
    assert asked == {"calibration": 20, "fresh": 12}


def test_a_committee_without_a_policy_is_exported_without_and_said_so(recipes, tmp_path):
    write_committee(tmp_path / "runs" / "committee")
    models = tmp_path / "models"
    where = ("--home", tmp_path, "--repository", models, "--results", tmp_path)
    assert said("export", *where, "--only", "committee")[0] == 0
    assert (models / "committee" / "familiarity.npz").exists()
    for name in ("calibration.json", "familiarity.npz", "referral_policy.json"):
        (tmp_path / "runs" / "committee" / name).unlink()
    code, text = said("export", *where, "--only", "committee")
    assert code == 0, text
    assert "lotwise calibrate" in text
    # That of the committee before must not be taken for its own.
    assert not (models / "committee" / "calibration.json").exists()
    assert not (models / "committee" / "referral_policy.json").exists()


def common_to(recipes, home):
    return ("--profile", "tiny", "--recipes", recipes, "--home", home)


@pytest.fixture
def asked_to_train(monkeypatch):
    """Names of the networks that a command would train on small lots of the benchmark."""
    names = []

    def note(trainer, jobs, run, *, parallel):
        names.extend(job.name for job in jobs)

    monkeypatch.setattr(train, "train_networks", note)
    monkeypatch.setattr(workshop, "benchmark_set", lambda name, cache: grey_lots(4))
    return names


def test_without_a_folder_the_lots_are_the_benchmarks(asked_to_train, recipes, tmp_path):
    code, text = said("committee", "--profile", "tiny", "--recipes", recipes, "--home", tmp_path)
    assert code == 0, text
    # Three splits of two members and a network with dropout.
    assert len(asked_to_train) == 3 * 3
    assert read_table(tmp_path / "runs" / "committee" / "lots.json").lot_ids[0] == "L0"


def test_only_what_is_served_can_be_trained_alone(asked_to_train, recipes, tmp_path):
    said(
        "committee", "--only-served", "--profile", "tiny", "--recipes", recipes, "--home", tmp_path
    )
    assert asked_to_train == ["committee/member_00", "committee/member_01"]


def test_a_time_limit_is_noted_and_nothing_else_is(asked_to_train, recipes, tmp_path):
    said("committee", *common_to(recipes, tmp_path), "--max-seconds", "60", "--set", "members=1")
    record = RunRecord.model_validate_json(
        (tmp_path / "runs" / "committee" / "run.json").read_text(encoding="utf-8")
    )
    assert (record.model, record.max_seconds, record.recipe["members"]) == ("committee", 60.0, 1)
    assert record.ended is not None
    assert record.environment["device"] in ("cpu", "cuda")


def test_runs_are_kept_apart_by_name_and_listed(asked_to_train, recipes, tmp_path):
    for name in ("first", "second"):
        said("committee", *common_to(recipes, tmp_path), "--run", name)
    assert not (tmp_path / "runs" / "committee").exists()
    write_committee(tmp_path / "runs" / "first" / "committee")
    code, text = said("runs", "--home", tmp_path)
    assert code == 0, text
    rows = [line.split() for line in text.splitlines() if "committee" in line]
    assert [("first" in row, "second" in row) for row in rows] == [(True, False), (False, True)]
    assert "2 of 2" in text


def test_all_is_every_step_in_order_with_the_same_folders(monkeypatch, tmp_path):
    steps = ("data", "committee", "regressor", "editor", "policy", "predict", "evaluate", "export")
    done = {}

    def follow(name):
        def step(**options):
            done[name] = options

        step.__name__ = name
        monkeypatch.setattr(cli if hasattr(cli, name) else cli.measuring, name, step)

    for name in steps:
        follow(name)
    results, models = tmp_path / "results", tmp_path / "models"
    where = ("--home", tmp_path, "--results", results, "--repository", models)
    assert said("all", "--profile", "paper", *where)[0] == 0
    assert tuple(done) == steps
    for name in steps[:-1]:
        assert (done[name]["profile"], done[name]["home"]) == ("paper", tmp_path)
    assert done["predict"]["results"] == done["evaluate"]["results"] == results
    assert (done["export"]["repository"], done["export"]["results"]) == (models, results)


def test_only_the_tiles_that_are_named_are_made(recipes, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(workshop.Workspace, "render", lambda _, name: made.append(name) or 1234)
    where = ("--profile", "tiny", "--recipes", recipes, "--home", tmp_path)
    code, text = said("data", "meter", "reference", *where)
    assert code == 0
    assert made == ["meter", "reference"]
    assert "meter: 1,234 tiles in" in text
    said("data", *where)
    assert made[2:] == list(workshop.RENDERED)
    code, text = said("data", "meters", *where)
    assert code == 1
    assert "there are no tiles 'meters'; there are strength, meter, reference" in text


def test_a_profile_that_is_not_there_is_named(tmp_path):
    code, text = said("committee", "--profile", "tpu", "--home", tmp_path)
    assert code == 1
    assert "no profile 'tpu'" in text
    assert "there are cpu, gpu, paper" in text


def test_a_slip_in_a_recipe_is_named(recipes, tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "committee.toml").write_text("member = 4\n")
    code, text = said("committee", "--recipes", tmp_path, "--home", tmp_path)
    assert code == 1
    assert "cpu/committee.toml: unknown key 'member'" in text


def test_a_folder_without_a_table_of_lots_is_named(tmp_path):
    for command in ("committee", "policy", "predict"):
        code, text = said(command, "--lots", tmp_path / "mine", "--home", tmp_path)
        assert code == 1
        assert "lots.csv" in text
        assert not (tmp_path / "runs").exists()


def test_what_is_missing_is_named_with_the_command_that_makes_it(recipes, lots, tmp_path):
    common = ("--profile", "tiny", "--recipes", recipes, "--home", tmp_path, "--lots", lots)
    for command in ("policy", "predict"):
        code, text = said(command, *common)
        assert code == 1
        assert "run `lotwise-train committee` first" in text
    code, text = said("export", "--home", tmp_path, "--only", "comittee")
    assert code == 1
    assert "'comittee' cannot be exported" in text


def test_a_laboratorys_folder_can_be_checked_without_training(lots, tmp_path):
    code, text = said("lots", lots, "--home", tmp_path)
    assert code == 0
    assert all(lot in text for lot in LOTS)


def test_only_what_is_named_is_measured(recipes, tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(measure, "evaluate_regressor", lambda *_: done.append("regressor"))
    monkeypatch.setattr(measure, "evaluate_editor", lambda *_: done.append("editor"))
    common = ("--profile", "tiny", "--recipes", recipes, "--home", tmp_path)
    for asked, measured in (
        ((), ["regressor"]),  # nobody has trained an editor
        (("--only", "editor"), ["editor"]),
        (("--only", "regressor"), ["regressor"]),
    ):
        done.clear()
        assert said("evaluate", *common, *asked)[0] == 0
        assert done == measured
    (tmp_path / "runs" / "editor").mkdir(parents=True)
    done.clear()
    assert said("evaluate", *common)[0] == 0
    assert done == ["regressor", "editor"]
    code, text = said("evaluate", *common, "--only", "committee")
    assert code == 1
    assert "'committee' is not measured so" in text


@pytest.mark.parametrize("name", ["committee", "../elsewhere", ".hidden", "a/b"])
def test_a_name_that_no_run_can_have_is_refused(name, recipes, tmp_path):
    code, text = said("committee", *common_to(recipes, tmp_path), "--run", name)
    assert code == 1
    assert f"--run {name}: a name has letters" in text
    assert not (tmp_path / "runs").exists()


def test_a_run_that_goes_on_keeps_its_beginning(asked_to_train, recipes, tmp_path):
    path = tmp_path / "runs" / "committee" / "run.json"
    said("committee", *common_to(recipes, tmp_path), "--max-seconds", "60")
    first = RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
    said("committee", *common_to(recipes, tmp_path))
    second = RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
    assert (second.started, second.command) == (first.started, first.command)
    assert (second.resumed, second.max_seconds) == (1, 60.0)
    said("committee", *common_to(recipes, tmp_path), "--set", "members=1")
    third = RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
    assert (third.resumed, third.recipe["members"], third.max_seconds) == (0, 1, None)
