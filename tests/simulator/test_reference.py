"""The development set: names, separation, the ground lot's distance."""

from itertools import combinations

import numpy as np

from lotwise_simulator import reference
from lotwise_simulator.reference import BOX, ground_lot, reference_lots, visible_distance


def test_names_and_counts() -> None:
    assert [lot.lot_id for lot in reference_lots()] == list("ABCDEFGHIJ")
    assert [lot.lot_id for lot in reference.tested_lots()] == [f"T{i:02d}" for i in range(1, 41)]


def test_every_lot_has_its_own_seed_and_lies_in_the_box() -> None:
    lots = (*reference_lots(), *reference.tested_lots())
    assert len({lot.seed for lot in (*lots, ground_lot())}) == 51
    for lot in lots:
        values = lot.attributes.as_array()
        assert (values >= BOX[0] - 1e-6).all()
        assert (values <= BOX[1] + 1e-6).all()


def test_reference_lots_are_well_separated() -> None:
    pairs = combinations(reference_lots(), 2)
    assert min(visible_distance(a.attributes, b.attributes) for a, b in pairs) > 0.5


def test_tested_lots_fill_the_box() -> None:
    values = np.array([lot.attributes.as_array() for lot in reference.tested_lots()])
    for column in values.T:
        # Ten in each quarter of the range, give or take the scrambled prefix.
        counts, _ = np.histogram(column, bins=4, range=BOX)
        assert counts.min() >= 8, counts


def test_stresses_span_the_design_range() -> None:
    stresses = [lot.peak_stress_psi for lot in reference.tested_lots()]
    assert min(stresses) < 1200
    assert max(stresses) > 2600


def test_ground_lot_leaves_every_reference_lots_neighbourhood() -> None:
    ground = ground_lot().attributes
    to_nearest = min(visible_distance(ground, lot.attributes) for lot in reference_lots())
    between_neighbours = max(
        min(
            visible_distance(lot.attributes, other.attributes)
            for other in reference_lots()
            if other is not lot
        )
        for lot in reference_lots()
    )
    assert to_nearest > 1.2 * between_neighbours, (to_nearest, between_neighbours)
    assert ground.polydispersity > 1.0


def test_the_set_is_the_same_at_every_call() -> None:
    reference_lots.cache_clear()
    first = reference_lots()
    reference_lots.cache_clear()
    assert reference_lots() == first
