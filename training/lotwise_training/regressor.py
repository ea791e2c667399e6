"""Trains the regressor: peak stress of a lot from one tile.

Liu et al. 2020, supplement B: WRN-28-1 with a tanh head, tiles normalised by their mean and
standard deviation, mean squared error, Adam. What differs from the paper:

- Crops and, on the CPU, half the resolution, to train in minutes.
- Views under other states of the microscope. Every lot was imaged in one state; without them a
  network may learn the instrument's blur and noise where it should learn the material.
- Besides other regions of known lots, whole lots are held out. Tiles of a known lot carry its
  value, so recognising the lot is enough to predict them; only a new lot shows what was learned.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch.nn import functional

from lotwise_training.augmentation import disturb_instrument, random_crops
from lotwise_training.batches import Batches
from lotwise_training.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from lotwise_training.config import RegressorRecipe
from lotwise_training.data import StrengthData, StrengthTiles
from lotwise_training.device import best_device, place
from lotwise_training.export.onnx_weights import halve_weights
from lotwise_training.metrics import mape, rmse
from lotwise_training.models.wide_resnet import (
    TileRegressor,
    WideResNet,
    mixed_precision_forward,
    target_scaling,
)
from lotwise_training.prediction import REGRESSOR_FILE, regressed
from lotwise_training.schedule import Clock, crop_at, one_cycle

PACE: Final = ("max_seconds", "threads", "checkpoint_every", "data")
"""Keys of a recipe that a checkpoint need not agree on; the data have their own fingerprint."""


def train_regressor(
    data: StrengthData,
    recipe: RegressorRecipe,
    run: Path,
    *,
    report: Callable[[float, str], None],
) -> TileRegressor:
    """Train the regressor, or go on where its checkpoint left off.

    Args:
        data: Tiles of the lots with strength tests.
        recipe: How to train.
        run: Folder of this run; `regressor.pt` is left there.
        report: Called now and then with the progress, 0..1, and a line of figures.

    Returns:
        The regressor in evaluation mode, its weights rounded as they are served.

    Raises:
        CheckpointError: `run` holds a regressor of another recipe.
    """
    torch.set_num_threads(recipe.threads)
    device = best_device()
    path = run / REGRESSOR_FILE
    identity = fingerprint(recipe, data.fingerprint, ignore=PACE)
    torch.manual_seed(recipe.seed)
    strengths = data.train.strength_psi
    centre, scale = target_scaling(float(strengths.min()), float(strengths.max()))
    network = WideResNet(recipe.depth, recipe.widen, 1)
    regressor = TileRegressor(network, centre, scale, pool=recipe.pool)
    place(regressor, device)
    optimiser = torch.optim.Adam(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    clock = Clock(recipe.steps, recipe.max_seconds)
    state = load_checkpoint(path, expected=identity)
    if state is not None:
        regressor.load_state_dict(state["regressor"])
        if state["finished"]:
            report(1.0, "already trained")
            return regressor.eval()
        optimiser.load_state_dict(state["optimiser"])
        clock = Clock(recipe.steps, recipe.max_seconds, state["step"], state["seconds"])

    def save(finished: bool) -> None:
        save_checkpoint(
            path,
            {
                "fingerprint": identity,
                "shape": [recipe.depth, recipe.widen, 1],
                "pool": recipe.pool,
                "property_range_psi": [float(strengths.min()), float(strengths.max())],
                "regressor": regressor.state_dict(),
                "optimiser": {} if finished else optimiser.state_dict(),
                "step": clock.step,
                "seconds": clock.seconds,
                "finished": finished,
            },
        )

    images = torch.from_numpy(data.train.images).to(device)
    targets = torch.from_numpy((strengths - centre) / scale).to(device)
    batches = Batches(len(images), recipe.batch_size, seed=(recipe.seed,))
    regressor.train()
    while (progress := clock.progress) < 1.0:
        chosen, rng = batches.draw(clock.step)
        views = random_crops(images[chosen], crop_at(progress, recipe.crops), rng)
        views = disturb_instrument(
            views,
            rng,
            gain_range=recipe.gain_range,
            offset_range=recipe.offset_range,
            max_noise_sigma=recipe.max_noise_sigma,
            max_blur_sigma_px=recipe.max_blur_sigma_px,
        )
        answer = torch.tanh(mixed_precision_forward(network, regressor.network_input(views)))
        loss = functional.mse_loss(answer[:, 0], targets[chosen])
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * one_cycle(progress, recipe.warmup_share)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        clock.step += 1
        if clock.step % recipe.checkpoint_every == 0:
            report(progress, f"rmse {scale * loss.item() ** 0.5:.0f} psi")
            save(finished=False)

    # Rounded first and evaluated afterwards: every figure belongs to the weights that are served.
    halve_weights(network)
    regressor.eval()
    save(finished=True)
    report(1.0, f"{clock.step} steps, {clock.seconds:.0f} s")
    return regressor


def regression_report(regressor: TileRegressor, data: StrengthData) -> dict[str, dict[str, float]]:
    """Errors on new regions of known lots and on lots that were never seen, beside the mean.

    Returns:
        By set ("known lots, new regions", "held-out lots"): `rmse_psi` and `mape_percent` of
        tiles; the same of lots, with the mean over a lot's tiles as its prediction; and both of
        a predictor that always answers with the training tiles' mean.
    """
    mean = float(data.train.strength_psi.mean())
    sets = {"known lots, new regions": data.test, "held-out lots": data.held_out}
    return {name: _errors(regressor, tiles, mean) for name, tiles in sets.items()}


def _errors(regressor: TileRegressor, tiles: StrengthTiles, mean: float) -> dict[str, float]:
    predicted = regressed(regressor, tiles.images)
    true = tiles.strength_psi
    lots = np.unique(tiles.lots)
    lot_predicted = np.array([predicted[tiles.lots == lot].mean() for lot in lots])
    lot_true = np.array([true[tiles.lots == lot].mean() for lot in lots])
    return {
        "tiles": float(len(true)),
        "rmse_psi": rmse(predicted, true),
        "mape_percent": mape(predicted, true),
        "lots": float(len(lots)),
        "lot_rmse_psi": rmse(lot_predicted, lot_true),
        "lot_mape_percent": mape(lot_predicted, lot_true),
        "mean_predictor_rmse_psi": rmse(np.full_like(true, mean), true),
        "mean_predictor_mape_percent": mape(np.full_like(true, mean), true),
    }
