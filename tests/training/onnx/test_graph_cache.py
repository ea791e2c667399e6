"""A network that differs from an earlier one in its weights alone is exported without tracing."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lotwise_training.models.wide_resnet import MEMBER_OUTPUTS, TileClassifier
from lotwise_training.onnx import graph_cache
from lotwise_training.onnx.export import check_parity, export_module
from lotwise_training.onnx.graph_cache import fingerprint
from tests.training.small_runs import small_network

TILES = torch.randint(0, 256, (3, 1, 16, 16), generator=torch.Generator().manual_seed(0)).byte()


class Scaled(nn.Module):
    def __init__(self, factor: float = 2.0, offset: Tensor | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.factor = factor
        self.offset = torch.ones(2) if offset is None else offset
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.factor + self.offset


class Mapped(nn.Module):
    """Uses a weight twice, once in a way that is computed beforehand."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + (self.layer.weight[:1] * x).sum(1, keepdim=True)


def member(seed: int, lots: int = 3) -> TileClassifier:
    torch.manual_seed(seed)
    return TileClassifier(small_network(lots)).eval()


def export(module: nn.Module, path: Path, tiles: Tensor = TILES) -> bytes:
    export_module(module, [tiles], ["image"], MEMBER_OUTPUTS, path)
    return path.read_bytes()


def test_a_second_member_is_written_as_if_it_were_the_first(tmp_path):
    files = []
    for seeds in ((1, 2), (2,)):
        graph_cache.clear()
        for seed in seeds:
            written = export(member(seed), tmp_path / "member.onnx")
        files.append(written)
    assert files[0] == files[1]


def test_a_second_member_is_not_traced_and_says_what_its_network_says(tmp_path, monkeypatch):
    graph_cache.clear()
    export(member(1), tmp_path / "first.onnx")
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: pytest.fail("traced again"))
    for seed in (2, 1):
        path = tmp_path / f"{seed}.onnx"
        export(member(seed), path)
        assert check_parity(member(seed), path, [TILES]) < 1e-4
    assert (tmp_path / "1.onnx").read_bytes() == (tmp_path / "first.onnx").read_bytes()
    with pytest.raises(pytest.fail.Exception, match="traced again"):
        export(member(2, lots=4), path)
    with pytest.raises(pytest.fail.Exception, match="traced again"):
        export(member(2), path, TILES[..., :8])


def test_what_is_no_weight_is_part_of_the_graph():
    x = torch.rand(2, 4)
    key = fingerprint(Scaled(), [x])
    assert key is not None
    assert fingerprint(Scaled(), [x]) == key
    others = [Scaled(3.0), Scaled(offset=torch.zeros(2)), Scaled().double()]
    keys = {fingerprint(other, [x]) for other in others} | {fingerprint(Scaled(), [x], 18)}
    assert len(keys) == 4
    assert key not in keys


def test_modules_with_other_constants_are_exported_with_theirs(tmp_path):
    x = torch.rand(2, 4)
    for number, module in enumerate((Scaled(), Scaled(), Scaled(3.0), Scaled(offset=-x[0, :2]))):
        path = tmp_path / f"{number}.onnx"
        export_module(module, [x], ["x"], ["y"], path, half_weights=False)
        assert check_parity(module, path, [x]) < 1e-6


def test_a_graph_that_lacks_one_of_the_weights_is_not_kept(tmp_path):
    x = torch.rand(2, 4)
    model = export_module(Scaled(), [x], ["x"], ["y"], tmp_path / "y.onnx", half_weights=False)
    graph_cache.clear()
    graph_cache.keep(b"", model, Scaled())  # other weights
    assert graph_cache.find(b"", Scaled()) is None


def test_what_follows_from_weights_follows_from_those_of_each_network(tmp_path):
    x = torch.rand(2, 4)
    for number in range(2):
        module, path = Mapped(), tmp_path / f"{number}.onnx"
        export_module(module, [x], ["x"], ["y"], path, half_weights=False)
        assert check_parity(module, path, [x]) < 1e-6
