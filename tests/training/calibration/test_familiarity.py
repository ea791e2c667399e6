"""What is fitted at the end of a regressor's training, and how it is measured."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from lotwise.core.committee_outputs import BLOCKS
from lotwise.core.errors import Contradiction
from lotwise.core.known_tiles import KNOWN_TILES_FILE, KnownTiles
from lotwise_training.calibration import familiarity as known_tiles
from lotwise_training.calibration.familiarity import fit_known_tiles
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.evaluation.familiarity_predictions import (
    NEW_LOTS,
    FamiliarityResult,
)
from lotwise_training.evaluation.tile_sets import words
from lotwise_training.export.repository import write_repository
from lotwise_training.models.heads import ObservedRegressor
from lotwise_training.models.wide_resnet import TileRegressor, target_scaling
from lotwise_training.report.property import FAMILIARITY, LEVELS, familiarity_section, ood_records
from lotwise_training.report.render import Inputs
from lotwise_training.report.served_models import RecheckFailed
from lotwise_training.store.arrays import read, write
from lotwise_training.training.tasks.property import SERVED, regressor_splits, served_name
from tests.training.small_lots import folder_lots
from tests.training.small_runs import small_network, write_regressor
from tests.training.striped_lots import RECIPE, striped_lots


@pytest.fixture(scope="module")
def regressor():
    torch.manual_seed(3)
    scaling = target_scaling(1000.0, 2000.0, logarithmic=True)
    return TileRegressor(small_network(3, 4), *scaling, unshuffle=2, logarithmic=True).eval()


def test_the_map_and_the_features_are_those_of_the_property(regressor):
    image = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    observed = ObservedRegressor.of(regressor).eval()
    with torch.no_grad():
        value, features, early, seen = observed(image)
        torch.testing.assert_close(value, regressor(image))
        torch.testing.assert_close(
            features, regressor.network.features(regressor.network_input(image))
        )
        # With the head's bias, the mean of the map is what the head gives.
        logit = seen.mean(dim=(1, 2)) + regressor.network.head.bias[0]
        torch.testing.assert_close(regressor.in_unit(logit), value[:, 0])
    assert (features.shape, early.shape, seen.shape) == ((2, 64), (2, 32), (2, 8, 8))
    assert observed.state_dict().keys() == regressor.state_dict().keys()


def test_the_map_is_gradcam_up_to_a_factor(regressor):
    image = torch.randint(0, 256, (1, 1, 64, 64), dtype=torch.uint8)
    _, last = regressor.network.activations(regressor.network_input(image))
    last = last.detach().requires_grad_(True)
    logits = regressor.network.head(last.mean(dim=(2, 3)))[:, :1]
    (slopes,) = torch.autograd.grad(regressor.in_unit(logits).sum(), last)
    gradcam = (slopes.mean(dim=(2, 3), keepdim=True) * last).sum(dim=1).detach()
    with torch.no_grad():
        *_, seen = ObservedRegressor.of(regressor).eval()(image)
    factor = float(gradcam.abs().max() / seen.abs().max())
    torch.testing.assert_close(gradcam, factor * seen, rtol=1e-3, atol=1e-5 * factor)


def test_a_regressor_of_several_outputs_has_no_map():
    several = TileRegressor(small_network(4), 0.0, 1.0, outputs=4)
    with pytest.raises(ValueError, match="not of 4"):
        ObservedRegressor.of(several)


WIDTHS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12)


@pytest.fixture(scope="module")
def fitted(regressor):
    data = striped_lots(WIDTHS)
    return data, known_tiles.fit_known_tiles(regressor, data, RECIPE)


def test_examples_are_tiles_that_were_learned_from(fitted, regressor):
    data, known = fitted
    train = regressor_splits(data, RECIPE)[served_name()].train
    assert len(known.examples) == len(train)  # fewer than are kept, so all
    values = dict(zip(data.table.lot_ids, data.table.values, strict=True))
    assert all(example.value == values[example.lot_id] for example in known.examples)
    with Image.open(io.BytesIO(known.examples[0].jpeg)) as picture:
        assert picture.size == data.images.shape[1:]
    # A tile that was learned from is its own nearest example.
    seen = known_tiles.look(regressor, data.images[train])
    nearest = known.nearest(seen, 1)
    lots = [data.table.lot_ids[lot] for lot in data.lots[train]]
    assert [found[0][0].lot_id for found in nearest] == lots
    assert max(found[0][1] for found in nearest) < 0.05


def test_familiarity_rests_on_tiles_that_were_not_learned_from(fitted):
    data, known = fitted
    unseen = len(data) - len(regressor_splits(data, RECIPE)[served_name()].train)
    # Half of the lots are the bank; the others calibrate.
    assert known.statement.calibration_tiles == unseen // 2
    assert known.statement.lots == len(WIDTHS)
    assert set(known.familiarity.blocks) == set(BLOCKS)


def test_what_has_no_stripes_is_strange_to_it(fitted, regressor):
    data, known = fitted
    ramp = np.linspace(0, 255, data.images.shape[2]).astype(np.uint8)
    ramps = np.broadcast_to(ramp, (5, *data.images.shape[1:])).copy()
    strange = known.p_values(known_tiles.look(regressor, ramps))
    # At most one of the tiles that calibrate is as strange.
    assert strange.max() <= 2.001 / (1 + len(known.familiarity.fused))
    assert np.median(known.p_values(known_tiles.look(regressor, data.images))) > 0.2


def test_too_few_lots_say_nothing_and_leave_no_file(regressor, tmp_path, monkeypatch):
    few = striped_lots(WIDTHS[: known_tiles.LEAST_LOTS - 1])
    assert known_tiles.fit_known_tiles(regressor, few, RECIPE) is None
    monkeypatch.setattr(known_tiles, "load_regressor", lambda path: regressor)
    former = tmp_path / SERVED / KNOWN_TILES_FILE
    former.parent.mkdir()
    former.write_bytes(b"of another run")
    assert "fewer than 8 lots" in known_tiles.write_known_tiles(few, RECIPE, tmp_path)
    assert not former.exists()


def test_the_file_belongs_to_the_regressor(fitted, regressor, tmp_path, monkeypatch):
    data, known = fitted
    monkeypatch.setattr(known_tiles, "load_regressor", lambda path: regressor)
    said = known_tiles.write_known_tiles(data, RECIPE, tmp_path)
    assert f"{len(WIDTHS)} lots" in said
    read = KnownTiles.read(tmp_path / SERVED / KNOWN_TILES_FILE)
    assert read.statement == known.statement
    read.check_weights(committee_sha256([regressor]))


SAID = {
    NEW_LOTS: np.linspace(0.001, 1.0, 1000, dtype=np.float32),
    "photographs": np.full(50, 0.001, dtype=np.float32),
    "ground": np.linspace(0.001, 1.0, 50, dtype=np.float32),
}


def test_what_is_strange_is_counted_and_told_from_new_lots():
    known, photographs, ground = ood_records(SAID).rows(FAMILIARITY)

    def flagged(row):
        return [row.value(f"flagged_{level:g}") for level in LEVELS]

    assert flagged(known) == pytest.approx((0.005, 0.01, 0.05), abs=1e-3)
    assert known.metrics["auroc"].value is None
    assert flagged(photographs) == [1.0, 1.0, 1.0]
    assert photographs.value("auroc") == pytest.approx(0.9995)
    assert ground.value("auroc") == pytest.approx(0.5, abs=0.01)


def test_the_report_has_the_section_and_refuses_other_known_tiles(fitted, tmp_path):
    _, known = fitted
    results, models = tmp_path / "results", tmp_path / "models"
    assert familiarity_section(Inputs(results, models)) is None
    results.mkdir()
    write(results, FamiliarityResult(1, "tiny", known.statement, SAID))
    assert read(FamiliarityResult, results).sets.keys() == SAID.keys()
    known.write(models / "regressor" / KNOWN_TILES_FILE)
    section = familiarity_section(Inputs(results, models))
    assert [row[0] for row in section.tables[0].cells] == [words(name) for name in SAID]
    assert section.records.rows(FAMILIARITY)[1].value("auroc") == pytest.approx(0.9995)
    other = known.statement.model_copy(update={"version": "another"})
    write(results, FamiliarityResult(1, "tiny", other, SAID))
    with pytest.raises(RecheckFailed, match="another"):
        familiarity_section(Inputs(results, models))


def test_an_export_with_known_tiles_of_another_regressor_is_refused(fitted, tmp_path):
    _, known = fitted
    write_regressor(tmp_path / "runs")
    known.write(tmp_path / "runs" / SERVED / KNOWN_TILES_FILE)
    with pytest.raises(Contradiction) as refused:
        write_repository(
            tmp_path / "runs", tmp_path / "models", tmp_path / "none", only=["regressor"]
        )
    assert refused.value.reason == "KNOWN_TILES_MISMATCH"


@pytest.mark.parametrize(("regions", "tiles"), [(24, 40), (23, None)])
def test_of_a_folder_only_tiles_that_are_kept_to_calibrate_count(regressor, regions, tiles):
    data = folder_lots(
        *[[(1, 1)] * regions] * 8,
        px=32,
        property_name="load",
        values=np.arange(8.0),
    )
    known = fit_known_tiles(regressor, data, RECIPE)
    # Of 4 of the 8 lots; the bank is made of the others.
    assert (None if known is None else known.statement.calibration_tiles) == tiles
