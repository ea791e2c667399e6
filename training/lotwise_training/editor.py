"""Trains the editor: AttGAN on tiles whose attributes are known for the lot only.

He et al. 2019 (AttGAN, equations 5-10) as used by Liu et al. 2020, section 4.2. What differs, to
learn continuous attributes of a few dozen lots within minutes on two cores:

- *Targets are mixed attribute by attribute*, from different lots. Whole vectors shuffled within
  a batch would only ever ask for lots that exist, a few dozen points in four dimensions, and leave
  attributes that go together in those lots together in every edit.
- *The attribute regressor leads*: the generator first only reconstructs while the regressor learns
  to read real tiles, then edits fade in. A generator that starts earlier learns to please noise.
- *The regressor also reads reconstructions*, labelled with their true attributes. They are smoother
  than real tiles; without this the generator would be judged by a network outside its domain.
- *Everything judged is seen through another microscope*: random blur, noise, gain and offset on
  real, reconstructed and edited tiles alike. Single-pixel patterns, which would fool a network and
  no person, do not survive it, and sensor noise stops telling real from generated.
- Reconstruction weighs far less than AttGAN's 100 (the authors' own remedy for weak edits), and the
  critic is a patch critic with hinge loss and spectral norm (Miyato et al. 2018) instead of WGAN-GP
  with 5 critic steps: one backward pass a step instead of about ten.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional

from lotwise_training.augmentation import disturb_instrument, random_crops
from lotwise_training.batches import Batches
from lotwise_training.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from lotwise_training.device import best_device
from lotwise_training.export.onnx_weights import halve_weights
from lotwise_training.models.attgan import Decoder, Discriminator, Encoder
from lotwise_training.schedule import Clock

CHECKPOINT = "editor.pt"
CHECKPOINT_SECONDS = 60.0
UNIFORM_VARIANCE = 1.0 / 12.0
"""Squared error of always answering 0.5 to attributes that are uniform in 0..1: divides attribute
losses, so that 1 means "knows nothing"."""


@dataclass(frozen=True, slots=True)
class EditorConfig:
    """Every number that decides the training; the defaults are the CPU profile.

    Raises:
        ValueError: a value is out of range.
    """

    dim: int = 16  # 2.7 million parameters; the paper's 64 has 43 and needs a GPU
    discriminator_dim: int = 16
    crop_px: int = 128  # a quarter of a tile's cost; holds several crystals of all but the largest
    batch_size: int = 12  # few samples fit into minutes: more steps help more than larger ones
    steps: int = 4000
    max_seconds: float = 400.0
    learning_rate: float = 1e-3  # encoder and decoder; five times AttGAN's, falling to 0
    critic_rate: float = 5e-4
    regressor_rate: float = 2e-3  # without norm layers it needs, and stands, a high rate
    reconstruction_share: float = 0.2  # of the training, before edits fade in
    fade_share: float = 0.1  # of the training, from no edits to their full weight
    reconstruction_weight: float = 10.0  # on the L1 distance in -1..1
    attribute_weight: float = 1.5  # on the squared error, 1 = chance
    adversarial_weight: float = 0.3
    mixing: float = 0.5  # probability that an attribute is asked to change
    jitter: float = 0.05  # of targets: fills the gaps between the lots' values
    gain_range: float = 0.15
    offset_range: float = 10.0  # grey levels
    max_noise_sigma: float = 12.0  # grey levels; about the tiles' own
    max_blur_sigma_px: float = 1.0  # keeps pin-pricks, about 2 px wide, visible

    def __post_init__(self) -> None:
        if self.crop_px % 32:
            raise ValueError(f"crop_px must be a multiple of 32, got {self.crop_px}")
        for name in ("dim", "discriminator_dim", "crop_px", "batch_size", "steps", "max_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)!r}")
        if not 0 < self.reconstruction_share + self.fade_share < 1:
            raise ValueError("reconstruction_share + fade_share must lie between 0 and 1")


@dataclass(frozen=True)
class Editor:
    """A trained editor: on the CPU, in evaluation mode, large weights rounded to float16.

    Attributes:
        encoder: tile to latent and skip.
        decoder: latent, skip and attributes to the edited tile.
        figures: what the training last measured: "reconstruction" (mean absolute error in grey
            levels), "attributes" and "edits" (root mean square error of the discriminator's
            reading of real tiles and of edited ones, in 0..1; chance is 0.29), "steps", "seconds".
    """

    encoder: Encoder
    decoder: Decoder
    figures: dict[str, float]

    @torch.no_grad()
    def edit(self, images: Tensor, attributes: Tensor) -> Tensor:
        """Edited tiles: uint8 [B, 1, H, W] and float32 [B, n] to float32 [B, 1, H, W], 0..255."""
        latent, skip = self.encoder(images)
        edited: Tensor = self.decoder(latent, skip, attributes)
        return edited


def train_editor(
    images: npt.NDArray[np.uint8],
    attributes: npt.NDArray[np.float32],
    *,
    config: EditorConfig,
    checkpoint_dir: Path,
    max_seconds: float | None = None,
    seed: int = 0,
) -> Editor:
    """Train the editor, or go on where its checkpoint left off.

    Args:
        images: uint8 [N, H, W], tiles; H and W at least ``config.crop_px``.
        attributes: float32 [N, n] in 0..1, of each tile's lot.
        config: how to train.
        checkpoint_dir: folder of ``editor.pt``, written once a minute and at the end.
        max_seconds: time of the whole training, what a checkpoint has spent included; None takes
            the configuration's.
        seed: of weights, order and views.

    Returns:
        The editor. A finished checkpoint is returned without training.

    Raises:
        ValueError: images and attributes do not fit together, or attributes leave 0..1.
        CheckpointError: the checkpoint is of another configuration, seed or data.
    """
    if images.ndim != 3 or attributes.shape[:1] != images.shape[:1] or attributes.ndim != 2:
        raise ValueError(f"{images.shape} images do not fit {attributes.shape} attributes")
    if not (attributes.min() >= 0.0 and attributes.max() <= 1.0):
        raise ValueError("attributes must lie within 0..1")
    device = best_device()
    torch.manual_seed(seed)
    n_attributes = attributes.shape[1]
    encoder = _place(Encoder(config.dim), device)
    decoder = _place(Decoder(config.dim, n_attributes), device)
    judge = _place(Discriminator(config.discriminator_dim, n_attributes), device)
    generator_optimiser = torch.optim.Adam(
        [*encoder.parameters(), *decoder.parameters()], config.learning_rate, betas=(0.5, 0.999)
    )
    judge_optimiser = torch.optim.Adam(
        [
            {"params": list(judge.critic.parameters()), "lr": config.critic_rate},
            {
                "params": [*judge.regressor.parameters(), *judge.head.parameters()],
                "lr": config.regressor_rate,
                "betas": (0.9, 0.999),
            },
        ],
        betas=(0.5, 0.999),
    )
    peak_rates = [
        (group, group["lr"])
        for group in (*generator_optimiser.param_groups, *judge_optimiser.param_groups)
    ]

    path = checkpoint_dir / CHECKPOINT
    identity = fingerprint(config, _digest(images, attributes), seed, ignore=("max_seconds",))
    limit = config.max_seconds if max_seconds is None else max_seconds
    clock = Clock(config.steps, limit)
    kept = {
        "encoder": encoder,
        "decoder": decoder,
        "judge": judge,
        "generator_optimiser": generator_optimiser,
        "judge_optimiser": judge_optimiser,
    }
    state = load_checkpoint(path, expected=identity)
    if state is not None:
        if state["finished"]:
            return load_editor(checkpoint_dir)
        for name, part in kept.items():
            part.load_state_dict(state[name])
        clock = Clock(config.steps, limit, state["step"], state["seconds"])

    tiles = torch.from_numpy(images).to(device)
    labels = torch.from_numpy(attributes).to(device)
    lots = np.unique(attributes, axis=0)
    batches = Batches(len(images), config.batch_size, seed=(seed,))
    figures: dict[str, float] = {}
    saved = time.monotonic()
    with Progress() as bars:
        task = bars.add_task("editor", total=1.0)
        while (progress := clock.progress) < 1.0:
            chosen, rng = batches.draw(clock.step)
            picked = torch.from_numpy(chosen).to(device)
            real = random_crops(tiles[picked], config.crop_px, rng)
            real = real.contiguous(memory_format=torch.channels_last)
            source = labels[picked]
            target = mix_attributes(attributes[chosen], lots, config, rng).to(device)
            editing = (progress - config.reconstruction_share) / config.fade_share
            editing = min(1.0, max(0.0, editing))
            for group, rate in peak_rates:
                group["lr"] = rate * min(1.0, 1.25 * (1.0 - progress))

            with torch.autocast(device.type, dtype=torch.bfloat16):
                latent, skip = encoder(real)
                # One pass for both, so that batch norm sees the mixture that it will serve.
                wanted = [source, target] if editing else [source]
                drawn = decoder(
                    torch.cat([latent] * len(wanted)),
                    torch.cat([skip] * len(wanted)),
                    torch.cat(wanted),
                )
                reconstructed, edited = drawn[: len(real)], drawn[len(real) :]

                # Discriminator: critic on real against edited, regressor on what has a true label.
                seen_real = _view(real, config, rng)
                seen_reconstructed = _view(reconstructed.detach(), config, rng)
                read = judge.attributes(torch.cat([seen_real, seen_reconstructed]))
                attribute_error = functional.mse_loss(read, torch.cat([source, source]))
                judge_loss = attribute_error / UNIFORM_VARIANCE
                if editing:
                    scores = judge.score(
                        torch.cat([seen_real, _view(edited.detach(), config, rng)])
                    )
                    on_real, on_edited = scores.float().chunk(2)
                    judge_loss = judge_loss + (
                        functional.relu(1.0 - on_real).mean()
                        + functional.relu(1.0 + on_edited).mean()
                    )
            judge_optimiser.zero_grad()
            judge_loss.backward()  # type: ignore[no-untyped-call]
            judge_optimiser.step()

            # Generator.
            reconstruction_error = (reconstructed - real).abs().mean()
            generator_loss = config.reconstruction_weight * reconstruction_error / 127.5
            edit_error = torch.zeros((), device=device)
            if editing:
                judge.requires_grad_(False)
                with torch.autocast(device.type, dtype=torch.bfloat16):
                    seen = _view(edited, config, rng)
                    edit_error = functional.mse_loss(judge.attributes(seen), target)
                    adversarial = -judge.score(seen).float().mean()
                generator_loss = generator_loss + editing * (
                    config.attribute_weight * edit_error / UNIFORM_VARIANCE
                    + config.adversarial_weight * adversarial
                )
                judge.requires_grad_(True)
            generator_optimiser.zero_grad()
            generator_loss.backward()
            generator_optimiser.step()

            clock.step += 1
            if clock.step % 20 == 0:
                _follow(figures, "reconstruction", reconstruction_error.item())
                _follow(figures, "attributes", attribute_error.item() ** 0.5)
                if editing:
                    _follow(figures, "edits", edit_error.item() ** 0.5)
                bars.update(task, completed=progress, description=_line(clock.step, figures))
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                _save(path, identity, config, n_attributes, kept, clock, figures)
                saved = time.monotonic()

    halve_weights(encoder)
    halve_weights(decoder)
    figures |= {"steps": float(clock.step), "seconds": clock.seconds}
    _save(path, identity, config, n_attributes, kept, clock, figures, finished=True)
    return load_editor(checkpoint_dir)


def load_editor(checkpoint_dir: Path) -> Editor:
    """The editor that :func:`train_editor` left in ``checkpoint_dir``.

    Raises:
        FileNotFoundError: there is no checkpoint, or an unfinished one.
    """
    state = load_checkpoint(checkpoint_dir / CHECKPOINT)
    if state is None or not state["finished"]:
        raise FileNotFoundError(f"{checkpoint_dir} holds no finished editor")
    encoder = Encoder(state["dim"])
    decoder = Decoder(state["dim"], state["n_attributes"])
    encoder.load_state_dict(state["encoder"])
    decoder.load_state_dict(state["decoder"])
    return Editor(encoder.eval(), decoder.eval(), state["figures"])


def mix_attributes(
    source: npt.NDArray[np.float32],
    lots: npt.NDArray[np.float32],
    config: EditorConfig,
    rng: np.random.Generator,
) -> Tensor:
    """Attributes to ask for, mixed from the lots'.

    Each is the tile's own or, with probability ``config.mixing``, that of a random lot, drawn
    apart for every attribute; jittered and clipped to 0..1.

    Args:
        source: float32 [B, n], the tiles' own.
        lots: float32 [L, n], one row a lot.
        config: ``mixing`` and ``jitter`` are used.
        rng: source of the draws.

    Returns:
        float32 [B, n].
    """
    batch, n = source.shape
    foreign = lots[rng.integers(0, len(lots), (batch, n)), np.arange(n)]
    mixed = np.where(rng.random((batch, n)) < config.mixing, foreign, source)
    mixed = mixed + rng.normal(0.0, config.jitter, (batch, n))
    return torch.from_numpy(np.clip(mixed, 0.0, 1.0).astype(np.float32))


def _view(images: Tensor, config: EditorConfig, rng: np.random.Generator) -> Tensor:
    seen = disturb_instrument(
        images.float(),
        rng,
        gain_range=config.gain_range,
        offset_range=config.offset_range,
        max_noise_sigma=config.max_noise_sigma,
        max_blur_sigma_px=config.max_blur_sigma_px,
    )
    return seen.contiguous(memory_format=torch.channels_last)


def _place(network: Any, device: torch.device) -> Any:
    # Channels last: 1.5 times faster for these convolutions on a CPU with AVX-512.
    return network.to(device, memory_format=torch.channels_last)


def _digest(*arrays: npt.NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _follow(figures: dict[str, float], name: str, value: float) -> None:
    """A running mean: one batch says little."""
    figures[name] = 0.8 * figures.get(name, value) + 0.2 * value


def _line(step: int, figures: dict[str, float]) -> str:
    parts = [f"editor {step}", f"L1 {figures['reconstruction']:.1f} grey"]
    parts += [f"{name} {figures[name]:.3f}" for name in ("attributes", "edits") if name in figures]
    return "  ".join(parts)


def _save(
    path: Path,
    identity: str,
    config: EditorConfig,
    n_attributes: int,
    kept: dict[str, Any],
    clock: Clock,
    figures: dict[str, float],
    *,
    finished: bool = False,
) -> None:
    networks = ("encoder", "decoder") if finished else tuple(kept)
    save_checkpoint(
        path,
        {
            "fingerprint": identity,
            "dim": config.dim,
            "n_attributes": n_attributes,
            **{name: kept[name].state_dict() for name in networks},
            "step": clock.step,
            "seconds": clock.seconds,
            "figures": figures,
            "finished": finished,
        },
    )
