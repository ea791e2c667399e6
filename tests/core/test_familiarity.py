import dataclasses

import numpy as np
import pytest

from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.familiarity import Familiarity, energy, scores, tail_probabilities
from lotwise.core.familiarity_fit import (
    fit_block,
    fit_familiarity,
    inverse_root,
    shrunk_covariance,
)
from tests.support.committees import MEMBERS, known_tiles


@pytest.fixture(scope="module")
def familiarity():
    reference = known_tiles(800, 1)
    return fit_familiarity(reference, known_tiles(400, 2)[0], known_tiles(400, 3)[0])


def test_p_values_of_known_tiles_are_spread_evenly(familiarity):
    p = familiarity.p_values(known_tiles(4000, 4)[0])
    for level in (0.02, 0.05, 0.1, 0.5, 0.9):
        # 400 calibration tiles: the share at a level varies by sqrt(a (1 - a) / 400).
        assert (p <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * 0.98 / 400))
    assert p.min() >= 1 / 401
    assert p.max() <= 1


@pytest.mark.parametrize("shift", [-2.0, 2.0])
def test_a_shift_that_only_the_first_layers_see_is_strange(familiarity, shift):
    outputs, _ = known_tiles(500, 5, shift=shift)
    assert (familiarity.p_values(outputs) < 0.05).mean() > 0.9


def test_features_between_the_lots_are_strange(familiarity):
    outputs, labels = known_tiles(500, 6)
    features = outputs.blocks["features"]
    halfway = (features + features[np.argsort(labels)]) / 2
    moved = dataclasses.replace(outputs, blocks={**outputs.blocks, "features": halfway})
    strange = familiarity.p_values(moved)
    assert np.median(strange) < 0.1 < np.median(familiarity.p_values(outputs))


def test_doubt_alone_is_strange(familiarity):
    outputs, _ = known_tiles(300, 7)
    unsure = dataclasses.replace(outputs, logits=np.zeros_like(outputs.logits) - 8.0)
    assert np.median(familiarity.p_values(unsure)) < np.median(familiarity.p_values(outputs)) / 3


def test_a_tile_has_the_same_value_alone_as_among_others(familiarity):
    outputs, _ = known_tiles(600, 8)
    alone = [familiarity.p_values(outputs.take(slice(n, n + 1)))[0] for n in (0, 300, 599)]
    np.testing.assert_allclose(alone, familiarity.p_values(outputs)[[0, 300, 599]], atol=0.006)


def test_what_is_read_is_what_was_written(familiarity):
    content = familiarity.to_bytes()
    assert content == familiarity.to_bytes()  # its hash stands in calibration.json
    again = Familiarity.from_bytes(content)
    outputs, _ = known_tiles(50, 9)
    np.testing.assert_array_equal(again.p_values(outputs), familiarity.p_values(outputs))
    assert list(again.blocks) == ["features", "early"]
    for other in (content[: len(content) // 2], b"", b"lot,stress"):
        with pytest.raises(ValueError, match="npz"):
            Familiarity.from_bytes(other)


def test_committees_without_features_have_energy_and_entropy_left():
    def bare(n, seed):
        outputs, labels = known_tiles(n, seed)
        return CommitteeOutputs(outputs.logits), labels

    fitted = fit_familiarity(bare(100, 1), bare(300, 2)[0], bare(300, 3)[0])
    assert len(fitted.tails) == 2
    p = fitted.p_values(bare(2000, 4)[0])
    assert (p <= 0.1).mean() == pytest.approx(0.1, abs=0.07)


def test_distances_are_those_of_their_definition():
    rng = np.random.default_rng(0)
    outputs, labels = known_tiles(400, 1)
    block = outputs.blocks["features"]
    fitted = fit_block(block, labels)
    asked = rng.normal(0, 2, (7, MEMBERS, block.shape[2]))
    found = fitted.distances(asked)
    squared = np.zeros((7, 4))
    for member in range(MEMBERS):
        values = block[:, member]
        means = np.stack([values[labels == lot].mean(axis=0) for lot in range(4)])
        centred = values - means[labels]
        covariance = centred.T @ centred / (len(values) - 4)
        for lot in range(4):
            away = asked[:, member] - means[lot]
            squared[:, lot] += (away @ np.linalg.inv(covariance) * away).sum(axis=1) / MEMBERS
    # Shrinkage and half precision keep it from being the same.
    np.testing.assert_allclose(found[:, 0], np.sqrt(squared.min(axis=1)), rtol=0.05)
    # A tile of the bank is near its neighbours, a far one is not.
    assert fitted.distances(block[:5])[:, 1].max() < fitted.distances(block[:5] + 9)[:, 1].min()


def test_covariances_of_few_samples_can_be_inverted():
    rng = np.random.default_rng(1)
    few = rng.normal(size=(10, 30))
    few[:, 3] = 0.0  # a dead channel
    covariance = shrunk_covariance(few - few.mean(axis=0))
    root = inverse_root(covariance)
    np.testing.assert_allclose(root @ covariance @ root, np.eye(30), atol=1e-8)
    many = rng.normal(size=(20_000, 4)) * [1, 2, 3, 4]
    np.testing.assert_allclose(np.diag(shrunk_covariance(many)), [1, 4, 9, 16], rtol=0.05)


def test_a_dead_channel_that_wakes_up_is_far_away():
    outputs, labels = known_tiles(400, 1)
    dead = outputs.blocks["early"].copy()
    dead[:, :, 0] = 0.25
    fitted = fit_block(dead, labels)
    awake = dead[:20].copy()
    awake[:, :, 0] = 1.0
    assert np.isfinite(fitted.distances(awake)).all()
    assert fitted.distances(awake)[:, 0].min() > fitted.distances(dead[:20])[:, 0].max()


def test_energy_is_low_where_a_lot_is_supported():
    logits = np.array([[[10.0, 0.0], [10.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    np.testing.assert_allclose(energy(logits), [-np.log(np.exp(10) + 1), -np.log(2)])


def test_tail_probabilities_count_the_value_itself():
    tails = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)
    found = tail_probabilities(tails, np.array([[0.0], [2.0], [2.5], [9.0]]))
    np.testing.assert_allclose(found[:, 0], [1.0, 0.75, 0.5, 0.25])


def test_the_statistics_of_sixteen_members_and_thirty_lots_fit_into_two_mebibytes():
    rng = np.random.default_rng(0)
    n, labels = 1200, np.arange(1200) % 30
    blocks = {
        name: (rng.normal(size=(n, 16, d)) + labels[:, None, None] % 7).astype(np.float16)
        for name, d in (("features", 128), ("early", 64))
    }
    outputs = CommitteeOutputs(rng.normal(size=(n, 16, 30)), blocks)
    rows = np.arange(n)
    fitted = fit_familiarity(
        (outputs, labels), outputs.take(rows[:450]), outputs.take(rows[450:900])
    )
    assert scores(fitted.blocks, outputs.take(rows[:3])).shape == (3, 6)
    assert len(fitted.to_bytes()) < 2 * 2**20
