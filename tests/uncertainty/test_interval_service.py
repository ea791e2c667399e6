"""Intervals over a real gRPC connection, of small fold networks in the in-process engine."""

import shutil
from contextlib import asynccontextmanager

import grpc
import numpy as np
import pytest
import pytest_asyncio
from prometheus_client import generate_latest

from lotwise.core.preprocessing import resample_area
from lotwise.runtime.server import RunningService
from lotwise.runtime.status import reason_of
from lotwise.uncertainty import __main__ as uncertainty
from lotwise.uncertainty.settings import UncertaintySettings
from lotwise.v1 import interval_pb2, tile_pb2, uncertainty_pb2, uncertainty_pb2_grpc
from tests.support import folds
from tests.support.tiles import BAD_TILE_REASONS, bad_tiles, png


@pytest.fixture(scope="module")
def small_repository(tmp_path_factory):
    repository = tmp_path_factory.mktemp("models")
    folds.add_committee(repository)
    folds.add_folds(repository)
    return repository


@asynccontextmanager
async def serving(repository, **changes):
    """The uncertainty service over a repository: its stub and its metrics."""
    settings = UncertaintySettings(
        **{
            "engine": "onnxruntime",
            "model_repository": repository,
            "intervals_file": repository / "regressor_folds" / "intervals.json",
            "drain_s": 0.0,
            **changes,
        }
    )
    service = uncertainty.build(settings)
    async with (
        RunningService(service, settings) as running,
        grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        yield uncertainty_pb2_grpc.UncertaintyServiceStub(channel), service.registry


@pytest_asyncio.fixture(scope="module")
async def served(small_repository):
    async with serving(small_repository) as made:
        yield made


@pytest.fixture
def stub(served):
    return served[0]


async def lot_interval(stub, tiles, **fields):
    async def messages():
        for tile in tiles:
            yield interval_pb2.LotIntervalRequest(tile=tile, **fields)

    return await stub.LotInterval(messages())


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value), caught.value.code(), caught.value.details()


def said(picture):
    """What the three networks say of a picture."""
    return np.array(folds.FACTORS) * resample_area(picture, 64).mean()


async def test_a_tiles_interval_is_made_of_all_networks_and_all_residuals(
    stub, make_tile, pictures
):
    answer = await stub.Interval(interval_pb2.IntervalRequest(tile=make_tile()))
    low, middle, high = said(pictures[0])
    made = answer.interval
    assert made.kind == interval_pb2.INTERVAL_KIND_TILE
    assert (made.property, made.unit) == ("peak stress", "psi")
    assert made.point == pytest.approx(middle, rel=1e-5)
    # Of 30 lots in three folds, the 28th smallest of 31: in the fold that says most.
    assert made.upper == pytest.approx(high * np.exp(0.1), rel=1e-5)
    assert made.lower == pytest.approx(low * np.exp(-0.1), rel=1e-5)
    assert (made.coverage, made.calibration_lots, made.calibration_recipes) == (0.9, 30, 30)
    assert 0 < made.guaranteed_coverage < 0.8
    assert "held out whole" in made.guarantee
    assert made.calibration_version == folds.calibration().calibration_version
    assert (answer.tile_id, answer.lot_id) == ("tile-0", "R01")
    assert answer.quality.verdict != tile_pb2.QUALITY_VERDICT_UNSPECIFIED
    assert answer.reading.um_per_px == 1.0
    assert answer.provenance.models[0].name == "regressor_folds"
    assert answer.provenance.models[0].weights_sha256 == folds.WEIGHTS


async def test_a_lots_interval_is_of_the_mean_over_its_tiles_and_narrower(
    stub, make_tile, pictures
):
    answer = await lot_interval(stub, [make_tile(index) for index in range(6)])
    low, middle, high = np.mean([said(picture) for picture in pictures[:6]], axis=0)
    made = answer.interval
    assert made.kind == interval_pb2.INTERVAL_KIND_LOT
    assert (answer.lot_id, answer.tiles, answer.poor_tiles) == ("R01", 6, 0)
    assert not answer.failed
    assert made.point == pytest.approx(middle, rel=1e-5)
    assert made.lower == pytest.approx(low * np.exp(-0.05), rel=1e-5)
    assert made.upper == pytest.approx(high * np.exp(0.05), rel=1e-5)
    assert answer.provenance.models[0].name == "regressor_folds"


async def test_coverage_is_the_callers_choice_as_far_as_it_can_be_certified(stub, make_tile):
    def asked(coverage):
        return interval_pb2.IntervalRequest(tile=make_tile(), coverage=coverage)

    widths = []
    for coverage in (0.5, 0.9, 30 / 31):
        made = (await stub.Interval(asked(coverage))).interval
        assert made.coverage == pytest.approx(coverage)
        widths.append(made.upper - made.lower)
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
    for coverage, expected in (
        (0.97, "COVERAGE_UNCERTIFIABLE"),
        (0.0, "COVERAGE_OUT_OF_RANGE"),
        (1.0, "COVERAGE_OUT_OF_RANGE"),
        (float("nan"), "COVERAGE_OUT_OF_RANGE"),
        (95.0, "COVERAGE_OUT_OF_RANGE"),
    ):
        reason, code, message = await refused(stub.Interval(asked(coverage)))
        assert (reason, code) == (expected, grpc.StatusCode.INVALID_ARGUMENT)
        lots = lot_interval(stub, [make_tile(index) for index in range(5)], coverage=coverage)
        assert (await refused(lots))[0] == expected
        if expected == "COVERAGE_UNCERTIFIABLE":
            assert "needs 33 calibration recipes; there are 30" in message


async def test_a_lot_of_one_tile_has_a_tile_interval_but_no_lot_interval(stub, make_tile):
    await stub.Interval(interval_pb2.IntervalRequest(tile=make_tile()))
    reason, code, message = await refused(lot_interval(stub, [make_tile()]))
    assert (reason, code) == ("LOT_TOO_FEW_TILES", grpc.StatusCode.INVALID_ARGUMENT)
    assert "means over 4 tiles; of this lot 1 can be used" in message


async def test_tiles_of_a_lot_that_cannot_be_used_are_named_and_not_counted(
    stub, make_tile, pictures
):
    bad = bad_tiles(pictures[0])
    tiles = [make_tile(index) for index in range(4)]
    tiles.insert(1, make_tile(7, tile_id="broken", **bad["TILE_TRUNCATED"]))
    tiles.append(make_tile(7, tile_id="near", **bad["WRONG_MAGNIFICATION"]))
    answer = await lot_interval(stub, tiles)
    assert answer.tiles == 4
    assert [(each.tile_id, each.error.reason) for each in answer.failed] == [
        ("broken", "TILE_TRUNCATED"),
        ("near", "WRONG_MAGNIFICATION"),
    ]
    reason, *_ = await refused(lot_interval(stub, tiles[:4]))
    assert reason == "LOT_TOO_FEW_TILES"


async def test_tiles_of_poor_quality_are_told(stub, make_tile, pictures):
    edge = pictures[0].copy()
    edge[:, 200:] = 0
    tiles = [make_tile(index) for index in range(3)] + [make_tile(3, file=png(edge))]
    assert (await lot_interval(stub, tiles)).poor_tiles == 1


@pytest.mark.parametrize(
    ("lots", "expected"),
    [
        (("", "R01", "R01", "R01"), "LOT_MISSING"),
        (("R01", "R01", "R02", "R01"), "LOT_CONTRADICTORY"),
        ((), "LOT_EMPTY"),
    ],
)
async def test_a_stream_that_is_not_of_one_lot_is_refused(stub, make_tile, lots, expected):
    tiles = [make_tile(index, lot_id=lot) for index, lot in enumerate(lots)]
    reason, code, _ = await refused(lot_interval(stub, tiles))
    assert (reason, code) == (expected, grpc.StatusCode.INVALID_ARGUMENT)


async def test_later_tiles_need_not_repeat_the_lot(stub, make_tile):
    tiles = [make_tile(index, lot_id="R01" if index == 0 else "") for index in range(4)]
    assert (await lot_interval(stub, tiles)).lot_id == "R01"


async def test_a_lot_has_a_largest_size(small_repository, make_tile):
    async with serving(small_repository, max_lot_tiles=4) as (stub, _):
        assert (await lot_interval(stub, [make_tile(n) for n in range(4)])).tiles == 4
        reason, *_ = await refused(lot_interval(stub, [make_tile(n) for n in range(5)]))
        assert reason == "LOT_TOO_LARGE"


@pytest.mark.parametrize("reason", BAD_TILE_REASONS)
async def test_bad_tiles_are_refused_with_their_reason(stub, make_tile, pictures, reason):
    bad = make_tile(**bad_tiles(pictures[0])[reason])
    given, code, _ = await refused(stub.Interval(interval_pb2.IntervalRequest(tile=bad)))
    assert (given, code) == (reason, grpc.StatusCode.INVALID_ARGUMENT)


async def test_a_stream_answers_every_tile_in_order(stub, make_tile, pictures):
    bad = bad_tiles(pictures[0])["TILE_TRUNCATED"]
    tiles = [make_tile(index, **(bad if index == 2 else {})) for index in range(5)]

    async def messages():
        for tile in tiles:
            request = interval_pb2.IntervalRequest(tile=tile, coverage=0.8)
            yield interval_pb2.IntervalStreamRequest(request=request)

    answers = [answer async for answer in stub.IntervalStream(messages())]
    assert [answer.tile_id for answer in answers] == [tile.tile_id for tile in tiles]
    assert answers[2].error.reason == "TILE_TRUNCATED"
    for index in (0, 1, 3, 4):
        assert answers[index].result.interval.coverage == 0.8
        middle = said(pictures[index])[1]
        assert answers[index].result.interval.point == pytest.approx(middle, rel=1e-5)


async def test_widths_and_calls_are_counted(served, make_tile):
    stub, registry = served
    await lot_interval(stub, [make_tile(index) for index in range(4)], coverage=0.75)
    text = generate_latest(registry).decode()
    assert 'interval_width_ratio_count{coverage="0.75",kind="lot"} 1.0' in text
    assert 'method="LotInterval"' in text


async def all_refused(repository, make_tile, **changes):
    """Reasons that a tile, a lot and a tile of a stream are refused with."""

    async def messages():
        request = interval_pb2.IntervalRequest(tile=make_tile())
        yield interval_pb2.IntervalStreamRequest(request=request)

    async with serving(repository, **changes) as (stub, _):
        tile = stub.Interval(interval_pb2.IntervalRequest(tile=make_tile()))
        lot = lot_interval(stub, [make_tile(index) for index in range(4)])
        told = [(await refused(call))[:2] for call in (tile, lot)]
        streamed = [answer async for answer in stub.IntervalStream(messages())]
    assert {code for _, code in told} == {grpc.StatusCode.FAILED_PRECONDITION}
    return {reason for reason, _ in told} | {answer.error.reason for answer in streamed}


async def test_without_a_calibration_all_else_is_served(repository, make_tile, tmp_path):
    missing = tmp_path / "intervals.json"
    assert await all_refused(repository, make_tile, intervals_file=missing) == {"INTERVALS_MISSING"}
    async with serving(repository, intervals_file=missing) as (stub, _):
        assert (await stub.Assess(uncertainty_pb2.AssessRequest(tile=make_tile()))).members > 1


async def test_a_calibration_without_its_networks_is_said(small_repository, make_tile, tmp_path):
    folds.add_committee(tmp_path)
    only = {"intervals_file": small_repository / "regressor_folds" / "intervals.json"}
    assert await all_refused(tmp_path, make_tile, **only) == {"INTERVALS_MISSING"}


async def test_a_calibration_that_cannot_be_read_is_said(small_repository, make_tile, tmp_path):
    broken = tmp_path / "intervals.json"
    broken.write_text('{"folds": "many"}')
    assert await all_refused(small_repository, make_tile, intervals_file=broken) == {
        "INTERVALS_INVALID"
    }


async def test_a_calibration_of_other_weights_is_refused(small_repository, make_tile, tmp_path):
    other = tmp_path / "intervals.json"
    folds.calibration(weights="0" * 64).write(other)
    assert await all_refused(small_repository, make_tile, intervals_file=other) == {
        "INTERVALS_MISMATCH"
    }


async def test_a_default_that_cannot_be_certified_is_an_error_not_a_lower_one(
    small_repository, make_tile, tmp_path
):
    few = tmp_path / "intervals.json"
    folds.calibration(lots=6).write(few)
    async with serving(small_repository, intervals_file=few) as (stub, _):
        reason, _, message = await refused(
            stub.Interval(interval_pb2.IntervalRequest(tile=make_tile()))
        )
        assert reason == "COVERAGE_UNCERTIFIABLE"
        assert "0.9 needs 9 calibration recipes; there are 6, which can certify 85.7%" in message
        await stub.Interval(interval_pb2.IntervalRequest(tile=make_tile(), coverage=0.85))


async def test_the_fold_networks_are_no_committee(stub, make_tile):
    request = uncertainty_pb2.AssessRequest(tile=make_tile(), model="regressor_folds")
    assert (await refused(stub.Assess(request)))[0] == "MODEL_WRONG_KIND"


async def test_an_engine_that_cannot_load_the_networks_ends_a_lot_with_its_reason(
    small_repository, make_tile, tmp_path
):
    shutil.copytree(small_repository, tmp_path / "models")
    (tmp_path / "models" / "regressor_folds" / "1" / "model.onnx").write_bytes(b"damaged")
    async with serving(tmp_path / "models") as (stub, _):
        reason, code, _ = await refused(lot_interval(stub, [make_tile(n) for n in range(4)]))
        assert (reason, code) == ("ENGINE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE)
