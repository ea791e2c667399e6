"""Two kinds of editor behind one signature: AttGAN as published, and one that learns differences.

Both map a tile, its lot's attributes and the wanted ones to an edited tile, in two steps, so that
a tile is encoded once for any number of edits: `encode` gives (latent, skip), `decode` draws.

- :class:`AttGan` (He et al. 2019; Liu et al. 2020, section 4.2) draws the whole tile anew from a
  code that is told the wanted attributes. What the code does not hold, such as the grain of this
  very picture, is lost with every edit, also with one that changes nothing.
- :class:`DifferenceEditor` is told the *change* (Liu et al. 2019, STGAN, section 3.3; Wu et al.
  2019, RelGAN, section 3.2). It draws the tile twice, unchanged and changed, and adds the
  difference of the two drawings to the tile. An edit that changes nothing then returns the tile
  itself, which STGAN and RelGAN only ask for with a loss, and all that the edit does not concern,
  the grain too, stays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from lotwise_training.models.attgan import LAYERS, Decoder, Encoder

NO_CHANGE: Final = 0.5
"""What a decoder of differences is told where nothing is to change; 0 and 1 are the ends."""
SKIP_STRIDE: Final = 2 ** (LAYERS - 1)
"""A pixel of the skip stands for this many squared of the tile."""


class EditorNetwork(nn.Module, ABC):
    """A network that edits attributes; images are grey values 0..255, attributes 0..1.

    Args:
        dim: Width of the first block; AttGAN's is 64.
        n_attributes: Number of attributes.

    Attributes:
        encoder_inputs: Names of what `encode` depends on.
    """

    encoder_inputs: ClassVar[tuple[str, ...]]

    def __init__(self, dim: int, n_attributes: int) -> None:
        super().__init__()
        self.n_attributes = n_attributes
        self.encoder = Encoder(dim)
        self.decoder = Decoder(dim, n_attributes)

    @abstractmethod
    def encode(self, image: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What any edit of a tile needs.

        Args:
            image: uint8 or float [B, 1, H, W]; H and W multiples of 32.
            own: float32 [B, n], attributes of the tiles' lots; None where they are no
                `encoder_inputs`.

        Returns:
            latent float32 [B, C, H/32, W/32] and skip float32 [B, C', H/16, W/16].
        """

    @abstractmethod
    def decode(self, latent: Tensor, skip: Tensor, wanted: Tensor) -> Tensor:
        """The edited tiles: float32 [B, 1, H, W], 0..255.

        Args:
            latent: As `encode` gave it.
            skip: As `encode` gave it.
            wanted: float32 [B, n], attributes to be shown.
        """

    @abstractmethod
    def redraw_and_edit(
        self, image: Tensor, own: Tensor, wanted: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Both drawings of a training step, in one pass of the decoder.

        Batch norm then sees the mixture of both that it will serve.

        Args:
            image: float [B, 1, H, W].
            own: float32 [B, n].
            wanted: float32 [B, n]; None draws nothing but the unchanged tile.

        Returns:
            The tile drawn unchanged, float32 [B, 1, H, W], and edited, [B, 1, H, W] or [0, ...].
        """


class AttGan(EditorNetwork):
    """AttGAN's generator; see :class:`EditorNetwork`."""

    encoder_inputs = ("image",)

    def encode(self, image: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `EditorNetwork`; the code does not depend on `own`."""
        code: tuple[Tensor, Tensor] = self.encoder(image)
        return code

    def decode(self, latent: Tensor, skip: Tensor, wanted: Tensor) -> Tensor:
        """See `EditorNetwork`."""
        drawn: Tensor = self.decoder(latent, skip, wanted)
        return drawn

    def redraw_and_edit(
        self, image: Tensor, own: Tensor, wanted: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `EditorNetwork`."""
        return _drawn(self.decoder, self.encoder(image), [own] if wanted is None else [own, wanted])


class DifferenceEditor(EditorNetwork):
    """The tile plus the difference of two drawings; see :class:`EditorNetwork`."""

    encoder_inputs = ("image", "attributes")

    def encode(self, image: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `EditorNetwork`.

        The latent also holds the lot's attributes, the skip also what the drawing lacks of the
        tile, so that `decode` needs neither.
        """
        if own is None:
            raise ValueError("the differences are counted from the lot's own attributes")
        latent, skip = self.encoder(image)
        lacking = image - self.decoder(latent, skip, torch.full_like(own, NO_CHANGE))
        maps = own.unsqueeze(-1).unsqueeze(-1).expand(-1, -1, *latent.shape[2:])
        packed = functional.pixel_unshuffle(lacking, SKIP_STRIDE)
        return torch.cat([latent, maps], dim=1), torch.cat([skip, packed], dim=1)

    def decode(self, latent: Tensor, skip: Tensor, wanted: Tensor) -> Tensor:
        """See `EditorNetwork`."""
        latent, maps = latent[:, : -self.n_attributes], latent[:, -self.n_attributes :]
        skip, packed = skip[:, : -(SKIP_STRIDE**2)], skip[:, -(SKIP_STRIDE**2) :]
        drawn = self.decoder(latent, skip, _change(maps[:, :, 0, 0], wanted))
        edited: Tensor = drawn + functional.pixel_shuffle(packed, SKIP_STRIDE)
        return edited.clamp(0.0, 255.0)

    def redraw_and_edit(
        self, image: Tensor, own: Tensor, wanted: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `EditorNetwork`."""
        unchanged = torch.full_like(own, NO_CHANGE)
        told = [unchanged] if wanted is None else [unchanged, _change(own, wanted)]
        redrawn, changed = _drawn(self.decoder, self.encoder(image), told)
        # The unchanged drawing is to be like the tile, and nothing else: a poorer one would leave
        # more to the sum below and could please those who judge the edit.
        lacking = (image - redrawn).detach()[: len(changed)]
        return redrawn, (changed + lacking).clamp(0.0, 255.0)


NETWORKS: Final[Mapping[str, type[EditorNetwork]]] = MappingProxyType(
    {
        "attgan": AttGan,
        "difference": DifferenceEditor,
    }
)
"""By the name that a recipe gives them."""


class EncoderGraph(nn.Module):
    """`encode` as a graph of its own; its inputs are the network's `encoder_inputs`.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: EditorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `EditorNetwork.encode`."""
        return self.network.encode(image, own)


class DecoderGraph(nn.Module):
    """`decode` as a graph of its own.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: EditorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, latent: Tensor, skip: Tensor, attributes: Tensor) -> Tensor:
        """See `EditorNetwork.decode`."""
        return self.network.decode(latent, skip, attributes)


def _change(own: Tensor, wanted: Tensor) -> Tensor:
    """Differences -1..1 as 0..1, which is what a decoder takes."""
    return (1.0 + wanted - own) / 2.0


def _drawn(
    decoder: Decoder, code: tuple[Tensor, Tensor], told: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """One pass of the decoder for several tellings: the first drawing, and all others."""
    latent, skip = (torch.cat([part] * len(told)) for part in code)
    drawn = decoder(latent, skip, torch.cat(told))
    tiles = len(told[0])
    return drawn[:tiles], drawn[tiles:]
