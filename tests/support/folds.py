"""Small fold networks and their calibration in a model repository: grey levels times a number."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lotwise.core.intervals import CalibrationLot, IntervalCalibration
from lotwise.core.signature import (
    ModelMetadata,
    ModelSignature,
    PropertySpec,
    TensorSpec,
    TileGeometry,
)
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.model_config import write_pbtxt
from tests.support.triton import ROOT

FACTORS = (10.0, 11.0, 12.0)
"""Each network says so many psi for a grey level of the tile's mean."""
WEIGHTS = "f" * 64
GEOMETRY = TileGeometry(px=64, um_per_px=4.0)
TILES_PER_LOT = 4
LOTS = 30
TILE_RESIDUALS = (0.10, 0.10, 0.10, 0.10)
LOT_RESIDUAL = 0.05


def calibration(weights: str = WEIGHTS, lots: int = LOTS) -> IntervalCalibration:
    """Every lot has the same residuals, so that the ends are plain."""
    return IntervalCalibration(
        calibration_version="unnamed",
        weights_sha256=weights,
        coverage=0.9,
        logarithmic=True,
        folds=len(FACTORS),
        lots=tuple(
            CalibrationLot(
                lot_id=f"C{number}",
                recipe=f"C{number}",
                fold=number % len(FACTORS),
                tile_residuals=TILE_RESIDUALS,
                lot_residual=LOT_RESIDUAL,
            )
            for number in range(lots)
        ),
    ).named()


def add_folds(repository: Path, factors: Sequence[float] = FACTORS) -> None:
    """Write `regressor_folds` with its calibration, put together from its members."""
    folder = repository / "regressor_folds"
    for number, factor in enumerate(factors):
        _save_member(folder / "1" / f"member_{number:02d}.onnx", factor)
    signature = ModelSignature(
        name="regressor_folds",
        inputs=(TensorSpec(name="image", dtype="UINT8", shape=(1, GEOMETRY.px, GEOMETRY.px)),),
        outputs=(TensorSpec(name="property", dtype="FP32", shape=(len(factors), 1)),),
        metadata=ModelMetadata(
            weights_sha256=WEIGHTS,
            trained_on_simulated_lots=True,
            geometry=GEOMETRY,
            property=PropertySpec(name="peak stress", unit="psi", minimum=100, maximum=3000),
            members=len(factors),
        ),
    )
    write_pbtxt(signature, folder / "config.pbtxt")
    calibration().write(folder / "intervals.json")
    assemble_repository(repository)


def add_committee(repository: Path) -> None:
    """Copy the committed committee, which the same service asks."""
    source = ROOT / "model_repository" / "committee"
    shutil.copytree(source, repository / "committee", dirs_exist_ok=True)


def _save_member(path: Path, factor: float) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "factor"], ["property"]),
        ],
        "member",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 1, 64, 64])],
        [helper.make_tensor_value_info("property", TensorProto.FLOAT, ["batch", 1])],
        [
            numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.float32(factor), "factor"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
