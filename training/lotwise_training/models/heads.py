"""The regressor as explanations ask it: beside the property, what it saw and where."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from lotwise_training.models.wide_resnet import TileRegressor, channel_statistics, pooled

OBSERVED_OUTPUTS: Final = ("property", "features", "early", "activation_map")
"""Names of what an :class:`ObservedRegressor` gives, in its order."""


class ObservedRegressor(TileRegressor):
    """A regressor of one output that shows its features and its class activation map.

    The weights have the names that they have without, so that graphs made of them find them.
    """

    @classmethod
    def of(cls, regressor: TileRegressor) -> ObservedRegressor:
        """The same network and scaling.

        Raises:
            ValueError: It has several outputs, so that no map is that of the property.
        """
        if regressor.outputs != 1:
            raise ValueError(f"a map is of one output, not of {regressor.outputs}")
        return cls(
            regressor.network,
            float(regressor.target_centre),
            float(regressor.target_scale),
            regressor.pool,
            unshuffle=regressor.unshuffle,
            logarithmic=regressor.logarithmic,
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # type: ignore[override]
        """All that is served of a batch of tiles.

        Args:
            image: Grey values 0..255, uint8 or float [B, 1, H, W].

        Returns:
            property float32 [B, 1], in its unit. features float32 [B, 64 * widen], pooled, of the
            last group. early float32 [B, 2 * 16 * widen], of the first, see
            :func:`channel_statistics`. activation_map float32 [B, h, w], logits of the head: how
            much each place adds to the property before the scaling; its mean and the head's bias
            make it up. With a pooled linear head this is Grad-CAM without its rectifier, up to a
            positive factor (Zhou et al., CVPR 2016; Selvaraju et al., ICCV 2017, section 3.1).
        """
        first, last = self.network.activations(self.network_input(image))
        features = pooled(last)
        served = self.network.head(features)[:, :1]
        # [1, C, 1, 1]: of the output that is served; others were learned beside it.
        weights = self.network.head.weight[:1, :, None, None]
        return self.in_unit(served), features, channel_statistics(first), (weights * last).sum(1)
