"""What a served model says of the lots that it knows."""

from dataclasses import replace

import numpy as np
import pytest

from lotwise_simulator import ATTRIBUTE_NAMES, benchmark, reference_lots
from lotwise_training.data.tiles import DatasetError, write_table
from lotwise_training.export.lot_metadata import ATTRIBUTES, known_lots, stated_lots
from tests.training.small_lots import lot_table

NAMES = tuple(spec.name for spec in ATTRIBUTES)
SCORES = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.81239], [1.0, 0.0, 0.5, 0.25]])
SCORED = lot_table(3, attribute_names=NAMES, attributes=SCORES, origins=("simulated",) * 3)
LOTS = SCORED.lot_ids


@pytest.fixture
def stated(tmp_path):
    def state(table=SCORED, lot_ids=LOTS):
        write_table(table, tmp_path / "lots.json")
        return stated_lots(tmp_path, lot_ids)

    return state


def scores(lots):
    return [lot.attributes for lot in lots]


def test_attributes_are_the_simulators_in_its_order():
    assert NAMES == ATTRIBUTE_NAMES


def test_simulated_lots_have_their_scores_to_four_digits(stated):
    simulated, attributes, lots = stated()
    assert simulated
    assert attributes == ATTRIBUTES
    assert tuple(lot.lot_id for lot in lots) == LOTS
    assert scores(lots) == [(0.1, 0.2, 0.3, 0.4), (0.5, 0.6, 0.7, 0.8124), (1.0, 0.0, 0.5, 0.25)]


def test_lots_are_stated_in_the_order_of_the_logits(stated):
    _, _, lots = stated(lot_ids=("L2", "L0"))
    assert [lot.lot_id for lot in lots] == ["L2", "L0"]
    assert scores(lots) == [(1.0, 0.0, 0.5, 0.25), (0.1, 0.2, 0.3, 0.4)]


def test_scores_are_found_by_name_wherever_their_column_is(stated):
    mixed = [2, 0, 4, 1, 3]
    names = (*NAMES, "colour")
    table = replace(
        SCORED,
        attribute_names=tuple(names[n] for n in mixed),
        attributes=np.column_stack([SCORES, [0.9, 0.9, 0.9]])[:, mixed],
    )
    _, attributes, lots = stated(table)
    assert attributes == ATTRIBUTES
    assert scores(lots)[0] == (0.1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize(
    "names", [(), ("size",), (*NAMES[:3], "colour"), tuple(name.title() for name in NAMES)]
)
def test_without_a_score_of_every_attribute_none_are_stated(names, stated):
    table = replace(SCORED, attribute_names=names, attributes=SCORES[:, : len(names)])
    simulated, attributes, lots = stated(table)
    assert simulated
    assert attributes == ()
    assert scores(lots) == [()] * 3


def test_one_unknown_score_of_a_lot_that_is_known_leaves_none(stated):
    gap = SCORES.copy()
    gap[1, 2] = np.nan
    _, attributes, lots = stated(replace(SCORED, attributes=gap))
    assert attributes == ()
    assert scores(lots) == [()] * 3
    # Of a lot that these networks do not know it does not matter.
    _, attributes, lots = stated(replace(SCORED, attributes=gap), ("L0", "L2"))
    assert attributes == ATTRIBUTES
    assert scores(lots)[1] == (1.0, 0.0, 0.5, 0.25)


@pytest.mark.parametrize("origin", ["a furnace", "", "Simulated by us", "photographs"])
def test_one_lot_of_another_origin_makes_a_model_of_more_than_simulated_lots(origin, stated):
    table = replace(SCORED, origins=("simulated", origin, "simulated"))
    assert not stated(table)[0]
    assert stated(table, ("L0", "L2"))[0]


def test_a_lot_that_the_table_lacks_is_named(stated):
    with pytest.raises(DatasetError, match="lacks the lot L7") as caught:
        stated(lot_ids=(*LOTS, "L7"))
    assert caught.value.reason == "LOT_MISSING"


def test_without_a_table_nothing_is_stated(tmp_path):
    with pytest.raises(DatasetError) as caught:
        stated_lots(tmp_path, LOTS)
    assert caught.value.reason == "LOTS_FILE_INVALID"


def test_the_editor_is_told_of_all_simulated_lots_with_their_true_attributes():
    truth = {lot.lot_id: lot for lot in (*reference_lots(), *benchmark.reference_lots())}
    assert len(truth) == 40
    assert [lot.lot_id for lot in known_lots()] == list(truth)
    for lot in known_lots():
        expected = truth[lot.lot_id].attributes.as_array()
        np.testing.assert_allclose(lot.attributes, expected, atol=1e-4)
