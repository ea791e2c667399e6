import numpy as np
import pytest

from lotwise.core.counterfactual import (
    Allowed,
    Counterfactual,
    Evaluation,
    beginnings,
    cheapest,
    search,
)
from tests.support.searches import curved, drive, linear, ranges


def check_answer(function, found, start, target, tolerance):
    """What any answer that claims success must keep."""
    value, _ = function(found.attributes)
    assert found.value == value
    assert found.reached
    assert abs(value - target) <= tolerance
    assert found.attributes.shape == np.shape(start)
    assert (found.attributes >= 0).all()
    assert (found.attributes <= 1).all()


@pytest.mark.parametrize("target", [10, 30, 45, 80, 99])
def test_a_linear_property_is_reached_within_tolerance(target):
    function, start = linear(100, 0, 10), [0.5, 0.5, 0.5]
    found, _ = drive(function, start, target)
    check_answer(function, found, start, target, 1.0)


@pytest.mark.parametrize("target", [-300, 0, 200, 600, 900])
def test_a_curved_property_is_reached_within_tolerance(target):
    start = [0.5, 0.5, 0.5]
    found, _ = drive(curved, start, target, tolerance=10)
    check_answer(curved, found, start, target, 10)


def test_a_target_near_the_corner_of_the_box_is_reached_once_attributes_sit_at_its_edge():
    # The most that this property can be is 1111.6, with all attributes at 1.
    found, _ = drive(curved, [0.1, 0.1, 0.1], 1100, tolerance=10, budget=60)
    check_answer(curved, found, [0.1] * 3, 1100, 10)
    assert found.attributes[:2].tolist() == [1, 1]


def test_attributes_without_effect_stay_exactly_where_they_were():
    start = [0.3, 0.123456789, 0.7, 1 / 3]
    found, asked = drive(linear(80, 0, -60, 0), start, 40)
    assert found.reached
    for at in (found.attributes, *asked):
        assert at[1] == start[1]
        assert at[3] == start[3]


def test_immutable_attributes_stay_exactly_where_they_were():
    start = [0.123456789, 0.5, 0.5]
    function = linear(100, 20, 20)
    found, asked = drive(function, start, 35, allowed=ranges(start, immutable=[0]))
    check_answer(function, found, start, 35, 1.0)
    assert {at[0] for at in asked} == {start[0]}
    assert found.attributes[0] == start[0]


def test_every_question_lies_within_the_box():
    for target in (-500, 900, 5_000):
        _, asked = drive(curved, [0.05, 0.95, 0.5], target, tolerance=5)
        assert (np.array(asked) >= 0).all()
        assert (np.array(asked) <= 1).all()


@pytest.mark.parametrize(
    ("target", "nearest", "corner"),
    [(500, 120, [1, 1, 0.5]), (-500, -20, [0, 0, 0.5])],
)
def test_an_unreachable_target_is_reported_with_the_nearest_value(target, nearest, corner):
    found, asked = drive(linear(100, 40, 0, offset=-20), [0.5, 0.5, 0.5], target)
    assert not found.reached
    assert found.value == pytest.approx(nearest)
    np.testing.assert_allclose(found.attributes, corner)
    assert found.evaluations == len(asked) < 50


def test_an_unreachable_target_of_a_curved_property_ends_at_the_best_corner():
    found, _ = drive(curved, [0.5, 0.5, 0.5], 2000, tolerance=10)
    assert not found.reached
    np.testing.assert_allclose(found.attributes, [1, 1, 1])


def test_a_search_that_comes_no_nearer_gives_up_with_the_nearest():
    # Goes up and down between 0 and 100, whatever the slope promises.
    def wavy(at):
        return float(50 + 50 * np.sin(40 * at[0])), np.array([2000 * np.cos(40 * at[0])])

    found, asked = drive(wavy, [0.31], 400, budget=500)
    assert not found.reached
    assert len(asked) < 100
    assert found.value == max(wavy(at)[0] for at in asked)


def test_with_nothing_mutable_the_start_is_the_answer():
    function = linear(100, 10)
    start = [0.5, 0.5]
    found, asked = drive(function, start, 90, allowed=ranges(start, immutable=[0, 1]))
    assert not found.reached
    assert found.attributes.tolist() == [0.5, 0.5]
    assert found.value == 55
    assert len(asked) == 1


def test_on_a_plateau_the_search_gives_up_at_the_start():
    found, asked = drive(lambda at: (10.0, np.zeros(2)), [0.4, 0.6], 50)
    assert (found.reached, found.value, len(asked)) == (False, 10, 1)
    assert found.attributes.tolist() == [0.4, 0.6]


def gradient_step(function, start, target):
    """The plain step along the gradient that meets a linear target."""
    value, gradient = function(np.asarray(start))
    return start + gradient * (target - value) / (gradient @ gradient)


@pytest.mark.parametrize("target", [330, 400, 480, 250])
def test_one_strong_attribute_is_preferred_to_a_little_of_everything(target):
    function, start = linear(400, 100, 50, 25), np.full(4, 0.5)
    found, _ = drive(function, start, target, tolerance=3)
    check_answer(function, found, start, target, 3)
    plain = gradient_step(function, start, target)
    assert (plain != start).sum() == 4
    assert np.flatnonzero(found.attributes != start).tolist() == [0]
    assert np.abs(found.attributes - start).sum() < np.abs(plain - start).sum()


def test_weak_attributes_help_where_the_strong_one_is_spent():
    function, start = linear(400, 100, 0), np.full(3, 0.5)
    found, _ = drive(function, start, 480, tolerance=3)
    check_answer(function, found, start, 480, 3)
    assert found.attributes[0] == 1
    assert 0.5 < found.attributes[1] < 1
    assert found.attributes[2] == 0.5


def test_the_change_is_not_much_larger_than_the_least_that_would_do():
    function, start = linear(300, -200, 80, 10, -5), np.full(5, 0.5)
    found, _ = drive(function, start, function(start)[0] + 120, tolerance=3)
    # By the strongest attribute alone: (120 - 3) / 300.
    assert np.abs(found.attributes - start).sum() <= 1.1 * 117 / 300


@pytest.mark.parametrize("distance", [0.0, 1.0, -1.0])
def test_a_start_within_tolerance_needs_one_evaluation_and_no_change(distance):
    function, start = linear(100, 10), [0.25, 0.75]
    found, asked = drive(function, start, function(np.array(start))[0] + distance)
    assert (found.reached, found.evaluations, len(asked)) == (True, 1, 1)
    assert found.attributes.tolist() == start


@pytest.mark.parametrize("budget", [1, 2, 5, 17])
def test_no_more_evaluations_are_asked_for_than_allowed(budget):
    # A property that turns away from its gradient is never met.
    def deceptive(at):
        return -float(at.sum()), np.ones(2)

    found, asked = drive(deceptive, [0.5, 0.5], 5, budget=budget)
    assert len(asked) == found.evaluations <= budget
    assert not found.reached
    values = [-at.sum() for at in asked]
    assert found.value == max(values)  # the nearest of those seen


def test_a_budget_of_nothing_is_refused():
    allowed = Allowed.everywhere(1)
    searching = search([0.5], 1, tolerance=0.1, allowed=allowed, max_evaluations=0)
    with pytest.raises(ValueError, match="at least 1"):
        next(searching)


def test_the_same_problem_has_the_same_answer():
    first, _ = drive(curved, [0.2, 0.4, 0.6], 500, tolerance=5)
    second, _ = drive(curved, [0.2, 0.4, 0.6], 500, tolerance=5)
    np.testing.assert_array_equal(first.attributes, second.attributes)
    assert first.evaluations == second.evaluations


def test_a_reader_who_overwrites_a_question_does_not_disturb_the_search():
    function, start = linear(100, 10), np.array([0.5, 0.5])
    _, asked = drive(function, start, 90)
    searching = search(start, 90, tolerance=1, allowed=Allowed.everywhere(2), max_evaluations=50)
    question = next(searching)
    value, gradient = function(question)
    question[:] = 0.01
    np.testing.assert_array_equal(searching.send(Evaluation(value, gradient)), asked[1])
    assert start.tolist() == [0.5, 0.5]


def test_attributes_stay_within_the_ranges_that_are_allowed():
    start, function = [0.5, 0.5], linear(100, 60)
    allowed = ranges(start, lower=0.4, upper=0.6)
    found, asked = drive(function, start, 95, allowed=allowed)
    check_answer(function, found, start, 95, 1.0)
    assert np.min(asked) >= 0.4
    assert np.max(asked) <= 0.6
    found, _ = drive(function, start, 120, allowed=allowed)
    assert not found.reached
    assert found.value == pytest.approx(96)


def test_a_dear_attribute_is_left_alone_where_a_cheap_one_does():
    start, function = [0.5, 0.5], linear(100, 80)
    found, _ = drive(function, start, 110)
    assert np.flatnonzero(found.attributes != start).tolist() == [0]
    found, _ = drive(function, start, 110, allowed=ranges(start, cost=[5.0, 1.0]))
    check_answer(function, found, start, 110, 1.0)
    assert np.flatnonzero(found.attributes != start).tolist() == [1]


def valley(at):
    """Rises to either side of 0.5, higher on the right; the slope at 0.45 leads to the left."""
    x = at[0]
    value = 20 * (0.5 - x) if x < 0.5 else 200 * (x - 0.5)
    return float(value), np.array([-20.0 if x < 0.5 else 200.0])


def test_other_beginnings_find_what_the_slope_at_the_lot_leads_away_from():
    start, allowed = [0.45], Allowed.everywhere(1)
    alone, _ = drive(valley, start, 40)
    assert not alone.reached
    places = beginnings(start, allowed, 6)
    found = [drive(valley, start, 40, begin=place)[0] for place in places]
    best = cheapest(found, start, 40, allowed)
    check_answer(valley, best, start, 40, 1.0)
    assert best.attributes[0] == pytest.approx(0.7, abs=0.01)
    assert best.evaluations == sum(each.evaluations for each in found)


def test_beginnings_are_the_lot_and_places_within_the_ranges():
    start = [0.3, 0.5]
    allowed = ranges(start, lower=0.2, upper=0.6, immutable=[1])
    few, many = beginnings(start, allowed, 3), beginnings(start, allowed, 20)
    assert few[0] is None
    np.testing.assert_array_equal(few[1:], many[1:3])
    places = np.array(many[1:])
    assert (places[:, 0] > 0.2).all()
    assert (places[:, 0] < 0.6).all()
    assert np.ptp(places[:, 0]) > 0.2
    assert (places[:, 1] == 0.5).all()


def test_what_was_met_from_afar_is_made_as_cheap_as_from_the_lot():
    start, function = [0.5, 0.5, 0.5], linear(100, 80, 10)
    target = function(np.array([0.9, 0.2, 0.8]))[0]
    found, asked = drive(function, start, target, begin=[0.9, 0.2, 0.8])
    assert len(asked) == 3  # met at once; then two steps back to one attribute alone
    check_answer(function, found, start, target, 1.0)
    assert np.flatnonzero(found.attributes != start).tolist() == [0]


def test_an_answer_that_the_slopes_do_not_make_cheaper_stays():
    # Half way back the target is lost, whatever the slope says.
    def step(at):
        return float(100.0 if at[0] > 0.7 else 0.0), np.array([1000.0])

    found, asked = drive(step, [0.5], 100, begin=[0.8])
    assert found.reached
    assert found.attributes[0] > 0.7
    assert len(asked) <= 7


def test_a_search_that_is_ended_gives_the_best_so_far():
    found, asked = drive(linear(100, 10), [0.1, 0.1], 90, stop_after=2)
    assert not found.reached
    assert found.evaluations == 2
    assert found.value == max(100 * at[0] + 10 * at[1] for at in asked[:2])


def test_a_step_that_went_too_far_is_followed_by_one_to_where_the_target_lies():
    # The slope at the lot promises a fifth of what comes.
    def bent(at):
        x = at[0] - 0.2
        return float(20 * x + 2000 * x**2), np.array([20 + 4000 * x])

    found, asked = drive(bent, [0.2], 10, tolerance=0.5)
    check_answer(bent, found, [0.2], 10, 0.5)
    assert bent(asked[1])[0] > 2 * 10  # nearer at the lot
    assert len(asked) <= 5


def test_few_evaluations_are_asked_for_where_slopes_hold():
    start = np.array([0.5, 0.5, 0.5])
    for target in (0, 200, 600, 700):
        _, asked = drive(curved, start, target, tolerance=10)
        assert len(asked) <= 6


def test_a_waving_property_is_met_once_steps_are_as_small_as_its_waves():
    # As networks read zoomed pictures: by half a percent up and down, whatever the slope says.
    def waving(at):
        value = 1000 + 500 * at[0] + 8 * np.sin(300 * at[0])
        return float(value), np.array([500.0, 0.0])

    for target in (1100, 1210, 1321, 1450):
        found, asked = drive(waving, [0.5, 0.5], target, tolerance=3)
        check_answer(waving, found, [0.5, 0.5], target, 3)
        assert len(asked) < 30


def test_what_is_no_number_ends_a_search():
    found, asked = drive(lambda at: (float("nan"), np.full(2, np.nan)), [0.5, 0.5], 5)
    assert not found.reached
    assert len(asked) == 1
    assert found.attributes.tolist() == [0.5, 0.5]


def test_the_nearest_is_taken_where_no_search_meets_the_target():
    found = [Counterfactual(np.array([value]), 100 * value, False, 2) for value in (0.2, 0.7, 0.4)]
    best = cheapest(found, [0.5], 90.0, Allowed.everywhere(1))
    assert (best.value, best.evaluations) == (70.0, 6)
