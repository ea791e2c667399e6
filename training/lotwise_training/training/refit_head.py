"""Fits a network's last layer to the features that are served.

In training, batch norm uses the statistics of each batch. What they add at random is large beside
what separates two lots of one recipe, so the last layer learns to be less sure than the network can
be once the statistics are fixed. The same loss, minimised over that layer alone with them fixed,
costs a minute and mends it. (Wu & Johnson 2021 on batch norm in training and in use; Kirichenko et
al. 2023 refit a last layer against another harm.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from lotwise_training.models.wide_resnet import WideResNet
from lotwise_training.store.device import mixed_precision

PRIOR: Final = 0.1
"""Weight of the layer's squared norm beside the summed loss: a Gaussian prior."""
ITERATIONS: Final = 200
"""Of L-BFGS; some dozens are needed."""
BATCH: Final = 64

Head = Callable[[Tensor], Tensor]
"""From float32 [n, F] features to float32 [n, outputs], by the layer as it stands."""


def refit_head(network: WideResNet, tiles: int, loss: Callable[[Head], Tensor]) -> None:
    """Minimise a loss over the last layer alone.

    Args:
        network: Its `head` is replaced; all else stays.
        tiles: How many the mean of the loss is over: the more, the less the prior weighs.
        loss: Mean loss of a head, float [].
    """
    weight = network.head.weight.detach().clone().requires_grad_(True)
    bias = network.head.bias.detach().clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        total = loss(lambda features: nn.functional.linear(features, weight, bias))
        total = total + PRIOR / tiles * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        network.head.weight.copy_(weight)
        network.head.bias.copy_(bias)


@torch.no_grad()
def served_features(network: WideResNet, inputs: Callable[[slice], Tensor], n: int) -> Tensor:
    """Pooled features as served but for bfloat16 in the convolutions.

    Args:
        network: Put into evaluation mode.
        inputs: The network's input of some rows, float32 [rows, 1, H, W].
        n: How many rows there are.

    Returns:
        float32 [n, 64 * widen].
    """
    network.eval()
    parts = []
    for start in range(0, n, BATCH):
        batch = inputs(slice(start, start + BATCH))
        with mixed_precision(batch.device):
            parts.append(network.features(batch).float())
    return torch.cat(parts)
