"""Edits are measured as they are: by an editor and a meter whose doings are known."""

import numpy as np
import pytest
from torch import nn

from lotwise_simulator import ATTRIBUTE_NAMES, benchmark, peak_stress_psi
from lotwise_simulator.attributes import Attributes
from lotwise_training.evaluation.edit_response import (
    STEP,
    TILES_PER_LOT,
    current_attributes,
    measure_edits,
    simulate_edits,
    target_attributes,
)
from lotwise_training.evaluation.edits import SIMULATOR, EditResult, edit_figures
from lotwise_training.store.arrays import ResultsError, read, write

LOTS = benchmark.new_lots()[:2]
GREY = 100.0


class Brightness(nn.Module):
    """Reads as attribute i what the i-th quarter of the tile has of brightness."""

    def forward(self, image):
        quarters = image.float().reshape(len(image), 4, -1).mean(dim=2)
        return quarters / 200.0


class Sum(nn.Module):
    """A property: 1,000 and the brightness."""

    def forward(self, image):
        return 1000.0 + image.float().mean(dim=(1, 2, 3))[:, None]


class Painter(nn.Module):
    """Brightens the i-th quarter by 80% of what is asked of attribute i, the next one by 10%."""

    def encode(self, image, own):
        return image.float(), own

    def decode(self, latent, skip, wanted):
        change = wanted - skip
        quarters = latent.reshape(len(latent), 4, -1)
        leak = 0.1 * change.roll(1, dims=1)
        return (quarters + 200.0 * (0.8 * change + leak)[:, :, None]).reshape(latent.shape)


@pytest.fixture(scope="module")
def edits():
    images = np.full((len(LOTS) * TILES_PER_LOT, 64, 64), GREY, dtype=np.uint8)
    return measure_edits(Painter(), LOTS, images, Brightness(), Sum(), title="painted")


def test_each_attribute_is_asked_for_once_down_and_once_up():
    own = np.array([0.5, 0.1, 0.95, 0.5], dtype=np.float32)
    wanted = target_attributes(own)
    assert wanted.shape == (4, 2, 4)
    np.testing.assert_allclose(wanted[0], [[0.2, 0.1, 0.95, 0.5], [0.8, 0.1, 0.95, 0.5]])
    np.testing.assert_allclose(wanted[1, :, 1], [0.0, 0.4], atol=1e-6)
    np.testing.assert_allclose(wanted[2, :, 2], [0.65, 1.0])


def test_the_response_is_what_the_editor_does(edits):
    figures = edit_figures({SIMULATOR: edits, "attgan": edits})["attgan"]
    wanted = 0.8 * np.eye(4) + 0.1 * np.roll(np.eye(4), 1, axis=1)
    np.testing.assert_allclose(figures.response.value, wanted, atol=1e-3)
    np.testing.assert_allclose(figures.response.low, wanted, atol=1e-3)
    assert figures.response.least_diagonal == pytest.approx(0.8, abs=1e-3)
    assert figures.response.most_off_diagonal == pytest.approx(0.1, abs=1e-3)
    # A quarter of the tile by 0.9 of 200 grey levels.
    np.testing.assert_allclose(figures.slopes, 45.0, rtol=1e-3)
    np.testing.assert_allclose(figures.true_signs, 1.0)
    assert (figures.tiles, figures.lots) == (8, 2)


def test_an_editor_that_changes_nothing_unasked_returns_the_tile(edits):
    assert edits.redrawn_psnr_db.min() > 100
    np.testing.assert_array_equal(edits.redrawn_shift, 0.0)
    assert edits.returned_psnr_db.shape == (8, 4)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    return simulate_edits(LOTS, Brightness(), tmp_path_factory.mktemp("data"))


def test_the_truth_is_the_same_lot_made_again_with_one_change(simulated):
    tiles, truth = simulated
    assert tiles.shape == (8, 256, 256)
    own = LOTS[1].attributes.as_array()
    size = ATTRIBUTE_NAMES.index("size")
    up = own.copy()
    up[size] = min(1.0, own[size] + STEP)
    rise = peak_stress_psi(Attributes.from_array(up)) - LOTS[1].peak_stress_psi
    assert truth.property[4, size, 1] == pytest.approx(rise, rel=1e-4)
    assert truth.requested[4, size, 1] == pytest.approx(up[size] - own[size], abs=1e-6)
    assert truth.measured.shape == (8, 4, 2, 4)
    assert np.abs(truth.measured).max() > 1e-4


def test_lots_are_known_by_their_scores():
    own = current_attributes(LOTS)
    assert own.shape == (2, 4)
    true = np.stack([lot.attributes.as_array() for lot in LOTS])
    assert 0 < np.abs(own - true).max() < 0.3


def test_what_is_measured_is_kept_and_read_back(edits, simulated, tmp_path):
    sets = {SIMULATOR: simulated[1], "attgan": edits}
    write(tmp_path, EditResult(1, "tiny", "attgan", ATTRIBUTE_NAMES, "psi", {}, {}, sets))
    stored = read(EditResult, tmp_path)
    kept, manifest = stored.sets, stored.manifest()
    assert list(kept) == [SIMULATOR, "attgan"]
    np.testing.assert_array_equal(kept["attgan"].measured, edits.measured)
    assert manifest["attributes"] == list(ATTRIBUTE_NAMES)
    figures = edit_figures(kept)
    assert figures[SIMULATOR].redrawn_psnr_db is None
    assert 0 <= figures["attgan"].true_signs.min() <= figures["attgan"].true_signs.max() <= 1


def test_measurements_without_their_manifest_are_refused(tmp_path):
    with pytest.raises(ResultsError):
        read(EditResult, tmp_path)
