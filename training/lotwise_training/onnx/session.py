"""Graphs run in process on the CPU, by the engine that serves."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Open a model file, with as many threads as torch; idle ones sleep instead of spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
