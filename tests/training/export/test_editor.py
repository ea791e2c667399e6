"""Both kinds of editor are exported and can be asked, with the weights of each committed once."""

import shutil

import numpy as np
import pytest
import torch

from lotwise.core.tile import DecodedTile
from lotwise.explain.editing import Editor, EditorModels
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.runtime.model_config import read_pbtxt
from lotwise_simulator import ATTRIBUTE_NAMES
from lotwise_training.export import editor as editor_export
from lotwise_training.export import repository
from lotwise_training.export.repository import write_repository
from lotwise_training.export.restore import restore_editor, restore_regressors
from lotwise_training.inference.predict import load_regressor
from lotwise_training.models.editors import NETWORKS
from lotwise_training.onnx.half_precision import halve_weights
from lotwise_training.store.checkpoint import CheckpointError, save_checkpoint
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.editor.runs import (
    editor_name,
    load_editor,
    read_served,
    write_served,
)
from lotwise_training.training.tasks.attributes import METER, load_attribute_network
from lotwise_training.training.tasks.property import fold_name, served_name
from tests.training.small_runs import FOLD_NETWORKS, write_meter, write_regressor

DIM = 4
OWN = np.array([0.2, 0.4, 0.6, 0.8], dtype=np.float32)
WANTED = np.array([[0.2, 0.4, 0.6, 0.8], [0.9, 0.4, 0.6, 0.8]], dtype=np.float32)
TILE = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
NAMES = EditorModels("regressor", "editor_encoder", "editor_decoder", "editor_decoder")


@pytest.fixture(scope="module", params=list(NETWORKS))
def exported(request, tmp_path_factory):
    """Runs and repository of an editor that has seen one batch, without its gradient.

    The gradient of an untrained editor is so rough that rounding alone breaks its parity.
    """
    runs, folder = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("repository")
    write_regressor(runs)
    torch.manual_seed(0)
    network = NETWORKS[request.param](DIM, 4)
    with torch.no_grad():
        for _ in range(20):
            tiles = torch.rand(4, 1, 64, 64) * 255
            network.redraw_and_edit(tiles, torch.rand(4, 4), torch.rand(4, 4))
    halve_weights(network)
    save_checkpoint(
        checkpoint_path(runs, editor_name(request.param)),
        {
            "kind": request.param,
            "dim": DIM,
            "n_attributes": 4,
            "network": network.state_dict(),
            "finished": True,
        },
    )
    write_served(runs, request.param)
    write_meter(runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(editor_export, "_gradient", lambda *_: None)
        write_repository(runs, folder, folder, only=("regressor", "editor"))
    return request.param, runs, folder


def test_an_encoder_asks_for_what_it_depends_on(exported):
    kind, _, folder = exported
    signature = read_pbtxt(folder / "editor_encoder" / "config.pbtxt")
    names = [spec.name for spec in signature.inputs]
    assert names == {"attgan": ["image"], "difference": ["image", "attributes"]}[kind]
    decoder = read_pbtxt(folder / "editor_decoder" / "config.pbtxt")
    assert [spec.name for spec in decoder.inputs] == ["latent", "skip", "attributes"]
    assert decoder.inputs[:2] == signature.outputs


def test_weights_that_two_graphs_share_are_kept_once(exported):
    kind, _, folder = exported
    encoder, decoder = (folder / f"editor_{part}" / "1" for part in ("encoder", "decoder"))
    skeleton = encoder / "skeleton.onnx"
    assert skeleton.exists() == (kind == "difference")
    if skeleton.exists():
        whole = (encoder / "model.onnx").stat().st_size
        # The rest of a small graph is names; the decoder's weights are most of what is large.
        assert skeleton.stat().st_size < whole - (decoder / "model.onnx").stat().st_size / 2


async def test_the_services_draw_what_the_network_draws(exported):
    kind, runs, folder = exported
    network = load_editor(checkpoint_path(runs, editor_name(kind)))
    with torch.no_grad():
        image = torch.from_numpy(TILE[None, None]).repeat(2, 1, 1, 1)
        code = network.encode(image, torch.from_numpy(OWN).repeat(2, 1))
        drawn = network.decode(*code, torch.from_numpy(WANTED))[:, 0]
    engine = OnnxRuntimeInference(folder)
    try:
        editor = await Editor.describe(engine, NAMES)
        tile = await editor.encode(DecodedTile(TILE, 1.0), OWN)
        edits = await tile.edit(WANTED)
    finally:
        await engine.close()
    assert edits.images.shape == (2, 256, 256)
    assert np.abs(edits.images - drawn.numpy()).max() < 0.52  # half a grey level is rounding
    if kind == "difference":
        np.testing.assert_array_equal(edits.images[0], TILE)
        assert edits.values[0] == pytest.approx(tile.original)


async def test_the_meter_reads_what_its_network_reads(exported):
    _, runs, folder = exported
    network = load_attribute_network(checkpoint_path(runs, METER))
    with torch.no_grad():
        read = network(torch.from_numpy(TILE[None, None])).numpy()
    engine = OnnxRuntimeInference(folder)
    try:
        served = await engine.infer("attribute_meter", {"image": TILE[None, None]})
        metadata = (await engine.describe("attribute_meter")).signature.metadata
    finally:
        await engine.close()
    np.testing.assert_allclose(served["attributes"], read, atol=1e-4)
    assert [each.name for each in metadata.attributes] == list(ATTRIBUTE_NAMES)


def test_finished_runs_are_restored_from_the_repository(exported, tmp_path):
    kind, runs, folder = exported
    assert restore_editor(folder, tmp_path) == read_served(tmp_path) == kind
    names = restore_regressors(folder, tmp_path)
    assert names == [served_name(), *map(fold_name, range(FOLD_NETWORKS))]
    for load, name in (
        (load_editor, editor_name(kind)),
        (load_attribute_network, METER),
        *((load_regressor, name) for name in names),
    ):
        first, again = (load(checkpoint_path(each, name)) for each in (runs, tmp_path))
        for key, tensor in first.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                torch.testing.assert_close(again.state_dict()[key], tensor, rtol=1e-6, atol=0.0)


def test_a_regressor_alone_gets_a_gradient_after_the_editor_that_is_served(
    exported, tmp_path, monkeypatch
):
    kind, runs, folder = exported
    served = tmp_path / "models"
    shutil.copytree(folder, served)
    made = []
    monkeypatch.setattr(repository, "export_gradient_anew", lambda _, each: made.append(each))
    write_repository(runs, served, tmp_path, only=("regressor",))
    (editor,) = made
    expected = load_editor(checkpoint_path(runs, editor_name(kind))).state_dict()
    for key, tensor in editor.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(tensor, expected[key], rtol=1e-6, atol=0.0)
    # A repository without an editor has no gradient to be kept.
    write_repository(runs, tmp_path / "bare", tmp_path, only=("regressor",))
    assert len(made) == 1


def test_a_repository_without_models_restores_nothing(tmp_path):
    with pytest.raises(CheckpointError, match="make models"):
        restore_regressors(tmp_path, tmp_path / "runs")
    with pytest.raises(CheckpointError, match="make models"):
        restore_editor(tmp_path, tmp_path / "runs")


def test_without_a_trained_editor_the_export_says_so(tmp_path):
    with pytest.raises(CheckpointError, match="`lotwise-train editor` makes it"):
        read_served(tmp_path)
