"""The exported derivative against torch's and against finite differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from lotwise_training.models.attgan import Decoder, Encoder
from lotwise_training.models.editors import DifferenceEditor
from lotwise_training.models.resample import zoomed
from lotwise_training.onnx.export import check_parity, run_onnx
from lotwise_training.onnx.gradient import (
    ZOOM_STEP,
    EditGradient,
    export_gradient,
    trace_gradient,
)
from lotwise_training.onnx.half_precision import halve_weights
from lotwise_training.onnx.shared_weights import StripError, strip_weights

DIM = 4


class Regressor(nn.Module):
    """Every kind of layer that a regressor may use, in little."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.same = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.down = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False)
        self.shortcut = nn.Conv2d(8, 16, 1, stride=2, bias=False)
        self.mix = nn.Conv2d(16, 24, 1, bias=False)
        self.head = nn.Linear(24, 1)

    def forward(self, image: Tensor) -> Tensor:
        centred = image - image.mean(dim=(1, 2, 3), keepdim=True)
        x = centred / (image.std(dim=(1, 2, 3), keepdim=True) + 1.0)
        x = nn.functional.avg_pool2d(x, 2)
        x = torch.relu(self.norm(self.stem(x)))
        x = x + self.same(x)
        x = torch.relu(self.down(x) + self.shortcut(x))
        return 1700.0 + 500.0 * torch.tanh(self.head(self.mix(x).mean(dim=(2, 3))))


@pytest.fixture(scope="module")
def networks() -> tuple[Encoder, Decoder, Regressor]:
    """Networks with a life of their own: statistics from data, images with contrast."""
    torch.manual_seed(0)
    encoder, decoder, regressor = Encoder(DIM), Decoder(DIM, 4), Regressor()
    with torch.no_grad():
        decoder.to_image.weight.mul_(8)
        for _ in range(20):
            latent, skip = encoder(torch.rand(8, 1, 64, 64) * 255)
            regressor(decoder(latent, skip, torch.rand(8, 4)))
    for network in (encoder, decoder, regressor):
        halve_weights(network.eval())
    return encoder, decoder, regressor


def inputs(encoder: Encoder, batch: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(batch)
    image = torch.randint(0, 256, (batch, 1, 64, 64), dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        latent, skip = encoder(image)
    return [latent, skip, torch.rand(batch, 4, generator=generator)]


@pytest.fixture(scope="module")
def exported(
    networks: tuple[Encoder, Decoder, Regressor], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, onnx.ModelProto]:
    encoder, decoder, regressor = networks
    path = tmp_path_factory.mktemp("gradient") / "model.onnx"
    return path, export_gradient(decoder, regressor, inputs(encoder, 2), path)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_onnx_agrees_with_autograd(
    networks: tuple[Encoder, Decoder, Regressor],
    exported: tuple[Path, onnx.ModelProto],
    batch: int,
) -> None:
    encoder, decoder, regressor = networks
    latent, skip, attributes = inputs(encoder, batch)
    attributes.requires_grad_()
    image = decoder(latent, skip, attributes)
    value = regressor(image)
    value.sum().backward()
    wanted = attributes.grad
    assert wanted is not None
    assert float(wanted.abs().max()) > 1.0  # psi: a dead network would agree with anything
    got = run_onnx(exported[0], [latent.numpy(), skip.numpy(), attributes.detach().numpy()])
    np.testing.assert_allclose(got[0], image.detach().numpy(), atol=1e-2)
    np.testing.assert_allclose(got[1], value.detach().numpy(), rtol=1e-5)
    scale = float(wanted.abs().max())
    np.testing.assert_allclose(got[2], wanted.numpy(), atol=1e-4 * scale)


def test_onnx_agrees_with_finite_differences(
    networks: tuple[Encoder, Decoder, Regressor], exported: tuple[Path, onnx.ModelProto]
) -> None:
    encoder, decoder, regressor = networks
    latent, skip, attributes = inputs(encoder, 3)
    gradient = run_onnx(exported[0], [latent.numpy(), skip.numpy(), attributes.numpy()])[2]
    decoder64 = Decoder(DIM, 4).eval().double()
    decoder64.load_state_dict(decoder.state_dict())
    regressor64 = Regressor().eval().double()
    regressor64.load_state_dict(regressor.state_dict())
    step = 1e-6
    with torch.no_grad():
        for attribute in range(4):
            sides = []
            for sign in (1, -1):
                moved = attributes.double()
                moved[:, attribute] += sign * step
                sides.append(regressor64(decoder64(latent.double(), skip.double(), moved)))
            slope = ((sides[0] - sides[1]) / (2 * step)).numpy()[:, 0]
            np.testing.assert_allclose(
                gradient[:, attribute], slope, atol=1e-3 * float(np.abs(gradient).max())
            )


def test_graph_has_standard_operators_only(exported: tuple[Path, onnx.ModelProto]) -> None:
    path, _ = exported
    stored = onnx.load(path)
    assert {node.domain for node in stored.graph.node} == {""}
    assert [opset.domain for opset in stored.opset_import] == [""]
    assert not stored.functions
    convolutions = sum(node.op_type == "Conv" for node in stored.graph.node)
    transposed = sum(node.op_type == "ConvTranspose" for node in stored.graph.node)
    # Forward: 5 Conv, 5 ConvTranspose. Backward: 3 of stride 1 and 5 of the decoder are Conv (the
    # decoder's first stage is needed for its attributes), 2 strided ones ConvTranspose.
    assert (convolutions, transposed) == (5 + 3 + 5, 5 + 2)


def test_recorded_graph_is_the_module(networks: tuple[Encoder, Decoder, Regressor]) -> None:
    encoder, decoder, regressor = networks
    module = EditGradient(decoder, regressor)
    graph = trace_gradient(module, inputs(encoder, 2))
    for got, wanted in zip(graph(*inputs(encoder, 5)), module(*inputs(encoder, 5)), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-3)
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_parity_check_runs_on_the_gradient(
    networks: tuple[Encoder, Decoder, Regressor], exported: tuple[Path, onnx.ModelProto]
) -> None:
    encoder, decoder, regressor = networks
    assert check_parity(EditGradient(decoder, regressor), exported[0], inputs(encoder, 4)) < 1e-4


def test_training_mode_is_refused(networks: tuple[Encoder, Decoder, Regressor]) -> None:
    _, decoder, _ = networks
    with pytest.raises(ValueError, match="eval"):
        EditGradient(decoder, Regressor())


def test_overlapping_pooling_is_refused(networks: tuple[Encoder, Decoder, Regressor]) -> None:
    encoder, decoder, _ = networks
    pooling = nn.Sequential(nn.AvgPool2d(3, stride=2), nn.Flatten(), nn.LazyLinear(1)).eval()
    pooling(torch.rand(1, 1, 64, 64))
    with pytest.raises(NotImplementedError, match="average pooling"):
        trace_gradient(EditGradient(decoder, pooling), inputs(encoder, 2))


def test_weights_of_strangers_are_not_stripped(exported: tuple[Path, onnx.ModelProto]) -> None:
    _, model = exported
    with pytest.raises(StripError, match="is in none of"):
        strip_weights(model, {"editor_decoder": onnx.ModelProto()})


@pytest.fixture(scope="module")
def zooming() -> tuple[DifferenceEditor, Tensor, list[Tensor]]:
    """An editor that zooms by the first attribute, a smooth tile, and inputs of its decoder."""
    torch.manual_seed(0)
    editor = DifferenceEditor(4, 4)
    tiles = 80.0 + 95.0 * nn.functional.interpolate(torch.rand(3, 1, 8, 8), size=64, mode="bicubic")
    # Where a tile is clipped, rounding decides whether a pixel has a slope.
    with torch.no_grad():
        for _ in range(20):
            editor.redraw_and_edit(tiles, torch.rand(3, 4), torch.rand(3, 4))
        editor.pictures[-1].weight.mul_(20)
        editor.take_zoom(torch.tensor([1.5, 0.0, 0.0, 0.0]))
    halve_weights(editor.eval())
    own = torch.rand(3, 4)
    with torch.no_grad():
        return editor, tiles, [*editor.encode(tiles, own), own]


def test_the_slope_in_the_zoom_is_a_difference_of_answers(
    networks: tuple[Encoder, Decoder, Regressor],
    zooming: tuple[DifferenceEditor, Tensor, list[Tensor]],
) -> None:
    editor, tiles, (latent, skip, own) = zooming
    regressor = networks[2]
    # At no change, the pictures that are added are none, and so is their share of the difference.
    _, value, gradient = EditGradient(editor, regressor)(latent, skip, own)
    with torch.no_grad():
        torch.testing.assert_close(value, regressor(tiles), rtol=1e-4, atol=1e-2)
        sides = [
            regressor(zoomed(tiles, torch.full((3,), step)).clamp(0.0, 255.0))
            for step in (ZOOM_STEP, -ZOOM_STEP)
        ]
    by_zoom = 1.5 * (sides[0] - sides[1])[:, 0] / (2 * ZOOM_STEP)
    attributes = own.clone().requires_grad_()
    pictures, _ = editor.draw(latent, skip, attributes)
    steady = regressor(editor.show(pictures, torch.zeros(3)))
    (by_drawing,) = torch.autograd.grad(steady.sum(), attributes)
    expected = by_drawing.clone()
    expected[:, 0] += by_zoom
    assert by_zoom.abs().max() > 1.0
    assert by_drawing.abs().max() > 1.0
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=0.05)


def test_a_zoom_is_exported_with_its_slope(
    zooming: tuple[DifferenceEditor, Tensor, list[Tensor]],
    tmp_path: Path,
) -> None:
    editor, _, inputs = zooming
    path = tmp_path / "model.onnx"
    # It is in the graph three times, and tracing takes its time for each layer.
    torch.manual_seed(1)
    layers = [nn.Conv2d(1, 4, 3, stride=2, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    regressor = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 1)).eval()
    halve_weights(regressor)
    export_gradient(editor, regressor, inputs, path)
    module = EditGradient(editor, regressor)
    assert module(*inputs)[2].abs().min() > 1e-3
    for batch in (1, 3):
        assert check_parity(module, path, [tensor[:batch] for tensor in inputs]) < 1e-4
