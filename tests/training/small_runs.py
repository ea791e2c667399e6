"""Finished runs of small networks that nobody trained, for tests of what is exported from them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lotwise.core.calibration_fit import calibrate
from lotwise.core.intervals import CalibrationLot, IntervalCalibration
from lotwise_simulator import ATTRIBUTE_NAMES, benchmark, reference_lots
from lotwise_training.calibration.conformal import FOLDS, INTERVALS_FILE, load_folds
from lotwise_training.calibration.policy import committee_sha256, write_fitted
from lotwise_training.data.tiles import LOTS_FILE, SIMULATED, LotTable, write_table
from lotwise_training.inference.predict import load_members
from lotwise_training.models.wide_resnet import WideResNet
from lotwise_training.onnx.half_precision import halve_weights
from lotwise_training.store.checkpoint import save_checkpoint
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.attributes import METER
from lotwise_training.training.tasks.property import fold_name, served_name
from tests.support.committees import COVERAGE, labelled

DEPTH, WIDEN = 10, 1
LOTS = ("A", "C", "R01", "R30")  # of both sets that the simulator knows
MEMBERS = 2
FOLD_NETWORKS = 2


def small_network(outputs: int, channels: int = 1) -> WideResNet:
    """A network whose batch norm has seen something, weights rounded as they are served."""
    network = WideResNet(DEPTH, WIDEN, outputs, channels)
    with torch.no_grad():
        for _ in range(20):
            network(torch.rand(8, channels, 16, 16))
    halve_weights(network)
    return network.eval()


def known_table(lots: tuple[str, ...]) -> LotTable:
    """The simulator's own lots, with their true attributes as scores."""
    known = {lot.lot_id: lot for lot in (*reference_lots(), *benchmark.reference_lots())}
    return LotTable(
        lot_ids=lots,
        recipes=lots,
        property_name="",
        unit="",
        values=np.full(len(lots), np.nan),
        attribute_names=ATTRIBUTE_NAMES,
        attributes=np.array([known[lot].attributes.as_array() for lot in lots]),
        origins=(SIMULATED,) * len(lots),
    )


def write_committee(run: Path, lots: tuple[str, ...] = LOTS, members: int = MEMBERS) -> None:
    for member in range(members):
        torch.manual_seed(member)
        save_checkpoint(
            run / f"member_{member:02d}.pt",
            {
                "shape": [DEPTH, WIDEN, len(lots)],
                "dropout": 0.0,
                "lot_ids": list(lots),
                "network": small_network(len(lots)).state_dict(),
                "finished": True,
            },
        )
    write_table(known_table(lots), run / LOTS_FILE)
    write_fitted(calibrate(labelled(400), COVERAGE, committee_sha256(load_members(run)[0])), run)


def write_regressor(runs: Path) -> None:
    """The served network, fold networks that differ from it, and their calibration."""
    state = {
        "shape": [DEPTH, WIDEN, 3, 4],
        "pool": 1,
        "unshuffle": 2,
        "property_range": [1000.0, 2000.0],
        "logarithmic": True,
    }
    for seed, name in enumerate((served_name(), *map(fold_name, range(FOLD_NETWORKS)))):
        torch.manual_seed(seed)
        network = small_network(3, 4).state_dict()
        path = checkpoint_path(runs, name)
        save_checkpoint(path, {**state, "network": network, "finished": True})
    table = known_table(LOTS)
    table = replace(table, property_name="peak stress", unit="psi", values=np.full(len(LOTS), 1e3))
    write_table(table, runs / "regressor" / LOTS_FILE)
    write_calibration(runs)


def write_meter(runs: Path) -> None:
    """Of the four attributes."""
    torch.manual_seed(5)
    save_checkpoint(
        checkpoint_path(runs, METER),
        {
            "shape": [DEPTH, WIDEN, len(ATTRIBUTE_NAMES), 1],
            "pool": 2,
            "network": small_network(len(ATTRIBUTE_NAMES)).state_dict(),
            "finished": True,
        },
    )


def write_calibration(runs: Path, **changes: Any) -> None:
    """Of the fold networks' intervals."""
    stated = {
        "calibration_version": "small",
        "weights_sha256": committee_sha256(load_folds(runs, FOLD_NETWORKS)),
        "coverage": 0.75,
        "logarithmic": True,
        "folds": FOLD_NETWORKS,
        "lots": tuple(
            CalibrationLot(
                lot_id=lot, recipe=lot, fold=n % 2, tile_residuals=(0.1, 0.2), lot_residual=0.1
            )
            for n, lot in enumerate(LOTS)
        ),
    }
    IntervalCalibration(**{**stated, **changes}).write(runs / FOLDS / INTERVALS_FILE)


def write_runs(runs: Path) -> Path:
    """Committee and regressor."""
    write_committee(runs / "committee")
    write_regressor(runs)
    return runs
