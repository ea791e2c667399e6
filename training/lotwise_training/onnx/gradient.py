"""The derivative of the property with respect to the attributes, as a plain ONNX graph.

Backward explanation (Liu et al. 2020, section 4.3, equation 2) needs dR(G(I, A)) / dA: how the
predicted property answers to each attribute of the edited image. Served engines have no automatic
differentiation, and services have no torch, so the derivative is written out once, here, as
ordinary operators:

1. :class:`EditGradient` computes image, property and gradient with ``torch.func``.
2. :func:`trace_gradient` records every operator of that, forwards and backwards, with ``make_fx``.
   One backward operator has no ONNX counterpart and no decomposition of torch's:
   ``convolution_backward``. Ours is below; it drops the gradients of the weights, which nobody asks
   for.
3. The ordinary exporter writes the recorded graph.

Where an edit zooms, its slope in the zoom is a difference over +-`ZOOM_STEP`, not a derivative:
pixels that move by fractions make what a network reads go up and down by a percent and more, and
the derivative is that of the next such wave. All else is exact.

The encoder is not part of it: it does not depend on the attributes, so a search over A encodes the
tile once and then runs this graph once a step.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import onnx
import torch
from torch import Tensor, fx, nn
from torch._decomp import core_aten_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from lotwise_training.onnx.export import export_module

INPUT_NAMES = ("latent", "skip", "attributes")
OUTPUT_NAMES = ("image", "property", "gradient")

ZOOM_STEP: Final = 0.1
"""Logarithm of a magnification: crystals larger or smaller by a tenth."""

aten = torch.ops.aten


@runtime_checkable
class ZoomingDecoder(Protocol):
    """A decoder in two steps, as `lotwise_training.models.editors.DifferenceEditor`."""

    def draw(self, latent: Tensor, skip: Tensor, attributes: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures [B, C, H, W], and the logarithm of the magnification [B]."""

    def show(self, pictures: Tensor, log_zoom: Tensor) -> Tensor:
        """The edited tiles [B, 1, H, W]."""


class EditGradient(nn.Module):
    """R(D(latent, skip, A)) and its derivative in A, for each tile of a batch on its own.

    Args:
        decoder: (latent, skip, attributes [B, n]) to grey image [B, 1, H, W] in 0..255, see
            :class:`lotwise_training.models.attgan.Decoder`.
        regressor: float grey image [B, 1, H, W] in 0..255 to property [B, 1] in physical units.

    Raises:
        ValueError: a network is in training mode; batch norm would then tie the tiles of a batch
            together, and a tile's gradient would depend on its neighbours.
    """

    def __init__(self, decoder: nn.Module, regressor: nn.Module) -> None:
        super().__init__()
        if decoder.training or regressor.training:
            raise ValueError("the gradient needs decoder.eval() and regressor.eval()")
        self.decoder = decoder
        self.regressor = regressor
        self.eval()

    def forward(self, latent: Tensor, skip: Tensor, attributes: Tensor) -> tuple[Tensor, ...]:
        """Evaluate at ``attributes``.

        Args:
            latent: float32 [B, C, h, w], the encoder's.
            skip: float32 [B, C', 2h, 2w], the encoder's.
            attributes: float32 [B, n] in 0..1.

        Returns:
            image float32 [B, 1, H, W] in 0..255; property float32 [B, 1] in physical units;
            gradient float32 [B, n] in physical units per unit of attribute (its whole range).
        """

        def total(attributes: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            if isinstance(self.decoder, ZoomingDecoder):
                return self._zooming(self.decoder, latent, skip, attributes)
            image = self.decoder(latent, skip, attributes)
            value = self.regressor(image)
            # Tiles are independent, so the sum's gradient holds each tile's own.
            return value.sum(), (image, value)

        gradient, (image, value) = torch.func.grad(total, has_aux=True)(attributes)
        return image, value, gradient

    def _zooming(
        self, decoder: ZoomingDecoder, latent: Tensor, skip: Tensor, attributes: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What to differentiate: the sum's slope in the zoom is a difference of two answers."""
        pictures, log_zoom = decoder.draw(latent, skip, attributes)
        still, steady = pictures.detach(), log_zoom.detach()
        image = decoder.show(pictures, steady)
        value = self.regressor(image)
        nearer, farther = (
            self.regressor(decoder.show(still, steady + step)) for step in (ZOOM_STEP, -ZOOM_STEP)
        )
        slope = (nearer - farther)[:, 0] / (2.0 * ZOOM_STEP)
        # Adds nothing to the value and the slope to the gradient.
        return value.sum() + (slope * (log_zoom - steady)).sum(), (image, value)


def trace_gradient(module: EditGradient, example_inputs: Sequence[Tensor]) -> fx.GraphModule:
    """Record ``module`` as a flat graph of forward operators, with a symbolic batch.

    Args:
        module: the gradient.
        example_inputs: latent, skip, attributes; a batch of at least 2.

    Returns:
        A module with the same inputs and outputs that holds no automatic differentiation.

    Raises:
        NotImplementedError: a network uses a layer whose derivative is not written out here.
    """
    examples = _with_distinct_batch(example_inputs)
    # Parameters that ask for gradients would be recorded as such, though nobody uses theirs.
    before = [parameter.requires_grad for parameter in module.parameters()]
    module.requires_grad_(False)
    try:
        graph = make_fx(
            module,
            decomposition_table=_decompositions(),
            tracing_mode="symbolic",
            # The weights are real tensors beside the symbolic inputs.
            _allow_non_fake_inputs=True,
        )(*examples)
    finally:
        for parameter, needed in zip(module.parameters(), before, strict=True):
            parameter.requires_grad_(needed)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    for node in graph.graph.nodes:
        if node.op == "call_function" and "backward" in str(node.target):
            raise NotImplementedError(f"the derivative {node.target} is not written out")
    return graph.eval()


def export_gradient(
    decoder: nn.Module,
    regressor: nn.Module,
    example_inputs: Sequence[Tensor],
    path: Path,
) -> onnx.ModelProto:
    """Write the gradient of ``regressor`` after ``decoder`` to one complete ONNX file.

    Inputs latent, skip, attributes; outputs image, property, gradient; see
    :meth:`EditGradient.forward`. Take its weights out with :func:`.shared_weights.strip_weights`
    before committing it: the decoder's and the regressor's files hold them already.

    Args:
        decoder: as for :class:`EditGradient`; large weights rounded by ``halve_weights``.
        regressor: likewise.
        example_inputs: latent, skip, attributes; a batch of at least 2.
        path: the file to write.

    Returns:
        The model.

    Raises:
        ValueError: a network is in training mode, or the batch is below 2.
        NotImplementedError: a layer whose derivative is not written out here.
    """
    gradient = EditGradient(decoder, regressor)
    graph = trace_gradient(gradient, example_inputs)
    return export_module(graph, example_inputs, INPUT_NAMES, OUTPUT_NAMES, path)


def _with_distinct_batch(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Repeat tiles until the batch is a size that no other axis has.

    Tracing takes axes of equal size for the same symbol: with 2 tiles and a latent of 2x2 pixels
    the batch would be fixed together with the pixels.
    """
    others = {size for tensor in inputs for size in tensor.shape[1:]}
    batch = next(size for size in itertools.count(2) if size not in others)
    return [tensor[torch.arange(batch) % len(tensor)] for tensor in inputs]


def _decompositions() -> dict[Any, Callable[..., Any]]:
    return {
        **core_aten_decompositions(),
        aten.convolution_backward.default: _convolution_backward,
        aten.avg_pool2d_backward.default: _avg_pool2d_backward,
    }


def _convolution_backward(
    gradient: Tensor,
    image: Tensor,
    weight: Tensor,
    _bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Tensor | None, None, None]:
    """The gradient in the image of a convolution, itself a convolution.

    - A transposed convolution's is the strided convolution with the same weights.
    - A strided convolution's is the transposed convolution with the same weights.
    - A convolution of stride 1 has a choice: an ordinary convolution with the kernel rotated by 180
      degrees and the channels swapped computes the same, and ran about 3 times faster than the
      transposed one in ONNX Runtime on a CPU.
    """
    if output_mask[1] or output_mask[2]:
        raise NotImplementedError("weights are constants here: their gradients are not written out")
    if not output_mask[0]:
        return None, None, None
    if transposed:
        return _convolution(gradient, weight, stride, padding, dilation, groups=groups), None, None
    kernel = weight.shape[2:]
    plain = all(s == 1 for s in stride) and all(d == 1 for d in dilation) and groups == 1
    if plain and all(p < k for p, k in zip(padding, kernel, strict=True)):
        swapped = weight.transpose(0, 1)
        if any(k > 1 for k in kernel):
            swapped = swapped.flip(2, 3)
        rest = [k - 1 - p for p, k in zip(padding, kernel, strict=True)]
        return _convolution(gradient, swapped, [1, 1], rest, [1, 1]), None, None
    # Rows and columns at the end that no kernel reached, when the stride does not divide the size.
    missed = []
    for i in range(2):
        reached = (int(gradient.shape[2 + i]) - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1
        missed.append(int(image.shape[2 + i]) + 2 * padding[i] - reached)
    return _convolution(gradient, weight, stride, padding, dilation, missed, groups), None, None


def _convolution(
    image: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int] | None = None,
    groups: int = 1,
) -> Tensor:
    """Without a bias; transposed where an output padding is given."""
    transposed, further = output_padding is not None, output_padding or [0, 0]
    convolved: Tensor = aten.convolution(
        image, weight, None, stride, padding, dilation, transposed, further, groups
    )
    return convolved


def _avg_pool2d_backward(
    gradient: Tensor,
    image: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    _ceil_mode: bool,
    _count_include_pad: bool,
    _divisor: int | None,
) -> Tensor:
    overlapping = bool(stride) and list(stride) != list(kernel)
    if overlapping or any(padding) or any(int(image.shape[2 + i]) % kernel[i] for i in range(2)):
        raise NotImplementedError("average pooling is written out for whole, separate windows only")
    # Each pixel gets its window's share.
    batch, channels, height, width = gradient.shape
    spread = gradient.unsqueeze(-1).unsqueeze(-3)
    spread = spread.expand(batch, channels, height, kernel[0], width, kernel[1])
    whole = (batch, channels, height * kernel[0], width * kernel[1])
    return spread.reshape(whole) / (kernel[0] * kernel[1])
