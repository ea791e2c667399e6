"""What edits change beside what was asked for, computed from stored measurements alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.evaluation.bootstrap import RESAMPLES
from lotwise_training.evaluation.edit_records import SIMULATOR, EditSet

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
        corrected: float64 [A, A], as `response`, without the meter's own errors: see
            :func:`edit_figures`. None for the simulator.
        corrected_low, corrected_high: Its 95% interval, from the same draws of lots.
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
    corrected: Array | None
    corrected_low: Array | None
    corrected_high: Array | None
    slopes: Array
    true_signs: Array
    redrawn_psnr_db: float | None
    returned_psnr_db: float | None
    shift: float | None

    @property
    def least_diagonal(self) -> float:
        """Response of the attribute that answers least."""
        return least_diagonal(self.response)

    @property
    def most_off_diagonal(self) -> float:
        """Largest leak into another attribute, either way."""
        return most_off_diagonal(self.response)

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            key: value.round(4).tolist() if isinstance(value, np.ndarray) else value
            for key, value in asdict(self).items()
        }


def least_diagonal(response: Array) -> float:
    """Smallest entry on the diagonal of float64 [A, A]."""
    return float(np.diag(response).min())


def most_off_diagonal(response: Array) -> float:
    """Largest absolute entry off the diagonal of float64 [A, A]."""
    return float(np.abs(response[~np.eye(len(response), dtype=bool)]).max())


def edit_figures(sets: Mapping[str, EditSet], *, seed: int = 0) -> dict[str, EditFigures]:
    """Figures of every editor and of the simulator, by kind.

    A meter that guesses where it cannot see answers to a change by less than the change, and one
    that mixes up two attributes sees a leak where there is none. Both show when the simulator makes
    the same change, whose truth is known: with M [A true, A read] what the meter answers to a true
    change and E [A asked, A read] what it answers to an edit, the true change that would make it
    answer so is E M^-1. That holds as far as its answer is linear.

    Args:
        sets: Stored measurements; the simulator's hold the truth.
        seed: Of the bootstrap.
    """
    simulated = sets[SIMULATOR]
    # The same draws for all, so that a lot which the meter misreads counts alike on both sides.
    drawn = {kind: _responses(each, seed) for kind, each in sets.items()}
    return {
        kind: _figures(
            kind,
            each,
            simulated.property,
            drawn[kind],
            None if each is simulated else drawn[SIMULATOR],
        )
        for kind, each in sets.items()
    }


def _responses(each: EditSet, seed: int) -> Array:
    """Response of all lots, then of RESAMPLES draws of lots: float64 [1 + RESAMPLES, A, A]."""
    requested = each.requested.astype(np.float64)
    # Least squares through the origin: sums over tiles and directions, lot by lot.
    products = np.einsum("njd,njdi->nji", requested, each.measured.astype(np.float64))
    squares = np.square(requested).sum(axis=2)
    _, lot = np.unique(each.lots, return_inverse=True)
    lots = int(lot.max()) + 1
    by_lot = np.stack([products[lot == number].sum(axis=0) for number in range(lots)])
    weights = np.stack([squares[lot == number].sum(axis=0) for number in range(lots)])
    drawn = np.random.default_rng(seed).integers(0, lots, (RESAMPLES, lots))
    rows = np.concatenate([np.arange(lots)[None], drawn])
    responses: Array = by_lot[rows].sum(axis=1) / weights[rows].sum(axis=1)[:, :, None]
    return responses


def _interval(draws: Array) -> tuple[Array, Array]:
    """Bounds that hold 95% of draws, [n, A, A]."""
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return low, high


def _figures(
    kind: str,
    each: EditSet,
    truth: npt.NDArray[np.float32],
    responses: Array,
    of_the_meter: Array | None,
) -> EditFigures:
    requested = each.requested.astype(np.float64)
    rise = (requested * each.property).sum(axis=(0, 2)) / np.square(requested).sum(axis=(0, 2))
    # An attribute at the end of its range is not asked to go beyond.
    moved = (requested != 0.0) & (truth != 0.0)
    right = (np.sign(each.property) == np.sign(truth)) & moved
    drew = len(each.redrawn_psnr_db) > 0
    low, high = _interval(responses[1:])
    corrected = corrected_low = corrected_high = None
    if of_the_meter is not None:
        changes = responses @ np.linalg.pinv(of_the_meter)
        corrected, (corrected_low, corrected_high) = changes[0], _interval(changes[1:])
    return EditFigures(
        kind=kind,
        tiles=len(requested),
        lots=len(np.unique(each.lots)),
        response=responses[0],
        low=low,
        high=high,
        corrected=corrected,
        corrected_low=corrected_low,
        corrected_high=corrected_high,
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
    if figures.corrected is not None:
        rows["without the meter's own errors"] = (
            f"{least_diagonal(figures.corrected):.2f} at least of 1 asked, "
            f"leaks of {most_off_diagonal(figures.corrected):.2f} at most"
        )
    if figures.redrawn_psnr_db is not None and figures.shift is not None:
        rows["redrawn with its own attributes"] = (
            f"{figures.redrawn_psnr_db:.1f} dB, prediction moves by {figures.shift:.2%}"
        )
    if figures.returned_psnr_db is not None:
        rows["there and back"] = f"{figures.returned_psnr_db:.1f} dB"
    return rows


def meter_figures(simulated: EditFigures, attributes: Sequence[str]) -> dict[str, str]:
    """Rows of the meter's model card: what it makes of real changes, by name."""
    return {
        f"{name}, of a real change of 1": (
            f"{simulated.response[n, n]:.2f} measured "
            f"({simulated.low[n, n]:.2f} to {simulated.high[n, n]:.2f})"
        )
        for n, name in enumerate(attributes)
    } | {
        "largest leak of a real change into another attribute": (
            f"{simulated.most_off_diagonal:.2f} of 1"
        )
    }
