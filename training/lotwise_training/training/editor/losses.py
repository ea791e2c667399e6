"""The losses of an editor in training: a reader of attributes, a critic, and the texture.

- The *reader* says which attributes a tile shows. AttGAN's (He et al. 2019, section 3.3) learns
  beside the generator, from real tiles and, as its reconstructions are smoother than these, from
  redrawn ones with their true attributes. An editor of differences is led by a reader that has
  learned before (`training/tasks/attributes.py`).
- The *critic* says whether a tile is a real one: by patches, with hinge loss and spectral norm
  (Miyato et al. 2018) instead of WGAN-GP with 5 critic steps: one backward pass a step instead of
  about ten.
- *Both see every tile through another microscope*: random blur, noise, gain and offset on real and
  edited tiles alike. Single-pixel patterns do not survive it, and sensor noise stops
  telling real from generated.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lotwise_training.config.schema import EditorNetworkRecipe
from lotwise_training.data.transforms import disturb_instrument
from lotwise_training.models.attgan import Discriminator
from lotwise_training.store.device import mixed_precision, to_device
from lotwise_training.training.editor.texture import TextureTargets

UNIFORM_VARIANCE: Final = 1.0 / 12.0
"""Squared error of always answering 0.5 to attributes that are uniform in 0..1: divides attribute
losses, so that 1 means "knows nothing"."""


class EditorLosses:
    """The losses of one training.

    Args:
        recipe: Of the training.
        n_attributes: Number of attributes.
        textures: The change of texture that an edit has to make.
        reader: That has learned before, from grey values [B, 1, H, W] to attributes [B, n]; None
            for one that learns here.
        device: Where.
    """

    def __init__(
        self,
        recipe: EditorNetworkRecipe,
        n_attributes: int,
        textures: TextureTargets,
        reader: nn.Module | None,
        device: torch.device,
    ) -> None:
        self._recipe = recipe
        self._textures = textures
        self._reader = None if reader is None else to_device(reader, device).requires_grad_(False)
        discriminator = Discriminator(
            recipe.discriminator_dim, n_attributes, recipe.discriminator_unshuffle
        )
        self._discriminator = to_device(discriminator, device)
        groups = [{"params": list(discriminator.critic.parameters()), "lr": recipe.critic_rate}]
        if self._reader is None:
            read = [*discriminator.regressor.parameters(), *discriminator.head.parameters()]
            groups.append({"params": read, "lr": recipe.reader_rate, "betas": (0.9, 0.999)})
        self._optimiser = torch.optim.Adam(groups, betas=(0.5, 0.999))

    @property
    def networks(self) -> nn.Module:
        """The critic and the reader that learn here."""
        return self._discriminator

    def learn(
        self,
        rate: float,
        real: Tensor,
        redrawn: Tensor,
        edited: Tensor,
        current: Tensor,
        rng: np.random.Generator,
    ) -> dict[str, float]:
        """The reader from what has a true label, the critic from real against edited.

        Args:
            rate: Share of the learning rates.
            real: float [B, 1, H, W], grey values of tiles.
            redrawn: float [B, 1, H, W], the same tiles drawn unchanged.
            edited: float [B, 1, H, W], or [0, ...] where nothing is edited yet.
            current: float32 [B, n], attributes of the tiles' lots.
            rng: Of views.

        Returns:
            Figures for the curves.
        """
        discriminator, figures = self._discriminator, dict[str, float]()
        # A restored optimiser has groups of its own, so they are looked up every time.
        rates = (self._recipe.critic_rate, self._recipe.reader_rate)
        for group, peak in zip(self._optimiser.param_groups, rates, strict=False):
            group["lr"] = rate * peak
        loss = real.new_zeros(())
        with mixed_precision(real.device):
            seen = self._view(real, rng)
            if self._reader is None:
                readable = torch.cat([seen, self._view(redrawn, rng)])
                read = functional.mse_loss(
                    discriminator.attributes(readable), torch.cat([current, current])
                )
                figures["reading"] = read.item() ** 0.5
                loss = loss + read / UNIFORM_VARIANCE
            if len(edited):
                scores = discriminator.score(torch.cat([seen, self._view(edited, rng)])).float()
                on_real, on_edited = scores.chunk(2)
                critic = functional.relu(1.0 - on_real).mean()
                critic = critic + functional.relu(1.0 + on_edited).mean()
                figures["critic"] = critic.item()
                loss = loss + critic
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return figures

    def losses(
        self,
        real: Tensor,
        edited: Tensor,
        current: Tensor,
        target: Tensor,
        rng: np.random.Generator,
        figures: dict[str, float],
    ) -> Tensor:
        """Loss of edited tiles by attributes, looks and texture, float [].

        Args:
            real: float [B, 1, H, W], grey values of tiles.
            edited: float [B, 1, H, W], the same tiles edited.
            current: float32 [B, n], attributes of the tiles' lots.
            target: float32 [B, n], target attributes.
            rng: Of views.
            figures: For the curves; added to.
        """
        recipe, discriminator = self._recipe, self._discriminator
        discriminator.requires_grad_(False)
        with mixed_precision(real.device):
            seen = self._view(edited, rng)
            shown = discriminator.attributes(seen) if self._reader is None else self._reader(seen)
            read = functional.mse_loss(shown.float(), target)
            looks = -discriminator.score(seen).float().mean()
        discriminator.requires_grad_(True)
        texture = self._textures.loss(real, edited, current, target)
        figures |= {"edits": read.item() ** 0.5, "texture": texture.item()}
        return (
            recipe.attribute_weight * read / UNIFORM_VARIANCE
            + recipe.adversarial_weight * looks
            + recipe.texture_weight * texture
        )

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds of them: modules and optimisers by name."""
        return {"discriminator": self._discriminator, "discriminator_optimiser": self._optimiser}

    def _view(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        seen = disturb_instrument(images.float(), self._recipe, rng)
        return seen.contiguous(memory_format=torch.channels_last)
