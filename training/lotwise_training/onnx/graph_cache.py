"""Graphs that were traced before: networks that differ in nothing but weights share one.

Tracing a network takes seconds whatever its size, and the members of an ensemble are alike.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from torch import Tensor, fx, nn

UNUSED = "num_batches_tracked"
"""Ends the names of counters that no network in evaluation mode reads."""

_graphs: dict[bytes, onnx.ModelProto] = {}


def fingerprint(module: nn.Module, inputs: Sequence[Tensor], *options: Any) -> bytes | None:
    """All that a graph depends on but the values of parameters and buffers.

    Args:
        module: Classes and plain attributes of it and its parts count, and shapes of its tensors.
        inputs: Their shapes and dtypes count.
        options: Of the export.

    Returns:
        None where that cannot be said.
    """
    names = {id(tensor): name for name, tensor in module.state_dict(keep_vars=True).items()}

    class Pickler(pickle.Pickler):
        def persistent_id(self, each: Any) -> Any:
            if not isinstance(each, Tensor):
                return None
            # Any other tensor is a constant of the graph.
            what = names.get(id(each)) or each.detach().numpy().tobytes()
            return what, tuple(each.shape), str(each.dtype)

    if any(isinstance(part, fx.GraphModule) for part in module.modules()):
        return None
    shapes = [(tuple(each.shape), str(each.dtype)) for each in inputs]
    content = io.BytesIO()
    try:
        Pickler(content).dump((module, shapes, options))
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    return content.getvalue()


def keep(key: bytes, model: onnx.ModelProto, module: nn.Module) -> None:
    """Keep a graph without its weights, if each of the module's tensors is one of its weights.

    Args:
        key: Its `fingerprint`.
        model: As it was traced, before anything is computed from weights; stays as it is.
        module: What was traced.
    """
    weights = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    state = {n: t for n, t in module.state_dict().items() if not n.endswith(UNUSED)}
    if all(n in weights and np.array_equal(weights[n], t.numpy()) for n, t in state.items()):
        graph = onnx.ModelProto()
        graph.CopyFrom(model)
        for each in graph.graph.initializer:
            if each.name in state:
                each.ClearField("raw_data")
        _graphs[key] = graph


def find(key: bytes, module: nn.Module) -> onnx.ModelProto | None:
    """The graph that was kept, with the module's weights.

    Args:
        key: The module's `fingerprint`.
        module: On the CPU.
    """
    if key not in _graphs:
        return None
    model = onnx.ModelProto()
    model.CopyFrom(_graphs[key])
    state = module.state_dict()
    for each in model.graph.initializer:
        if each.name in state:
            each.raw_data = state[each.name].numpy().tobytes()
    return model


def clear() -> None:
    """Forget what was kept."""
    _graphs.clear()
