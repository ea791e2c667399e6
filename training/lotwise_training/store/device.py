"""Where a training runs, and in which precision."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def best_device() -> torch.device:
    """A CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def training_device() -> torch.device:
    """As `best_device`, set up for a training: many steps on pictures of few sizes."""
    device = best_device()
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # its guesses suit networks with more channels
    return device


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was told, without keeping a processor busy.

    Where a step copies its tiles to a GPU it waits for the one before, by default in a loop that
    takes all of a processor: those that render tiles for the next training would stand still.
    """
    if device.type == "cuda":
        done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        done.record()
        done.synchronize()


def to_device(module: Module, device: torch.device) -> Module:
    """Move a module to a device in the memory order in which convolutions are fastest there."""
    module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def mixed_precision(device: torch.device) -> torch.autocast:
    """A context in which convolutions are computed in bfloat16 where the device has it.

    A CPU without AVX-512 imitates bfloat16 at a fraction of the speed of float32.
    """
    fast = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)
