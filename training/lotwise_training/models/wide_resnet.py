"""Wide residual networks, and the two served modules that are built on them.

Zagoruyko & Komodakis, "Wide Residual Networks", BMVC 2016 (the pre-activation form). WRN-16-2 is
the classifier of Zhang et al. 2020 (its Figure 3); WRN-28-1 with a tanh head is the regressor of
Liu et al. 2020 (its supplement B).

The served modules hold all scaling inside the graph. Services send the pixels as they are, so a
difference between the scaling of training and of serving has nowhere to hide, and a change of it
is a change of the weights' version.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from lotwise_training.store.device import mixed_precision

NORMALISATION_EPSILON: Final = 1.0
"""Grey levels. A tile whose standard deviation is near or below it shows no structure, and
dividing by less would only amplify the detector's noise."""

EARLY_SLACK: Final = 1e-12
"""Added to the variance of an early channel: a blank tile then has a finite gradient."""

MEMBER_OUTPUTS: Final = ("logits", "features", "early")
"""Names of what a :class:`TileClassifier` gives, in its order."""

LINEAR_RANGE: Final = 0.9
"""Targets are scaled to +-0.9, because tanh is flat beyond: a saturated head has a zero
gradient, and explanations are made of that gradient."""


class ResidualBlock(nn.Module):
    """BN-ReLU-conv-BN-ReLU-conv, added to its input.

    Where the shape changes, the input passes a 1x1 convolution after the first activation, as in
    the authors' code.

    Args:
        before: channels of the input.
        after: channels of the output.
        stride: 1, or 2 to halve the picture.
        dropout: probability that an activation between the convolutions is dropped, as in section
            2.4 of Zagoruyko & Komodakis.
    """

    def __init__(self, before: int, after: int, stride: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if stride != 1 or before != after:
            self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """From float [B, before, H, W] to float [B, after, ceil(H / stride), ceil(W / stride)]."""
        activated = torch.relu(self.norm1(x))
        skipped = x if self.shortcut is None else self.shortcut(activated)
        hidden = self.conv1(activated)
        hidden = self.conv2(self.dropout(torch.relu(self.norm2(hidden))))
        result: Tensor = skipped + hidden
        return result


class WideResNet(nn.Module):
    """WRN-`depth`-`widen`: groups of widths 16k, 32k, 64k, global average pooling, linear.

    Fully convolutional up to the pooling: trainers learn on crops, serving uses whole tiles.

    Args:
        depth: Convolutions on the main path: 6n + 4 (16, 22, 28, ...).
        widen: The factor k on the widths.
        out_features: Classes, or outputs of a regression.
        in_channels: 1 for grey pictures.
        dropout: Of the blocks, 0 to below 1; kept on in :func:`mc_dropout`'s passes.

    Raises:
        ValueError: The depth is not 6n + 4, or another argument is out of range.
    """

    def __init__(
        self,
        depth: int,
        widen: int,
        out_features: int,
        in_channels: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must lie in 0..1, not {dropout}")
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth must be 6n + 4 with n >= 1, not {depth}")
        if min(widen, out_features, in_channels) < 1:
            raise ValueError(
                "widen, out_features and in_channels must be at least 1, "
                f"not {widen}, {out_features} and {in_channels}"
            )
        blocks: list[nn.Module] = []
        channels = 16
        for width, first_stride in ((16 * widen, 1), (32 * widen, 2), (64 * widen, 2)):
            for index in range((depth - 4) // 6):
                stride = first_stride if index == 0 else 1
                blocks.append(ResidualBlock(channels, width, stride, dropout))
                channels = width
        self.stem = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*blocks)
        self.blocks_of_a_group = (depth - 4) // 6
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, out_features)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.head.bias)

    def features(self, x: Tensor) -> Tensor:
        """Pooled features: float [B, in_channels, H, W] to float [B, 64 * widen]."""
        return pooled(self.activations(x)[1])

    def activations(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the first group gives and what the head pools, in one pass.

        Args:
            x: float [B, in_channels, H, W].

        Returns:
            float [B, 16 * widen, H, W] and float [B, 64 * widen, H / 4, W / 4].
        """
        blocks = list(self.blocks)
        first = self.stem(x)
        for block in blocks[: self.blocks_of_a_group]:
            first = block(first)
        last = first
        for block in blocks[self.blocks_of_a_group :]:
            last = block(last)
        return first, torch.relu(self.norm(last))

    def forward(self, x: Tensor) -> Tensor:
        """From float [B, in_channels, H, W] to float [B, out_features], without an activation."""
        output: Tensor = self.head(self.features(x))
        return output


class TileClassifier(nn.Module):
    """A member of the committee as it is served: pixels in, logits and features out.

    Zhang et al. 2020, Methods: grey values into [0, 1] and no other normalisation.

    The features say whether a tile is out of distribution. Those of the first group are there
    because a change of the instrument is low-level: it shows in early blocks, and later ones may
    overlook it (Lee et al., NeurIPS 2018, use all blocks).

    Args:
        network: With one input channel and one output a class.
    """

    def __init__(self, network: WideResNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All that is served of a batch of tiles.

        Args:
            image: Grey values 0..255, uint8 or float [B, 1, H, W]; 64x64 as served.

        Returns:
            logits float32 [B, K]; features float32 [B, 64 * widen], pooled, of the last group;
            early float32 [B, 2 * 16 * widen], of the first group, see
            :func:`channel_statistics`.
        """
        first, last = self.network.activations(_unit_range(image))
        features = pooled(last)
        return self.network.head(features), features, channel_statistics(first)

    def logits(self, image: Tensor) -> Tensor:
        """Logits alone, without the cost of the rest: float32 [B, K], of an image as above."""
        logits: Tensor = self.network(_unit_range(image))
        return logits


class TileRegressor(nn.Module):
    """The regressor as it is served: pixels in, a property in its physical unit out.

    Each tile is freed of its own mean and contrast. That removes gain and offset, by which a
    network would know the instrument, or the lot by its day at the instrument, instead of the
    material (Zhong et al., npj Comput. Mater. 7, 2021).

    Args:
        network: With unshuffle**2 input channels, and outputs of which the first are served.
        target_centre: Property at the middle of the learned range, in its unit.
        target_scale: Property per unit of tanh; half the learned range divided by 0.9.
        pool: Average pooling in the graph: squares of pool x pool pixels become one.
        unshuffle: Squares of unshuffle x unshuffle of these become one of as many channels. As
            little work as with pooling, and what is as small as a pixel is not lost.
        outputs: How many are served; others were learned beside them.
        logarithmic: Whether centre and scale are of the property's logarithm.

    Raises:
        ValueError: `target_scale` is not positive, or `pool`, `unshuffle` or `outputs` is below 1.
    """

    target_centre: Tensor
    target_scale: Tensor

    def __init__(
        self,
        network: WideResNet,
        target_centre: float,
        target_scale: float,
        pool: int = 1,
        *,
        unshuffle: int = 1,
        outputs: int = 1,
        logarithmic: bool = False,
    ) -> None:
        super().__init__()
        if not target_scale > 0.0:
            raise ValueError(f"target_scale must be positive, not {target_scale}")
        if min(pool, unshuffle, outputs) < 1:
            raise ValueError(
                "pool, unshuffle and outputs must be at least 1, not "
                f"{pool}, {unshuffle} and {outputs}"
            )
        self.network = network
        self.pool = pool
        self.unshuffle = unshuffle
        self.outputs = outputs
        self.logarithmic = logarithmic
        # Buffers, because they belong to the weights: without them the output has no unit.
        self.register_buffer("target_centre", torch.tensor(target_centre, dtype=torch.float32))
        self.register_buffer("target_scale", torch.tensor(target_scale, dtype=torch.float32))

    def network_input(self, image: Tensor) -> Tensor:
        """What the network sees of a tile whose mean is 0 and whose deviation is 1.

        Returns:
            float32 [B, unshuffle * unshuffle, H / (pool * unshuffle), W / (pool * unshuffle)].
        """
        x = normalise_intensity(image)
        x = functional.avg_pool2d(x, self.pool) if self.pool > 1 else x
        return functional.pixel_unshuffle(x, self.unshuffle) if self.unshuffle > 1 else x

    def forward(self, image: Tensor) -> Tensor:
        """The property of a batch of tiles.

        Args:
            image: Grey values 0..255, uint8 or float [B, 1, H, W]; 256x256 as served.

        Returns:
            float32 [B, outputs], in the property's unit.
        """
        return self.in_unit(self.network(self.network_input(image))[:, : self.outputs])

    def in_unit(self, served: Tensor) -> Tensor:
        """What the head gives, before tanh, as the property in its unit; any shape."""
        output: Tensor = self.target_centre + self.target_scale * torch.tanh(served)
        return output.exp() if self.logarithmic else output


def mc_dropout(network: WideResNet) -> WideResNet:
    """Put a network into the state of MC dropout: dropout as in training, all else as in use.

    Gal & Ghahramani, ICML 2016. Batch norm keeps its running statistics, or a tile's output would
    depend on the other tiles of its batch.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    return network


def mixed_precision_forward(network: WideResNet, x: Tensor) -> Tensor:
    """Forward pass for training: convolutions in bfloat16, the linear layer in float32.

    The linear layer is kept out of it because bfloat16 has three digits, too few for a logit or
    a stress. Outside the modules, because a served graph has no autocast in it.

    Args:
        network: On the device of `x`.
        x: float32 [B, in_channels, H, W].

    Returns:
        float32 [B, out_features].
    """
    with mixed_precision(x.device):
        features = network.features(x)
    output: Tensor = network.head(features.float())
    return output


def pooled(activations: Tensor) -> Tensor:
    """Mean of every channel over the pixels: float [B, C, H, W] to float [B, C]."""
    return activations.mean(dim=(2, 3))


def channel_statistics(x: Tensor) -> Tensor:
    """Mean and standard deviation of every channel over the pixels.

    In two passes: E[x^2] - E[x]^2 loses its digits where the mean is large, and may be negative.

    Args:
        x: float [B, C, H, W].

    Returns:
        float [B, 2C], first all means and then all deviations, both of the population.
    """
    mean = x.mean(dim=(2, 3))
    centred = x - mean.unsqueeze(2).unsqueeze(3)
    deviation = torch.sqrt((centred * centred).mean(dim=(2, 3)) + EARLY_SLACK)
    return torch.cat([mean, deviation], dim=1)


def normalise_intensity(image: Tensor) -> Tensor:
    """Subtract each tile's mean and divide by its standard deviation.

    The slack is inside the root, not beside it, so that a blank tile has a finite gradient.

    Args:
        image: Grey values 0..255, uint8 or float [B, 1, H, W].

    Returns:
        float32 [B, 1, H, W].
    """
    grey = image.float()
    centred = grey - grey.mean(dim=(1, 2, 3), keepdim=True)
    variance = (centred * centred).mean(dim=(1, 2, 3), keepdim=True)
    return centred / torch.sqrt(variance + NORMALISATION_EPSILON**2)


def _unit_range(image: Tensor) -> Tensor:
    """float32 in 0..1 from grey values 0..255."""
    return image.float() / 255.0


def target_scaling(
    minimum: float, maximum: float, *, logarithmic: bool = False
) -> tuple[float, float]:
    """`target_centre` and `target_scale` that put a range of targets onto +-0.9.

    Raises:
        ValueError: The range is empty, or has no logarithm.
    """
    if not maximum > minimum or (logarithmic and not minimum > 0.0):
        raise ValueError(f"targets from {minimum} to {maximum} span no range")
    if logarithmic:
        minimum, maximum = math.log(minimum), math.log(maximum)
    return (minimum + maximum) / 2.0, (maximum - minimum) / 2.0 / LINEAR_RANGE
