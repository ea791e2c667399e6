"""Runs searches side by side until they end, or until the call's deadline comes near."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.counterfactual import Counterfactual, Evaluation, Search, side_by_side
from lotwise.runtime.request import current_request

STEPS_IN_HAND: Final = 3
"""So many times the slowest step is left of a deadline for the last edit and the answer."""

Asked = Sequence[tuple[int, npt.NDArray[np.float64]]]
"""(number of the search, attributes [n_attributes]) of all searches that go on."""
Evaluate = Callable[[Asked], Awaitable[list[Evaluation]]]


@dataclass
class Progress:
    """How far an explanation is; changes while it is made.

    Attributes:
        judged: Edited tiles that the networks have judged.
        expected: How many there will be; 0 where nobody knows.
    """

    judged: int = 0
    expected: int = 0


@dataclass(frozen=True)
class Searched:
    """What became of searches.

    Attributes:
        ended: Where each of them ended.
        first: What the first of them saw first.
        by_deadline: Whether the deadline ended them.
    """

    ended: list[Counterfactual]
    first: Evaluation
    by_deadline: bool


class Deadline:
    """Whether the time that is left of a call is enough for another step."""

    def __init__(self) -> None:
        self._left = current_request().remaining_s()
        self._slowest = 0.0
        self._began = time.monotonic()

    def step_begins(self) -> None:
        """Take the time from here."""
        self._began = time.monotonic()

    def step_ended(self) -> None:
        """A step has taken until now."""
        self._slowest = max(self._slowest, time.monotonic() - self._began)

    @property
    def near(self) -> bool:
        """Whether there is time for no further step; False before the first."""
        left = current_request().remaining_s()
        return left is not None and left < STEPS_IN_HAND * self._slowest

    def spent(self, share: float) -> bool:
        """Whether more than a share has gone of the time that was left when this was made."""
        left = current_request().remaining_s()
        return left is not None and self._left is not None and left < (1.0 - share) * self._left


async def searched(evaluate: Evaluate, searches: Sequence[Search]) -> Searched:
    """Run searches side by side.

    The first evaluation is always made: without it there is no answer.

    Args:
        evaluate: Asks the networks for one step of all searches.
        searches: At least one, none of them begun.
    """
    running = side_by_side(searches)
    questions, first, deadline = next(running), None, Deadline()
    while True:
        ended = first is not None and deadline.near
        answers = None
        if not ended:
            deadline.step_begins()
            answers = await evaluate(questions)
            deadline.step_ended()
            first = first or answers[0]
        try:
            questions = running.send(answers)
        except StopIteration as finished:
            assert first is not None
            return Searched(finished.value, first, ended)
