"""The committed model repository is what an export writes."""

import json
import shutil

import numpy as np
import pytest
import torch

from lotwise.core.errors import Contradiction
from lotwise.core.intervals import IntervalCalibration
from lotwise.core.policy import ReferralPolicy
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.runtime.model_config import read_pbtxt
from lotwise_training.calibration.conformal import FOLDS, load_folds
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.data.tiles import write_remarks
from lotwise_training.evaluation.classification import card_figures, check_card
from lotwise_training.evaluation.predictions import (
    ENSEMBLE,
    SINGLE,
    TEST,
    EnsembleResult,
    set_predictions,
)
from lotwise_training.export import repository as repository_module
from lotwise_training.export.exporter import Exporter
from lotwise_training.export.model_card import run_figures, training_sentence, write_card
from lotwise_training.export.regressor_folds import export_folds
from lotwise_training.export.repository import write_repository
from lotwise_training.inference.predict import load_members, predict_property
from lotwise_training.onnx.export import run_onnx
from lotwise_training.store.arrays import read, write
from lotwise_training.store.checkpoint import save_checkpoint
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.editor.runs import write_served
from lotwise_training.training.tasks.property import served_name
from tests.support.triton import ROOT
from tests.training.answered_tiles import ensemble_result
from tests.training.small_runs import (
    FOLD_NETWORKS,
    LOTS,
    MEMBERS,
    known_table,
    write_calibration,
    write_committee,
    write_runs,
)

RESULTS = ROOT / "training" / "results"
MODELS = sorted(path.parent.name for path in (ROOT / "model_repository").glob("*/config.pbtxt"))


PARTS = sorted(p.parent.parent.name for p in (ROOT / "model_repository").glob("*/*/members.json"))


@pytest.mark.parametrize("part", PARTS)
def test_parts_of_a_committee_name_it(repository, part):
    card = (repository / part / "MODEL_CARD.md").read_text(encoding="utf-8")
    signature = read_pbtxt(repository / part / "config.pbtxt")
    assert signature.metadata.weights_sha256 in card
    assert "of `committee`" in card


@pytest.mark.parametrize("model", sorted(set(MODELS) - set(PARTS)))
def test_every_model_has_its_card_with_hash_and_parity(repository, model):
    card = (repository / model / "MODEL_CARD.md").read_text(encoding="utf-8")
    signature = read_pbtxt(repository / model / "config.pbtxt")
    assert signature.name == model
    assert signature.metadata.weights_sha256 in card
    assert "Trained on simulated lots alone" in card
    parity = float(card.split("trained network: ")[1].split(" ")[0])
    assert 0 <= parity <= (2e-3 if model == "edit_gradient" else 1e-4)


def test_the_models_that_services_ask_are_there():
    assert PARTS == ["committee_first", "committee_rest"]
    wanted = {"regressor", "committee", "editor_encoder", "editor_decoder", "edit_gradient"}
    assert wanted <= set(MODELS)


def test_labels_name_the_reference_lots_in_the_order_of_the_logits(repository):
    labels = (repository / "committee" / "labels.txt").read_text(encoding="utf-8").split()
    signature = read_pbtxt(repository / "committee" / "config.pbtxt")
    assert labels == [lot.lot_id for lot in signature.metadata.reference_lots]
    assert len(labels) >= 8
    logits, *features = signature.outputs
    assert logits.shape == (signature.metadata.members, len(labels))
    assert logits.label_file == "labels.txt"
    for spec in features:
        assert spec.shape[0] == signature.metadata.members
        assert spec.label_file == ""


def test_the_policy_belongs_to_the_committee(repository):
    policy = ReferralPolicy.read(repository / "committee" / "referral_policy.json")
    signature = read_pbtxt(repository / "committee" / "config.pbtxt")
    assert policy.weights_sha256 == signature.metadata.weights_sha256


def test_the_committees_card_shows_the_figures_of_the_stored_answers(repository):
    if not (RESULTS / "class_predictions.json").exists():
        pytest.skip("no answers are stored yet")
    card = (repository / "committee" / "MODEL_CARD.md").read_text(encoding="utf-8")
    stored = read(EnsembleResult, RESULTS)
    figures = card_figures(stored.sets, stored.manifest())
    assert len(figures) > 6
    check_card(card, figures)


def test_a_card_shows_the_figures_that_it_is_given_and_none_else(repository, tmp_path):
    signature = read_pbtxt(repository / "regressor" / "config.pbtxt")
    card = tmp_path / "MODEL_CARD.md"
    stated = {"what": "a network", "parity": 0.0, "tolerance": 1e-4, "measured": "On a Sunday:"}
    write_card(signature, card, figures={}, **stated)
    assert "Nothing yet" in card.read_text(encoding="utf-8")
    assert "Sunday" not in card.read_text(encoding="utf-8")
    write_card(signature, card, figures={"held-out lots": "12.5"}, **stated)
    text = card.read_text(encoding="utf-8")
    assert text.startswith("# regressor\n\nA network.\n")
    assert "On a Sunday:\n\n| figure | value |\n| --- | --- |\n| held-out lots | 12.5 |\n" in text
    assert "Nothing yet" not in text


def test_figures_of_a_run_are_those_of_its_report(tmp_path):
    assert run_figures(tmp_path, "regressor") == {}
    (tmp_path / "regressor").mkdir()
    report = {"held-out lots": {"mape_percent": 12.3456, "auroc": None, "tiles": 7}, "share": 0.5}
    (tmp_path / "regressor" / "evaluation.json").write_text(json.dumps(report))
    assert run_figures(tmp_path, "regressor") == {
        "held-out lots: mape percent": "12.35",
        "held-out lots: tiles": "7",
        "share": "0.5",
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_runs(tmp_path_factory.mktemp("runs"))


def write_answers(folder, weights, **stated):
    """Answers on ten tiles that two networks were right about."""
    labels = np.arange(10) % len(LOTS)
    logits = 5.0 * np.eye(len(LOTS))[labels][:, None].repeat(2, axis=1)
    answers = {SINGLE: logits[:, :1], ENSEMBLE: logits}
    run = {"steps": 2734, "seconds": 6012.0, "train_tiles": 47750}
    manifest = {
        "benchmark": 1,
        "profile": "cpu",
        "runs": {"tile-random": {"weights_sha256": {ENSEMBLE: weights}, **run}},
        **stated,
    }
    outputs = {("tile-random", TEST): set_predictions(np.arange(10), labels, answers)}
    write(folder, ensemble_result(outputs, manifest))
    return folder


@pytest.fixture(scope="module")
def weights(runs):
    return committee_sha256(load_members(runs / "committee")[0])


@pytest.fixture(scope="module")
def exported(runs, weights, tmp_path_factory):
    """The repository of small networks that nobody trained, without an editor.

    The gradient of an untrained editor is so rough that rounding alone breaks its parity.
    """
    folder = tmp_path_factory.mktemp("repository")
    former = folder / "committee" / "1" / "member_07.onnx"
    former.parent.mkdir(parents=True)
    former.write_bytes(b"of a larger committee")
    folds = folder / "regressor_folds" / "1" / "member_07.onnx"
    folds.parent.mkdir(parents=True)
    folds.write_bytes(b"of more folds")
    results = write_answers(tmp_path_factory.mktemp("results"), weights)
    write_repository(runs, folder, results, only=("committee", "regressor"))
    return folder


def test_members_of_a_former_committee_are_gone(exported):
    names = sorted(path.name for path in (exported / "committee" / "1").glob("member_*"))
    assert names == [f"member_{number:02d}.onnx" for number in range(MEMBERS)]


def test_the_cards_of_an_export_show_what_was_measured(exported):
    card = (exported / "committee" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert (
        "By `make evaluate`, on benchmark v1, profile cpu. The members took 2,734 steps each on "
        "47,750 tiles, 100 minutes in all. Networks of"
    ) in card
    assert "| tile-random, deep ensemble | accuracy 100.0%, " in card
    assert "Trained on simulated lots alone" in card
    # Nobody measured the regressor.
    assert "Nothing yet" in (exported / "regressor" / "MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("benchmark_version", [1, None])
def test_a_card_says_on_whose_lots_the_committee_was_measured(
    benchmark_version, runs, weights, tmp_path
):
    results = write_answers(tmp_path / "results", weights, benchmark=benchmark_version)
    exporter = Exporter(runs, tmp_path, results, None)
    figures, measured = exporter.committee_figures(weights)
    assert list(figures) == ["tile-random, single network", "tile-random, deep ensemble"]
    assert ("on benchmark v1," if benchmark_version else "on its own lots,") in measured


def test_answers_of_other_members_are_not_shown(runs, weights, tmp_path):
    results = write_answers(tmp_path / "results", "0" * 64)
    for folder in (results, tmp_path / "absent"):
        exporter = Exporter(runs, tmp_path, folder, None)
        assert exporter.committee_figures(weights) == ({}, "")


@pytest.mark.parametrize("only", [("regressor",), ("editor", "committee"), ()])
def test_only_what_is_named_is_exported(only, tmp_path, monkeypatch):
    done = []
    for name, step in {
        "committee": "_export_committee",
        "regressor": "_export_regressor",
        "editor": "export_editor",
    }.items():
        monkeypatch.setattr(repository_module, step, lambda exporter, name=name: done.append(name))
    write_repository(tmp_path, tmp_path / "repository", tmp_path, only=only)
    assert sorted(done) == sorted(only)
    with pytest.raises(Contradiction, match="'comittee' cannot be exported"):
        write_repository(tmp_path, tmp_path, tmp_path, only=(*only, "comittee"))
    assert sorted(done) == sorted(only)


def test_a_committee_is_exported_with_logits_and_features_of_every_member(exported):
    signature = read_pbtxt(exported / "committee" / "config.pbtxt")
    assert {spec.name: spec.shape for spec in signature.outputs} == {
        "logits": (MEMBERS, len(LOTS)),
        "features": (MEMBERS, 64),
        "early": (MEMBERS, 32),
    }
    assert [spec.name for spec in signature.outputs if spec.label_file] == ["logits"]
    image = np.random.default_rng(0).integers(0, 256, (3, 1, 64, 64), dtype=np.uint8)
    folder = exported / "committee" / "1"
    whole = run_onnx(folder / "model.onnx", [image])
    assert [tensor.shape[1:] for tensor in whole] == [spec.shape for spec in signature.outputs]
    for number in range(MEMBERS):
        alone = run_onnx(folder / f"member_{number:02d}.onnx", [image])
        for stacked, own in zip(whole, alone, strict=True):
            np.testing.assert_allclose(stacked[:, number], own, atol=1e-6)
    assert not np.allclose(whole[0][:, 0], whole[0][:, 1], atol=1e-3)


def test_lots_are_stated_as_their_table_has_them(exported):
    committee = read_pbtxt(exported / "committee" / "config.pbtxt").metadata
    assert [lot.lot_id for lot in committee.reference_lots] == list(LOTS)
    scores = [lot.attributes for lot in committee.reference_lots]
    np.testing.assert_allclose(scores, known_table(LOTS).attributes, atol=1e-4)
    assert (exported / "committee" / "labels.txt").read_text().split() == list(LOTS)


async def test_what_is_exported_can_be_served(exported):
    engine = OnnxRuntimeInference(exported)
    assert await engine.ready(["committee", "regressor", "regressor_folds"])
    image = np.zeros((2, 1, 64, 64), np.uint8)
    everything = await engine.infer("committee", {"image": image})
    assert list(everything) == ["logits", "features", "early"]
    logits = await engine.infer("committee", {"image": image}, ["logits"])
    np.testing.assert_array_equal(logits["logits"], everything["logits"])
    # A blank tile has features like any other.
    assert all(np.isfinite(tensor).all() for tensor in everything.values())
    await engine.close()


def test_fold_networks_are_exported_with_the_calibration_of_their_intervals(exported, runs):
    folder = exported / "regressor_folds"
    calibration = IntervalCalibration.read(folder / "intervals.json")
    assert calibration == IntervalCalibration.read(runs / "regressor_folds" / "intervals.json")
    signature = read_pbtxt(folder / "config.pbtxt")
    stated = signature.metadata
    assert stated.weights_sha256 == calibration.weights_sha256
    assert (
        stated.weights_sha256
        != read_pbtxt(exported / "regressor" / "config.pbtxt").metadata.weights_sha256
    )
    assert stated.members == calibration.folds == FOLD_NETWORKS
    assert (stated.property.name, stated.property.unit) == ("peak stress", "psi")
    assert signature.outputs[0].shape == (FOLD_NETWORKS, 1)
    assert len(list((folder / "1").glob("member_*.onnx"))) == FOLD_NETWORKS
    image = np.random.default_rng(0).integers(0, 256, (3, 1, 256, 256), dtype=np.uint8)
    (answers,) = run_onnx(folder / "1" / "model.onnx", [image])
    for number, network in enumerate(load_folds(runs, FOLD_NETWORKS)):
        np.testing.assert_allclose(
            answers[:, number, 0], predict_property(network, image[:, 0]), rtol=1e-5
        )
    assert not np.allclose(answers[:, 0], answers[:, 1], rtol=1e-3)
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "2 WRN-28-1 with a tanh head that each held other recipes out" in card
    assert "4 lots of 4 recipes, 2 tiles of each" in card
    assert stated.weights_sha256 in card


def test_a_calibration_of_other_networks_is_refused(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs")
    write_calibration(tmp_path / "runs", weights_sha256="0" * 64)
    exporter = Exporter(tmp_path / "runs", tmp_path / "models", tmp_path, None)
    with pytest.raises(Contradiction, match="calibrated for other fold networks") as refused:
        export_folds(exporter)
    assert refused.value.reason == "INTERVALS_MISMATCH"
    (tmp_path / "runs" / "regressor_folds" / "intervals.json").unlink()
    with pytest.raises(Contradiction, match="lotwise-train regressor") as refused:
        export_folds(exporter)
    assert refused.value.reason == "INTERVALS_MISSING"


def test_a_policy_of_other_members_is_refused(runs, tmp_path):
    policy = (runs / "committee" / "referral_policy.json").read_text(encoding="utf-8")
    write_committee(tmp_path / "committee", LOTS[:3])
    (tmp_path / "committee" / "referral_policy.json").write_text(policy, encoding="utf-8")
    with pytest.raises(Contradiction, match="fitted for other members"):
        write_repository(tmp_path, tmp_path / "repository", tmp_path, only=("committee",))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "for 9 of 9 steps on a CPU: bit-exact by seed"),
        ({"step": 5}, "for 5 of 9 steps (stopped early) on a CPU"),
        ({"device": "cuda"}, "for 9 of 9 steps on CUDA: not bit-exact."),
        ({"step": 5, "max_seconds": 600.0}, "with --max-seconds 600: 5 of 9 steps; not bit-exact."),
    ],
)
def test_a_card_states_steps_limit_and_whether_bits_repeat(changes, sentence):
    state = {"step": 9, "steps": 9, "max_seconds": None, "device": "cpu"}
    assert sentence in training_sentence([state | changes])


def test_a_card_says_of_older_and_of_restored_networks_what_is_known():
    assert "2,700 to 2,734 steps by a recipe of an older format" in training_sentence(
        [{"step": 2734}, {"step": 2700}]
    )
    assert training_sentence([{"step": 0}]) == ""


def test_the_checkpoints_of_a_model_are_found(tmp_path):
    for name in ("committee/member_00", "regressor-comparisons/fold_0_second", "editor/difference"):
        save_checkpoint(tmp_path / f"{name}.pt", {"name": name})
    write_served(tmp_path, "difference")
    exporter = Exporter(tmp_path, tmp_path, tmp_path, torch.zeros(0))
    found = {
        model: [state["name"] for state in exporter.training_states(model)]
        for model in ("committee", "regressor_folds", "edit_gradient", "attribute_meter")
    }
    assert found == {
        "committee": ["committee/member_00"],
        "regressor_folds": [],
        "edit_gradient": ["editor/difference"],
        "attribute_meter": [],
    }


def test_a_regressor_of_another_field_states_it_and_leaves_the_gradient_out(runs, tmp_path):
    run, models = tmp_path / "runs", tmp_path / "models"
    shutil.copytree(runs / "regressor", run / "regressor")
    path = checkpoint_path(run, served_name())
    save_checkpoint(path, {**torch.load(path, weights_only=True), "um_per_px": 0.2})
    write_remarks(["Left out, because they have no value: K-18."], run / "regressor")
    for old in ("edit_gradient", FOLDS):
        (models / old).mkdir(parents=True)
    (left_out,) = write_repository(run, models, tmp_path / "results", only=["regressor"])
    assert left_out.startswith("edit_gradient is left out")
    assert "`explain` needs an editor" in left_out
    # No fold networks were trained, and what is there would be of another regressor.
    assert [path.name for path in models.iterdir()] == ["regressor"]
    geometry = read_pbtxt(models / "regressor" / "config.pbtxt").metadata.geometry
    assert geometry.field_of_view_um == pytest.approx(51.2)
    card = (models / "regressor" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Field of view 51.2 um: 256 x 256 pixels of 0.2 um." in card
    assert "- Left out, because they have no value: K-18." in card
