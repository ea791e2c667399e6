import grpc
import numpy as np
import pytest

from lotwise.predict.__main__ import build
from lotwise.predict.settings import PredictSettings
from lotwise.runtime.server import RunningService
from lotwise.runtime.status import reason_of
from lotwise.v1 import predict_pb2, predict_pb2_grpc, tile_pb2
from tests.core.tiffs import with_header
from tests.support import folds
from tests.support.tiles import BAD_TILE_REASONS, bad_tiles, png


def request(tile, **fields):
    return predict_pb2.PredictRequest(tile=tile, **fields)


async def test_a_tile_gets_a_property_with_unit_quality_and_provenance(stubs, make_tile):
    answer = await stubs.predict.Predict(request(make_tile()))

    assert (answer.tile_id, answer.lot_id) == ("tile-0", "R01")
    assert (answer.property, answer.unit) == ("peak stress", "psi")
    assert 300 < answer.value < 6000
    assert answer.quality.verdict == tile_pb2.QUALITY_VERDICT_GOOD
    assert [model.name for model in answer.provenance.models] == ["regressor"]
    assert len(answer.provenance.models[0].weights_sha256) == 64
    assert answer.provenance.models[0].trained_on_simulated_lots
    assert answer.provenance.engine == "onnxruntime"


async def test_an_answer_says_how_the_tile_was_read(stubs, make_tile, pictures):
    reading = (await stubs.predict.Predict(request(make_tile()))).reading
    assert reading.um_per_px == 1.0
    assert reading.scale_source == tile_pb2.SCALE_SOURCE_STATED

    header = b"Device=TESCAN VEGA\nPixelSizeX=1e-6\nPixelSizeY=1e-6\nDetector=SE\nHV=15000\n"
    strip = b"ImageStripSize=20\n"
    picture = np.vstack([pictures[0], np.zeros_like(pictures[0][:20])])
    file = with_header(picture, 50431, header + strip, kind=1)
    answer = await stubs.predict.Predict(request(make_tile(file=file, um_per_px=None)))
    assert answer.reading.um_per_px == pytest.approx(1.0)
    assert answer.reading.scale_source == tile_pb2.SCALE_SOURCE_FILE
    assert answer.reading.data_bar_px == 20
    assert answer.reading.instrument.detector == "SE"
    assert answer.reading.instrument.beam_energy_kev == 15
    plain = await stubs.predict.Predict(request(make_tile()))
    assert answer.value == pytest.approx(plain.value, rel=1e-5)


async def test_the_request_id_is_the_callers_trace_id(stubs, make_tile):
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = await stubs.predict.Predict(
        request(make_tile()), metadata=(("traceparent", f"00-{trace}-b7ad6b7169203331-01"),)
    )
    assert answer.provenance.request_id == trace


@pytest.mark.parametrize("reason", BAD_TILE_REASONS)
async def test_bad_tiles_are_refused_with_their_reason(stubs, make_tile, pictures, reason):
    bad = make_tile(**bad_tiles(pictures[0])[reason])

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.predict.Predict(request(bad))

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == reason
    assert "Traceback" not in refused.value.details()
    assert refused.value.details().endswith(".")


@pytest.mark.parametrize(
    ("model", "code", "reason"),
    [
        ("nothing_here", grpc.StatusCode.NOT_FOUND, "MODEL_UNKNOWN"),
        ("../regressor", grpc.StatusCode.NOT_FOUND, "MODEL_UNKNOWN"),
        ("committee", grpc.StatusCode.INVALID_ARGUMENT, "MODEL_WRONG_KIND"),
        ("edit_gradient", grpc.StatusCode.INVALID_ARGUMENT, "MODEL_WRONG_KIND"),
    ],
)
async def test_a_wrong_model_is_named(stubs, make_tile, model, code, reason):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.predict.Predict(request(make_tile(), model=model))
    assert (refused.value.code(), reason_of(refused.value)) == (code, reason)


async def test_in_a_stream_a_bad_tile_answers_with_its_error_and_the_stream_goes_on(
    stubs, make_tile, pictures
):
    bad = bad_tiles(pictures[0])
    tiles = [make_tile(0), make_tile(1, **bad["TILE_TRUNCATED"]), make_tile(2)]
    tiles += [make_tile(3 + i, **bad[name]) for i, name in enumerate(("TILE_NOT_FINITE",))]
    tiles += [make_tile(5)]

    async def messages():
        for tile in tiles:
            yield predict_pb2.PredictStreamRequest(request=request(tile))

    answers = [answer async for answer in stubs.predict.PredictStream(messages())]

    assert [answer.tile_id for answer in answers] == [tile.tile_id for tile in tiles]
    kinds = [answer.error.reason or answer.WhichOneof("outcome") for answer in answers]
    assert kinds == ["result", "TILE_TRUNCATED", "result", "TILE_NOT_FINITE", "result"]
    alone = await stubs.predict.Predict(request(tiles[4]))
    assert answers[4].result.value == pytest.approx(alone.value, rel=1e-5)


async def test_finer_pixels_of_the_same_field_predict_nearly_the_same(stubs, make_tile, pictures):
    plain = await stubs.predict.Predict(request(make_tile()))
    finer = await stubs.predict.Predict(
        request(make_tile(file=png(np.kron(pictures[0], np.ones((2, 2), np.uint8))), um_per_px=0.5))
    )
    assert finer.value == pytest.approx(plain.value, rel=1e-4)


async def test_a_deadline_that_is_too_short_is_said(stubs, make_tile):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.predict.Predict(request(make_tile()), timeout=0.001)
    assert refused.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_the_networks_of_intervals_are_no_single_regressor(make_tile, tmp_path):
    folds.add_folds(tmp_path)
    settings = PredictSettings(engine="onnxruntime", model_repository=tmp_path, drain_s=0.0)
    async with (
        RunningService(build(settings), settings) as running,
        grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        stub = predict_pb2_grpc.PredictServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Predict(
                predict_pb2.PredictRequest(tile=make_tile(), model="regressor_folds")
            )
    assert reason_of(refused.value) == "MODEL_WRONG_KIND"
