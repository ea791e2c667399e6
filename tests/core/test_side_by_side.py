import numpy as np

from lotwise.core.counterfactual import Allowed, Evaluation, search, side_by_side
from tests.support.searches import drive, linear


def run_side_by_side(searches, function, stop_after=10**6):
    running, batches = side_by_side(searches), []
    questions = next(running)
    while True:
        batches.append([number for number, _ in questions])
        answers = [Evaluation(*function(at)) for _, at in questions]
        try:
            questions = running.send(answers if len(batches) <= stop_after else None)
        except StopIteration as end:
            return end.value, batches


def three_searches(function):
    targets = (10, 45, 80)
    searches = [
        search(
            [0.5, 0.5],
            target,
            tolerance=1.0,
            allowed=Allowed.everywhere(2),
            max_evaluations=50,
        )
        for target in targets
    ]
    return searches, [drive(function, [0.5, 0.5], target, budget=50)[0] for target in targets]


def test_searches_side_by_side_end_where_each_ends_alone():
    function = linear(100, 20, offset=-15)
    searches, alone = three_searches(function)
    together, batches = run_side_by_side(searches, function)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.attributes, other.attributes)
        assert one.evaluations == other.evaluations
    assert batches[0] == [0, 1, 2]
    # One that has ended is asked nothing more: the second met its target at once.
    assert all(1 not in batch for batch in batches[1:])
    assert sum(map(len, batches)) == sum(each.evaluations for each in alone)


def test_all_searches_can_be_ended_at_once():
    searches, _ = three_searches(linear(100, 20, offset=-15))
    together, batches = run_side_by_side(searches, linear(100, 20, offset=-15), stop_after=1)
    assert len(batches) == 2
    assert [each.evaluations for each in together] == [1, 1, 1]
    assert [each.reached for each in together] == [False, True, False]
