import numpy as np

from lotwise_simulator.benchmark import benchmark_v1, reference_lots
from lotwise_training.data import calibration_sets as calibration_tiles
from lotwise_training.data.calibration_sets import (
    CALIBRATION,
    FIRST_REGION,
    FRESH,
    fresh_tiles,
    scene_orders,
)
from lotwise_training.data.render_cache import render


def test_every_lot_has_as_many_tiles_from_regions_that_nothing_else_shows():
    orders = {name: scene_orders(name, 250) for name in (CALIBRATION, FRESH)}
    for of_set in orders.values():
        for lot in reference_lots():
            own = [order.n_tiles for order in of_set if order.lot == lot]
            assert own == [100, 100, 50]
    regions = {name: {order.region for order in of_set} for name, of_set in orders.items()}
    assert not regions[CALIBRATION] & regions[FRESH]
    elsewhere = {getattr(part, "region", 0) for parts in benchmark_v1().values() for part in parts}
    assert min(FIRST_REGION.values()) > max(elsewhere | {5_000})  # `lotwise simulate`
    assert FIRST_REGION[FRESH] - FIRST_REGION[CALIBRATION] > 1_000


def test_tiles_are_labelled_by_their_lot(monkeypatch, tmp_path):
    def rendered(name, sets, cache):
        (orders,) = sets.values()
        number = {lot: n for n, lot in enumerate(reference_lots())}
        images = [np.full((o.n_tiles, 2, 2), number[o.lot], dtype=np.uint8) for o in orders]
        return {name: np.concatenate(images)}, "of these orders"

    monkeypatch.setattr(calibration_tiles, "rendered", rendered)
    found = fresh_tiles(FRESH, 130, tmp_path)
    assert len(found) == 30 * 130
    np.testing.assert_array_equal(found.images[:, 0, 0], found.lots)


def test_a_tile_is_as_the_committee_sees_it():
    (order,) = scene_orders(CALIBRATION, 1)[:1]
    images = render(order)
    assert images.shape == (1, 64, 64)
