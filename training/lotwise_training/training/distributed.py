"""One network trained by several processes, as `torchrun` starts them: each takes its share.

A step's batch and its views are the same as in one process. Each process puts its share of them
through the network, with batch norm's statistics over all shares, and the gradients are averaged.
So the number of processes changes only the order in which numbers are added up, and a checkpoint
goes on with any number of them.

torch's `DistributedDataParallel` averages only what goes through its own `forward`, and trainings
use a network's parts. Its `SyncBatchNorm` exists for CUDA alone. One collective call a layer, on
any device, is enough for networks of some hundred thousand weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.nn import functional as between
from torch.nn import functional

from lotwise_training.config.errors import TrainingError

Value = TypeVar("Value")

WAIT: Final = timedelta(minutes=30)
"""For the others, such as for the first one's validation."""


class ProcessesError(TrainingError, RuntimeError):
    """Processes that cannot train together; the message says why and what to do."""


def launched() -> int:
    """How many processes the launcher started, by its environment; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def together() -> Iterator[None]:
    """Join the processes that `torchrun` started; alone, or within another, nothing happens.

    Joined a second time, a process could find where the others were the first time.

    Raises:
        ProcessesError: There are more of them than GPUs.
    """
    if launched() == 1 or count() > 1:
        yield
        return
    cuda = torch.cuda.is_available()
    if cuda:
        own, here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
        if here > torch.cuda.device_count():
            raise ProcessesError(
                f"{here} processes cannot share {torch.cuda.device_count()} GPUs; start as many "
                "processes as there are GPUs."
            )
        torch.cuda.set_device(own)
    torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=WAIT)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def count() -> int:
    """Processes that train together."""
    initialised = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if initialised else 1


def rank() -> int:
    """Number of this process, from 0."""
    return torch.distributed.get_rank() if count() > 1 else 0


def is_first() -> bool:
    """Whether this is the process that writes and speaks."""
    return rank() == 0


def check_batch(*sizes: int) -> None:
    """Look whether batches can be shared equally.

    Raises:
        ProcessesError: A part is no multiple of the number of processes.
    """
    for size in sizes:
        if size % count():
            raise ProcessesError(
                f"A batch of {size} cannot be shared equally by {count()} processes. "
                "Start another number of them."
            )


def own_rows(*sizes: int) -> slice | Tensor:
    """The rows of a batch that are this process's.

    Args:
        sizes: Of the consecutive parts of the batch; each is shared.

    Returns:
        An index: all rows where there is one process, else int64 [sum(sizes) / processes].
    """
    if count() == 1:
        return slice(None)
    ends = np.cumsum((0, *sizes))
    parts = [np.arange(*part)[rank() :: count()] for part in pairwise(ends)]
    return torch.from_numpy(np.concatenate(parts))


def agreed(value: Value) -> Value:
    """The first process's value, in all of them; anything that pickles."""
    if count() == 1:
        return value
    shared = [value]
    torch.distributed.broadcast_object_list(shared, device=_device())
    return shared[0]


def agreed_number(value: float) -> float:
    """As `agreed`, without pickling: for every step."""
    if count() == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=_device())
    torch.distributed.broadcast(shared, 0)
    return shared.item()


def mean(value: Tensor) -> Tensor:
    """Mean of a number over the processes, float [], without a gradient."""
    if count() == 1:
        return value
    value = value.detach().clone()
    torch.distributed.all_reduce(value)
    return value / count()


def average_gradients(network: nn.Module) -> None:
    """Give every process the mean of the gradients of all."""
    if count() == 1:
        return
    gradients = [each.grad for each in network.parameters() if each.grad is not None]
    flat = torch.cat([each.reshape(-1) for each in gradients])
    torch.distributed.all_reduce(flat)
    flat /= count()
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].reshape(gradient.shape))
        start += gradient.numel()


def share_network(network: nn.Module) -> None:
    """Begin alike: the first process's weights in all, batch norm over all shares of a batch."""
    if count() == 1:
        return
    for tensor in network.state_dict().values():
        torch.distributed.broadcast(tensor, 0)
    _share_norms(network)


def _share_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, SharedBatchNorm(child))
        else:
            _share_norms(child)


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of all processes' shares together.

    Shares must be of one size. In evaluation it is what it was made of.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.weight, self.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers():
            setattr(self, name, buffer)

    def forward(self, x: Tensor) -> Tensor:
        """From float [B, C, H, W] to the same."""
        if not self.training:
            unchanged: Tensor = super().forward(x)
            return unchanged
        own_mean = x.float().mean(dim=(0, 2, 3))
        own_variance = (x.float() - own_mean[:, None, None]).square().mean(dim=(0, 2, 3))
        # All gathered by one sum, whose gradient torch knows with every backend.
        gathered = torch.stack([own_mean, own_variance]) * functional.one_hot(
            torch.tensor(rank(), device=x.device), count()
        ).reshape(-1, 1, 1)
        means, variances = between.all_reduce(gathered).unbind(dim=1)  # type: ignore[no-untyped-call]
        centre = means.mean(dim=0)
        # Not E[x^2] - E[x]^2, which loses its digits where the mean is large (Chan et al. 1983).
        variance = (variances + (means - centre).square()).mean(dim=0)
        self._remember(centre.detach(), variance.detach(), x.numel() // x.shape[1] * count())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - centre * scale
        normalised: Tensor = x * scale[:, None, None] + shift[:, None, None]
        return normalised.to(x.dtype)

    def _remember(self, centre: Tensor, variance: Tensor, n: int) -> None:
        """Follow the statistics, as torch does: with the unbiased variance of n values."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(centre, self.momentum)
        self.running_var.lerp_(variance * n / max(n - 1, 1), self.momentum)


def _device() -> torch.device:
    """Where collective calls take their tensors from."""
    nccl = torch.distributed.get_backend() == "nccl"
    return torch.device("cuda" if nccl else "cpu")
