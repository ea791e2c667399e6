"""From the model repository back to finished runs, so that one model can be made anew alone.

An editor is measured with the regressor, and the graph of gradients is made of both: who trains an
editor on another machine needs the regressor's run there, not only its graph. The graphs keep the
weights under their modules' names and, where they are large, in half precision, as the runs do.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from lotwise.runtime.assemble import assemble_repository, has_parts
from lotwise.runtime.model_config import read_pbtxt
from lotwise_simulator import ATTRIBUTE_NAMES
from lotwise_training.calibration.conformal import FOLDS
from lotwise_training.export.exporter import VERSION
from lotwise_training.inference.predict import load_regressor
from lotwise_training.models.editors import NETWORKS, AttGan, EditorNetwork
from lotwise_training.models.wide_resnet import LINEAR_RANGE, TileRegressor, WideResNet
from lotwise_training.store.checkpoint import CheckpointError, save_checkpoint
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.editor.runs import editor_name, load_editor, write_served
from lotwise_training.training.tasks.attributes import METER, SERVED_METER
from lotwise_training.training.tasks.ensemble import SERVED as COMMITTEE
from lotwise_training.training.tasks.property import fold_name, served_name

Weights = Mapping[str, npt.NDArray[np.float32]]

MODEL: Final = "model.onnx"
MODEL_NAME: Final = "regressor"
"""Of the regressor in a model repository."""
OF_A_DIFFERENCE: Final = "to_grain.weight"
"""A weight that only editors of differences have."""


def restore_regressors(repository: Path, runs: Path) -> list[str]:
    """Write finished checkpoints of the served regressor and, where there are some, of its folds.

    Returns:
        The networks' names.

    Raises:
        CheckpointError: The repository has no regressor, or one of another export.
    """
    weights = _weights(repository / MODEL_NAME / VERSION / MODEL)
    files = {served_name(): weights}
    folds = sorted((repository / FOLDS / VERSION).glob("member_*.onnx"))
    files |= {fold_name(number): _weights(path) for number, path in enumerate(folds)}
    for name, each in files.items():
        network = _wide_resnet(each)
        centre, scale = (float(_found(each, key)) for key in ("target_centre", "target_scale"))
        metadata = read_pbtxt(repository / MODEL_NAME / "config.pbtxt").metadata
        assert metadata.property is not None
        # The middle of a logarithmic range is its logarithm; of no strength in psi is it the same.
        logarithmic = not metadata.property.minimum <= centre <= metadata.property.maximum
        ends = (centre - scale * LINEAR_RANGE, centre + scale * LINEAR_RANGE)
        state = {
            "shape": network[0],
            "pool": 1,
            "unshuffle": math.isqrt(network[0][3]),
            "property_range": [math.exp(end) for end in ends] if logarithmic else list(ends),
            "logarithmic": logarithmic,
            "network": network[1],
        }
        _save(checkpoint_path(runs, name), state)
    return list(files)


def restore_committee(repository: Path, runs: Path) -> list[str]:
    """Write finished checkpoints of the committee's members.

    Returns:
        The networks' names.

    Raises:
        CheckpointError: The repository has no committee, or one of another export.
    """
    metadata = read_pbtxt(repository / COMMITTEE / "config.pbtxt").metadata
    lot_ids = [lot.lot_id for lot in metadata.reference_lots]
    names = []
    for path in sorted((repository / COMMITTEE / VERSION).glob("member_*.onnx")):
        shape, state = _wide_resnet(_weights(path))
        names.append(f"{COMMITTEE}/{path.stem}")
        known = {"shape": shape[:3], "dropout": 0.0, "lot_ids": lot_ids, "network": state}
        _save(checkpoint_path(runs, names[-1]), known)
    return names


def restore_editor(repository: Path, runs: Path) -> str:
    """Write finished checkpoints of the served editor and, where there is one, of the meter.

    Args:
        repository: The model repository; graphs that are kept in parts are put together.
        runs: Folder of all runs.

    Returns:
        The editor's kind.

    Raises:
        CheckpointError: The repository has no editor, or one of another export.
    """
    if has_parts(repository):
        assemble_repository(repository)
    encoder, decoder = (
        _weights(repository / name / VERSION / MODEL)
        for name in ("editor_encoder", "editor_decoder")
    )
    n = len(ATTRIBUTE_NAMES)
    kind = "difference" if any(name.endswith(OF_A_DIFFERENCE) for name in decoder) else "attgan"
    if kind == "difference":
        dim = len(_found(decoder, "first.0.weight"))
        network = NETWORKS[kind](dim, n)
        _fill(network, {**encoder, **decoder})
    else:
        dim = len(_found(encoder, "blocks.0.0.weight"))
        network = NETWORKS[kind](dim, n)
        assert isinstance(network, AttGan)
        _fill(network.encoder, encoder)
        _fill(network.decoder, decoder)
    _save(
        checkpoint_path(runs, editor_name(kind)),
        {"kind": kind, "dim": dim, "n_attributes": n, "network": network.state_dict()},
    )
    write_served(runs, kind)
    meter = repository / SERVED_METER / VERSION / MODEL
    if meter.exists():
        shape, state = _wide_resnet(_weights(meter))
        _save(checkpoint_path(runs, METER), {"shape": shape, "pool": 2, "network": state})
    return kind


def restored_editor(repository: Path) -> EditorNetwork:
    """The served editor as a network, in evaluation mode.

    Raises:
        CheckpointError: As `restore_editor`.
    """
    with tempfile.TemporaryDirectory() as folder:
        kind = restore_editor(repository, Path(folder))
        return load_editor(checkpoint_path(Path(folder), editor_name(kind)))


def restored_regressor(repository: Path) -> TileRegressor:
    """The served regressor as a network, in evaluation mode.

    Raises:
        CheckpointError: As `restore_regressors`.
    """
    with tempfile.TemporaryDirectory() as folder:
        restore_regressors(repository, Path(folder))
        return load_regressor(checkpoint_path(Path(folder), served_name()))


def _save(path: Path, state: Mapping[str, Any]) -> None:
    save_checkpoint(
        path,
        {
            "fingerprint": "restored",  # of no recipe: nothing goes on from it
            **state,
            "step": 0,
            "seconds": 0.0,
            "finished": True,
            "line": "restored from a model repository",
            "curves": {},
        },
    )


def _wide_resnet(weights: Weights) -> tuple[list[int], dict[str, torch.Tensor]]:
    """Shape [depth, widen, outputs, channels] and state of the network in a graph."""
    blocks = sum(name.endswith("conv1.weight") for name in weights)
    stem, head = _found(weights, "stem.weight"), _found(weights, "head.weight")
    shape = [2 * blocks + 4, head.shape[1] // 64, head.shape[0], stem.shape[1]]
    network = WideResNet(*shape)
    _fill(network, weights)
    return shape, network.state_dict()


def _weights(path: Path) -> Weights:
    try:
        graph = onnx.load(path).graph
    except OSError:
        raise CheckpointError(f"there is no {path}; `make models` puts graphs together") from None
    return {
        each.name.removesuffix(".half"): numpy_helper.to_array(each).astype(np.float32)
        for each in graph.initializer
    }


def _found(weights: Weights, name: str) -> npt.NDArray[np.float32]:
    """A weight by its name in the module, whatever the graph's module was called."""
    if name in weights:
        return weights[name]
    for key, value in weights.items():
        if key.endswith(f".{name}"):
            return value
    raise CheckpointError(f"the graph names no weight {name}; it is of another export")


def _fill(module: nn.Module, weights: Weights) -> None:
    state = module.state_dict()
    for name, tensor in state.items():
        if not name.endswith("num_batches_tracked"):
            found = torch.from_numpy(np.array(_found(weights, name)))
            state[name] = found.reshape(tensor.shape).to(tensor.dtype)
    module.load_state_dict(state)
