"""Trains editors: networks that change a tile's attributes, where these are known of lots only.

He et al. 2019 (AttGAN, equations 5-10) as used by Liu et al. 2020, section 4.2. What differs, to
learn continuous attributes of a few dozen lots within an hour on two cores:

- *Targets are mixed attribute by attribute*, from different lots. Whole vectors shuffled within
  a batch would only ever ask for lots that exist, a few dozen points in four dimensions, and leave
  attributes that go together in those lots together in every edit.
- *The reader of attributes leads*: the generator first only redraws while the reader learns to read
  real tiles, then edits fade in. A generator that starts earlier learns to please noise.
- *The texture is judged, too*: an edit owes the change of texture statistics that real lots show
  (`texture_targets.py`). The reader alone can be pleased by patterns that no person would see.
- *Everything judged is seen through another microscope*: random blur, noise, gain and offset on
  real and edited tiles alike. Single-pixel patterns do not survive it, and sensor noise stops
  telling real from generated. AttGAN's reconstructions are smoother than real tiles, so its reader
  learns from them, too, with their true attributes.
- Reconstruction weighs far less than AttGAN's 100 (the authors' own remedy for weak edits), and the
  critic is a patch critic with hinge loss and spectral norm (Miyato et al. 2018) instead of WGAN-GP
  with 5 critic steps: one backward pass a step instead of about ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lotwise_training.augmentation import disturb_instrument, random_crops
from lotwise_training.batches import Batches
from lotwise_training.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from lotwise_training.config import ARMS, EditorNetworkRecipe, EditorRecipe
from lotwise_training.dataset import DatasetError, Numbers, TileDataset
from lotwise_training.device import best_device, place
from lotwise_training.editor_runs import editor_name
from lotwise_training.export.onnx_weights import halve_weights
from lotwise_training.models.attgan import Discriminator
from lotwise_training.models.editors import NETWORKS, EditorNetwork
from lotwise_training.schedule import Clock
from lotwise_training.tensorboard import RunningMeans, TensorBoard
from lotwise_training.texture_targets import TextureTargets
from lotwise_training.training_loop import Report, checkpoint_path

UNIFORM_VARIANCE: Final = 1.0 / 12.0
"""Squared error of always answering 0.5 to attributes that are uniform in 0..1: divides attribute
losses, so that 1 means "knows nothing"."""
CURVES_EVERY: Final = 20
"""Steps between two points of a curve."""
CHECKPOINT_EVERY: Final = 100
"""Steps."""
SETTLING_BATCHES: Final = 40
"""After the training, for the statistics of batch norm."""


@dataclass(frozen=True, eq=False)
class EditorWork:
    """The training of one editor; a `Work`.

    Attributes:
        data: Lots whose attributes are all known.
        kind: Of the editor.
        recipe: How to train.
        seconds: Time of the training.
    """

    data: TileDataset
    kind: str
    recipe: EditorNetworkRecipe
    seconds: float

    @property
    def name(self) -> str:
        """See `Work`."""
        return editor_name(self.kind)

    def check(self, run: Path) -> None:
        """See `Work`."""
        load_checkpoint(checkpoint_path(run, self.name), expected=self._identity())

    def train(self, run: Path, *, report: Report) -> None:
        """See `Work`."""
        path = checkpoint_path(run, self.name)
        identity = self._identity()
        state = load_checkpoint(path, expected=identity)
        if state is not None and state["finished"]:
            report(1.0, state["line"])
            return
        torch.manual_seed(self.recipe.seed)
        training = _Training(self.data, self.kind, self.recipe)
        clock = Clock(self.recipe.steps, self.seconds)
        curves: dict[str, list[list[float]]] = {}
        if state is not None:
            training.restore(state)
            clock = Clock(self.recipe.steps, self.seconds, state["step"], state["seconds"])
            curves = state["curves"]

        def save(finished: bool, line: str) -> None:
            content = {
                "fingerprint": identity,
                "kind": self.kind,
                "dim": self.recipe.dim,
                "n_attributes": self.data.table.attributes.shape[1],
                **training.stored(finished),
                "step": clock.step,
                "seconds": clock.seconds,
                "curves": curves,
                "finished": finished,
                "line": line,
            }
            save_checkpoint(path, content)

        log = TensorBoard(run / "tensorboard" / self.name, clock.step)
        batches = Batches(len(self.data), self.recipe.batch_size, seed=(self.recipe.seed,))
        line, followed = "", RunningMeans()
        while (progress := clock.progress) < 1.0:
            figures = training.step(progress, *batches.draw(clock.step))
            clock.step += 1
            if clock.step % CURVES_EVERY == 0:
                smoothed = followed.add(figures)
                for name, value in smoothed.items():
                    curves.setdefault(name, []).append([clock.step, value])
                log.add(clock.step, smoothed)
                line = _line(clock.step, smoothed)
                report(progress, line)
            if clock.step % CHECKPOINT_EVERY == 0:
                save(finished=False, line=line)
        halve_weights(training.network)
        training.settle(batches.draw(clock.step + number) for number in range(SETTLING_BATCHES))
        log.close()
        save(finished=True, line=f"{line}, {clock.seconds:.0f} s")
        report(1.0, line)

    def _identity(self) -> str:
        return fingerprint(self.recipe, self.data.version, self.kind)


def editor_works(data: TileDataset, recipe: EditorRecipe) -> list[EditorWork]:
    """Every editor of a run, the one that is served first.

    Args:
        data: Lots whose attributes are all known.
        recipe: What to train.

    Raises:
        DatasetError: ATTRIBUTES_UNKNOWN: a lot lacks a score. TILE_TOO_SMALL: a tile is smaller
            than the crops.
    """
    table, crop = data.table, recipe.network.crop_px
    if not table.attribute_names or np.isnan(table.attributes).any():
        lacking = np.isnan(table.attributes).any(axis=1) | (not table.attribute_names)
        raise DatasetError(
            "ATTRIBUTES_UNKNOWN",
            f"Lot {table.lot_ids[int(np.flatnonzero(lacking)[0])]} lacks scores of its attributes. "
            "State them, or leave the lot out.",
        )
    if min(data.images.shape[1:]) < crop:
        raise DatasetError(
            "TILE_TOO_SMALL",
            f"Crops of {crop} px do not fit into tiles of {data.images.shape[1]} px. "
            "Set crop_px in the recipe.",
        )
    kinds = [recipe.served, *(kind for kind in ARMS if kind != recipe.served)]
    return [EditorWork(data, kind, recipe.network, recipe.max_seconds) for kind in kinds]


class _Training:
    """The networks of one training and what a step does with them."""

    def __init__(self, data: TileDataset, kind: str, recipe: EditorNetworkRecipe) -> None:
        device = best_device()
        n_attributes = data.table.attributes.shape[1]
        self._recipe = recipe
        self._tiles = torch.from_numpy(data.images).to(device)
        scores = np.clip(data.table.attributes, 0.0, 1.0).astype(np.float32)
        self._lots = scores
        self._scores = scores[data.lots]
        self._labels = torch.from_numpy(self._scores).to(device)
        self.network: EditorNetwork = place(NETWORKS[kind](recipe.dim, n_attributes), device)
        self._judge = place(Discriminator(recipe.discriminator_dim, n_attributes), device)
        self._reads_redrawn = kind == "attgan"
        self._textures = TextureTargets(
            self._tiles, self._labels, recipe.crop_px, np.random.default_rng([recipe.seed, 3])
        )
        judge = self._judge
        reader = [*judge.regressor.parameters(), *judge.head.parameters()]
        self._generator_optimiser = torch.optim.Adam(
            self.network.parameters(), recipe.learning_rate, betas=(0.5, 0.999)
        )
        self._judge_optimiser = torch.optim.Adam(
            [
                {"params": list(judge.critic.parameters()), "lr": recipe.critic_rate},
                {"params": reader, "lr": recipe.reader_rate, "betas": (0.9, 0.999)},
            ],
            betas=(0.5, 0.999),
        )

    def step(self, progress: float, chosen: Numbers, rng: np.random.Generator) -> dict[str, float]:
        """One step of judge and generator; figures in grey levels or 0..1.

        Args:
            progress: Of the training, 0 to 1.
            chosen: int64 [batch], tiles.
            rng: Of views and targets.
        """
        recipe, device = self._recipe, self._labels.device
        real, own, wanted = self._seen(chosen, rng)
        editing = (progress - recipe.reconstruction_share) / max(recipe.fade_share, 1e-9)
        editing = min(1.0, max(0.0, editing))
        self._set_rates(min(1.0, 1.25 * (1.0 - progress)))

        with torch.autocast(device.type, dtype=torch.bfloat16):
            redrawn, edited = self.network.redraw_and_edit(real, own, wanted if editing else None)
        figures = self._teach_judge(real, redrawn.detach(), edited.detach(), own, rng)
        redrawing = (redrawn - real).abs().mean()
        figures["redrawing"] = redrawing.item()
        loss = recipe.reconstruction_weight * redrawing / 127.5
        if editing:
            owed = self._edit_loss(real, edited, own, wanted, rng, figures)
            loss = loss + editing * owed
        self._generator_optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._generator_optimiser.step()
        return figures

    @torch.no_grad()
    def settle(self, draws: Iterable[tuple[Numbers, np.random.Generator]]) -> None:
        """Measure batch norm's statistics anew, at the final weights.

        Those that training leaves are a mean over weights that are gone (Wu & Johnson 2021).

        Args:
            draws: Tiles of a batch and the generator of its views and targets, as in `step`.
        """
        norms = [m for m in self.network.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a mean over all batches
        for chosen, rng in draws:
            self.network.redraw_and_edit(*self._seen(chosen, rng))

    def _seen(self, chosen: Numbers, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Crops of tiles, their lots' attributes, and those to ask for."""
        recipe, device = self._recipe, self._labels.device
        rows = torch.from_numpy(chosen).to(device)
        real = random_crops(self._tiles[rows], recipe.crop_px, rng)
        real = real.contiguous(memory_format=torch.channels_last)
        wanted = mix_attributes(self._scores[chosen], self._lots, recipe, rng).to(device)
        return real, self._labels[rows], wanted

    def _teach_judge(
        self, real: Tensor, redrawn: Tensor, edited: Tensor, own: Tensor, rng: np.random.Generator
    ) -> dict[str, float]:
        """Reader on what has a true label, critic on real against edited."""
        judge = self._judge
        with torch.autocast(real.device.type, dtype=torch.bfloat16):
            seen = self._view(real, rng)
            if self._reads_redrawn:
                readable = torch.cat([seen, self._view(redrawn, rng)])
                read = functional.mse_loss(judge.attributes(readable), torch.cat([own, own]))
            else:
                read = functional.mse_loss(judge.attributes(seen), own)
            loss = read / UNIFORM_VARIANCE
            figures = {"reading": read.item() ** 0.5}
            if len(edited):
                scores = judge.score(torch.cat([seen, self._view(edited, rng)])).float()
                on_real, on_edited = scores.chunk(2)
                critic = functional.relu(1.0 - on_real).mean()
                critic = critic + functional.relu(1.0 + on_edited).mean()
                figures["critic"] = critic.item()
                loss = loss + critic
        self._judge_optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._judge_optimiser.step()
        return figures

    def _edit_loss(
        self,
        real: Tensor,
        edited: Tensor,
        own: Tensor,
        wanted: Tensor,
        rng: np.random.Generator,
        figures: dict[str, float],
    ) -> Tensor:
        """What edited tiles owe: attributes, texture, looks, and the way back."""
        recipe, judge = self._recipe, self._judge
        judge.requires_grad_(False)
        with torch.autocast(real.device.type, dtype=torch.bfloat16):
            seen = self._view(edited, rng)
            read = functional.mse_loss(judge.attributes(seen), wanted)
            looks = -judge.score(seen).float().mean()
        judge.requires_grad_(True)
        texture = self._textures.loss(real, edited, own, wanted)
        figures |= {"edits": read.item() ** 0.5, "texture": texture.item()}
        loss = (
            recipe.attribute_weight * read / UNIFORM_VARIANCE
            + recipe.adversarial_weight * looks
            + recipe.texture_weight * texture
        )
        if recipe.cycle_weight:
            with torch.autocast(real.device.type, dtype=torch.bfloat16):
                _, back = self.network.redraw_and_edit(edited, wanted, own)
            cycle = (back - real).abs().mean()
            figures["there and back"] = cycle.item()
            loss = loss + recipe.cycle_weight * cycle / 127.5
        return loss

    def _set_rates(self, factor: float) -> None:
        recipe = self._recipe
        # A restored optimiser has groups of its own, so they are looked up every time.
        groups = [*self._generator_optimiser.param_groups, *self._judge_optimiser.param_groups]
        peaks = (recipe.learning_rate, recipe.critic_rate, recipe.reader_rate)
        for group, peak in zip(groups, peaks, strict=True):
            group["lr"] = factor * peak

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `stored` gave."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def stored(self, finished: bool) -> dict[str, Any]:
        """State of everything, or of the generator alone once it is finished."""
        parts = self._parts()
        return {name: parts[name].state_dict() for name in (["network"] if finished else parts)}

    def _parts(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "judge": self._judge,
            "generator_optimiser": self._generator_optimiser,
            "judge_optimiser": self._judge_optimiser,
        }

    def _view(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        recipe = self._recipe
        seen = disturb_instrument(
            images.float(),
            rng,
            gain_range=recipe.gain_range,
            offset_range=recipe.offset_range,
            max_noise_sigma=recipe.max_noise_sigma,
            max_blur_sigma_px=recipe.max_blur_sigma_px,
        )
        return seen.contiguous(memory_format=torch.channels_last)


def mix_attributes(
    source: np.ndarray[Any, np.dtype[np.float32]],
    lots: np.ndarray[Any, np.dtype[np.float32]],
    recipe: EditorNetworkRecipe,
    rng: np.random.Generator,
) -> Tensor:
    """Attributes to ask for, mixed from the lots'.

    Each is the tile's own or, with probability ``recipe.mixing``, that of a random lot, drawn
    apart for every attribute, and jittered; clipped to 0..1.

    Args:
        source: float32 [B, n], the tiles' own.
        lots: float32 [L, n], one row a lot.
        recipe: ``mixing`` and ``jitter`` are used.
        rng: source of the draws.

    Returns:
        float32 [B, n].
    """
    batch, n = source.shape
    foreign = lots[rng.integers(0, len(lots), (batch, n)), np.arange(n)]
    jitter = rng.normal(0.0, recipe.jitter, (batch, n))
    mixed = np.where(rng.random((batch, n)) < recipe.mixing, foreign + jitter, source)
    return torch.from_numpy(np.clip(mixed, 0.0, 1.0).astype(np.float32))


def _line(step: int, figures: Mapping[str, float]) -> str:
    parts = [f"step {step}", f"redrawn within {figures['redrawing']:.1f} grey levels"]
    parts += [f"{name} {figures[name]:.3f}" for name in ("edits", "texture") if name in figures]
    return ", ".join(parts)
