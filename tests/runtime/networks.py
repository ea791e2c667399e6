"""Small real networks in a model repository."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lotwise.core.signature import ModelMetadata, ModelSignature, TensorSpec
from lotwise.runtime.model_config import write_pbtxt

FEATURES = 4
WEIGHTS = np.random.default_rng(0).normal(size=(FEATURES, 3)).astype(np.float32)
METADATA = ModelMetadata(weights_sha256="0" * 64, trained_on_simulated_lots=True)


def signature(name: str = "linear", **changes) -> ModelSignature:
    fields = {
        "name": name,
        "inputs": (TensorSpec(name="features", dtype="FP32", shape=(FEATURES,)),),
        "outputs": (TensorSpec(name="values", dtype="FP32", shape=(3,)),),
        "metadata": METADATA,
    }
    return ModelSignature(**{**fields, **changes})


def save(path: Path, nodes, weights, outputs=("values",)) -> None:
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", FEATURES])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def add_model(repository: Path, stated: ModelSignature, *, version: int = 1, factor=1.0) -> Path:
    """values = features @ WEIGHTS * factor."""
    path = repository / stated.name / str(version) / "model.onnx"
    nodes = [helper.make_node("MatMul", ["features", "weights"], ["values"])]
    save(path, nodes, {"weights": WEIGHTS * np.float32(factor)})
    write_pbtxt(stated, repository / stated.name / "config.pbtxt")
    return path


def add_model_of_two_outputs(repository: Path) -> ModelSignature:
    """values = features @ WEIGHTS, and doubled = 2 values."""
    names = ("values", "doubled")
    stated = signature(
        "two", outputs=tuple(TensorSpec(name=name, dtype="FP32", shape=(3,)) for name in names)
    )
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["values"]),
        helper.make_node("Add", ["values", "values"], ["doubled"]),
    ]
    save(repository / "two" / "1" / "model.onnx", nodes, {"weights": WEIGHTS}, names)
    write_pbtxt(stated, repository / "two" / "config.pbtxt")
    return stated


def add_slow_model(repository: Path, stated: ModelSignature, edge: int = 700, times: int = 12):
    """The same, plus nothing: zero, after a long chain of products of the features."""
    nodes = [
        helper.make_node("MatMul", ["features", "nought"], ["row"]),
        helper.make_node("Transpose", ["row"], ["column"], perm=[1, 0]),
        helper.make_node("MatMul", ["column", "row"], ["x0"]),
        *(helper.make_node("MatMul", [f"x{i}", "identity"], [f"x{i + 1}"]) for i in range(times)),
        helper.make_node("ReduceSum", [f"x{times}"], ["nothing"], keepdims=0),
        helper.make_node("MatMul", ["features", "weights"], ["products"]),
        helper.make_node("Add", ["products", "nothing"], ["values"]),
    ]
    weights = {
        "nought": np.zeros((FEATURES, edge), dtype=np.float32),
        "identity": np.eye(edge, dtype=np.float32),
        "weights": WEIGHTS,
    }
    save(repository / stated.name / "1" / "model.onnx", nodes, weights)
    write_pbtxt(stated, repository / stated.name / "config.pbtxt")
