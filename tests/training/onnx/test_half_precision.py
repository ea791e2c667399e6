"""16-bit weights: rounded before, stored half, computed as float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from lotwise_training.onnx.export import (
    ParityError,
    check_parity,
    export_module,
    run_onnx,
)
from lotwise_training.onnx.half_precision import (
    HalfPrecisionError,
    halve_weights,
    save_model,
    to_half,
)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 32, 5, bias=True)
        self.norm = nn.BatchNorm2d(32)
        self.head = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.conv(image / 255.0)))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


@pytest.fixture
def module() -> Small:
    torch.manual_seed(0)
    module = Small()
    # A few batches give batch norm statistics that are neither 0 nor 1.
    for _ in range(3):
        module(torch.rand(4, 1, 16, 16) * 255)
    return module.eval()


@pytest.fixture
def tiles() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8, generator=generator)


def test_only_large_weights_are_rounded(module: Small) -> None:
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert halve_weights(module) == 2
    changed = {n for n, t in module.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {"conv.weight", "head.weight"}
    assert torch.equal(module.conv.weight, module.conv.weight.half().float())


def test_a_weight_beyond_float16_is_refused(module: Small) -> None:
    with torch.no_grad():
        module.head.weight[0, 0] = 1e5
    with pytest.raises(HalfPrecisionError, match=r"head\.weight"):
        halve_weights(module)


def test_half_file_computes_the_same_bits_in_half_the_size(
    module: Small, tiles: Tensor, tmp_path: Path
) -> None:
    halve_weights(module)
    half = tmp_path / "half.onnx"
    full = tmp_path / "full.onnx"
    model = export_module(module, [tiles], ["image"], ["logits"], half)
    save_model(model, full)
    assert half.stat().st_size < full.stat().st_size
    stored = {i.name: i.data_type for i in onnx.load(half).graph.initializer}
    assert stored["conv.weight.half"] == onnx.TensorProto.FLOAT16
    assert stored["norm.running_var"] == onnx.TensorProto.FLOAT
    one = run_onnx(half, [tiles.numpy()])[0]
    np.testing.assert_array_equal(one, run_onnx(full, [tiles.numpy()])[0])
    assert check_parity(module, half, [tiles]) < 1e-5


def test_unrounded_weights_are_not_stored_as_half(
    module: Small, tiles: Tensor, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(HalfPrecisionError, match="halve_weights"):
        export_module(module, [tiles], ["image"], ["logits"], path)
    assert not path.exists()
    model = export_module(module, [tiles], ["image"], ["logits"], path, half_weights=False)
    with pytest.raises(HalfPrecisionError):
        to_half(model)


def test_batch_is_dynamic_and_the_file_tells_nothing_of_this_machine(
    module: Small, tiles: Tensor, tmp_path: Path
) -> None:
    halve_weights(module)
    path = tmp_path / "model.onnx"
    export_module(module, [tiles], ["image"], ["logits"], path)
    for batch in (1, 3, 8):
        assert check_parity(module, path, [tiles[:1].expand(batch, -1, -1, -1)]) < 1e-5
    assert str(Path(__file__).parent).encode() not in path.read_bytes()
    assert not list(tmp_path.glob("*.data"))
    again = tmp_path / "again.onnx"
    export_module(module, [tiles], ["image"], ["logits"], again)
    assert again.read_bytes() == path.read_bytes()


def test_parity_fails_on_another_model(module: Small, tiles: Tensor, tmp_path: Path) -> None:
    halve_weights(module)
    path = tmp_path / "model.onnx"
    export_module(module, [tiles], ["image"], ["logits"], path)
    with torch.no_grad():
        module.head.bias[3] += 1e-3
    with pytest.raises(ParityError, match="parity"):
        check_parity(module, path, [tiles])


def test_training_mode_and_single_examples_are_refused(
    module: Small, tiles: Tensor, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="batch of at least 2"):
        export_module(module, [tiles[:1]], ["image"], ["logits"], tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="eval"):
        export_module(module.train(), [tiles], ["image"], ["logits"], tmp_path / "model.onnx")
