"""The whole platform, each part its own process, on a real Triton."""

import asyncio
import os
import signal
import urllib.request

import grpc
import numpy as np
import onnxruntime
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from lotwise.platform.launcher import Platform, PlatformFailed
from lotwise.platform.ports import SERVICES
from lotwise.runtime.status import reason_of
from lotwise.v1 import explain_pb2, predict_pb2, referral_pb2, uncertainty_pb2
from tests.support.stubs import Stubs
from tests.support.tiles import BAD_TILE_REASONS, bad_tiles
from tests.support.triton import triton_home

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest_asyncio.fixture(scope="module")
async def stubs(platform):
    made = Stubs({name: platform.ports.address(name) for name in SERVICES})
    yield made
    await made.close()


async def health(stubs, name):
    stub = health_pb2_grpc.HealthStub(stubs.channels[name])
    try:
        return (await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)).status
    except grpc.aio.AioRpcError:
        return None  # its process is being started


async def wait_for_health(stubs, wanted, timeout_s=60.0):
    async with asyncio.timeout(timeout_s):
        for name in SERVICES:
            while (await health(stubs, name) == SERVING) is not wanted:
                await asyncio.sleep(0.1)


async def test_every_service_is_serving(stubs):
    for name in SERVICES:
        assert await health(stubs, name) == SERVING


async def test_predict_through_triton_equals_onnxruntime(stubs, make_tile, pictures, repository):
    session = onnxruntime.InferenceSession(repository / "regressor" / "1" / "model.onnx")
    for index, picture in enumerate(pictures):
        answer = await stubs.predict.Predict(predict_pb2.PredictRequest(tile=make_tile(index)))
        direct = session.run(["property"], {"image": picture[None, None]})[0][0, 0]
        assert answer.value == pytest.approx(float(direct), rel=1e-5)
        assert answer.provenance.engine == "triton"


async def test_many_tiles_at_once_answer_as_one_by_one(stubs, make_tile, pictures):
    def ask(index):
        return stubs.uncertainty.Assess(uncertainty_pb2.AssessRequest(tile=make_tile(index)))

    together = await asyncio.gather(*(ask(i % len(pictures)) for i in range(48)))
    alone = [await ask(index) for index in range(len(pictures))]
    for index, answer in enumerate(together):
        expected = alone[index % len(pictures)].predictive_entropy_nats
        assert answer.predictive_entropy_nats == pytest.approx(expected, abs=1e-5)


async def test_explanations_run_on_triton(stubs, make_tile):
    swept = await stubs.explain.Forward(
        explain_pb2.ForwardRequest(tile=make_tile(), vary="porosity", steps=3)
    )
    assert len({step.value for step in swept.steps}) == 3
    searched = await stubs.explain.Backward(
        explain_pb2.BackwardRequest(tile=make_tile(), target=swept.original * 1.03)
    )
    assert searched.evaluations >= 1


async def test_the_gradient_is_what_edits_do(triton, repository, pictures):
    from lotwise.core.tile import DecodedTile
    from lotwise.explain.editing import Editor, EditorModels
    from lotwise.runtime.inference_triton import TritonInference

    engine = TritonInference(f"127.0.0.1:{triton.ports.grpc}")
    names = EditorModels("regressor", "editor_encoder", "editor_decoder", "edit_gradient")
    at = np.array([0.4, 0.5, 0.6, 0.5])
    editor = await Editor.describe(engine, names)
    tile = await editor.encode(DecodedTile(pictures[0], 1.0), at)
    # An edit that zooms has no slope worth the name along a finer step: what a network reads off a
    # picture that was zoomed by fractions of a pixel goes up and down.
    step = 0.05
    # More than a batch: the lot itself, and two neighbours along each attribute.
    seen, *near = await tile.evaluate(
        np.stack([at, *at + step * np.eye(4), *at - step * np.eye(4)])
    )
    values = np.array([each.value for each in near])
    numeric = (values[:4] - values[4:]) / (2 * step)
    # The answer bends along such a step; `benchmarks.edit_gradient` says by how much.
    np.testing.assert_allclose(seen.gradient, numeric, atol=0.25 * np.abs(seen.gradient).max())
    await engine.close()


@pytest.mark.parametrize("reason", BAD_TILE_REASONS)
async def test_no_bad_tile_is_ever_internal(stubs, make_tile, pictures, reason):
    tile = make_tile(**bad_tiles(pictures[0])[reason])
    calls = [
        stubs.predict.Predict(predict_pb2.PredictRequest(tile=tile)),
        stubs.uncertainty.Assess(uncertainty_pb2.AssessRequest(tile=tile)),
        stubs.explain.Forward(explain_pb2.ForwardRequest(tile=tile, vary="size")),
    ]
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert reason_of(refused.value) == reason


async def test_metrics_count_calls_and_tiles(platform, stubs, make_tile):
    await stubs.referral.Decide(referral_pb2.DecideRequest(tile=make_tile()))
    names = {}
    for service in SERVICES:
        url = f"http://127.0.0.1:{platform.ports.metrics[service]}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        names[service] = {family.name: family for family in families}
        assert "lotwise_rpc_requests" in names[service]
        assert names[service]["lotwise_ready"].samples[0].value == 1
    decided = names["referral"]["lotwise_referral_decisions"].samples
    assert sum(s.value for s in decided if s.name.endswith("_total")) >= 1
    url = f"http://127.0.0.1:{platform.ports.triton.metrics}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert 'nv_inference_request_success{model="committee"' in answer.read().decode()


async def test_a_dead_triton_is_unavailable_not_serving_and_recovers(platform, stubs, make_tile):
    assert platform.triton is not None
    os.kill(platform.triton.pid, signal.SIGKILL)

    async def ask_until_refused():
        while True:  # until the dead server is noticed, and long before it is back
            await stubs.predict.Predict(predict_pb2.PredictRequest(tile=make_tile()), timeout=10)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask_until_refused()
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert reason_of(refused.value) == "ENGINE_UNAVAILABLE"
    await wait_for_health(stubs, wanted=False)

    await wait_for_health(stubs, wanted=True)
    pids = [platform.pid(name) for name in SERVICES]
    answer = await stubs.referral.Decide(referral_pb2.DecideRequest(tile=make_tile()))
    assert answer.decision != referral_pb2.DECISION_UNSPECIFIED
    assert pids == [platform.pid(name) for name in SERVICES]
    assert platform.revive() == []


async def test_a_stream_survives_the_death_of_triton(platform, stubs, make_tile, pictures):
    assert platform.triton is not None
    await wait_for_health(stubs, wanted=True)
    answered = asyncio.Event()

    async def messages():
        yield predict_pb2.PredictStreamRequest(
            request=predict_pb2.PredictRequest(tile=make_tile(0))
        )
        await answered.wait()
        os.kill(platform.triton.pid, signal.SIGKILL)
        await wait_for_health(stubs, wanted=False)
        yield predict_pb2.PredictStreamRequest(
            request=predict_pb2.PredictRequest(tile=make_tile(1))
        )
        await wait_for_health(stubs, wanted=True)
        yield predict_pb2.PredictStreamRequest(
            request=predict_pb2.PredictRequest(tile=make_tile(2))
        )

    outcomes = []
    async for answer in stubs.predict.PredictStream(messages()):
        answered.set()
        outcomes.append(answer.error.reason or answer.WhichOneof("outcome"))
    assert outcomes == ["result", "ENGINE_UNAVAILABLE", "result"]


def test_a_second_platform_on_the_same_ports_is_refused(platform, repository, tmp_path):
    second = Platform(repository, tmp_path, platform.ports, triton_home(), "triton")
    with pytest.raises(PlatformFailed, match="listens already"):
        second.start()


async def test_sigterm_drains_a_service(platform, stubs, make_tile):
    await wait_for_health(stubs, wanted=True)
    sweep = stubs.explain.Forward(
        explain_pb2.ForwardRequest(tile=make_tile(), vary="size", steps=40, without_images=True)
    )
    await asyncio.sleep(0.3)  # it has arrived and runs for seconds
    os.kill(platform.pid("explain"), signal.SIGTERM)
    answer = await sweep
    assert len(answer.steps) == 40
    async with asyncio.timeout(30):
        while platform.revive() != ["explain"]:
            await asyncio.sleep(0.2)
    await wait_for_health(stubs, wanted=True)
