"""TorchScript computes what the networks compute, under the names that Triton knows it by."""

import zipfile
from pathlib import Path

import pytest
import torch
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from lotwise.runtime.model_config import read_pbtxt
from lotwise_training.export.torchscript import (
    check_torchscript,
    export_torchscript,
    write_torchscript,
)
from lotwise_training.inference.predict import load_members, load_regressor
from lotwise_training.models.wide_resnet import TileClassifier, TileRegressor, target_scaling
from lotwise_training.onnx.export import ParityError
from lotwise_training.store.checkpoint import CheckpointError
from tests.training.small_runs import LOTS, MEMBERS, small_network, write_runs


def tiles(batch, px=64):
    generator = torch.Generator().manual_seed(batch)
    return torch.randint(0, 256, (batch, 1, px, px), dtype=torch.uint8, generator=generator)


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return TileClassifier(small_network(3)).eval()


@pytest.fixture
def regressor():
    torch.manual_seed(0)
    return TileRegressor(small_network(1), *target_scaling(1000.0, 2000.0), pool=2).eval()


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_the_file_computes_what_the_network_computes_for_any_batch(kind, request, tmp_path):
    module = request.getfixturevalue(kind)
    path = tmp_path / "folder" / "model.pt"
    export_torchscript(module, [tiles(2)], path)
    for batch in (1, 2, 3, 8):
        assert check_torchscript(module, path, [tiles(batch)]) < 1e-5
    # A blank tile, whose variance is 0.
    assert check_torchscript(module, path, [torch.zeros(2, 1, 64, 64, dtype=torch.uint8)]) < 1e-5
    assert [file.name for file in path.parent.iterdir()] == ["model.pt"]


def test_the_file_tells_nothing_of_this_machine(classifier, tmp_path):
    path = tmp_path / "model.pt"
    export_torchscript(classifier, [tiles(2)], path)
    here = str(Path(__file__).parents[3]).encode()
    with zipfile.ZipFile(path) as archive:
        assert not any(here in archive.read(name) for name in archive.namelist())


def test_another_network_fails_the_parity(classifier, tmp_path):
    path = tmp_path / "model.pt"
    export_torchscript(classifier, [tiles(2)], path)
    with torch.no_grad():
        classifier.network.head.bias[1] += 1e-3
    with pytest.raises(ParityError, match=r"model\.pt: parity"):
        check_torchscript(classifier, path, [tiles(2)])
    with pytest.raises(ParityError, match="outputs"):
        check_torchscript(classifier.network.head, path, [tiles(2)[..., :1, :].float()])


def test_a_network_in_training_is_refused(classifier, tmp_path):
    with pytest.raises(ValueError, match="eval"):
        export_torchscript(classifier.train(), [tiles(2)], tmp_path / "model.pt")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    runs, folder = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("torchscript")
    return runs, folder, write_torchscript(write_runs(runs), folder)


def test_every_member_and_the_regressor_are_models_of_their_own(written):
    runs, folder, parities = written
    names = [*(f"committee_member_{n:02d}" for n in range(MEMBERS)), "regressor"]
    assert list(parities) == names
    assert all(parity <= 1e-4 for parity in parities.values())
    assert sorted(path.name for path in folder.iterdir()) == names
    members, _ = load_members(runs / "committee")
    networks = [*members, load_regressor(runs / "regressor" / "regressor.pt")]
    for name, network, px in zip(names, networks, [64] * MEMBERS + [256], strict=True):
        assert check_torchscript(network, folder / name / "1" / "model.pt", [tiles(2, px)]) < 1e-4


def test_triton_is_told_the_positions_of_the_tensors(written):
    _, folder, _ = written
    for name, outputs in (
        (
            "committee_member_01",
            {"logits__0": (len(LOTS),), "features__1": (64,), "early__2": (32,)},
        ),
        ("regressor", {"property__0": (1,)}),
    ):
        text = (folder / name / "config.pbtxt").read_text(encoding="utf-8")
        config = text_format.Parse(text, model_config_pb2.ModelConfig())
        assert (config.backend, config.platform) == ("pytorch", "pytorch_libtorch")
        signature = read_pbtxt(folder / name / "config.pbtxt")
        assert signature.name == name
        assert [spec.name for spec in signature.inputs] == ["image__0"]
        assert {spec.name: spec.shape for spec in signature.outputs} == outputs
    labels = (folder / "committee_member_01" / "labels.txt").read_text(encoding="utf-8")
    assert tuple(labels.split()) == LOTS


def test_runs_that_are_missing_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="no trained member"):
        write_torchscript(tmp_path, tmp_path / "torchscript")
