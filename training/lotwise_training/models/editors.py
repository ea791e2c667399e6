"""Two kinds of editor behind one signature: AttGAN as published, and one that learns differences.

Both map a tile, its lot's attributes and the target ones to an edited tile, in two steps, so that
a tile is encoded once for any number of edits: `encode` gives (latent, skip), `decode` draws.

- :class:`AttGan` (He et al. 2019; Liu et al. 2020, section 4.2) draws the whole tile anew from a
  code and the target attributes. What the code does not hold, such as the grain of this
  very picture, is lost with every edit, also with one that changes nothing.
- :class:`DifferenceEditor` takes the *change* (Liu et al. 2019, STGAN, section 3.3; Wu et al.
  2019, RelGAN, section 3.2), adds a picture of the difference to the tile, and zooms. An edit that
  changes nothing returns the tile itself, which STGAN and RelGAN only ask for with a loss, and what
  the edit does not concern stays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from lotwise_training.models.attgan import Decoder, Encoder, scale_image
from lotwise_training.models.resample import enlarged, zoomed

FOLD: Final = 4
"""Edge, in pixels, of the squares that are channels to an editor of differences."""
GRAIN: Final = 8
"""Width of an editor of differences where it sees all pixels."""
PACKED: Final = 8
"""Edge, in pixels, of the squares that are channels of its skip."""
MOST_ZOOM: Final = 3.0
"""Logarithm: twenty times."""


class EditorNetwork(nn.Module, ABC):
    """A network that edits attributes; images are grey values 0..255, attributes 0..1.

    Attributes:
        encoder_inputs: Names of what `encode` depends on.
        redraws: Whether an edit that changes nothing is a drawing, too, and has to be learned.
        led: Whether a reader of attributes that has learned before leads its training.
    """

    encoder_inputs: ClassVar[tuple[str, ...]]
    redraws: ClassVar[bool]
    led: ClassVar[bool]

    def __init__(self, n_attributes: int) -> None:
        super().__init__()
        self.n_attributes = n_attributes

    @abstractmethod
    def encode(self, image: Tensor, current: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What any edit of a tile needs.

        Args:
            image: uint8 or float [B, 1, H, W]; H and W multiples of 32.
            current: float32 [B, n], attributes of the tiles' lots; None where they are no
                `encoder_inputs`.

        Returns:
            latent float32 [B, C, h, w] and skip float32 [B, C', 2*h, 2*w].
        """

    @abstractmethod
    def decode(self, latent: Tensor, skip: Tensor, target: Tensor) -> Tensor:
        """The edited tiles: float32 [B, 1, H, W], 0..255.

        Args:
            latent: As `encode` gave it.
            skip: As `encode` gave it.
            target: float32 [B, n], attributes to be shown.
        """

    def forward(self, latent: Tensor, skip: Tensor, target: Tensor) -> Tensor:
        """What is exported as the decoder: see `decode`."""
        return self.decode(latent, skip, target)

    @abstractmethod
    def redraw_and_edit(
        self, image: Tensor, current: Tensor, target: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Both drawings of a training step, in one pass of the decoder.

        Batch norm then sees the mixture of both that it will serve.

        Args:
            image: float [B, 1, H, W].
            current: float32 [B, n].
            target: float32 [B, n]; None draws nothing but the unchanged tile.

        Returns:
            The tile drawn unchanged, float32 [B, 1, H, W], and edited, [B, 1, H, W] or [0, ...].
        """


class AttGan(EditorNetwork):
    """AttGAN's generator; see :class:`EditorNetwork`.

    Args:
        dim: Width of the first block; the paper's is 64.
        n_attributes: Number of attributes.
    """

    encoder_inputs = ("image",)
    redraws = True
    led = False

    def __init__(self, dim: int, n_attributes: int) -> None:
        super().__init__(n_attributes)
        self.encoder = Encoder(dim)
        self.decoder = Decoder(dim, n_attributes)

    def encode(self, image: Tensor, current: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `EditorNetwork`; the code does not depend on `current`."""
        code: tuple[Tensor, Tensor] = self.encoder(image)
        return code

    def decode(self, latent: Tensor, skip: Tensor, target: Tensor) -> Tensor:
        """See `EditorNetwork`."""
        drawn: Tensor = self.decoder(latent, skip, target)
        return drawn

    def redraw_and_edit(
        self, image: Tensor, current: Tensor, target: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `EditorNetwork`."""
        attributes = [current] if target is None else [current, target]
        latent, skip = (torch.cat([part] * len(attributes)) for part in self.encoder(image))
        drawn = self.decoder(latent, skip, torch.cat(attributes))
        return drawn[: len(current)], drawn[len(current) :]


class DifferenceEditor(EditorNetwork):
    """The tile plus a picture of the difference, zoomed; see :class:`EditorNetwork`.

    A U-Net (Ronneberger et al. 2015): levels of which a pixel stands for 4, 8 and 16 of the tile's,
    whose decoder takes the change at each, and a narrow one of all pixels that draws. It draws
    two pictures, one that is added before the zoom and one, such as noise, after it. Of each only
    the difference between the change and no change counts. How far an attribute zooms is one
    measured number (`lotwise_training.training.editor.texture`).

    Args:
        dim: Width of the level of 4 pixels; doubled at each that is coarser.
        n_attributes: Number of attributes.
    """

    encoder_inputs = ("image", "attributes")
    redraws = False
    led = True
    zoom: Tensor

    def __init__(self, dim: int, n_attributes: int) -> None:
        super().__init__(n_attributes)
        n, fine, middle, coarse = n_attributes, dim, 2 * dim, 4 * dim
        self.first = _convolved(FOLD**2, fine)
        self.second = _convolved(fine, middle, stride=2)
        self.third = nn.Sequential(_convolved(middle, coarse, stride=2), _convolved(coarse, coarse))
        self.turn = nn.Sequential(_convolved(coarse + n, coarse), _convolved(coarse, coarse))
        self.to_middle = _doubled(coarse, middle)
        self.at_middle = _convolved(2 * middle + n, middle)
        self.to_fine = _doubled(middle, fine)
        self.at_fine = _convolved(2 * fine + n, fine)
        # No pixels out of channels: what a square holds at each of its places would be a grid.
        self.grain = nn.Sequential(nn.Conv2d(1, GRAIN, 5, padding=2), nn.LeakyReLU(0.2))
        self.to_grain = nn.Conv2d(fine, GRAIN, 1)
        self.pictures = nn.Sequential(
            nn.Conv2d(2 * GRAIN, GRAIN, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(GRAIN, 2, 3, padding=1),
        )
        # Not learned: a zoom by fractions of a pixel makes what is read off a tile go up and down,
        # and steps along such slopes lead to where nothing zooms.
        self.register_buffer("zoom", torch.zeros(n))

    def encode(self, image: Tensor, current: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `EditorNetwork`.

        The latent also holds the lot's attributes; the skip holds the tile, and the pictures of
        no change.
        """
        if current is None:
            raise ValueError("the differences are counted from the lot's own attributes")
        image = image.float()
        levels = self._seen(image)
        none = self._pictures(levels, torch.zeros_like(current))
        skip = functional.pixel_unshuffle(torch.cat([image, none], dim=1), PACKED)
        return torch.cat([levels[-1], _maps(current, levels[-1])], dim=1), skip

    def decode(self, latent: Tensor, skip: Tensor, target: Tensor) -> Tensor:
        """See `EditorNetwork`."""
        return self.show(*self.draw(latent, skip, target))

    def draw(self, latent: Tensor, skip: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """All of `decode` but the zoom.

        Returns:
            Pictures float32 [B, 2, H, W], to be zoomed and to be added then; logarithm of the
            magnification float32 [B].
        """
        coarse, current = latent[:, : -self.n_attributes], latent[:, -self.n_attributes :, 0, 0]
        unpacked = functional.pixel_shuffle(skip, PACKED)
        image, none = unpacked[:, :1], unpacked[:, 1:]
        # The finer levels again: a seventh of the work, where sending them would double the code.
        fine = self.first(_unshuffled(image))
        levels = (self.grain(scale_image(image)), fine, self.second(fine), coarse)
        change = target - current
        return self._drawn(image, none, self._pictures(levels, change), change)

    def show(self, pictures: Tensor, log_zoom: Tensor) -> Tensor:
        """The edited tiles, float32 [B, 1, H, W], from what `draw` gave."""
        before, after = pictures[:, :1], pictures[:, 1:]
        edited: Tensor = (zoomed(before, log_zoom) + after).clamp(0.0, 255.0)
        return edited

    def redraw_and_edit(
        self, image: Tensor, current: Tensor, target: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `EditorNetwork`; unchanged, the tile is what it was."""
        if target is None:
            return image, image[:0]
        levels = tuple(torch.cat([level, level]) for level in self._seen(image))
        change = target - current
        changes = torch.cat([torch.zeros_like(change), change])
        none, drawn = self._pictures(levels, changes).chunk(2)
        return image, self.show(*self._drawn(image, none, drawn, change))

    @torch.no_grad()
    def take_zoom(self, log_zoom: Tensor) -> None:
        """Zoom as was measured.

        Args:
            log_zoom: float32 [n], logarithm of the magnification per unit of each attribute.
        """
        self.zoom.copy_(log_zoom)

    def _seen(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fine = self.first(_unshuffled(image))
        middle = self.second(fine)
        return self.grain(scale_image(image)), fine, middle, self.third(middle)

    def _drawn(
        self, image: Tensor, none: Tensor, drawn: Tensor, change: Tensor
    ) -> tuple[Tensor, Tensor]:
        added = drawn - none
        log_zoom = (change @ self.zoom).clamp(-MOST_ZOOM, MOST_ZOOM)
        return torch.cat([image + added[:, :1], added[:, 1:]], dim=1), log_zoom

    def _pictures(self, levels: tuple[Tensor, ...], change: Tensor) -> Tensor:
        """Of a change of attributes [B, n], in grey levels: float32 [B, 2, H, W]."""
        grain, fine, middle, coarse = levels
        x = self.turn(torch.cat([coarse, _maps(change, coarse)], dim=1))
        x = self.to_middle(x)
        x = self.at_middle(torch.cat([x, middle, _maps(change, middle)], dim=1))
        x = self.to_fine(x)
        x = self.at_fine(torch.cat([x, fine, _maps(change, fine)], dim=1))
        x = enlarged(self.to_grain(x), FOLD)
        x = self.pictures(torch.cat([x, grain], dim=1))
        # Under autocast it is bfloat16: 8 bits are too few for 256 grey values.
        drawn: Tensor = 127.5 * x.to(torch.promote_types(x.dtype, torch.float32))
        return drawn


NETWORKS: Final[Mapping[str, type[AttGan | DifferenceEditor]]] = MappingProxyType(
    {
        "attgan": AttGan,
        "difference": DifferenceEditor,
    }
)
"""By the name that a recipe gives them."""


class EncoderGraph(nn.Module):
    """`encode` as a graph of its own; its inputs are the network's `encoder_inputs`."""

    def __init__(self, network: EditorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, current: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `EditorNetwork.encode`."""
        return self.network.encode(image, current)


def _convolved(before: int, after: int, stride: int = 1) -> nn.Module:
    """Convolution, batch norm, leaky ReLU; half the size with a stride of 2."""
    kernel = 3 if stride == 1 else 4
    return _normed(nn.Conv2d(before, after, kernel, stride=stride, padding=1, bias=False))


def _doubled(before: int, after: int) -> nn.Module:
    """Transposed convolution to twice the size, batch norm, leaky ReLU."""
    return _normed(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False))


def _normed(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.LeakyReLU(0.2))


def _maps(attributes: Tensor, like: Tensor) -> Tensor:
    """Attributes [B, n] as maps of a level's size."""
    return attributes.unsqueeze(-1).unsqueeze(-1).expand(-1, -1, *like.shape[2:])


def _unshuffled(image: Tensor) -> Tensor:
    """Squares of pixels as channels, scaled to -1..1."""
    return functional.pixel_unshuffle(scale_image(image), FOLD)
