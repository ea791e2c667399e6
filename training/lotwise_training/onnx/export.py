"""From a torch module to one checked ONNX file.

Written with torch's exporter (``dynamo=True``), for ONNX Runtime in process and in Triton.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxscript.optimizer
import torch
from numpy.typing import NDArray
from onnx_ir.passes import common as ir_passes
from torch import Tensor, nn

from lotwise_training.config.errors import TrainingError
from lotwise_training.onnx import graph_cache
from lotwise_training.onnx.half_precision import save_half, save_model
from lotwise_training.onnx.session import open_session

OPSET = 18
"""The exporter's native opset. Every ONNX Runtime since 1.14 and every Triton since 23.02 has it;
a higher one would only shut out servers, as no model here needs a newer operator."""

PARITY_TOLERANCE = 1e-4
"""Largest accepted parity, see :func:`check_parity`."""
GRADIENT_PARITY_TOLERANCE = 2e-3
"""The same for a gradient. A derivative jumps where a rectifier switches, so a rounding of the
input's last bit moves it by more than it moves a value: 1.4e-3 was seen of one tile, up to 5e-5 of
six others."""


class ParityError(TrainingError, RuntimeError):
    """The exported graph does not compute what the torch module computes."""


def export_module(
    module: nn.Module,
    example_inputs: Sequence[Tensor],
    input_names: Sequence[str],
    output_names: Sequence[str],
    path: Path,
    *,
    half_weights: bool = True,
    opset: int = OPSET,
) -> onnx.ModelProto:
    """Export ``module`` to one ONNX file whose first axis, the batch, is dynamic.

    The graph keeps batch norm apart from the convolutions: fused weights would no longer be the
    float16 numbers that were evaluated, nor be found again in another graph. ONNX Runtime fuses
    them when it loads the model. Names and stack traces of this machine are left out. A network
    that differs from an earlier one in nothing but weights is not traced again.

    Args:
        module: in evaluation mode; takes ``example_inputs``, returns a tensor or a tuple of them.
        example_inputs: tensors whose first axis is the batch, of at least 2 (1 would be taken for
            a constant).
        input_names: the graph's input names.
        output_names: the graph's output names.
        path: the file to write; replaced atomically.
        half_weights: store large weights as float16 (:func:`.half_precision.save_half`).
        opset: ONNX opset.

    Returns:
        The model as float32, before any halving: what :mod:`.shared_weights` works on.

    Raises:
        ValueError: the module is in training mode, or a batch of the examples is below 2.
        HalfPrecisionError: ``half_weights`` and the module's weights were not rounded.
    """
    if module.training:
        raise ValueError("export needs module.eval(): batch norm would use the batch's statistics")
    if any(example.shape[0] < 2 for example in example_inputs):
        raise ValueError("example inputs need a batch of at least 2 to make the batch dynamic")
    key = graph_cache.fingerprint(module, example_inputs, input_names, output_names, opset)
    traced = graph_cache.find(key, module) if key else None
    if traced is None:
        traced = _trace(module, example_inputs, input_names, output_names, opset)
        if key:
            graph_cache.keep(key, traced, module)
    model = _simplify(traced)
    if half_weights:
        save_half(model, path)
    else:
        save_model(model, path)
    return model


def _trace(
    module: nn.Module,
    example_inputs: Sequence[Tensor],
    input_names: Sequence[str],
    output_names: Sequence[str],
    opset: int,
) -> onnx.ModelProto:
    dynamic = tuple({0: torch.export.Dim.DYNAMIC} for _ in example_inputs)
    with _quiet():
        program = torch.onnx.export(
            module,
            tuple(example_inputs),
            dynamo=True,
            input_names=list(input_names),
            output_names=list(output_names),
            dynamic_shapes=dynamic,
            opset_version=opset,
            # torch's own optimiser fuses batch norm; `_simplify` does the rest of it.
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    return program.model_proto


def _simplify(traced: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without what can be computed beforehand, from the weights too."""
    graph = ir.from_proto(traced)
    onnxscript.optimizer.fold_constants(graph)
    ir_passes.CommonSubexpressionEliminationPass()(graph)
    onnxscript.optimizer.remove_unused_nodes(graph)
    ir_passes.ClearMetadataAndDocStringPass()(graph)
    model: onnx.ModelProto = ir.to_proto(graph)
    _name_batch(model)
    return model


def check_parity(
    module: nn.Module,
    path: Path,
    inputs: Sequence[Tensor],
    *,
    tolerance: float = PARITY_TOLERANCE,
) -> float:
    """Compare the file at ``path``, run by ONNX Runtime on the CPU, with the torch module.

    The *parity* of one output is ``max |onnx - torch| / max(1, max |torch|)``: an absolute
    difference for logits and probabilities of order 1, and relative to the output's scale for
    physical units (psi, grey levels). The worst output counts.

    Args:
        module: what was exported, in evaluation mode.
        path: the ONNX file.
        inputs: tensors in the order of the graph's inputs, any batch.
        tolerance: largest accepted parity.

    Returns:
        The parity.

    Raises:
        ParityError: it is above ``tolerance``, or shapes or the number of outputs differ.
    """
    with torch.no_grad():
        result = module(*inputs)
    expected = [result] if isinstance(result, Tensor) else list(result)
    actual = run_onnx(path, [tensor.numpy() for tensor in inputs])
    return compare(actual, [tensor.numpy() for tensor in expected], path, tolerance=tolerance)


def compare(
    actual: Sequence[NDArray[np.float32]],
    expected: Sequence[NDArray[np.float32]],
    path: Path,
    *,
    tolerance: float,
) -> float:
    """The parity of what a file answered with what its module answered.

    Raises:
        ParityError: as :func:`check_parity`.
    """
    if [a.shape for a in actual] != [e.shape for e in expected]:
        raise ParityError(
            f"{path}: outputs {[a.shape for a in actual]} instead of {[e.shape for e in expected]}"
        )
    parity = 0.0
    for output, reference in zip(actual, expected, strict=True):
        difference = float(np.max(np.abs(output - reference)))
        # not (a <= b) instead of a > b: NaN must fail.
        parity = max(parity, difference / max(1.0, float(np.max(np.abs(reference)))))
        if not parity <= tolerance:
            raise ParityError(f"{path}: parity {parity:.2e} is above {tolerance:.0e}")
    return parity


def run_onnx(path: Path, inputs: Sequence[NDArray[np.generic]]) -> list[NDArray[np.float32]]:
    """Run a model once on the CPU with inputs in the order of the graph's; all its outputs."""
    session = open_session(path)
    feed = dict(zip((node.name for node in session.get_inputs()), inputs, strict=True))
    outputs: list[NDArray[np.float32]] = session.run(None, feed)
    return outputs


def _name_batch(model: onnx.ModelProto) -> None:
    """Call the batch ``batch`` instead of ``s77`` in all inputs and outputs."""
    symbols = {value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input}
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in symbols - {""}:
                dimension.dim_param = "batch"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: progress on stdout, notes on missing torchvision, deprecations.

    Errors are exceptions and pass.
    """
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
