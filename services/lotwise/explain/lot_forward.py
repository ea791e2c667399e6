"""How the property of a lot follows its attributes, by a sample of its tiles.

Liu et al. 2020, section 4.3, Figures 4 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lotwise.core.lot_statistics import MeanInterval, Spread
from lotwise.core.preprocessing import PreparedTile
from lotwise.explain.editing import Editor
from lotwise.explain.lot_question import LotForwardQuestion
from lotwise.explain.searching import Deadline, Progress

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sweep:
    """The property of a lot along one attribute, or over a pair of them.

    Attributes:
        attributes: One name or two.
        grid: float64 [steps, attributes], their values; of a pair the second runs faster.
        values: By step, over the tiles, less the editor's own shift.
        sensitivities: Derivatives along them at the lot as it is.
    """

    attributes: tuple[str, ...]
    grid: Floats
    values: tuple[Spread, ...]
    sensitivities: tuple[MeanInterval, ...]


@dataclass(frozen=True)
class LotForward:
    """The property of a lot along its attributes.

    Attributes:
        attributes: float64 [n_attributes], as the lot is.
        original: Of the tiles as they are.
        sweeps: One for each attribute or pair that was varied.
        tiles: How many tiles were worked on.
        ended_by_deadline: Whether these are fewer than there were.
    """

    attributes: Floats
    original: Spread
    sweeps: tuple[Sweep, ...]
    tiles: int
    ended_by_deadline: bool


async def forward_lot(
    editor: Editor,
    question: LotForwardQuestion,
    sample: Sequence[PreparedTile],
    progress: Progress,
) -> LotForward:
    """Vary attributes of a lot, one at a time or in pairs, over 0 to 1.

    Where the call's deadline comes near, the tiles so far are the answer.

    Args:
        editor: As the engine describes it.
        question: Already checked.
        sample: Tiles of the lot, at least one.
        progress: Is kept up to date.

    Raises:
        InvalidRequest: ATTRIBUTE_UNKNOWN, ATTRIBUTES_MISSING, ATTRIBUTE_OUT_OF_RANGE.
        InvalidTile, NotFound, InferenceError: As `Editor`.
    """
    names = editor.attribute_names
    lot = editor.lot_attributes(question.lot.lot_id, question.lot.attributes)
    sweeps = question.sweeps(names)
    wanted = np.concatenate([_rows(lot, names, *sweep) for sweep in sweeps] + [lot[None]])
    progress.expected = len(sample) * len(wanted)
    deadline, ended = Deadline(), False
    originals, values, slopes = [], [], []
    for tile in sample:
        if ended := deadline.near:
            break
        deadline.step_begins()
        editable = await editor.encode(tile, lot)
        read = (await editable.edit(wanted)).values
        (at_lot,) = await editable.evaluate(lot[None])
        deadline.step_ended()
        originals.append(editable.original)
        values.append(read[:-1] - read[-1] + editable.original)
        slopes.append(at_lot.gradient)
        progress.judged += len(wanted)
    ends = np.cumsum([len(grid) for _, grid in sweeps])
    by_sweep, slope = np.split(np.stack(values), ends[:-1], axis=1), np.stack(slopes)
    seed = question.lot.sampling.seed
    return LotForward(
        attributes=lot,
        original=Spread.of(originals),
        sweeps=tuple(
            Sweep(
                attributes=varied,
                grid=grid,
                values=tuple(Spread.of(of_step) for of_step in of_sweep.T),
                sensitivities=tuple(
                    MeanInterval.of(slope[:, names.index(name)], seed) for name in varied
                ),
            )
            for (varied, grid), of_sweep in zip(sweeps, by_sweep, strict=True)
        ),
        tiles=len(originals),
        ended_by_deadline=ended,
    )


def _rows(lot: Floats, names: tuple[str, ...], varied: tuple[str, ...], grid: Floats) -> Floats:
    """Attributes of the edits of one sweep: float64 [steps, n_attributes]."""
    rows = np.tile(lot, (len(grid), 1))
    rows[:, [names.index(name) for name in varied]] = grid
    return rows
