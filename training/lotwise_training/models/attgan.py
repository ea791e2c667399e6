"""AttGAN: edit an image towards target attributes.

He et al., "AttGAN: Facial Attribute Editing by Only Changing What You Want", IEEE TIP 28 (2019),
arXiv 1711.10678; layer widths as in the authors' code (LynnHo/AttGAN-Tensorflow). Liu et al. 2020,
section 4.2, use it on SEM tiles of one grey channel with four attributes of a lot: size, porosity,
polydispersity, facetness.

What differs from the paper, and why:

- One grey channel, and all scaling inside the networks: images are grey values 0..255, attributes
  0..1, on every border of every network. Services then have nothing to scale, hence nothing to
  scale differently from training.
- The discriminator ends in patches and in average pooling instead of two fully connected layers.
  Those hold 134 of its 145 million parameters at 256x256 and tie it to one image size; a lot's
  attributes and its look are properties of texture, the same in every part of a tile.
- Everything is fully convolutional: training uses crops (a multiple of 32 pixels), serving uses
  256x256.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

LAYERS = 5
"""Stride-2 layers of encoder and decoder: image sides must be multiples of 2**LAYERS = 32."""


def scale_image(image: Tensor) -> Tensor:
    """Map grey values 0..255, any shape, to -1..1; uint8 gives float32, floats keep their type."""
    return image / 127.5 - 1.0


def scale_attributes(attributes: Tensor) -> Tensor:
    """Map attributes 0..1 to -0.5..0.5, AttGAN's (2a - 1) * 0.5."""
    return (2.0 * attributes - 1.0) * 0.5


class Encoder(nn.Module):
    """Image to what the decoder needs of it; independent of the attributes.

    Five blocks (4x4 convolution of stride 2, batch norm, leaky ReLU 0.2) of widths
    ``dim * (1, 2, 4, 8, 16)``; AttGAN, table 1 (one shortcut layer, so one skip).

    Args:
        dim: width of the first block; the paper's is 64.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        widths = [dim * 2**i for i in range(LAYERS)]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                # No bias: the batch norm that follows would subtract it again.
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2),
            )
            for before, after in zip([1, *widths], widths, strict=False)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a batch of tiles.

        Args:
            image: grey values 0..255, uint8 or float [B, 1, H, W]; H and W multiples of 32.

        Returns:
            latent float32 [B, 16*dim, H/32, W/32] and skip float32 [B, 8*dim, H/16, W/16].
        """
        skip = scale_image(image)
        latent = skip
        for block in self.blocks:
            skip, latent = latent, block(latent)
        return latent, skip


class Decoder(nn.Module):
    """Encoded image and target attributes to the edited image.

    Five blocks (4x4 transposed convolution of stride 2, batch norm, ReLU; tanh at the end) of
    widths ``dim * (16, 8, 4, 2)`` and 1; AttGAN, table 1, with one shortcut layer and one inject
    layer: the attributes, tiled to maps, enter at the latent and again beside the skip.
    """

    def __init__(self, dim: int, n_attributes: int) -> None:
        super().__init__()
        widths = [dim * 2**i for i in reversed(range(1, LAYERS))]
        inputs = [16 * dim + n_attributes, widths[0] + 8 * dim + n_attributes, *widths[1:]]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
            for before, after in zip(inputs, widths, strict=False)
        )
        self.to_image = nn.ConvTranspose2d(inputs[-1], 1, 4, stride=2, padding=1)

    def forward(self, latent: Tensor, skip: Tensor, attributes: Tensor) -> Tensor:
        """Draw the image that ``attributes`` ask for.

        Args:
            latent: float32 [B, 16*dim, h, w], the encoder's.
            skip: float32 [B, 8*dim, 2*h, 2*w], the encoder's.
            attributes: float32 [B, n_attributes] in 0..1.

        Returns:
            Grey values 0..255, float32 [B, 1, 32*h, 32*w].
        """
        scaled = scale_attributes(attributes).unsqueeze(-1).unsqueeze(-1)
        x = torch.cat([latent, scaled.expand(-1, -1, *latent.shape[2:])], dim=1)
        x = self.blocks[0](x)
        x = torch.cat([x, skip, scaled.expand(-1, -1, *skip.shape[2:])], dim=1)
        for block in self.blocks[1:]:
            x = block(x)
        x = self.to_image(x)
        # Under autocast the last layer is bfloat16: 8 bits are too few for 256 grey values.
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        return (torch.tanh(x) + 1.0) * 127.5


class Discriminator(nn.Module):
    """Critic (is this a real tile?) and attribute regressor; both forget where in the tile.

    Each is a stack of 4x4 convolutions of stride 2 and leaky ReLU 0.2, of widths
    ``dim * (1, 2, 4, 8)``. AttGAN shares one stack between the two; here they are apart, because
    they need opposite things:

    - The critic is normalised (spectral norm, which bounds its slope without the second derivatives
      of a gradient penalty, and instance norm) and sees the tile's true grey levels.
    - The regressor must *not* be: instance norm sets the mean of every channel in every tile to
      the same value, and that mean, how much of a feature a tile holds, is what porosity and
      facetness are. With it they stayed at chance. Instead the tile is normalised once, at the
      input, so that gain and offset of the microscope tell nothing about the lot.

    Args:
        dim: width of the first block.
        n_attributes: number of attributes.
        unshuffle: edge, in pixels, of the squares that become channels first: reader and critic
            then see as much more of the tile at the same cost.
    """

    def __init__(self, dim: int, n_attributes: int, unshuffle: int = 1) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        widths = [dim * 2**i for i in range(4)]
        critic: list[nn.Module] = []
        regressor: list[nn.Module] = []
        for index, (before, after) in enumerate(zip([unshuffle**2, *widths], widths, strict=False)):
            critic.append(spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1)))
            if index:
                critic.append(nn.InstanceNorm2d(after, affine=True))
            critic.append(nn.LeakyReLU(0.2))
            regressor.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
            regressor.append(nn.LeakyReLU(0.2))
        critic.append(spectral_norm(nn.Conv2d(widths[-1], 1, 1)))
        self.critic = nn.Sequential(*critic)
        self.regressor = nn.Sequential(*regressor)
        self.head = nn.Linear(widths[-1], n_attributes)

    def score(self, image: Tensor) -> Tensor:
        """How real the tile looks, patch by patch.

        Args:
            image: grey values 0..255, uint8 or float [B, 1, H, W]; H and W at least 32 times the
                unshuffle.

        Returns:
            float [B, 1, h, w], unbounded, larger is more real; each sees 46x46 squares. h and w are
            H and W over 16, over the unshuffle.
        """
        score: Tensor = self.critic(functional.pixel_unshuffle(scale_image(image), self.unshuffle))
        return score

    def attributes(self, image: Tensor) -> Tensor:
        """The attributes of the lot that the tile shows.

        Returns:
            float32 [B, n_attributes], about 0..1 but not clipped: a clipped output has no gradient.
        """
        scaled = scale_image(image)
        centred = scaled - scaled.mean(dim=(1, 2, 3), keepdim=True)
        contrast = centred.square().mean(dim=(1, 2, 3), keepdim=True).add(1e-4).sqrt()
        unshuffled = functional.pixel_unshuffle(centred / contrast, self.unshuffle)
        features = self.regressor(unshuffled).float().mean(dim=(2, 3))
        attributes: Tensor = self.head(features) + 0.5
        return attributes
