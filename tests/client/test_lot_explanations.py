"""Explanations of whole lots through both clients, of the shipped models."""

import pytest

from lotwise.client import DeadlineExceeded, InvalidRequest, LotProgress, Tile
from tests.support.tiles import png

FEW = {"starts": 1, "max_evaluations": 2, "alone": 0, "front": 0}


@pytest.fixture
def lot(tmp_path, pictures):
    folder = tmp_path / "R01"
    folder.mkdir()
    for index, picture in enumerate(pictures[:3]):
        (folder / f"{index}.png").write_bytes(png(picture))
    (folder / "lot.json").write_text('{"um_per_px": 1.0, "simulated": true}')
    return folder


async def test_a_folder_is_swept_with_progress_and_quartiles(asker, lot):
    said = []
    swept = await asker.ask(
        "explain_lot_forward", lot, vary="size", steps=2, sample=2, on_progress=said.append
    )
    assert (swept.lot_id, swept.simulated, swept.trained_on_simulated_lots) == ("R01", True, True)
    assert (swept.received, swept.usable, swept.sampled, swept.poor) == (3, 3, 2, 0)
    (curve,) = swept.curves
    assert curve.attribute == "size"
    assert [value for value, _ in curve.points] == [0.0, 1.0]
    for _, spread in curve.points:
        assert spread.lower_quartile.psi <= spread.median.psi <= spread.upper_quartile.psi
        assert spread.mean.mpa == pytest.approx(spread.mean.psi * 0.006894757293168361)
    assert curve.sensitivity.lower.value <= curve.sensitivity.mean.value
    assert set(swept.attributes) == {"size", "porosity", "polydispersity", "facetness"}
    assert said[:3] == [LotProgress(1, 0, 0), LotProgress(2, 0, 0), LotProgress(3, 0, 0)]
    assert said[-1].judged == said[-1].expected == 2 * 3


async def test_a_change_of_a_list_of_tiles_is_found_in_the_callers_unit(asker, pictures):
    tiles = [Tile(picture, um_per_px=1.0) for picture in pictures[:2]]
    found = await asker.ask(
        "explain_lot_backward", tiles, target=8.0, unit="MPa", lot_id="R01", **FEW
    )
    assert found.target.mpa == pytest.approx(8.0)
    assert found.target.unit == "psi"
    assert len(found.changes) == 4
    assert found.own_changes == {}
    assert found.front == ()
    assert found.image.array().shape == (256, 256)
    assert found.sampled == 2
    assert 0.0 <= found.share_reaching <= 1.0
    assert found.after_mean.lower.psi <= found.after.mean.psi <= found.after_mean.upper.psi


async def test_tiles_that_cannot_be_used_are_named_with_why(asker, lot, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    tiles = [lot / "0.png", broken, tmp_path / "gone.png"]
    swept = await asker.ask("explain_lot_forward", tiles, vary="size", steps=2, lot_id="R01")
    unreadable, gone = swept.failed
    assert (unreadable.tile_id, unreadable.reason) == ("broken.png", "TILE_UNSUPPORTED_FORMAT")
    assert "No such file" in gone.message
    assert swept.sampled == 1


@pytest.mark.parametrize(
    ("method", "options", "reason"),
    [
        ("explain_lot_forward", {"vary": "colour"}, "ATTRIBUTE_UNKNOWN"),
        ("explain_lot_forward", {"sample": 300}, "SAMPLE_TOO_LARGE"),
        ("explain_lot_backward", {"target": 1.0, "unit": "bar"}, "TARGET_INVALID"),
        ("explain_lot_backward", {"target": 1500.0, "front": 99}, "FRONT_OUT_OF_RANGE"),
    ],
)
async def test_what_cannot_be_answered_is_an_invalid_request(asker, lot, method, options, reason):
    with pytest.raises(InvalidRequest) as refused:
        await asker.ask(method, lot, **options)
    assert refused.value.reason == reason


async def test_what_the_source_of_tiles_raises_reaches_the_caller(asker, pictures):
    def scan():
        yield Tile(pictures[0], um_per_px=1.0)
        raise RuntimeError("the stage is stuck")

    with pytest.raises(RuntimeError, match="the stage is stuck"):
        await asker.ask("explain_lot_forward", scan(), steps=2, lot_id="R01")


async def test_a_deadline_that_leaves_no_time_at_all_is_told(asker, lot):
    with pytest.raises(DeadlineExceeded):
        await asker.ask("explain_lot_forward", lot, vary="size", timeout=0.001)
