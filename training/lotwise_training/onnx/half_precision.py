"""Weights of 16 bits in the files, arithmetic of 32 bits in the engine.

A model is *rounded first and evaluated afterwards* (:func:`halve_weights`), so that every published
figure belongs to the weights that are served, and then stored at half the size
(:func:`save_half`). The file holds float16 initializers, each with a ``Cast`` to float32: ONNX
Runtime folds the casts when it loads the graph, and computes what it would have computed from the
float32 file, bit for bit.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

LARGE_ELEMENTS = 256
"""Tensors with fewer elements stay float32: 2 bytes saved on each are not worth a node."""


class HalfPrecisionError(ValueError):
    """A weight that float16 cannot hold: too large, not finite, or never rounded."""


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether a tensor of this shape is stored in 16 bits.

    True for convolution kernels and matrices of at least :data:`LARGE_ELEMENTS` elements. Vectors
    (biases, batch-norm statistics, also when shaped [1, C, 1, 1]) are few and sensitive, and stay
    float32.
    """
    return sum(size > 1 for size in shape) >= 2 and int(np.prod(shape)) >= LARGE_ELEMENTS


@torch.no_grad()
def halve_weights(module: nn.Module) -> int:
    """Round the large weights of ``module`` to float16 precision, in place; they stay float32.

    Args:
        module: any module with float32 parameters; only those that :func:`is_large` selects change.

    Returns:
        Number of tensors rounded.

    Raises:
        HalfPrecisionError: a weight is not finite, or above float16's largest number, 65504.
    """
    rounded = 0
    for name, parameter in module.named_parameters():
        if parameter.dtype != torch.float32 or not is_large(tuple(parameter.shape)):
            continue
        half = parameter.to(torch.float16)
        if not bool(torch.isfinite(half).all()):
            raise HalfPrecisionError(f"{name} has values that float16 cannot hold")
        parameter.copy_(half.to(torch.float32))
        rounded += 1
    return rounded


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy ``model`` with its large float32 initializers as float16 plus a ``Cast`` each.

    The cast's output takes the initializer's old name, so no other node changes; the initializer
    becomes ``<name>.half``.

    Raises:
        HalfPrecisionError: a large initializer is not exactly a float16, so storing it would change
            the results: :func:`halve_weights` was not called before the export.
    """
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    casts = []
    for initializer in halved.graph.initializer:
        large = is_large(tuple(initializer.dims))
        if initializer.data_type != TensorProto.FLOAT or not large:
            continue
        full = numpy_helper.to_array(initializer)
        with np.errstate(over="ignore"):
            half = full.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), full):
            raise HalfPrecisionError(
                f"{initializer.name} {full.shape} would lose precision as float16; "
                "call halve_weights(module) before evaluating and exporting it"
            )
        name = initializer.name
        initializer.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *halved.graph.node]
    del halved.graph.node[:]
    halved.graph.node.extend(nodes)
    return halved


def save_half(model: onnx.ModelProto, path: Path) -> None:
    """Store ``model`` at ``path`` with large weights as float16; see :func:`to_half`.

    One file without external data, written beside its final name and renamed: a reader never sees
    half a model. Folders are made as needed.

    Raises:
        HalfPrecisionError: as :func:`to_half`.
        onnx.checker.ValidationError: the model is not valid ONNX.
    """
    save_model(to_half(model), path)


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Check ``model`` and store it at ``path``, atomically and with the same bytes each time.

    Raises:
        onnx.checker.ValidationError: the model is not valid ONNX.
    """
    onnx.checker.check_model(model)
    write_atomically(model, path)


def write_atomically(model: onnx.ModelProto, path: Path) -> None:
    """Store ``model`` unchecked: a temporary file in the same folder, renamed when complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def large_weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The large weights of ``model`` by initializer name, as float16 arrays.

    Reads both forms, before and after :func:`to_half`; names are those *without* ``.half``.

    Raises:
        HalfPrecisionError: a large float32 initializer is not exactly a float16.
    """
    return {
        initializer.name.removesuffix(".half"): numpy_helper.to_array(initializer)
        for initializer in to_half(model).graph.initializer
        if initializer.data_type == TensorProto.FLOAT16
    }
