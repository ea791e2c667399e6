"""A committee in a repository that tells lots by their mean grey, and tiles of such lots."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from lotwise.core.signature import (
    ModelMetadata,
    ModelSignature,
    ReferenceLot,
    TensorSpec,
    TileGeometry,
)
from lotwise.runtime.model_config import write_pbtxt

GREYS = {"A": 70.0, "B": 110.0, "C": 150.0}
SPREAD = 12.0
MEMBERS = 2
WEIGHTS = "d" * 64


def write_committee(repository, *, weights_sha256=WEIGHTS, bare=False):
    """Members that are twice as sure as they should be; `bare` has logits alone."""
    greys = np.array(list(GREYS.values()), dtype=np.float32)
    centres = np.stack([greys - 0.5, greys + 0.5])[None]  # [1, T, K]
    nodes = [
        helper.make_node("Cast", ["image"], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["grey", "pixels"], ["mean"], keepdims=1),  # [B, 1, 1, 1]
        helper.make_node("Squeeze", ["mean", "last"], ["column"]),  # [B, 1, 1]
        helper.make_node("Sub", ["column", "centres"], ["away"]),
        helper.make_node("Mul", ["away", "away"], ["squared"]),
        helper.make_node("Mul", ["squared", "factor"], ["logits"]),
        helper.make_node("Mul", ["away", "tenth"], ["features"]),
        helper.make_node("Add", ["features", "tenth"], ["early"]),
    ]
    weights = {
        "pixels": np.array([1, 2, 3], dtype=np.int64),
        "last": np.array([3], dtype=np.int64),
        "centres": centres.astype(np.float32),
        "factor": np.array(-2 / (2 * SPREAD**2), dtype=np.float32),
        "tenth": np.array(0.1, dtype=np.float32),
    }
    names = ("logits",) if bare else ("logits", "features", "early")
    shape = ["batch", MEMBERS, len(greys)]
    graph = helper.make_graph(
        nodes,
        "grey",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (repository / "committee" / "1").mkdir(parents=True)
    onnx.save(model, repository / "committee" / "1" / "model.onnx")
    stated = ModelSignature(
        name="committee",
        inputs=(TensorSpec(name="image", dtype="UINT8", shape=(1, 8, 8)),),
        outputs=tuple(
            TensorSpec(name=name, dtype="FP32", shape=(MEMBERS, len(greys))) for name in names
        ),
        metadata=ModelMetadata(
            weights_sha256=weights_sha256,
            trained_on_simulated_lots=False,
            geometry=TileGeometry(px=8, um_per_px=4.0),
            reference_lots=tuple(ReferenceLot(lot_id=lot, attributes=()) for lot in GREYS),
            members=MEMBERS,
        ),
        max_batch_size=16,
    )
    write_pbtxt(stated, repository / "committee" / "config.pbtxt")
    return repository


def write_lots(folder, tiles, *, lots=tuple(GREYS), seed=0):
    """Folders of PNG files of 32 px at 1 um, a folder a lot; returns the parent."""
    rng = np.random.default_rng(seed)
    for lot in lots:
        (folder / lot).mkdir(parents=True)
        for number in range(tiles):
            grey = GREYS.get(lot, 90.0) + SPREAD * rng.normal()
            write_tile(folder / lot / f"{number:04d}.png", grey, rng)
    return folder


def write_tile(path, grey, rng):
    pixels = (grey + 20 * rng.normal(size=(32, 32))).clip(1, 250).astype(np.uint8)
    Image.fromarray(pixels).save(path, dpi=(25_400, 25_400))
