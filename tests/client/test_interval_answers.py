"""Intervals through both clients and the command line, of small fold networks."""

import json

import pytest
import pytest_asyncio

from lotwise.client import (
    Contradiction,
    DeadlineExceeded,
    EngineUnavailable,
    InvalidRequest,
    InvalidTile,
    Tile,
    TileFailure,
)
from lotwise.runtime.server import RunningService
from lotwise.uncertainty import __main__ as uncertainty
from lotwise.uncertainty.settings import UncertaintySettings
from tests.support import folds
from tests.support.command import ask, lines_of
from tests.support.tiles import png

PSI_IN_MPA = 0.006894757293168361


@pytest_asyncio.fixture(scope="module")
async def running(tmp_path_factory):
    """The uncertainty service over small fold networks."""
    repository = tmp_path_factory.mktemp("models")
    folds.add_committee(repository)
    folds.add_folds(repository)
    settings = UncertaintySettings(
        engine="onnxruntime",
        model_repository=repository,
        intervals_file=repository / "regressor_folds" / "intervals.json",
        drain_s=0.0,
    )
    async with RunningService(uncertainty.build(settings), settings) as service:
        yield service


@pytest.fixture
def asker(make_asker, running):
    return make_asker(uncertainty=f"127.0.0.1:{running.port}")


@pytest.fixture
def lot(tmp_path, pictures):
    folder = tmp_path / "R01"
    folder.mkdir()
    for index, picture in enumerate(pictures[:5]):
        (folder / f"{index}.png").write_bytes(png(picture))
    (folder / "lot.json").write_text('{"um_per_px": 1.0, "simulated": true}')
    return folder


async def test_a_tiles_interval_in_both_units(asker, lot):
    answer = await asker.ask("interval", lot / "0.png", coverage=0.8)
    made = answer.interval
    assert (answer.lot_id, answer.simulated, made.kind) == ("R01", True, "tile")
    assert made.lower.psi < made.point.psi < made.upper.psi
    assert made.lower.mpa == pytest.approx(made.lower.psi * PSI_IN_MPA)
    assert (made.coverage, made.property_name) == (0.8, "peak stress")
    assert (made.calibration_lots, made.calibration_recipes) == (30, 30)
    assert made.calibration_version == folds.calibration().calibration_version
    assert "in practice" in made.guarantee
    assert 0 < made.guaranteed_coverage < 0.8
    default = await asker.ask("interval", lot / "0.png")
    assert default.interval.coverage == 0.9


async def test_many_tiles_give_one_interval_each_in_order(asker, lot, tmp_path):
    files = [lot / "1.png", tmp_path / "gone.png", lot / "0.png"]
    first, gone, second = await asker.ask_many("interval_many", files, coverage=0.75)
    assert (first.tile_id, second.tile_id) == ("1.png", "0.png")
    assert first.interval.coverage == second.interval.coverage == 0.75
    assert isinstance(gone, TileFailure)
    assert gone.reason == "TILE_EMPTY"


async def test_a_lot_is_a_folder_or_a_list(asker, lot, pictures):
    answer = await asker.ask("lot_interval", lot, coverage=0.8)
    assert (answer.lot_id, answer.tiles, answer.poor_tiles) == ("R01", 5, 0)
    assert answer.simulated
    assert answer.trained_on_simulated_lots
    assert answer.failed == ()
    assert (answer.interval.kind, answer.interval.coverage) == ("lot", 0.8)
    assert answer.provenance.models[0].name == "regressor_folds"
    tiles = [Tile(picture, um_per_px=1.0) for picture in pictures[:5]]
    again = await asker.ask("lot_interval", tiles, lot_id="mine", coverage=0.8)
    assert (again.lot_id, again.simulated) == ("mine", False)
    assert again.interval.upper.psi == pytest.approx(answer.interval.upper.psi)


async def test_tiles_that_cannot_be_used_are_named_with_why(asker, lot, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    tiles = [*sorted(lot.glob("*.png")), broken, tmp_path / "gone.png"]
    answer = await asker.ask("lot_interval", tiles, lot_id="R01")
    assert answer.tiles == 5
    unreadable, gone = answer.failed
    assert (unreadable.tile_id, unreadable.reason) == ("broken.png", "TILE_UNSUPPORTED_FORMAT")
    assert isinstance(unreadable.error, InvalidTile)
    # What was wrong here is said, not that an empty tile came.
    assert gone.tile_id == "gone.png"
    assert "No such file" in gone.message


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"coverage": 0.97}, "COVERAGE_UNCERTIFIABLE"),
        ({"coverage": 90.0}, "COVERAGE_OUT_OF_RANGE"),
        ({"lot_id": ""}, "LOT_MISSING"),
    ],
)
async def test_what_cannot_be_answered_is_an_invalid_request(asker, pictures, arguments, reason):
    tiles = [Tile(picture, um_per_px=1.0) for picture in pictures[:5]]
    with pytest.raises(InvalidRequest) as refused:
        await asker.ask("lot_interval", tiles, **{"lot_id": "R01", **arguments})
    assert refused.value.reason == reason


async def test_a_lot_of_one_tile_is_refused_and_says_what_to_do(asker, pictures):
    tile = Tile(pictures[0], um_per_px=1.0)
    with pytest.raises(InvalidRequest, match="interval of each tile") as refused:
        await asker.ask("lot_interval", [tile], lot_id="R01")
    assert refused.value.reason == "LOT_TOO_FEW_TILES"
    with pytest.raises(InvalidRequest) as empty:
        await asker.ask("lot_interval", [], lot_id="R01")
    assert empty.value.reason == "LOT_EMPTY"


async def test_what_the_source_of_tiles_raises_reaches_the_caller(asker, pictures):
    def scan():
        yield Tile(pictures[0], um_per_px=1.0)
        raise RuntimeError("the stage is stuck")

    with pytest.raises(RuntimeError, match="the stage is stuck"):
        await asker.ask("lot_interval", scan(), lot_id="R01")


async def test_a_service_that_is_not_there_and_a_deadline_are_told(make_asker, running, lot):
    nowhere = make_asker(uncertainty="127.0.0.1:1", retries=0)
    with pytest.raises(EngineUnavailable, match="lotwise up"):
        await nowhere.ask("lot_interval", lot)
    hasty = make_asker(uncertainty=f"127.0.0.1:{running.port}")
    with pytest.raises(DeadlineExceeded):
        await hasty.ask("lot_interval", lot, timeout=1e-4)


async def test_without_intervals_it_is_a_contradiction(make_asker, repository, lot, tmp_path):
    settings = UncertaintySettings(
        engine="onnxruntime",
        model_repository=repository,
        intervals_file=tmp_path / "none.json",
        drain_s=0.0,
    )
    async with RunningService(uncertainty.build(settings), settings) as service:
        asker = make_asker(uncertainty=f"127.0.0.1:{service.port}")
        for question in (("interval", lot / "0.png"), ("lot_interval", lot)):
            with pytest.raises(Contradiction) as refused:
                await asker.ask(*question)
            assert refused.value.reason == "INTERVALS_MISSING"


async def command(running, *arguments):
    return await ask(
        "interval", *arguments, service="uncertainty", services={"uncertainty": running}
    )


async def test_the_command_shows_intervals_of_tiles(running, lot, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    done = await command(running, lot, broken, "--coverage", 0.8)
    assert done.returncode == 1  # one tile has no answer, the others have
    assert done.stdout.count("R01 simulated") == 5
    assert "peak stress" in done.stdout
    assert "in practice" in " ".join(done.stdout.split())
    assert f"{broken}: TILE_UNSUPPORTED_FORMAT" in done.stdout
    told = lines_of(await command(running, lot, "--json", "--unit", "MPa"))
    assert len(told) == 5
    assert all(line["lower"] < line["point"] < line["upper"] for line in told)
    assert {line["unit"] for line in told} == {"MPa"}
    assert told[0]["coverage"] == 0.9
    assert told[0]["reading"]["um_per_px"] == 1.0


async def test_the_command_shows_intervals_of_whole_lots(running, lot, tmp_path, pictures):
    few = tmp_path / "few"
    few.mkdir()
    (few / "0.png").write_bytes(png(pictures[0]))
    (lot / "broken.png").write_bytes(b"no picture")
    done = await command(running, "--whole-lots", lot, few, "--um-per-px", 1)
    assert done.returncode == 1
    row = next(line.split() for line in done.stdout.splitlines() if "R01 simulated" in line)
    assert row[2] == "5"
    assert f"{few}: LOT_TOO_FEW_TILES" in done.stdout
    assert "R01/broken.png: TILE_UNSUPPORTED_FORMAT" in done.stdout
    assert "trained on simulated lots" in done.stdout
    done = await command(running, "--whole-lots", lot, few, "--um-per-px", 1, "--json")
    good, bad = map(json.loads, done.stdout.splitlines())
    assert (good["lot_id"], good["tiles"], good["kind"]) == ("R01", 5, "lot")
    assert [each["tile_id"] for each in good["failed"]] == ["broken.png"]
    assert bad["error"]["reason"] == "LOT_TOO_FEW_TILES"


@pytest.mark.parametrize("which", [(), ("--whole-lots",)])
async def test_a_coverage_that_cannot_be_certified_is_said_once(running, lot, which):
    done = await command(running, *which, lot, "--coverage", 0.99)
    assert done.returncode == 1
    assert done.stderr.count("COVERAGE_UNCERTIFIABLE") == 1
    assert "needs 99 calibration recipes; there are 30" in done.stderr
    assert done.stdout == ""
