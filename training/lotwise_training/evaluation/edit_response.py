"""Edits one attribute at a time, and measures the changes.

The meter (`training/tasks/attributes.py`) reads the attributes of the edited tiles, and the
regressor their property; no editor was trained with either. Both are checked on
the truth: the same lot, simulated again with that one attribute changed. Its crystals are others,
but the change is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from lotwise_simulator import Attributes, peak_stress_psi
from lotwise_simulator.lots import Lot
from lotwise_training.data.property_lots import SMALL_SCENES, STRENGTH_GEOMETRY
from lotwise_training.data.render_cache import RenderOrder, rendered
from lotwise_training.data.tiles import Images
from lotwise_training.evaluation.edits import DIRECTIONS, EditSet
from lotwise_training.inference.predict import predict_tiles
from lotwise_training.models.editors import EditorNetwork
from lotwise_training.store.device import best_device, to_device

REGION: Final = 500
"""A patch of the lots that no training set reaches."""
TILES_PER_LOT: Final = 4
STEP: Final = 0.3
"""Of an attribute, to either side; less where its range ends."""
PEAK: Final = 255.0

Array = npt.NDArray[np.float32]


def current_attributes(lots: Sequence[Lot]) -> Array:
    """Of every lot, float32 [L, A] in 0..1: means of the experts' scores, as users know them."""
    scores = np.stack([lot.expert_scores().mean(axis=0) for lot in lots])
    current: Array = np.clip(scores, 0.0, 1.0).astype(np.float32)
    return current


def target_attributes(current: Array) -> Array:
    """Targets of the edits: float32 [..., A, 2, A], each attribute once down and once up.

    Args:
        current: float32 [..., A] in 0..1.
    """
    n = current.shape[-1]
    steps = np.zeros((n, DIRECTIONS, n), dtype=np.float32)
    for attribute in range(n):
        steps[attribute, :, attribute] = (-STEP, STEP)
    target: Array = np.clip(current[..., None, None, :] + steps, 0.0, 1.0)
    return target


def simulate_edits(lots: Sequence[Lot], meter: nn.Module, cache: Path) -> tuple[Images, EditSet]:
    """The lots themselves, and the meter's readings of them simulated again with one change.

    Args:
        lots: Simulated lots.
        meter: From grey values [B, 1, H, W] to attributes [B, A], in evaluation mode.
        cache: Folder of rendered data.

    Returns:
        Tiles uint8 [N, H, W], TILES_PER_LOT of each lot in order; what changed.
    """
    true = np.stack([lot.attributes.as_array() for lot in lots])
    target = target_attributes(true)
    count, n = true.shape
    names = [f"{attribute} {way}" for attribute in range(n) for way in range(DIRECTIONS)]
    edits = [
        [Attributes.from_array(to) for to in of_lot] for of_lot in target.reshape(count, -1, n)
    ]
    changed = {
        name: [
            _order(replace(lot, attributes=of_lot[at]))
            for lot, of_lot in zip(lots, edits, strict=True)
        ]
        for at, name in enumerate(names)
    }
    tiles, _ = rendered("edits", {"own": [_order(lot) for lot in lots], **changed}, cache)
    before = predict_tiles(meter, tiles["own"])
    measured = np.stack([predict_tiles(meter, tiles[name]) - before for name in names], axis=1)
    stress = [
        [peak_stress_psi(to) - lot.peak_stress_psi for to in of_lot]
        for lot, of_lot in zip(lots, edits, strict=True)
    ]
    shape = (len(before), n, DIRECTIONS)
    none = np.empty((0,), dtype=np.float32)
    return tiles["own"], EditSet(
        lots=_lot_numbers(lots),
        requested=_requested(true, target).repeat(TILES_PER_LOT, axis=0),
        measured=measured.reshape(*shape, n),
        property=np.repeat(stress, TILES_PER_LOT, axis=0).reshape(shape).astype(np.float32),
        redrawn_psnr_db=none,
        redrawn_shift=none,
        returned_psnr_db=none,
    )


@torch.inference_mode()
def measure_edits(
    editor: EditorNetwork,
    lots: Sequence[Lot],
    tiles: Images,
    meter: nn.Module,
    regressor: nn.Module,
    *,
    title: str,
) -> EditSet:
    """What an editor changes.

    Args:
        editor: In evaluation mode; it and the next two are moved to the best device.
        lots: Simulated lots.
        tiles: uint8 [N, H, W], TILES_PER_LOT of each lot in order.
        meter: As `simulate_edits` takes it.
        regressor: From grey values [B, 1, H, W] to the property [B, 1], in evaluation mode.
        title: Of the progress bar.
    """
    device = best_device()
    for network in (editor, meter, regressor):
        to_device(network, device)
    current = current_attributes(lots)
    target = target_attributes(current)
    n, attributes = len(tiles), current.shape[1]
    edits = EditSet(
        lots=_lot_numbers(lots),
        requested=_requested(current, target).repeat(TILES_PER_LOT, axis=0),
        measured=np.empty((n, attributes, DIRECTIONS, attributes), dtype=np.float32),
        property=np.empty((n, attributes, DIRECTIONS), dtype=np.float32),
        redrawn_psnr_db=np.empty(n, dtype=np.float32),
        redrawn_shift=np.empty(n, dtype=np.float32),
        returned_psnr_db=np.empty((n, attributes), dtype=np.float32),
    )
    # A GPU would else compute convolutions with ten bits of mantissa.
    with torch.backends.cudnn.flags(allow_tf32=False):
        for number in track(range(len(lots)), title, console=Console(stderr=True)):
            rows = slice(number * TILES_PER_LOT, (number + 1) * TILES_PER_LOT)
            tensors = (
                torch.from_numpy(each).to(device)
                for each in (tiles[rows, None], current[number], target[number])
            )
            _measure_lot(edits, rows, editor, meter, regressor, *tensors)
    return edits


def _measure_lot(
    edits: EditSet,
    rows: slice,
    editor: EditorNetwork,
    meter: nn.Module,
    regressor: nn.Module,
    image: Tensor,
    current: Tensor,
    target: Tensor,
) -> None:
    """Fill the rows of one lot: tiles [B, 1, H, W]; attributes [A]; targets [A, 2, A]."""
    unchanged = current.repeat(len(image), 1)
    code = editor.encode(image, unchanged)
    redrawn = editor.decode(*code, unchanged)
    before, value = meter(redrawn), regressor(redrawn)
    original = regressor(image)
    edits.redrawn_psnr_db[rows] = _psnr_db(redrawn, image)
    edits.redrawn_shift[rows] = ((value - original) / original)[:, 0].cpu().numpy()
    for attribute in range(len(current)):
        for direction in range(DIRECTIONS):
            requested = target[attribute, direction].repeat(len(image), 1)
            edited = editor.decode(*code, requested)
            change = meter(edited) - before
            edits.measured[rows, attribute, direction] = change.cpu().numpy()
            rise = (regressor(edited) - value)[:, 0]
            edits.property[rows, attribute, direction] = rise.cpu().numpy()
        # The last edit was the one upwards.
        returned = editor.decode(*editor.encode(edited, requested), unchanged)
        edits.returned_psnr_db[rows, attribute] = _psnr_db(returned, image)


def _order(lot: Lot) -> RenderOrder:
    return RenderOrder(
        lot, REGION, TILES_PER_LOT, STRENGTH_GEOMETRY.px, tiles_per_side=SMALL_SCENES
    )


def _requested(current: Array, target: Array) -> Array:
    """Requested changes, [..., A, 2], by `target_attributes`."""
    change = target - current[..., None, None, :]
    diagonal: Array = np.diagonal(change, axis1=-3, axis2=-1)  # [..., 2, A]
    return np.swapaxes(diagonal, -1, -2)


def _lot_numbers(lots: Sequence[Lot]) -> Array:
    return np.repeat(np.arange(len(lots)), TILES_PER_LOT).astype(np.float32)


def _psnr_db(drawn: Tensor, image: Tensor) -> Array:
    """Peak signal-to-noise ratio of each tile, [B]."""
    squared = (drawn - image).square().mean(dim=(1, 2, 3)).clamp(min=1e-6)
    decibels: Array = (10.0 * torch.log10(PEAK**2 / squared)).cpu().numpy()
    return decibels
