"""The editors' training on pictures of stripes: it ends, it goes on, it leaves what is served."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lotwise_training.config.schema import (
    EditorNetworkRecipe,
    EditorRecipe,
    MeterRecipe,
    StrengthDataRecipe,
)
from lotwise_training.data.tiles import DatasetError, TileDataset, dataset_version
from lotwise_training.store.checkpoint import CheckpointError, load_checkpoint
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.editor.runs import READER, load_editor
from lotwise_training.training.editor.train import (
    SETTLING_BATCHES,
    editor_trainings,
    mix_attributes,
)
from lotwise_training.training.parallel import train_in_parallel
from lotwise_training.training.tasks.attributes import load_attribute_network
from tests.training.small_lots import lot_table
from tests.training.striped_lots import NETWORK

PX = 64
TINY = EditorNetworkRecipe(
    dim=2,
    discriminator_dim=2,
    discriminator_unshuffle=2,
    crop_px=64,
    batch_size=4,
    steps=40,
    learning_rate=1e-3,
    critic_rate=5e-4,
    reader_rate=2e-3,
    reconstruction_share=0.2,
    fade_share=0.1,
    reconstruction_weight=10.0,
    attribute_weight=1.5,
    adversarial_weight=0.3,
    texture_weight=1.0,
    cycle_weight=1.0,
    mixing=0.5,
    jitter=0.05,
    gain_range=0.1,
    offset_range=5.0,
    max_noise_sigma=4.0,
    max_blur_sigma_px=0.5,
    checkpoint_every=15,
    seed=0,
)
RECIPE = EditorRecipe(
    served="difference",
    parallel=1,
    tiles=5,
    difference=replace(TINY, reader_rate=0.0, reconstruction_share=0.0, reconstruction_weight=0.0),
    attgan=TINY,
    reader=NETWORK,
    meter=MeterRecipe(lots=2, tiles=1, network=NETWORK),
    data=StrengthDataRecipe(1, 0, 1),
)


def nothing(progress, line):
    pass


pytestmark = pytest.mark.usefixtures("one_thread")


def scored_lots(widths=(2, 4, 8), tiles=6):
    """Tiles of stripes and what two scores say of them."""
    rng = np.random.default_rng(0)
    lots = np.repeat(np.arange(len(widths)), tiles)
    stripes = np.arange(PX)[None] + rng.integers(0, 64, len(lots))[:, None]
    line = np.where(stripes // np.array(widths)[lots][:, None] % 2, 170.0, 80.0)
    noisy = line[:, None, :] + rng.normal(0, 5, (len(lots), PX, PX))
    table = replace(
        lot_table(len(widths)),
        attribute_names=("width", "half"),
        attributes=np.array([[width / 10, 0.5] for width in widths]),
    )
    images = noisy.clip(0, 255).astype(np.uint8)
    version = dataset_version(images, 1.0, lots, lots, table)
    return TileDataset(images, 1.0, lots, lots, table, version)


DATA = scored_lots()


@pytest.fixture(scope="module", params=["difference", "attgan"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    training = next(
        training for training in editor_trainings(DATA, RECIPE) if training.kind == request.param
    )
    training.train(folder, report=nothing)
    return folder, training


def edited(network, own, wanted):
    tiles = torch.from_numpy(DATA.images[:2, None])
    with torch.no_grad():
        return network.decode(*network.encode(tiles, own), wanted)


def test_a_trained_editor_draws_what_is_wanted(run):
    folder, training = run
    network = load_editor(checkpoint_path(folder, training.name))
    own = torch.full((2, 2), 0.5)
    drawn = edited(network, own, torch.tensor([[0.9, 0.5]] * 2))
    assert drawn.shape == (2, 1, PX, PX)
    assert drawn.min() >= 0
    assert drawn.max() <= 255
    assert (drawn - edited(network, own, own)).abs().max() > 0.1


def test_its_curves_are_kept(run):
    folder, training = run
    state = load_checkpoint(checkpoint_path(folder, training.name))
    assert state["step"] == TINY.steps
    assert [step for step, _ in state["curves"]["edits"]] == [20, 40]
    everyone = {"edits", "texture", "critic", "there and back"}
    redrawn = {"redrawing", "reading"} if training.kind == "attgan" else set()
    assert set(state["curves"]) == everyone | redrawn


def test_batch_norm_is_measured_at_the_final_weights(run):
    folder, training = run
    weights = load_editor(checkpoint_path(folder, training.name)).state_dict()
    counted = [int(n) for name, n in weights.items() if name.endswith("num_batches_tracked")]
    assert counted
    assert set(counted) == {SETTLING_BATCHES}


def test_a_finished_run_is_not_trained_again(run):
    folder, training = run
    path = checkpoint_path(folder, training.name)
    before = path.stat().st_mtime_ns
    said = []
    training.train(folder, report=lambda progress, line: said.append((progress, line)))
    assert path.stat().st_mtime_ns == before
    assert said[-1][0] == 1.0
    assert "step 40" in said[-1][1]


def test_a_run_of_other_data_or_another_recipe_is_not_continued(run):
    folder, training = run
    others = [replace(training, data=scored_lots((2, 4, 6)))]
    others += [replace(training, recipe=replace(training.recipe, mixing=0.4))]
    for other in others:
        with pytest.raises(CheckpointError, match="another recipe or on other data"):
            other.check(folder)


def test_a_training_that_was_killed_goes_on_to_the_same_weights(run, tmp_path):
    folder, training = run

    def killed(progress, line):
        if line.startswith("step"):  # the editor's, not its reader's
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(tmp_path, report=killed)  # at step 20, after the checkpoint of step 15
    assert load_checkpoint(checkpoint_path(tmp_path, training.name))["step"] == 15
    training.train(tmp_path, report=nothing)
    whole, resumed = (
        load_editor(checkpoint_path(each, training.name)).state_dict()
        for each in (folder, tmp_path)
    )
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_an_editor_of_differences_is_led_by_a_reader_that_learned_before(run):
    folder, training = run
    path = checkpoint_path(folder, READER)
    assert path.exists() == (training.kind == "difference")
    if path.exists():
        assert load_attribute_network(path)(torch.zeros(1, 1, PX, PX)).shape == (1, 2)
        other = replace(NETWORK, seed=9)
        changed = editor_trainings(DATA, replace(RECIPE, reader=other))[0]
        with pytest.raises(CheckpointError, match="another recipe or on other data"):
            changed.check(folder)


def test_of_lots_with_many_tiles_some_are_learned():
    trainings = editor_trainings(DATA, RECIPE)
    assert np.bincount(trainings[0].data.lots).tolist() == [5, 5, 5]
    assert trainings[0].steps == TINY.steps + NETWORK.steps
    assert trainings[1].steps == TINY.steps


def test_an_unfinished_editor_is_not_read(tmp_path):
    with pytest.raises(CheckpointError, match="run `lotwise-train editor`"):
        load_editor(tmp_path / "difference.pt")


def test_large_weights_are_rounded_to_half_precision(run):
    folder, training = run
    weights = load_editor(checkpoint_path(folder, training.name)).state_dict().values()
    large = [tensor for tensor in weights if tensor.ndim == 4 and tensor.numel() > 1000]
    assert large
    for tensor in large:
        assert torch.equal(tensor.half().float(), tensor)


def test_editors_are_trained_side_by_side(tmp_path):
    few = replace(TINY, steps=2)
    short = replace(RECIPE, difference=few, attgan=few)
    trainings = editor_trainings(DATA, short)
    assert [training.kind for training in trainings] == ["difference", "attgan"]
    train_in_parallel(trainings, tmp_path, parallel=2)
    for training in trainings:
        load_editor(checkpoint_path(tmp_path, training.name))


def test_targets_mix_the_lots_and_stay_in_range():
    lots = np.array([[0.0] * 4, [1.0] * 4], dtype=np.float32)
    source = np.full((200, 4), 0.25, dtype=np.float32)
    mixed = mix_attributes(source, lots, TINY, np.random.default_rng(1)).numpy()
    assert mixed.min() >= 0
    assert mixed.max() <= 1
    changed = (mixed != 0.25).sum(axis=1)
    assert 0.3 < changed.mean() / 4 < 0.45
    assert set(changed) == {0, 1, 2, 3, 4}  # attributes are drawn apart
    assert (changed == 1).mean() > 0.5  # and many alone


def test_lots_without_scores_are_refused():
    table = DATA.table
    scores = table.attributes.copy()
    scores[1, 0] = np.nan
    with pytest.raises(DatasetError, match="Lot L1 lacks scores") as caught:
        editor_trainings(replace(DATA, table=replace(table, attributes=scores)), RECIPE)
    assert caught.value.reason == "ATTRIBUTES_UNKNOWN"
    bare = replace(table, attribute_names=(), attributes=np.zeros((3, 0)))
    with pytest.raises(DatasetError, match="Lot L0 lacks scores"):
        editor_trainings(replace(DATA, table=bare), RECIPE)


def test_crops_larger_than_the_tiles_are_refused():
    with pytest.raises(DatasetError, match="of 96 px do not fit into tiles of 64 px"):
        editor_trainings(DATA, replace(RECIPE, attgan=replace(TINY, crop_px=96)))


@pytest.mark.parametrize(
    "change", [{"crop_px": 100}, {"crop_px": 32}, {"steps": 0}, {"fade_share": 0.9}]
)
def test_a_contradictory_recipe_is_refused(change):
    with pytest.raises(ValueError, match=r"crop_px|steps|fade_share"):
        replace(TINY, **change)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'attgan' or 'difference'"):
        replace(RECIPE, served="stgan")
