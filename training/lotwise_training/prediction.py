"""Trained networks, read back and run over many tiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import nn

from lotwise_training.checkpoint import CheckpointError, load_checkpoint
from lotwise_training.device import best_device, place
from lotwise_training.models.wide_resnet import TileClassifier, TileRegressor, WideResNet

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

BATCH: Final = 64
REGRESSOR_FILE: Final = "regressor.pt"


def member_path(run: Path, member: int) -> Path:
    """Checkpoint of a member of the committee."""
    return run / f"member_{member:02d}.pt"


def load_members(run: Path) -> tuple[list[TileClassifier], tuple[str, ...]]:
    """The finished members of a committee, as they are served, and the names of their classes.

    Returns:
        Members in evaluation mode on the CPU, in order, and the lot ids in the order of the logits.

    Raises:
        CheckpointError: There is no member, one is unfinished, or they know different lots.
    """
    members: list[TileClassifier] = []
    lot_ids: set[tuple[str, ...]] = set()
    while (state := load_checkpoint(member_path(run, len(members)))) is not None:
        if not state["finished"]:
            raise CheckpointError(
                f"{member_path(run, len(members))} is not finished; "
                "`lotwise-train committee` goes on with it"
            )
        network = WideResNet(*state["shape"])
        network.load_state_dict(state["network"])
        members.append(TileClassifier(network).eval())
        lot_ids.add(tuple(state["lot_ids"]))
    if not members:
        raise CheckpointError(f"no trained member in {run}; run `lotwise-train committee` first")
    if len(lot_ids) != 1:
        raise CheckpointError(f"the members in {run} were trained on different lots")
    return members, lot_ids.pop()


def committee_logits(
    members: Sequence[nn.Module], images: Images, *, title: str | None = None
) -> Floats:
    """Logits of every member.

    Args:
        members: Modules from uint8 [B, 1, H, W] to logits [B, K], in evaluation mode.
        images: uint8 [N, H, W].
        title: Of a progress bar; None shows none.

    Returns:
        float32 [N, T, K].
    """
    shown = members if title is None else track(members, title)
    return np.stack([_run(member, images) for member in shown], axis=1)


def load_regressor(run: Path) -> TileRegressor:
    """The finished regressor as it is served, in evaluation mode on the CPU.

    Raises:
        CheckpointError: There is none, or it is unfinished.
    """
    path = run / REGRESSOR_FILE
    state = load_checkpoint(path)
    if state is None or not state["finished"]:
        raise CheckpointError(f"{path} is no finished regressor; run `lotwise-train regressor`")
    regressor = TileRegressor(WideResNet(*state["shape"]), 0.0, 1.0, pool=state["pool"])
    regressor.load_state_dict(state["regressor"])
    return regressor.eval()


def regressed(regressor: nn.Module, images: Images) -> Floats:
    """Property of every tile.

    Args:
        regressor: Module from uint8 [B, 1, H, W] to [B, 1], in evaluation mode.
        images: uint8 [N, H, W].

    Returns:
        float32 [N], in the property's unit.
    """
    return _run(regressor, images)[:, 0]


@torch.inference_mode()
def _run(module: nn.Module, images: Images) -> Floats:
    """float32 [N, outputs]. In float32 throughout: what is measured is what is served."""
    device = best_device()
    place(module, device)
    outputs: list[Floats] = []
    for start in range(0, len(images), BATCH):
        batch = torch.from_numpy(images[start : start + BATCH, None]).to(device)
        outputs.append(module(batch).float().cpu().numpy())
    return np.concatenate(outputs)
