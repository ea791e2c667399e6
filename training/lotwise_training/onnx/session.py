"""Graphs run in process on the CPU, by the engine that serves."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import nn


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Open a model file, with as many threads as torch; idle ones sleep instead of spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def export_session(
    module: nn.Module, outputs: Sequence[str], images: npt.NDArray[np.uint8]
) -> onnxruntime.InferenceSession:
    """A module as the engine runs it, with the input "image".

    Args:
        module: From uint8 [B, 1, H, W], in evaluation mode.
        outputs: Names of its outputs.
        images: uint8 [n, 1, H, W], an example of its input.
    """
    # Here, because the exporter takes seconds to import.
    from lotwise_training.onnx.export import export_module

    module.cpu()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        example = torch.from_numpy(images[:1]).repeat(3, 1, 1, 1)
        export_module(module, [example], ["image"], outputs, path, half_weights=False)
        return open_session(path)
