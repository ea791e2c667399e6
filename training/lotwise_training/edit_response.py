"""Does the regressor answer to an edit as the material would?

On simulated lots the true derivative of the stress in each attribute is known exactly, so the
editor and the regressor together can be checked: sign and slope of R(G(I, A)) along an attribute
(Liu et al. 2020, section 4.3) against the closed form of the simulator.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import nn

from lotwise_simulator import ATTRIBUTE_NAMES
from lotwise_simulator.lots import Lot, mosaic
from lotwise_training.editor import Editor

REGION: Final = 500
"""A patch of the lots that no training set reaches."""
TILES_PER_LOT: Final = 4
STEP: Final = 0.2
"""Of an attribute, to either side; clipped to 0..1."""


@torch.no_grad()
def edit_report(
    editor: Editor, regressor: nn.Module, lots: tuple[Lot, ...]
) -> dict[str, dict[str, float]]:
    """Measure reconstruction and response on new tiles.

    Args:
        editor: On the CPU, in evaluation mode.
        regressor: From grey images 0..255 [B, 1, H, W] to the property [B, 1].
        lots: Simulated lots; their true attributes and derivatives are used.

    Returns:
        "reconstruction": PSNR in dB, and the mean shift of the prediction as a share of it.
        One entry an attribute: measured and true mean slope (property per unit of attribute), and
        the share of tiles whose slope has the true sign.
    """
    errors, shifts = [], []
    slopes: dict[str, list[tuple[float, float]]] = {name: [] for name in ATTRIBUTE_NAMES}
    for lot in track(lots, "editor"):
        tiles = mosaic(lot, TILES_PER_LOT, region=REGION)
        images = torch.from_numpy(np.stack([tile.image for tile in tiles])[:, None])
        own = torch.from_numpy(np.clip(lot.attributes.as_array(), 0.0, 1.0)).repeat(len(images), 1)
        redrawn = editor.edit(images, own)
        errors.append(float(((redrawn - images) ** 2).mean()))
        before, after = regressor(images), regressor(redrawn)
        shifts.append(float(((after - before).abs() / before).mean()))
        for index, name in enumerate(ATTRIBUTE_NAMES):
            low, high = own.clone(), own.clone()
            low[:, index] = (own[:, index] - STEP).clamp(0.0, 1.0)
            high[:, index] = (own[:, index] + STEP).clamp(0.0, 1.0)
            rise = regressor(editor.edit(images, high)) - regressor(editor.edit(images, low))
            measured = rise[:, 0] / (high - low)[:, index]
            true = float(lot.peak_stress_gradient[index])
            slopes[name] += [(float(slope), true) for slope in measured]
    report = {
        "reconstruction": {
            "psnr_db": float(10 * np.log10(255.0**2 / np.mean(errors))),
            "shift_of_the_prediction": float(np.mean(shifts)),
        }
    }
    for name, pairs in slopes.items():
        report[name] = _slopes(np.array(pairs))
    return report


def _slopes(pairs: npt.NDArray[np.float64]) -> dict[str, float]:
    measured, true = pairs.T
    return {
        "slope_psi": float(measured.mean()),
        "true_slope_psi": float(true.mean()),
        "share_of_tiles_with_the_true_sign": float((np.sign(measured) == np.sign(true)).mean()),
    }
