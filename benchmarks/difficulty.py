"""How hard benchmark v1 is: `python -m benchmarks.difficulty`.

Trains one WRN-16-2 on tiles of 64 x 64 px, as Zhang et al. 2020 do (grey values into 0..1, flips),
and prints its tile-random accuracy and what each change of the filament costs it. By default on
rehearsal lots, which are no part of the benchmark; `--lots v1` takes the reference lots. More tiles
a lot and more epochs come closer to the paper's scale (1,590 tiles a lot to learn from).
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table
from torch.nn import functional

from lotwise.core.preprocessing import resample_area
from lotwise_simulator.benchmark import (
    FILAMENTS,
    NEW_REGION,
    REPEAT_DISTANCE,
    TILES_PER_SIDE,
    LotOfTiles,
    reference_lots,
    rehearsal_lots,
)
from lotwise_simulator.instrument import NOMINAL
from lotwise_training.data.sampler import Batches
from lotwise_training.models.wide_resnet import WideResNet, mixed_precision_forward
from lotwise_training.store.device import best_device, to_device
from lotwise_training.training.schedule import one_cycle

PX = 64
BATCH = 64
PEAK_RATE = 4e-3
WEIGHT_DECAY = 5e-4
WARMUP_SHARE = 0.2
TEST_SHARE = 0.2

Images = npt.NDArray[np.uint8]
console = Console(stderr=True)


def small_tiles(part: LotOfTiles) -> Images:
    """Tiles of a lot as the classifier sees them, uint8 [n, 64, 64]."""
    return np.stack([resample_area(tile.image, PX) for tile in part.tiles()])


def render(parts: Sequence[LotOfTiles], title: str) -> Images:
    """Tiles of several lots, uint8 [lots, n, 64, 64], a process a core."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=context) as pool:
        made = pool.map(small_tiles, parts)
        return np.stack(list(track(made, title, total=len(parts), console=console)))


def train(images: Images, epochs: int, seed: int) -> WideResNet:
    """One network on tiles [lots, n, 64, 64]."""
    device = best_device()
    torch.manual_seed(seed)
    network = WideResNet(16, 2, len(images))
    to_device(network, device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    x = torch.from_numpy(images.reshape(-1, 1, PX, PX)).to(device)
    y = torch.arange(len(images), device=device).repeat_interleave(images.shape[1])
    batches = Batches(len(x), BATCH, seed=(seed,))
    steps = epochs * (len(x) // BATCH)
    with Progress(console=console) as progress:
        task = progress.add_task("train", total=steps)
        for step in range(steps):
            chosen, rng = batches.draw(step)
            views = x[chosen].float() / 255.0
            for axis in (2, 3):
                if rng.random() < 0.5:
                    views = views.flip(axis)
            loss = functional.cross_entropy(mixed_precision_forward(network, views), y[chosen])
            for group in optimiser.param_groups:
                group["lr"] = PEAK_RATE * one_cycle(step / steps, WARMUP_SHARE)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            progress.advance(task)
    return network.eval()


@torch.no_grad()
def log_probabilities(network: WideResNet, images: Images) -> npt.NDArray[np.float32]:
    """float32 [lots, n, K]."""
    device = next(network.parameters()).device
    x = torch.from_numpy(images.reshape(-1, 1, PX, PX))
    logits = [network(batch.to(device).float() / 255.0).cpu() for batch in torch.split(x, 256)]
    answer = torch.log_softmax(torch.cat(logits), dim=1).numpy()
    return answer.reshape(*images.shape[:2], -1)


def accuracy(scores: npt.NDArray[np.float32]) -> float:
    """Share of tiles [lots, n, K] whose best class is their lot."""
    truth = np.arange(len(scores))[:, None]
    return float((scores.argmax(axis=2) == truth).mean())


def main(options: argparse.Namespace) -> None:
    """Render, train, measure, print."""
    lots = reference_lots() if options.lots == "v1" else rehearsal_lots(options.repeat_distance)
    total = round(options.tiles / (1.0 - TEST_SHARE))
    tiles = render([LotOfTiles(lot, total) for lot in lots], "render tiles to learn from")
    # Tile-random, as published: neighbours of a test tile may be among the tiles learned from.
    rng = np.random.default_rng(options.seed)
    tiles = np.stack([each[rng.permutation(total)] for each in tiles])
    network = train(tiles[:, : options.tiles], options.epochs, options.seed)

    scores = log_probabilities(network, tiles[:, options.tiles :])
    truth = np.arange(len(lots))
    nll = -scores[truth, :, truth].mean()
    guesses = scores.argmax(axis=2)
    recipe_right = (guesses // 2 == truth[:, None] // 2).mean()
    table = Table(
        *("tiles", "accuracy", "drop, points"),
        title=f"One WRN-16-2, {len(lots)} lots, {options.tiles} tiles a lot, "
        f"{options.epochs} epochs",
        title_justify="left",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("tile-random", f"{accuracy(scores):.1%}", "")
    shifted = partial(LotOfTiles, n_tiles=options.shifted, region=NEW_REGION)
    base = 0.0
    for name, state in {"new_regions": NOMINAL, **FILAMENTS}.items():
        parts = [replace(shifted(lot), instrument=state) for lot in lots]
        reached = accuracy(log_probabilities(network, render(parts, f"render {name}")))
        if name == "new_regions":
            base = reached
        drop = "" if name == "new_regions" else f"{100 * (base - reached):.1f}"
        table.add_row(name, f"{reached:.1%}", drop)
    out = Console()
    out.print(table)
    out.print(f"tile-random: recipe right {recipe_right:.1%}, NLL {nll:.3f} nats")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lots", choices=["rehearsal", "v1"], default="rehearsal")
    parser.add_argument("--repeat-distance", type=float, default=REPEAT_DISTANCE)
    parser.add_argument("--tiles", type=int, default=256, help="a lot, to learn from")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument(
        "--shifted", type=int, default=TILES_PER_SIDE**2, help="tiles a lot and set"
    )
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
