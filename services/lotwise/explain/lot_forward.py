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
from lotwise.explain.question import steps_of
from lotwise.explain.searching import Deadline, Progress

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """The property of a lot along one attribute.

    Attributes:
        attribute: Its name.
        grid: float64 [steps], its values.
        values: By value, over the tiles, less the editor's own shift.
        sensitivity: Derivative at the lot as it is.
    """

    attribute: str
    grid: Floats
    values: tuple[Spread, ...]
    sensitivity: MeanInterval


@dataclass(frozen=True)
class LotForward:
    """The property of a lot along its attributes.

    Attributes:
        attributes: float64 [n_attributes], as the lot is.
        original: Of the tiles as they are.
        curves: One for each attribute that was varied.
        tiles: How many tiles were worked on.
        ended_by_deadline: Whether these are fewer than there were.
    """

    attributes: Floats
    original: Spread
    curves: tuple[Curve, ...]
    tiles: int
    ended_by_deadline: bool


async def forward_lot(
    editor: Editor,
    question: LotForwardQuestion,
    sample: Sequence[PreparedTile],
    progress: Progress,
) -> LotForward:
    """Vary attributes of a lot, one at a time, over 0 to 1.

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
    axes = question.axes(names)
    grid = np.linspace(0.0, 1.0, steps_of(question.steps))
    wanted = np.tile(lot, (len(axes) * len(grid) + 1, 1))
    for number, axis in enumerate(axes):
        wanted[number * len(grid) : (number + 1) * len(grid), axis] = grid
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
        values.append((read[:-1] - read[-1] + editable.original).reshape(len(axes), len(grid)))
        slopes.append(at_lot.gradient)
        progress.judged += len(wanted)
    by_axis, slope = np.stack(values, axis=1), np.stack(slopes)
    seed = question.lot.sampling.seed
    return LotForward(
        attributes=lot,
        original=Spread.of(originals),
        curves=tuple(
            Curve(
                attribute=names[axis],
                grid=grid,
                values=tuple(Spread.of(of_value) for of_value in of_axis.T),
                sensitivity=MeanInterval.of(slope[:, axis], seed),
            )
            for axis, of_axis in zip(axes, by_axis, strict=True)
        ),
        tiles=len(originals),
        ended_by_deadline=ended,
    )
