"""Predicting tiles again: what agrees passes, anything that does not is named."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lotwise.core.signature import ModelMetadata, ModelSignature, ReferenceLot, TensorSpec
from lotwise.runtime.model_config import write_pbtxt
from lotwise_training.evaluation.predictions import set_predictions
from lotwise_training.report.build import main
from lotwise_training.report.served_models import RecheckFailed, ServedCommittee, served_models
from lotwise_training.report.verify import choose, recheck
from lotwise_training.store.arrays import write
from tests.training.answered_tiles import ensemble_result

LOTS = ("R1", "R2", "R3")
WEIGHTS = "e" * 64
VERSION = "d" * 64
MEMBERS = 4
PER_SCENE = 10
SCENES = {"reference": 20, "new_regions": 2, "filament_dim": 2, "ground": 2, "unrelated": 3}
"""Scenes a lot, of three lots; "unrelated" is one lot."""
METADATA = ModelMetadata(
    weights_sha256=WEIGHTS,
    trained_on_simulated_lots=True,
    reference_lots=tuple(ReferenceLot(lot_id=lot, attributes=()) for lot in LOTS),
    members=MEMBERS,
)
MANIFEST = {
    "benchmark": 1,
    "data_version": VERSION,
    "lot_ids": list(LOTS),
    "runs": {"tile-random": {"weights_sha256": {"ensemble": WEIGHTS}, "lot_ids": list(LOTS)}},
}
COEFFICIENTS = np.random.default_rng(0).normal(size=(4, MEMBERS, 3)) / 40


def places(name):
    n = np.arange((1 if name == "unrelated" else 3) * SCENES[name] * PER_SCENE)
    per_lot = SCENES[name] * PER_SCENE
    return n // per_lot, n % per_lot // PER_SCENE, n % PER_SCENE


def render(name, tiles):
    """Pictures that differ by set and tile: their first four pixels are drawn for both."""
    images = np.zeros((len(tiles), 64, 64), dtype=np.uint8)
    lots = places(name)[0]
    for image, tile in zip(images, tiles, strict=True):
        rng = np.random.default_rng([len(name), tile])
        image[0, :4] = rng.integers(0, 100, 4)
        if name not in ("ground", "unrelated"):
            image[0, lots[tile]] += 150
    return images


class Committee:
    """Linear in the first four pixels; `change` may alter what it says."""

    def __init__(self, metadata=METADATA, change=lambda images, logits: logits):
        self.metadata, self.change, self.asked = metadata, change, 0

    def logits(self, images):
        self.asked += len(images)
        logits = np.einsum("ni,itk->ntk", images[:, 0, :4].astype(float), COEFFICIENTS)
        return self.change(images, logits).astype(np.float32)


@pytest.fixture
def outputs():
    def stored(name, tiles):
        logits = Committee().logits(render(name, tiles))
        known = name not in ("ground", "unrelated")
        labels = places(name)[0][tiles] if known else np.full(len(tiles), -1)
        return set_predictions(tiles, labels, {"single": logits[:, :1], "ensemble": logits})

    tests = np.sort(np.random.default_rng(1).permutation(600)[:120])
    sets = {name: np.arange(len(places(name)[0])) for name in SCENES if name != "reference"}
    return {
        ("tile-random", "test"): stored("reference", tests),
        ("region-blocked", "test"): stored("reference", tests),
        **{("tile-random", name): stored(name, tiles) for name, tiles in sets.items()},
    }


def run(outputs, committee=None, *, manifest=MANIFEST, version=VERSION, **options):
    committee = committee or Committee()
    return recheck(outputs, manifest, committee, places, render, version, **options)


def test_whole_scenes_are_chosen_by_seed(outputs):
    chosen = choose(outputs, 5, places, 150)
    assert {split for split, _, _ in chosen} == {"tile-random"}
    sizes = {name: len(rows) for _, name, rows in chosen}
    assert sum(sizes.values()) <= 150
    assert sum(sizes.values()) > 140
    # 4/15 are test tiles, and what is left over; 1/15 are pictures of no powder.
    assert 34 <= sizes["test"] <= 60
    assert sizes["unrelated"] == 10
    assert set(sizes) == {"test", "new_regions", "filament_dim", "ground", "unrelated"}
    for split, name, rows in chosen:
        stored = outputs[split, name]
        lots, scenes, _ = places("reference" if name == "test" else name)
        scene = (lots * 100 + scenes)[stored.tiles]
        assert np.isin(scene, scene[rows]).sum() == len(rows)
        assert (np.diff(rows) > 0).all()
    same, other = choose(outputs, 5, places, 150), choose(outputs, 6, places, 150)
    for (_, _, rows), (_, _, again) in zip(chosen, same, strict=True):
        np.testing.assert_array_equal(rows, again)
    assert any(
        not np.array_equal(rows, again)
        for (_, _, rows), (_, _, again) in zip(chosen, other, strict=True)
    )


def test_no_more_is_chosen_than_there_is_and_no_less_than_a_scene(outputs):
    everything = {name: len(rows) for _, name, rows in choose(outputs, 0, places, 10_000)}
    stored = {name: len(s.tiles) for (split, name), s in outputs.items() if split == "tile-random"}
    assert everything == stored
    ((_, name, rows),) = choose(outputs, 0, places, 1)
    assert name == "test"
    assert 1 <= len(rows) <= PER_SCENE
    assert choose({("region-blocked", "test"): outputs["region-blocked", "test"]}, 0, places) == []


def test_predictions_of_the_same_committee_agree(outputs):
    committee = Committee()
    found = run(outputs, committee, n_tiles=150, seed=3)
    assert sum(found.tiles.values()) == committee.asked > 140
    # No more than half precision takes away: 2^-11 of 8 nats.
    assert 0 < found.largest_difference < 0.005
    assert found.accuracy == found.stored_accuracy
    assert 0.4 < found.accuracy < 1
    assert found.weights_sha256 == WEIGHTS
    written = json.loads(json.dumps(found.as_json()))
    assert written["tiles_in_all"] == committee.asked
    assert written["largest_at"].startswith("tile-random/")


def altered(name, tile, members, by=2.0):
    """A committee some of whose members see one tile otherwise."""
    wanted = render(name, np.array([tile]))[0]

    def change(images, logits):
        rows = (images == wanted).all(axis=(1, 2))
        logits[np.ix_(rows, members, [1])] += by
        return logits

    return Committee(change=change)


@pytest.mark.parametrize(
    ("name", "members", "method"),
    [
        ("ground", [0], "ensemble"),
        ("new_regions", [3], "ensemble"),
        ("unrelated", range(MEMBERS), "ensemble"),
    ],
)
def test_a_changed_model_is_found_and_the_tile_is_named(outputs, name, members, method):
    changed = altered(name, 7, list(members))
    with pytest.raises(RecheckFailed) as failed:
        run(outputs, changed, n_tiles=10_000)
    assert f"tile-random/{name} tile 7:" in str(failed.value)
    assert f"by {method} is stored as -" in str(failed.value)
    assert "predicted again it is -" in str(failed.value)


def test_a_difference_within_the_tolerance_is_reported_and_one_beyond_fails(outputs):
    found = run(outputs, altered("ground", 7, range(MEMBERS), by=0.004), n_tiles=10_000)
    assert found.largest_difference > 0.002
    with pytest.raises(RecheckFailed, match="ground tile 7"):
        run(outputs, altered("ground", 7, range(MEMBERS), by=0.04), n_tiles=10_000)


def test_another_first_member_is_found_though_the_average_is_the_same(outputs):
    # Members in another order are the same ensemble, but not the same single network.
    swapped = Committee(change=lambda _, logits: logits[:, ::-1])
    with pytest.raises(RecheckFailed, match="by single is stored"):
        run(outputs, swapped)


def test_disagreement_that_is_not_the_stored_one_is_found(outputs):
    key = ("tile-random", "ground")
    stored = outputs[key]
    ensemble = stored.predictions["ensemble"]
    entropies = ensemble.member_entropy.copy()
    entropies[4] += 0.1
    changed = {**stored.predictions, "ensemble": replace(ensemble, member_entropy=entropies)}
    with pytest.raises(RecheckFailed, match="ground tile 4: member entropy by ensemble"):
        run({**outputs, key: replace(stored, predictions=changed)}, n_tiles=10_000)


def test_a_value_that_is_no_number_is_no_agreement(outputs):
    broken = Committee(change=lambda _, logits: np.full_like(logits, np.nan))
    with pytest.raises(RecheckFailed, match="predicted again it is nan"):
        run(outputs, broken)


@pytest.mark.parametrize("name", ["test", "new_regions"])
def test_labels_are_compared_with_the_benchmarks_lots(outputs, name):
    key = ("tile-random", name)
    stored = outputs[key]
    labels = stored.labels.copy()
    labels[11] = (labels[11] + 1) % 3
    changed = {**outputs, key: replace(stored, labels=labels)}
    with pytest.raises(RecheckFailed, match=rf"{name} tile {stored.tiles[11]}: stored label"):
        run(changed, n_tiles=10_000)


def test_tiles_that_the_benchmark_does_not_have_are_named(outputs):
    key = ("tile-random", "ground")
    tiles = outputs[key].tiles.copy()
    tiles[-1] = 777
    with pytest.raises(RecheckFailed, match="there is no tile 777"):
        run({**outputs, key: replace(outputs[key], tiles=tiles)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "0" * 64}, f"of benchmark data {VERSION}, the benchmark here is {'0' * 64}"),
        ({"manifest": {**MANIFEST, "data_version": None}}, "of benchmark data None"),
        ({"manifest": {**MANIFEST, "runs": {}}}, "of the weights None, the served committee has"),
        (
            {"committee": Committee(METADATA.model_copy(update={"weights_sha256": "0" * 64}))},
            f"of the weights {WEIGHTS}, the served committee has {'0' * 64}",
        ),
        (
            {"committee": Committee(METADATA.model_copy(update={"reference_lots": ()}))},
            "of the lots R1, R2, R3, the served committee knows",
        ),
    ],
)
def test_other_data_weights_or_lots_are_refused_before_anything_is_made(outputs, options, message):
    with pytest.raises(RecheckFailed) as failed:
        run(outputs, **options)
    assert message in str(failed.value)
    assert options.get("committee", Committee()).asked == 0


def test_nothing_to_compare_is_a_failure(outputs):
    with pytest.raises(RecheckFailed, match="no predictions of the tile-random split are stored"):
        run({("region-blocked", "test"): outputs["region-blocked", "test"]})


@pytest.fixture
def repository(tmp_path):
    """A real model repository whose committee is the linear one."""
    folder = tmp_path / "models" / "committee"
    (folder / "1").mkdir(parents=True)
    signature = ModelSignature(
        name="committee",
        inputs=(TensorSpec(name="image", dtype="UINT8", shape=(1, 64, 64)),),
        outputs=(TensorSpec(name="logits", dtype="FP32", shape=(MEMBERS, 3)),),
        metadata=METADATA,
        max_batch_size=8,
    )
    weights = np.zeros((64 * 64, MEMBERS * 3), dtype=np.float32)
    weights[:4] = COEFFICIENTS.reshape(4, -1)
    constants = {
        "weights": weights,
        "flat": np.array([-1, 64 * 64]),
        "shape": np.array([-1, MEMBERS, 3]),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["grey"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", ["grey", "flat"], ["row"]),
            helper.make_node("MatMul", ["row", "weights"], ["product"]),
            helper.make_node("Reshape", ["product", "shape"], ["logits"]),
        ],
        "committee",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["b", 1, 64, 64])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", MEMBERS, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, folder / "1" / "model.onnx")
    write_pbtxt(signature, folder / "config.pbtxt")
    return tmp_path / "models"


def test_the_served_committee_is_asked_in_its_own_batches(outputs, repository):
    with served_models(repository) as models:
        committee = ServedCommittee(models)
        assert committee.metadata == METADATA
        # More than the model takes at once.
        assert committee.logits(render("ground", np.arange(11))).shape == (11, MEMBERS, 3)
        found = run(outputs, committee, n_tiles=60)
    assert sum(found.tiles.values()) > 40
    assert found.largest_difference < 0.005


def test_a_repository_without_a_committee_is_said_in_a_sentence(tmp_path):
    with (
        pytest.raises(RecheckFailed, match="a model of .* does not answer: .*committee"),
        served_models(tmp_path) as models,
    ):
        ServedCommittee(models)


def test_the_command_fails_where_other_weights_are_served(outputs, repository, tmp_path, capsys):
    runs = {"tile-random": {"weights_sha256": {"ensemble": "1" * 64}, "lot_ids": list(LOTS)}}
    write(tmp_path / "results", ensemble_result(outputs, {**MANIFEST, "runs": runs}))
    out = tmp_path / "report"
    status = main(
        ["--results", str(tmp_path / "results"), "--models", str(repository), "--out", str(out)]
    )
    assert status == 1
    assert "benchmark data" in capsys.readouterr().err
    assert not out.exists()
