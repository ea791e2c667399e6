"""What the diagnosis is fitted on is other than what it is judged by."""

import numpy as np

from lotwise_simulator import benchmark
from lotwise_simulator.instrument import NOMINAL
from lotwise_training.data.render_cache import RenderOrder
from lotwise_training.data.synthetic_shifts import (
    BENCHMARK_FRACTURE,
    SAME_LOT,
    ground_lots,
    new_lots,
    random_state,
)

LOTS = new_lots(300)


def points(lots):
    return np.stack([lot.attributes.as_array() for lot in lots])


def test_new_lots_are_no_lots_of_the_benchmark():
    assert len({lot.lot_id for lot in LOTS}) == 300
    distance = np.abs(points(LOTS)[:, None] - points(benchmark.reference_lots())).max(axis=2)
    assert distance.min() > SAME_LOT
    others = (*benchmark.new_lots(), *benchmark.between_lots(), *benchmark.ground_lots())
    distance = np.abs(points(LOTS)[:, None] - points(others)).max(axis=2)
    assert distance.min() > 1e-3
    seeds = {lot.seed for lot in (*others, *benchmark.reference_lots())}
    assert not seeds & {lot.seed for lot in LOTS}


def test_ground_lots_are_ground_otherwise_than_the_benchmarks():
    ground = ground_lots(LOTS[:100], 60)
    low, high = BENCHMARK_FRACTURE
    assert low < benchmark.GROUND_FRACTURE < high
    assert not [lot for lot in ground if low < lot.fracture < high]
    assert {lot.fracture < low for lot in ground} == {True, False}
    assert len({lot.seed for lot in ground} | {lot.seed for lot in LOTS}) == 360


def test_no_state_of_the_microscope_is_a_filament_of_the_benchmark():
    rng = np.random.default_rng(1)
    states = [random_state(rng) for _ in range(500)]
    for state in states:
        assert state != NOMINAL
        assert state.gain == NOMINAL.gain or state.dose == NOMINAL.dose
    for filament in benchmark.FILAMENTS.values():
        assert filament.gain != NOMINAL.gain
        assert filament.dose != NOMINAL.dose
    changed = {name for state in states for name in changes(state)}
    assert len(changed) == 8


def changes(state):
    return [name for name in state.__slots__ if getattr(state, name) != getattr(NOMINAL, name)]


def test_tiles_of_the_nominal_instrument_keep_their_old_name_in_the_cache():
    plain = RenderOrder(LOTS[0], 0, 4, 64)
    assert "instrument" not in plain.definition()
    rng = np.random.default_rng(2)
    shifted = RenderOrder(LOTS[0], 0, 4, 64, instrument=random_state(rng))
    assert set(shifted.definition()) - set(plain.definition()) == {"instrument"}
