"""Trains one tile classifier: a member of a committee, a network with dropout, or one alone.

Zhang et al. 2020, Methods: WRN-16-2, cross entropy, Adam, weight decay, early stopping, from
scratch; a short training goes further with SGD. A step's tiles and views are a function of its
number, so a training that was killed goes on exactly as an unbroken one would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lotwise.core.uncertainty import softmax
from lotwise_training.augmentation import random_crops
from lotwise_training.batches import Batches
from lotwise_training.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from lotwise_training.config import NetworkRecipe
from lotwise_training.dataset import Numbers, TileDataset
from lotwise_training.device import best_device, place
from lotwise_training.export.onnx_weights import halve_weights
from lotwise_training.metrics import accuracy, negative_log_likelihood
from lotwise_training.models.wide_resnet import (
    TileClassifier,
    WideResNet,
    mixed_precision_forward,
)
from lotwise_training.outliers import outlier_tiles
from lotwise_training.prediction import tile_logits
from lotwise_training.schedule import Clock, crop_at, halving, one_cycle
from lotwise_training.splits import labels

PACE: Final = ("checkpoint_every",)
"""Keys of a recipe that a checkpoint need not agree on."""

MOMENTUM: Final = 0.9
"""Zagoruyko & Komodakis 2016, section 3."""

HEAD_PRIOR: Final = 0.1
"""Weight of the refitted head's squared norm beside the summed loss: a Gaussian prior."""
HEAD_BATCH: Final = 64
HEAD_ITERATIONS: Final = 200
"""Of L-BFGS; some dozens are needed."""

Report = Callable[[float, str], None]
"""Takes (progress 0..1, a line of figures)."""


@dataclass(frozen=True, eq=False)
class Job:
    """One network to be trained.

    Attributes:
        name: Of its checkpoint, such as "tile-random/member_00".
        train: int64 [n], tiles to learn from.
        validation: int64 [m], tiles that decide when to stop.
        classes: int64 [K], the lots that it tells apart; output k is lot `classes[k]`.
        seed: Of its start, its order of tiles and their views.
        dropout: Probability, 0 for none.
        epochs: Passes over `train`.
        max_seconds: Time after which its schedule has to be at its end.
        head_tiles: Tiles of `train` on which the last layer is fitted once more; 0 for none.
    """

    name: str
    train: Numbers
    validation: Numbers
    classes: Numbers
    seed: int
    dropout: float
    epochs: float
    max_seconds: float
    head_tiles: int = 0

    def batch_size(self, recipe: NetworkRecipe) -> int:
        """Tiles of a step: the recipe's number, or all where there are fewer."""
        return min(recipe.batch_size, len(self.train))

    def steps(self, recipe: NetworkRecipe) -> int:
        """Steps of the whole training."""
        return max(1, round(self.epochs * len(self.train) / self.batch_size(recipe)))


def checkpoint_path(run: Path, name: str) -> Path:
    """Where a network's state lies."""
    return run / f"{name}.pt"


def train_network(
    data: TileDataset, job: Job, recipe: NetworkRecipe, run: Path, *, report: Report
) -> Path:
    """Train one network, or go on where its checkpoint left off.

    Args:
        data: The tiles.
        job: Which of them, and what network.
        recipe: How to train.
        run: Folder of the run; TensorBoard's logs are in `run`/tensorboard.
        report: Called now and then.

    Returns:
        The finished checkpoint: the weights that were best on the validation tiles, rounded as
        they are served.

    Raises:
        CheckpointError: The checkpoint is of another recipe or other tiles.
    """
    device = best_device()
    path = checkpoint_path(run, job.name)
    identity = _identity(data, job, recipe)
    torch.manual_seed(job.seed)
    network = WideResNet(recipe.depth, recipe.widen, len(job.classes), dropout=job.dropout)
    place(network, device)
    optimiser = _optimiser(network, recipe, device)
    state = load_checkpoint(path, expected=identity)
    if state is not None and state["finished"]:
        report(1.0, state["line"])
        return path
    images = torch.from_numpy(data.images[job.train]).to(device)
    truth = torch.from_numpy(labels(data.lots[job.train], job.classes)).to(device)
    strange = _Outliers(data.images[job.train], recipe, job.seed, device)
    steps = job.steps(recipe)
    clock = Clock(steps, job.max_seconds)  # the time of what comes before is not the training's
    best = _Best()
    if state is not None:
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        clock = Clock(steps, job.max_seconds, state["step"], state["seconds"])
        best = _Best(state["best"], state["best_nll"], state["not_better"])

    def save(finished: bool, line: str) -> None:
        save_checkpoint(
            path,
            {
                "fingerprint": identity,
                "shape": [recipe.depth, recipe.widen, len(job.classes)],
                "dropout": job.dropout,
                "lot_ids": [data.table.lot_ids[lot] for lot in job.classes],
                "network": network.state_dict(),
                "optimiser": {} if finished else optimiser.state_dict(),
                "best": {} if finished else best.weights,
                "best_nll": best.nll,
                "not_better": best.not_better,
                "step": clock.step,
                "seconds": clock.seconds,
                "finished": finished,
                "line": line,
            },
        )

    # A fixed sample where there are more validation tiles than it takes to tell better from worse.
    sample = np.random.default_rng(recipe.seed).permutation(job.validation)
    sample = np.sort(sample[: recipe.validation_tiles])
    wanted = labels(data.lots[sample], job.classes)
    batches = Batches(len(images), job.batch_size(recipe), seed=(job.seed,))
    validate_every = max(1, steps // recipe.validations)
    log = _TensorBoard(run / "tensorboard" / job.name, clock.step)

    while (progress := clock.progress) < 1.0 and best.not_better < recipe.patience:
        network.train()
        chosen, rng = batches.draw(clock.step)
        seen = torch.cat([images[chosen], *strange.draw(clock.step)])
        views = random_crops(seen, crop_at(progress, recipe.crops), rng)
        if job.dropout:
            torch.manual_seed(int(rng.integers(2**62)))  # what is dropped is the step's, too
        # One pass for both: outliers then cannot be told apart by a batch norm of their own.
        logits = mixed_precision_forward(network, views / 255.0)
        loss = functional.cross_entropy(logits[: len(chosen)], truth[chosen])
        if len(seen) > len(chosen):
            # Cross entropy to the uniform distribution (Hendrycks et al. 2019, equation 3).
            exposure = -functional.log_softmax(logits[len(chosen) :], dim=1).mean()
            loss = loss + recipe.outlier_weight * exposure
        rate = recipe.learning_rate * _rate(progress, job, recipe)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        clock.step += 1
        if clock.step % validate_every == 0:
            nll, right = _validate(network, data.images[sample], wanted)
            best.see(nll, network)
            log.add(clock.step, {"validation/nll": nll, "validation/accuracy": right})
        if clock.step % recipe.checkpoint_every == 0:
            log.add(clock.step, {"train/loss": loss.item(), "train/learning_rate": rate})
            report(progress, f"loss {loss.item():.3f}")
            save(finished=False, line="")

    if best.weights:  # else nothing was measured before, and the last weights are the best known
        best.see(_validate(network, data.images[sample], wanted)[0], network)
        network.load_state_dict(best.weights)
    if job.head_tiles:
        drawn = np.random.default_rng([job.seed, 2]).permutation(len(images))[: job.head_tiles]
        _refit_head(network, images[drawn], truth[drawn], strange.images, recipe)
    # Rounded first and measured afterwards: every figure belongs to the weights that are served.
    halve_weights(network)
    nll, right = _validate(network, data.images[sample], wanted)
    log.close()
    line = f"validation {right:.1%}, NLL {nll:.3f} after {clock.step} steps, {clock.seconds:.0f} s"
    save(finished=True, line=line)
    report(1.0, line)
    return path


def check_resumable(data: TileDataset, job: Job, recipe: NetworkRecipe, run: Path) -> None:
    """Look whether a training can begin, or go on from the checkpoint that is there.

    Raises:
        CheckpointError: The checkpoint is of another recipe or other tiles.
    """
    load_checkpoint(checkpoint_path(run, job.name), expected=_identity(data, job, recipe))


def _refit_head(
    network: WideResNet,
    images: Tensor,
    truth: Tensor,
    outliers: Tensor | None,
    recipe: NetworkRecipe,
) -> None:
    """Fit the last layer to the features that are served.

    In training, batch norm uses the statistics of each batch. What they add at random is large
    beside what separates two lots of one recipe, so the last layer learns to be less sure than the
    network can be once the statistics are fixed. The same loss, minimised over that layer alone
    with them fixed, costs a minute and mends it (Kirichenko et al. 2023 refit a last layer
    against another harm; Wu & Johnson 2021 on batch norm in training and in use).

    Args:
        network: Its last layer is replaced.
        images: uint8 [n, H, W], whole tiles.
        truth: int64 [n].
        outliers: uint8 [m, H, W], or None.
        recipe: Their share of the loss is that of training.
    """
    network.eval()
    features = _features(network, images)
    weight = network.head.weight.detach().clone().requires_grad_(True)
    bias = network.head.bias.detach().clone().requires_grad_(True)
    strange = None
    if outliers is not None:
        share = recipe.outlier_batch_size / recipe.batch_size
        strange = _features(network, outliers[: max(1, round(share * len(images)))])
    optimiser = torch.optim.LBFGS(
        [weight, bias], max_iter=HEAD_ITERATIONS, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        total = functional.cross_entropy(functional.linear(features, weight, bias), truth)
        total = total + HEAD_PRIOR / len(features) * weight.square().sum()
        if strange is not None:
            doubt = functional.log_softmax(functional.linear(strange, weight, bias), dim=1)
            total = total - recipe.outlier_weight * doubt.mean()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        network.head.weight.copy_(weight)
        network.head.bias.copy_(bias)


@torch.no_grad()
def _features(network: WideResNet, images: Tensor) -> Tensor:
    """Pooled features as served but for bfloat16 in the convolutions: float32 [n, 64 * widen]."""
    parts = []
    for start in range(0, len(images), HEAD_BATCH):
        batch = images[start : start + HEAD_BATCH, None].float() / 255.0
        with torch.autocast(images.device.type, dtype=torch.bfloat16):
            parts.append(network.features(batch).float())
    return torch.cat(parts)


class _Best:
    """The weights that were best on the validation tiles, and for how long none was better."""

    def __init__(
        self,
        weights: dict[str, Tensor] | None = None,
        nll: float = float("inf"),
        not_better: int = 0,
    ) -> None:
        self.weights = weights or {}
        self.nll = nll
        self.not_better = not_better

    def see(self, nll: float, network: WideResNet) -> None:
        if nll < self.nll:
            self.nll, self.not_better = nll, 0
            self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}
        else:
            self.not_better += 1


class _Outliers:
    """Batches of made-up pictures, or nothing where the recipe has none."""

    def __init__(
        self,
        tiles: npt.NDArray[np.uint8],
        recipe: NetworkRecipe,
        seed: int,
        device: torch.device,
    ) -> None:
        self.images: Tensor | None = None
        if recipe.outliers:
            self.images = torch.from_numpy(outlier_tiles(recipe.outliers, tiles, seed)).to(device)
            self._batches = Batches(recipe.outliers, recipe.outlier_batch_size, seed=(seed, 1))

    def draw(self, step: int) -> list[Tensor]:
        if self.images is None:
            return []
        return [self.images[self._batches.draw(step)[0]]]


class _TensorBoard:
    """Writes curves, where TensorBoard is installed; a resumed run replaces what it repeats."""

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:  # a bare GPU machine trains all the same
            self._writer: Any = None
        else:
            self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def add(self, step: int, figures: dict[str, float]) -> None:
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _optimiser(
    network: WideResNet, recipe: NetworkRecipe, device: torch.device
) -> torch.optim.Optimizer:
    """Adam (Zhang et al. 2020), or SGD with Nesterov momentum (Zagoruyko & Komodakis 2016)."""
    fused = device.type == "cuda"  # one kernel for all weights; they are many and small
    if recipe.optimiser == "adam":
        return torch.optim.Adam(
            network.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=fused,
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        momentum=MOMENTUM,
        nesterov=True,
        fused=fused,
    )


def _validate(
    network: WideResNet, images: npt.NDArray[np.uint8], labels: Numbers
) -> tuple[float, float]:
    """NLL in nats and accuracy, as served: in single precision, without dropout."""
    network.eval()
    probabilities = softmax(tile_logits(TileClassifier(network), images))
    return negative_log_likelihood(probabilities, labels), accuracy(probabilities, labels)


def _rate(progress: float, job: Job, recipe: NetworkRecipe) -> float:
    if recipe.schedule == "halving":
        return halving(progress, job.epochs / recipe.halve_every_epochs)
    return one_cycle(progress, recipe.warmup_share)


def _identity(data: TileDataset, job: Job, recipe: NetworkRecipe) -> str:
    digest = hashlib.sha256()
    for numbers in (job.train, job.validation, job.classes):
        digest.update(numbers.tobytes())
        digest.update(b"|")
    return fingerprint(
        recipe,
        [
            data.version,
            digest.hexdigest(),
            job.name,
            job.seed,
            job.dropout,
            job.epochs,
            job.head_tiles,
        ],
        ignore=PACE,
    )
