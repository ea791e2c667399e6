import numpy as np
import pytest
import torch

from lotwise_training.checkpoint import CheckpointError
from lotwise_training.editor import EditorConfig, load_editor, mix_attributes, train_editor

TINY = EditorConfig(dim=2, discriminator_dim=2, crop_px=32, batch_size=4, steps=6, max_seconds=60.0)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 64, 64), dtype=np.uint8)
    attributes = np.repeat(rng.random((3, 4), dtype=np.float32), 4, axis=0)
    return images, attributes


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("editor")
    return folder, train_editor(*data, config=TINY, checkpoint_dir=folder)


def test_a_trained_editor_redraws_tiles_and_is_read_back_the_same(run, data):
    folder, trained = run
    tiles = torch.from_numpy(data[0][:2, None])
    wanted = torch.full((2, 4), 0.5)
    drawn = trained.edit(tiles, wanted)
    assert drawn.shape == tiles.shape
    assert torch.equal(load_editor(folder).edit(tiles, wanted), drawn)
    assert trained.figures["steps"] == TINY.steps


def test_a_finished_run_is_not_trained_again(run, data):
    folder, trained = run
    again = train_editor(*data, config=TINY, checkpoint_dir=folder)
    assert again.figures == trained.figures


def test_a_run_of_other_data_is_not_continued(run, data):
    folder, _ = run
    with pytest.raises(CheckpointError, match="other data"):
        train_editor(data[0] // 2, data[1], config=TINY, checkpoint_dir=folder)


def test_large_weights_are_rounded_to_half_precision(run):
    weight = run[1].decoder.state_dict()
    convolutions = [tensor for tensor in weight.values() if tensor.ndim == 4]
    assert any(tensor.numel() > 1000 for tensor in convolutions)
    for tensor in convolutions:
        if tensor.numel() > 1000:
            assert torch.equal(tensor.half().float(), tensor)


def test_targets_mix_the_lots_and_stay_in_range():
    lots = np.array([[0.0] * 4, [1.0] * 4], dtype=np.float32)
    source = np.zeros((200, 4), dtype=np.float32)
    mixed = mix_attributes(source, lots, EditorConfig(), np.random.default_rng(1)).numpy()
    assert mixed.min() >= 0
    assert mixed.max() <= 1
    rows = mixed > 0.5
    assert 0 < rows.mean() < 0.5
    assert any(0 < row.sum() < 4 for row in rows)  # attributes are drawn apart


@pytest.mark.parametrize(
    ("images", "attributes"),
    [
        (np.zeros((2, 64, 64), np.uint8), np.zeros((3, 4), np.float32)),
        (np.zeros((2, 64), np.uint8), np.zeros((2, 4), np.float32)),
        (np.zeros((2, 64, 64), np.uint8), np.full((2, 4), 1.5, np.float32)),
    ],
)
def test_contradictory_data_are_refused(images, attributes, tmp_path):
    with pytest.raises(ValueError, match="attributes"):
        train_editor(images, attributes, config=TINY, checkpoint_dir=tmp_path)


@pytest.mark.parametrize("change", [{"crop_px": 100}, {"steps": 0}, {"fade_share": 0.9}])
def test_a_contradictory_recipe_is_refused(change):
    with pytest.raises(ValueError, match=r"crop_px|steps|fade_share"):
        EditorConfig(**change)
