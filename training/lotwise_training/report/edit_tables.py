"""What edits change beside what was asked for, computed from stored measurements alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.edit_outputs import SIMULATOR, EditSet
from lotwise_training.report.intervals import RESAMPLES

LEAST_DIAGONAL: Final = 0.8
MOST_OFF_DIAGONAL: Final = 0.15
LEAST_PSNR_DB: Final = 28.0
MOST_SHIFT: Final = 0.01

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EditFigures:
    """What one editor is worth.

    Attributes:
        kind: Of the editor, or SIMULATOR.
        tiles, lots: How many were edited.
        response: float64 [A, A], row j: by how much the meter's readings of all attributes change
            for each unit of attribute j that was asked for. The unit matrix is perfect.
        low, high: float64 [A, A], 95% interval of `response`, bootstrap over lots.
        slopes: float64 [A], change of the property for each unit of each attribute.
        true_signs: float64 [A], share of edits that move the property in the true direction.
        redrawn_psnr_db, returned_psnr_db: Mean over tiles; None for the simulator.
        shift: Mean absolute change of the prediction by redrawing, as a share of it; None as above.
    """

    kind: str
    tiles: int
    lots: int
    response: Array
    low: Array
    high: Array
    slopes: Array
    true_signs: Array
    redrawn_psnr_db: float | None
    returned_psnr_db: float | None
    shift: float | None

    @property
    def least_diagonal(self) -> float:
        """Response of the attribute that answers least."""
        return float(np.diag(self.response).min())

    @property
    def most_off_diagonal(self) -> float:
        """Largest leak into another attribute, either way."""
        off = self.response[~np.eye(len(self.response), dtype=bool)]
        return float(np.abs(off).max())

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            key: value.round(4).tolist() if isinstance(value, np.ndarray) else value
            for key, value in asdict(self).items()
        }


def edit_figures(sets: Mapping[str, EditSet], *, seed: int = 0) -> dict[str, EditFigures]:
    """Figures of every editor and of the simulator, by kind.

    Args:
        sets: Stored measurements; the simulator's hold the truth.
        seed: Of the bootstrap.
    """
    truth = sets[SIMULATOR].property
    return {kind: _figures(kind, each, truth, seed) for kind, each in sets.items()}


def _figures(kind: str, each: EditSet, truth: npt.NDArray[np.float32], seed: int) -> EditFigures:
    requested = each.requested.astype(np.float64)
    # Least squares through the origin: sums over tiles and directions, lot by lot.
    products = np.einsum("njd,njdi->nji", requested, each.measured.astype(np.float64))
    squares = np.square(requested).sum(axis=2)
    _, lot = np.unique(each.lots, return_inverse=True)
    by_lot = np.stack([products[lot == number].sum(axis=0) for number in range(lot.max() + 1)])
    weights = np.stack([squares[lot == number].sum(axis=0) for number in range(lot.max() + 1)])
    drawn = np.random.default_rng(seed).integers(0, len(by_lot), (RESAMPLES, len(by_lot)))
    responses = by_lot[drawn].sum(axis=1) / weights[drawn].sum(axis=1)[:, :, None]
    low, high = np.percentile(responses, [2.5, 97.5], axis=0)
    rise = (requested * each.property).sum(axis=(0, 2)) / squares.sum(axis=0)
    # An attribute at the end of its range is not asked to go beyond.
    moved = (requested != 0.0) & (truth != 0.0)
    right = (np.sign(each.property) == np.sign(truth)) & moved
    drew = len(each.redrawn_psnr_db) > 0
    return EditFigures(
        kind=kind,
        tiles=len(requested),
        lots=len(by_lot),
        response=products.sum(axis=0) / squares.sum(axis=0)[:, None],
        low=low,
        high=high,
        slopes=rise,
        true_signs=right.sum(axis=(0, 2)) / np.maximum(1, moved.sum(axis=(0, 2))),
        redrawn_psnr_db=float(each.redrawn_psnr_db.mean()) if drew else None,
        returned_psnr_db=float(each.returned_psnr_db.mean()) if drew else None,
        shift=float(np.abs(each.redrawn_shift).mean()) if drew else None,
    )


def served_edit_figures(figures: EditFigures, attributes: Sequence[str]) -> dict[str, str]:
    """Rows of the editor's model cards, by name."""
    rows = {
        f"{name}, of 1 asked": (
            f"{figures.response[n, n]:.2f} measured "
            f"({figures.low[n, n]:.2f} to {figures.high[n, n]:.2f}); "
            f"property in the true direction in {figures.true_signs[n]:.0%} of edits"
        )
        for n, name in enumerate(attributes)
    }
    rows["largest leak into another attribute"] = f"{figures.most_off_diagonal:.2f} of 1 asked"
    if figures.redrawn_psnr_db is not None and figures.shift is not None:
        rows["redrawn with its own attributes"] = (
            f"{figures.redrawn_psnr_db:.1f} dB, prediction moves by {figures.shift:.2%}"
        )
    if figures.returned_psnr_db is not None:
        rows["there and back"] = f"{figures.returned_psnr_db:.1f} dB"
    return rows
