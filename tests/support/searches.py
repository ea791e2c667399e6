"""Properties to search, and what answers a search's questions."""

import numpy as np

from lotwise.core.counterfactual import Allowed, Evaluation, search


def ranges(start, *, lower=0.0, upper=1.0, cost=1.0, immutable=()):
    """Ranges and costs; what is immutable stays at `start`."""
    n = len(start)
    low, high = np.full(n, lower, dtype=float), np.full(n, upper, dtype=float)
    for at in immutable:
        low[at] = high[at] = start[at]
    return Allowed(low, high, np.broadcast_to(np.asarray(cost, dtype=float), n))


def drive(
    function,
    start,
    target,
    *,
    tolerance=1.0,
    allowed=None,
    budget=200,
    begin=None,
    stop_after=None,
):
    """Answers the search's questions with `function`; its result and the questions."""
    start = np.asarray(start, dtype=float)
    asked = []
    searching = search(
        start,
        target,
        tolerance=tolerance,
        allowed=Allowed.everywhere(len(start)) if allowed is None else allowed,
        max_evaluations=budget,
        begin=begin,
    )
    question = next(searching)
    while True:
        asked.append(question)
        value, gradient = function(question)
        stopped = stop_after is not None and len(asked) > stop_after
        try:
            question = searching.send(None if stopped else Evaluation(value, gradient))
        except StopIteration as end:
            return end.value, asked


def linear(*weights, offset=0.0):
    gradient = np.array(weights, dtype=float)
    return lambda at: (float(gradient @ at + offset), gradient.copy())


def curved(at):
    """Saturates along the first attribute, grows along the second, hardly feels the third."""
    value = 1000 * np.tanh(2 * at[0] - 1) + 300 * at[1] ** 2 + 50 * at[2]
    return float(value), np.array([2000 / np.cosh(2 * at[0] - 1) ** 2, 600 * at[1], 50.0])
