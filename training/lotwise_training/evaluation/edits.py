"""What edits change beside what was requested: stored measurements, and what follows from them.

Edited tiles are measured by a network that reads attributes and by the regressor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.evaluation.bootstrap import RESAMPLES
from lotwise_training.evaluation.records import Measured, Records
from lotwise_training.store.arrays import Result, Shape, Stored

SIMULATOR: Final = "simulator"
"""Not an editor: the lots themselves, simulated again with one attribute changed."""
DIRECTIONS: Final = 2

Singles = npt.NDArray[np.float32]
SECTION: Final = "edits"
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EditSet(Stored):
    """Edits of N tiles: each of A attributes once down and once up, all others unchanged.

    Attributes:
        lots: [N], number of the tile's lot.
        requested: [N, A, 2], requested change; 0 where the attribute is at its end.
        measured: [N, A, 2, A], change of the meter's reading of every attribute.
        property: [N, A, 2], change of the predicted property; of the simulator, of the true value.
        redrawn_psnr_db: [N], of the tile redrawn with its current attributes; empty for the
            simulator, as the next two.
        redrawn_shift: [N], relative change of the predicted property by redrawing.
        returned_psnr_db: [N, A], of the tile edited upwards and back again.
    """

    lots: Annotated[Singles, Shape("N")]
    requested: Annotated[Singles, Shape("N A D")]
    measured: Annotated[Singles, Shape("N A D A")]
    property: Annotated[Singles, Shape("N A D")]
    redrawn_psnr_db: Annotated[Singles, Shape("M")]
    redrawn_shift: Annotated[Singles, Shape("M")]
    returned_psnr_db: Annotated[Singles, Shape("M ...")]


@dataclass(frozen=True, eq=False)
class EditorRun(Stored):
    """Training of an editor, or of the network that reads attributes, which has no hash here."""

    steps: int
    seconds: int
    weights_sha256: str | None = None


@dataclass(frozen=True, eq=False)
class EditResult(Result):
    """Measurements of all editors.

    Attributes:
        benchmark: Version of the benchmark that the lots are from.
        profile: Name of the recipes' folder.
        served: Kind of the editor that is served.
        attributes: A names.
        unit: Of the property.
        networks: By kind, and the meter.
        curves: Learning curves by kind and loss: pairs of step and value.
        sets: By kind of the editor, or SIMULATOR.
    """

    stem: ClassVar[str] = "edits"
    benchmark: int
    profile: str
    served: str
    attributes: tuple[str, ...]
    unit: str
    networks: Mapping[str, EditorRun]
    curves: Mapping[str, Mapping[str, tuple[tuple[float, float], ...]]]
    sets: Mapping[str, EditSet]


@dataclass(frozen=True, eq=False)
class Response:
    """What changes for each unit of an attribute that an edit asks for.

    Attributes:
        value: float64 [A, A], row j: changes of all attributes per unit of requested change of
            attribute j. The unit matrix is perfect.
        low, high: float64 [A, A], 95% interval, bootstrap over lots.
    """

    value: Array
    low: Array
    high: Array

    @property
    def least_diagonal(self) -> float:
        """Response of the attribute that changes least of what was requested."""
        return float(np.diag(self.value).min())

    @property
    def most_off_diagonal(self) -> float:
        """Largest leak into another attribute, either way."""
        return float(np.abs(self.value[~np.eye(len(self.value), dtype=bool)]).max())

    def leak(self, row: int) -> float:
        """Largest change of another attribute than the requested one."""
        return float(np.abs(np.delete(self.value[row], row)).max())


@dataclass(frozen=True, eq=False)
class EditFigures:
    """Edits by one editor.

    Attributes:
        kind: Of the editor, or SIMULATOR.
        tiles, lots: How many were edited.
        response: As the meter reads it.
        corrected: Without the meter's own errors: see `edit_figures`. None for the simulator.
        slopes: float64 [A], change of the property per unit of each attribute.
        true_signs: float64 [A], share of edits that move the property in the true direction.
        redrawn_psnr_db, returned_psnr_db: Mean over tiles; None for the simulator.
        shift: Mean absolute change of the prediction by redrawing, as a share of it; None as above.
    """

    kind: str
    tiles: int
    lots: int
    response: Response
    corrected: Response | None
    slopes: Array
    true_signs: Array
    redrawn_psnr_db: float | None
    returned_psnr_db: float | None
    shift: float | None


def edit_figures(sets: Mapping[str, EditSet], *, seed: int = 0) -> dict[str, EditFigures]:
    """Figures of every editor and of the simulator, by kind.

    A meter that guesses where it cannot see reads less than the true change, and one
    that mixes up two attributes sees a leak where there is none. Both show when the simulator makes
    the same change, whose truth is known: with M [A true, A read] what the meter reads of a true
    change and E [A requested, A read] what it reads of an edit, the true change that would give
    that reading is E M^-1. That holds as far as its reading is linear.

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


def _response(draws: Array) -> Response:
    """The first of [1 + n, A, A], and bounds that hold 95% of the others."""
    low, high = np.percentile(draws[1:], [2.5, 97.5], axis=0)
    return Response(draws[0], low, high)


def _figures(
    kind: str,
    each: EditSet,
    truth: npt.NDArray[np.float32],
    responses: Array,
    of_the_meter: Array | None,
) -> EditFigures:
    requested = each.requested.astype(np.float64)
    rise = (requested * each.property).sum(axis=(0, 2)) / np.square(requested).sum(axis=(0, 2))
    # An attribute at the end of its range is not changed beyond it.
    moved = (requested != 0.0) & (truth != 0.0)
    right = (np.sign(each.property) == np.sign(truth)) & moved
    drew = len(each.redrawn_psnr_db) > 0
    return EditFigures(
        kind=kind,
        tiles=len(requested),
        lots=len(np.unique(each.lots)),
        response=_response(responses),
        corrected=None
        if of_the_meter is None
        else _response(responses @ np.linalg.pinv(of_the_meter)),
        slopes=rise,
        true_signs=right.sum(axis=(0, 2)) / np.maximum(1, moved.sum(axis=(0, 2))),
        redrawn_psnr_db=float(each.redrawn_psnr_db.mean()) if drew else None,
        returned_psnr_db=float(each.returned_psnr_db.mean()) if drew else None,
        shift=float(np.abs(each.redrawn_shift).mean()) if drew else None,
    )


def edit_records(
    figures: Mapping[str, EditFigures], attributes: Sequence[str], unit: str
) -> Records:
    """All figures, responses rounded to 0.0001."""
    records = Records()
    for kind, each in figures.items():
        records.add(
            SECTION,
            {"editor": kind},
            each.tiles,
            lots=each.lots,
            redrawn_psnr=each.redrawn_psnr_db,
            redrawn_shift=each.shift,
            returned_psnr=each.returned_psnr_db,
        )
        responses = {"response": each.response, "corrected": each.corrected}
        known = {name: response for name, response in responses.items() if response is not None}
        for row, name in enumerate(attributes):
            of = {"editor": kind, "attribute": name}
            measured: dict[str, Measured] = {
                "slope": round(float(each.slopes[row]), 4),
                "true_sign": round(float(each.true_signs[row]), 4),
            }
            for label, response in known.items():
                prefix = "" if response is each.response else f"{label}_"
                measured[f"{prefix}diagonal"] = _rounded(response, row, row)
                measured[f"{prefix}leak"] = round(response.leak(row), 4)
            records.add(SECTION, of, each.tiles, unit, **measured)
            for column, other in enumerate(attributes):
                cells = {label: _rounded(known[label], row, column) for label in known}
                records.add(SECTION, {**of, "measured": other}, each.tiles, **cells)
    return records


def _rounded(response: Response, row: int, column: int) -> Measured:
    value, low, high = (
        round(float(each[row, column]), 4) for each in (response.value, response.low, response.high)
    )
    return value, (low, high)


def editor_card_rows(figures: EditFigures, attributes: Sequence[str]) -> dict[str, str]:
    """Rows of the editor's model cards, by name."""
    of = figures.response
    rows = {
        f"{name}, of 1 asked": (
            f"{of.value[n, n]:.2f} measured ({of.low[n, n]:.2f} to {of.high[n, n]:.2f}); "
            f"property in the true direction in {figures.true_signs[n]:.0%} of edits"
        )
        for n, name in enumerate(attributes)
    }
    rows["largest leak into another attribute"] = f"{of.most_off_diagonal:.2f} of 1 asked"
    if figures.corrected is not None:
        rows["without the meter's own errors"] = (
            f"{figures.corrected.least_diagonal:.2f} at least of 1 asked, "
            f"leaks of {figures.corrected.most_off_diagonal:.2f} at most"
        )
    if figures.redrawn_psnr_db is not None and figures.shift is not None:
        rows["redrawn with its own attributes"] = (
            f"{figures.redrawn_psnr_db:.1f} dB, prediction moves by {figures.shift:.2%}"
        )
    if figures.returned_psnr_db is not None:
        rows["there and back"] = f"{figures.returned_psnr_db:.1f} dB"
    return rows


def meter_card_rows(simulated: EditFigures, attributes: Sequence[str]) -> dict[str, str]:
    """Rows of the meter's model card: its response to real changes, by name."""
    of = simulated.response
    rows = {
        f"{name}, of a real change of 1": (
            f"{of.value[n, n]:.2f} measured ({of.low[n, n]:.2f} to {of.high[n, n]:.2f})"
        )
        for n, name in enumerate(attributes)
    }
    leak = f"{of.most_off_diagonal:.2f} of 1"
    return rows | {"largest leak of a real change into another attribute": leak}
