"""State of a training on disk: written whole or not at all, read back only where it fits."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from lotwise_training.config.errors import TrainingError

FORMAT: Final = 2
"""Of what trainings write since recipes count steps; before, a checkpoint stated none."""
CHECKPOINTS_OF: Final = {
    "committee": "committee/member_*.pt",
    "regressor": "regressor/regressor.pt",
    "regressor_folds": "regressor-comparisons/fold_[0-9].pt",
    "attribute_meter": "editor/meter.pt",
}
"""Checkpoints of a model, within a folder of runs."""


class CheckpointError(TrainingError, RuntimeError):
    """A checkpoint that belongs to another recipe or to other data."""


def fingerprint(recipe: Any, *parts: Any, ignore: Sequence[str] = ()) -> str:
    """What a checkpoint must agree on with the run that resumes it, as text.

    Args:
        recipe: A recipe dataclass.
        parts: Anything else of JSON's types, such as the hash of the data and the member's number.
        ignore: Keys of the recipe that may change between the two.
    """
    kept = {key: value for key, value in dataclasses.asdict(recipe).items() if key not in ignore}
    return json.dumps([kept, *parts], sort_keys=True)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) so that a crash leaves the old file or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    torch.save(state, unfinished)
    unfinished.replace(path)


def training_facts(
    step: int, steps: int, max_seconds: float | None, device: torch.device
) -> dict[str, Any]:
    """What every checkpoint says of its training.

    Args:
        step: Steps taken.
        steps: Of the recipe.
        max_seconds: Time limit that overrode the recipe; None for none.
        device: Where it learned; only a CPU repeats a training bit for bit.
    """
    return {
        "format": FORMAT,
        "step": step,
        "steps": steps,
        "max_seconds": max_seconds,
        "device": device.type,
    }


def load_checkpoint(path: Path, *, expected: str | None = None) -> dict[str, Any] | None:
    """The state that `save_checkpoint` wrote, on the CPU; None where there is no file.

    Args:
        path: The file.
        expected: The `fingerprint` of this run; None takes any.

    Raises:
        CheckpointError: The file was written by another recipe or from other data.
    """
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    # Of a network's input: squares of so many pixels become channels.
    if "fold" in state:
        state["unshuffle"] = state.pop("fold")
    if expected is not None and not state["finished"] and state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is an unfinished training of an older recipe, which counted epochs and "
            "seconds instead of steps. Finish it with the version of Lotwise that began it, or "
            "remove it to begin anew."
        )
    if expected is not None and state["fingerprint"] != expected:
        raise CheckpointError(
            f"{path} was trained by another recipe or on other data. "
            "Remove it, or give the run another name."
        )
    return state


def load_finished(path: Path, kind: str, command: str) -> dict[str, Any]:
    """The state of a training that came to its end, on the CPU.

    Raises:
        CheckpointError: There is no file, or the training is unfinished.
    """
    state = load_checkpoint(path)
    if state is None or not state["finished"]:
        raise CheckpointError(f"{path} is no finished {kind}; run `lotwise-train {command}`")
    return state


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """Hash of the names and values of a state dict, hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in weights.items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
