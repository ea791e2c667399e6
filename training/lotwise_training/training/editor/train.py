"""Trains editors: networks that change a tile's attributes, where these are known of lots only.

He et al. 2019 (AttGAN, equations 5-10) as used by Liu et al. 2020, section 4.2. What differs, to
learn continuous attributes of a few hundred lots within an hour on two cores:

- *Targets are mixed attribute by attribute*, from different lots. Whole vectors shuffled within
  a batch would only ever ask for lots that exist, and leave attributes that go together in those
  lots together in every edit.
- *The reader of attributes leads* (`losses.py`). AttGAN's learns beside the generator, which first
  only redraws; then edits fade in. That of an editor of differences has learned before. A
  generator that starts earlier learns to please noise.
- *A loss on texture*: an edit has to change texture statistics as real lots do (`texture.py`). The
  reader alone can be satisfied by patterns that no person would see.
- Reconstruction weighs far less than AttGAN's 100 (the authors' own remedy for weak edits).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from lotwise_training.config.schema import EDITOR_KINDS, EditorNetworkRecipe, EditorRecipe
from lotwise_training.data.sampler import Batches
from lotwise_training.data.tiles import DatasetError, Numbers, TileDataset
from lotwise_training.data.transforms import random_crops
from lotwise_training.models.editors import NETWORKS, DifferenceEditor, EditorNetwork
from lotwise_training.onnx.half_precision import halve_weights
from lotwise_training.store.checkpoint import (
    fingerprint,
    load_checkpoint,
    save_checkpoint,
    training_facts,
)
from lotwise_training.store.device import mixed_precision, to_device, training_device, wait_for
from lotwise_training.training.base import PACE, Job, Report, checkpoint_path
from lotwise_training.training.divergence import check_finite, gradient_norm
from lotwise_training.training.editor.losses import EditorLosses
from lotwise_training.training.editor.runs import READER, editor_name
from lotwise_training.training.editor.texture import TextureTargets
from lotwise_training.training.logging import RunningMeans, TensorBoard
from lotwise_training.training.parallel import NetworkTraining
from lotwise_training.training.schedule import Clock
from lotwise_training.training.tasks.attributes import attribute_training, load_attribute_network

CURVES_EVERY: Final = 20
"""Steps between two points of a curve."""
LEADER_TIME: Final = 0.5
"""Of an editor's time limit: for its reader, and for the meter."""
SETTLING_BATCHES: Final = 40
"""After the training, for the statistics of batch norm."""


@dataclass(frozen=True, eq=False)
class EditorTraining:
    """The training of one editor; a `Training`.

    Attributes:
        data: Lots whose attributes are all known.
        kind: Of the editor.
        recipe: How to train.
        max_seconds: Of the training without its reader's; None for no limit.
        reader: The training that comes first, of an editor that is led by one.
    """

    data: TileDataset
    kind: str
    recipe: EditorNetworkRecipe
    max_seconds: float | None
    reader: NetworkTraining[Job] | None = None

    @property
    def steps(self) -> int:
        """See `Training`."""
        return self.recipe.steps + (self.reader.steps if self.reader else 0)

    @property
    def name(self) -> str:
        """See `Training`."""
        return editor_name(self.kind)

    def check(self, run: Path) -> None:
        """See `Training`."""
        load_checkpoint(checkpoint_path(run, self.name), expected=self._identity())
        if self.reader:
            self.reader.check(run)

    def train(self, run: Path, *, report: Report) -> None:
        """See `Training`."""
        path = checkpoint_path(run, self.name)
        identity = self._identity()
        state = load_checkpoint(path, expected=identity)
        if state is not None and state["finished"]:
            report(1.0, state["line"])
            return
        reader, before = None, 0.0
        if self.reader:
            before = self.reader.steps / self.steps
            name = self.reader.name
            self.reader.train(
                run, report=lambda done, line: report(before * done, f"{name}: {line}")
            )
            reader = load_attribute_network(checkpoint_path(run, name))
        torch.manual_seed(self.recipe.seed)
        training = _Networks(self.data, self.kind, self.recipe, reader)
        limit = self.max_seconds
        clock = Clock(self.recipe.steps, self.max_seconds)
        curves: dict[str, list[list[float]]] = {}
        if state is None:
            training.measure()
        else:
            training.restore(state)
            clock = Clock(self.recipe.steps, self.max_seconds, state["step"], state["seconds"])
            curves = state["curves"]
            limit = limit or state["max_seconds"]

        def save(finished: bool, line: str) -> None:
            content = {
                "fingerprint": identity,
                "kind": self.kind,
                "dim": self.recipe.dim,
                "n_attributes": self.data.table.attributes.shape[1],
                **training.stored(finished),
                **training_facts(clock.step, clock.steps, limit, training.device),
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
            figures, checked = training.step(progress, *batches.draw(clock.step))
            rate = learning_rate(self.recipe, progress)
            check_finite(self.name, clock.step, rate, *checked, *figures.values())
            clock.step += 1
            if clock.step % CURVES_EVERY == 0:
                smoothed = followed.add(figures)
                for name, value in smoothed.items():
                    curves.setdefault(name, []).append([clock.step, value])
                log.add(clock.step, smoothed)
                line = _line(clock.step, smoothed)
                report(before + (1.0 - before) * progress, line)
            if clock.step % self.recipe.checkpoint_every == 0:
                save(finished=False, line=line)
        halve_weights(training.network)
        training.settle(batches.draw(clock.step + number) for number in range(SETTLING_BATCHES))
        log.close()
        save(finished=True, line=f"{line}, {clock.seconds:.0f} s")
        report(1.0, line)

    def _identity(self) -> str:
        reader = self.reader.trainer.identity(self.reader.job) if self.reader else ""
        return fingerprint(self.recipe, self.data.version, self.kind, reader, ignore=PACE)


def editor_trainings(
    data: TileDataset, recipe: EditorRecipe, max_seconds: float | None = None
) -> list[EditorTraining]:
    """Every editor of a run, the one that is served first.

    Args:
        data: Lots whose attributes are all known.
        recipe: What to train.
        max_seconds: Of each editor, whatever its steps; None for no limit.

    Raises:
        DatasetError: ATTRIBUTES_UNKNOWN: a lot lacks a score. TILE_TOO_SMALL: a tile is smaller
            than the crops.
    """
    table, crop = data.table, max(recipe.network(kind).crop_px for kind in EDITOR_KINDS)
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
    few = data.few(recipe.tiles)
    leading = attribute_training(READER, few, recipe.reader, leader_time(max_seconds))
    # The served one first: with its reader it takes the longest.
    return [
        EditorTraining(
            few,
            kind,
            recipe.network(kind),
            max_seconds,
            leading if NETWORKS[kind].led else None,
        )
        for kind in sorted(EDITOR_KINDS, key=lambda kind: kind != recipe.served)
    ]


def leader_time(max_seconds: float | None) -> float | None:
    """Time limit of a reader's or the meter's training, by that of an editor."""
    return None if max_seconds is None else LEADER_TIME * max_seconds


def learning_rate(recipe: EditorNetworkRecipe, progress: float) -> float:
    """Of the generator: constant for a fifth of the training, then falling linearly to 0."""
    return min(1.0, 1.25 * (1.0 - progress)) * recipe.learning_rate


class _Networks:
    """The networks of one training and what a step does with them."""

    def __init__(
        self,
        data: TileDataset,
        kind: str,
        recipe: EditorNetworkRecipe,
        reader: nn.Module | None,
    ) -> None:
        self.device = device = training_device()
        n_attributes = data.table.attributes.shape[1]
        self._recipe = recipe
        self._tiles = torch.from_numpy(data.images).to(device)
        self._lots = np.clip(data.table.attributes, 0.0, 1.0).astype(np.float32)
        self._scores = self._lots[data.lots]
        self._labels = torch.from_numpy(self._scores).to(device)
        self.network: EditorNetwork = to_device(NETWORKS[kind](recipe.dim, n_attributes), device)
        self._textures = TextureTargets(
            self._tiles, self._labels, recipe.crop_px, np.random.default_rng([recipe.seed, 3])
        )
        self._losses = EditorLosses(recipe, n_attributes, self._textures, reader, device)
        self._optimiser = torch.optim.Adam(
            self.network.parameters(), recipe.learning_rate, betas=(0.5, 0.999)
        )

    def measure(self) -> None:
        """What a network takes from the data before its first step."""
        if isinstance(self.network, DifferenceEditor):
            self.network.take_zoom(self._textures.log_zoom)

    def step(
        self, progress: float, chosen: Numbers, rng: np.random.Generator
    ) -> tuple[dict[str, float], list[float]]:
        """One step of critic, reader and generator.

        Gives figures in grey levels or 0..1, and what has to be finite beside them: the loss and
        the norms of the gradients.

        Args:
            progress: Of the training, 0 to 1.
            chosen: int64 [batch], tiles.
            rng: Of views and targets.
        """
        recipe, device = self._recipe, self._labels.device
        real, current, target = self._seen(chosen, rng)
        alone = recipe.reconstruction_share if self.network.redraws else 0.0
        editing = min(1.0, max(0.0, (progress - alone) / max(recipe.fade_share, 1e-9)))
        rate = learning_rate(recipe, progress)
        for group in self._optimiser.param_groups:
            group["lr"] = rate

        with mixed_precision(device):
            redrawn, edited = self.network.redraw_and_edit(
                real, current, target if editing or not self.network.redraws else None
            )
        figures = self._losses.learn(
            rate / recipe.learning_rate, real, redrawn.detach(), edited.detach(), current, rng
        )
        norms = [gradient_norm(self._losses.networks)]
        loss = real.new_zeros(())
        if self.network.redraws:
            redrawing = (redrawn - real).abs().mean()
            figures["redrawing"] = redrawing.item()
            loss = recipe.reconstruction_weight * redrawing / 127.5
        if len(edited):
            losses = self._losses.losses(real, edited, current, target, rng, figures)
            if recipe.cycle_weight:
                with mixed_precision(device):
                    _, back = self.network.redraw_and_edit(edited, target, current)
                returned = (back - real).abs().mean()
                figures["there and back"] = returned.item()
                losses = losses + recipe.cycle_weight * returned / 127.5
            loss = loss + editing * losses
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norms.append(gradient_norm(self.network))
        self._optimiser.step()
        wait_for(device)
        return figures, [each.item() for each in (loss, *norms)]

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
        target = mix_attributes(self._scores[chosen], self._lots, recipe, rng).to(device)
        return real, self._labels[rows], target

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `stored` gave."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def stored(self, finished: bool) -> dict[str, Any]:
        """State of everything, or of the generator alone once it is finished."""
        parts = self._parts()
        return {name: parts[name].state_dict() for name in (["network"] if finished else parts)}

    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "optimiser": self._optimiser, **self._losses.parts()}


def mix_attributes(
    source: np.ndarray[Any, np.dtype[np.float32]],
    lots: np.ndarray[Any, np.dtype[np.float32]],
    recipe: EditorNetworkRecipe,
    rng: np.random.Generator,
) -> Tensor:
    """Attributes to ask for, mixed from the lots'.

    Each is the tile's own or, with probability ``recipe.mixing``, that of a random lot, drawn
    apart for every attribute, and jittered; clipped to 0..1. Every other request is for one
    attribute alone, as most of the requests in use are.

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
    changes = rng.random((batch, n)) < recipe.mixing
    alone = np.arange(n) == rng.integers(0, n, (batch, 1))
    changes = np.where(rng.random((batch, 1)) < 0.5, alone, changes)
    mixed = np.where(changes, foreign + jitter, source)
    return torch.from_numpy(np.clip(mixed, 0.0, 1.0).astype(np.float32))


def _line(step: int, figures: Mapping[str, float]) -> str:
    shown = ("redrawing", "edits", "texture")
    parts = [f"step {step}", *(f"{name} {figures[name]:.3f}" for name in shown if name in figures)]
    return ", ".join(parts)
