import asyncio
import time
from contextlib import asynccontextmanager

import numpy as np
import onnxruntime
import pytest

from lotwise.core import errors
from lotwise.core.signature import TensorSpec
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.runtime.request import Request, continue_trace, set_request
from tests.runtime.networks import (
    FEATURES,
    WEIGHTS,
    add_model,
    add_model_of_two_outputs,
    add_slow_model,
    signature,
)


def features(rows=5, seed=1):
    return np.random.default_rng(seed).normal(size=(rows, FEATURES)).astype(np.float32)


@asynccontextmanager
async def engine(repository):
    inference = OnnxRuntimeInference(repository)
    yield inference
    await inference.close()


@pytest.fixture
async def linear(tmp_path):
    add_model(tmp_path, signature())
    async with engine(tmp_path) as inference:
        yield inference


async def test_answers_equal_those_of_the_network_itself(linear, tmp_path):
    session = onnxruntime.InferenceSession(tmp_path / "linear" / "1" / "model.onnx")
    for rows in (1, 5, 8):
        answer = await linear.infer("linear", {"features": features(rows)})
        (direct,) = session.run(None, {"features": features(rows)})
        assert list(answer) == ["values"]
        np.testing.assert_array_equal(answer["values"], direct)
        np.testing.assert_allclose(answer["values"], features(rows) @ WEIGHTS, rtol=1e-5, atol=1e-5)


async def test_only_the_outputs_that_are_asked_for_are_given(tmp_path):
    stated = add_model_of_two_outputs(tmp_path)
    async with engine(tmp_path) as inference:
        rows = {"features": features()}
        both = await inference.infer(stated.name, rows)
        assert list(both) == ["values", "doubled"]
        one = await inference.infer(stated.name, rows, ["doubled"])
        assert list(one) == ["doubled"]
        np.testing.assert_array_equal(one["doubled"], both["doubled"])
        np.testing.assert_allclose(both["doubled"], 2 * both["values"])
        turned = await inference.infer(stated.name, rows, ("doubled", "values"))
        np.testing.assert_array_equal(turned["values"], both["values"])


async def test_requests_at_once_get_each_its_own_answer(linear):
    answers = await asyncio.gather(
        *(linear.infer("linear", {"features": features(seed=seed)}) for seed in range(20))
    )
    for seed, answer in enumerate(answers):
        expected = features(seed=seed) @ WEIGHTS
        np.testing.assert_allclose(answer["values"], expected, rtol=1e-4, atol=1e-5)


async def test_a_model_is_described_by_its_configuration(linear):
    served = await linear.describe("linear")
    assert (served.signature, served.version) == (signature(), "1")


async def test_the_newest_version_is_served_and_ten_is_newer_than_nine(tmp_path):
    for version in (1, 9, 10):
        add_model(tmp_path, signature(), version=version, factor=version)
    (tmp_path / "linear" / "notes").mkdir()
    async with engine(tmp_path) as inference:
        assert (await inference.describe("linear")).version == "10"
        answer = await inference.infer("linear", {"features": features()})
    np.testing.assert_allclose(answer["values"], features() @ WEIGHTS * 10, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        *("nothing", "", ".", "..", "../linear", "/etc", "linear\0", "x" * 5000, "*", "[l]inear"),
        *("linear/", "./linear", "linear/.", "linear/1", "linear/../linear", "Linear"),
    ],
    ids=lambda name: repr(name[:20]),
)
async def test_a_name_that_is_no_model_of_the_repository_is_unknown(linear, tmp_path, name):
    with pytest.raises(errors.NotFound) as refused:
        await linear.describe(name)
    assert refused.value.reason == "MODEL_UNKNOWN"
    with pytest.raises(errors.NotFound):
        await linear.infer(name, {"features": features()})
    assert not await linear.ready([name])


async def test_an_absolute_path_leads_out_of_no_repository(linear, tmp_path):
    elsewhere = tmp_path.parent / "elsewhere"
    add_model(elsewhere, signature("outside"))
    for name in (str(elsewhere / "outside"), "../elsewhere/outside"):
        with pytest.raises(errors.NotFound):
            await linear.describe(name)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"image": features()},
        {"features": features(), "more": features()},
        {"features": features().astype(np.float64)},
        {"features": features().astype(np.uint8)},
        {"features": features()[:, :3]},
        {"features": features()[0]},
        {"features": features()[..., None]},
    ],
    ids=["none", "other", "more", "float64", "uint8", "narrow", "no batch", "deep"],
)
async def test_tensors_that_are_not_as_the_signature_says_are_refused(linear, inputs):
    with pytest.raises(errors.InferenceFailed, match="linear (takes|does not take)"):
        await linear.infer("linear", inputs)


async def test_a_failure_inside_the_engine_is_a_failed_inference_and_not_a_fault_of_ours(tmp_path):
    anything = (TensorSpec(name="features", dtype="FP32", shape=(-1,)),)
    add_model(tmp_path, signature(inputs=anything))
    async with engine(tmp_path) as inference:
        with pytest.raises(errors.InferenceFailed, match="could not run linear"):
            await inference.infer("linear", {"features": features()[:, :3]})
        answer = await inference.infer("linear", {"features": features()})
        assert answer["values"].shape == (5, 3)


async def test_a_network_that_is_missing_or_damaged_makes_the_engine_unavailable(tmp_path):
    path = add_model(tmp_path, signature())
    path.unlink()
    async with engine(tmp_path) as inference:
        for damage in (None, b"", b"no network"):
            if damage is not None:
                path.write_bytes(damage)
            with pytest.raises(errors.EngineUnavailable, match="make models"):
                await inference.describe("linear")
            assert not await inference.ready(["linear"])
        path.parent.rename(tmp_path / "linear" / "not a version")
        with pytest.raises(errors.EngineUnavailable):
            await inference.describe("linear")


async def test_a_network_that_appears_later_is_served_then(tmp_path):
    async with engine(tmp_path) as inference:
        assert not await inference.ready(["linear"])
        add_model(tmp_path, signature())
        assert await inference.ready(["linear"])


async def test_readiness_needs_every_model_and_never_raises(linear, tmp_path):
    assert await linear.ready([])
    assert await linear.ready(["linear"])
    assert not await linear.ready(["linear", "other"])
    add_model(tmp_path, signature("foreign"))
    (tmp_path / "foreign" / "config.pbtxt").write_text("name: 'foreign'")
    assert not await linear.ready(["linear", "foreign"])


async def test_a_foreign_model_is_refused_with_its_reason(linear, tmp_path):
    add_model(tmp_path, signature("foreign"))
    (tmp_path / "foreign" / "config.pbtxt").write_text("name: 'foreign'")
    with pytest.raises(errors.Contradiction) as refused:
        await linear.describe("foreign")
    assert refused.value.reason == "MODEL_NOT_LOTWISE"


async def test_more_requests_than_the_queue_holds_are_refused_and_the_others_answered(tmp_path):
    add_model(tmp_path, signature(max_queue_size=2))
    async with engine(tmp_path) as inference:

        def burst(n):
            calls = (inference.infer("linear", {"features": features()}) for _ in range(n))
            return asyncio.gather(*calls, return_exceptions=True)

        await inference.describe("linear")  # loaded beforehand
        first = await burst(5)
        assert [isinstance(answer, dict) for answer in first] == [True, True, False, False, False]
        assert {type(answer) for answer in first[2:]} == {errors.EngineOverloaded}
        # Answered requests leave the queue; so do failed ones.
        for _ in range(3):
            with pytest.raises(errors.InferenceFailed):
                await inference.infer("linear", {})
        assert all(isinstance(answer, dict) for answer in await burst(2))


async def test_a_queue_belongs_to_its_model(tmp_path):
    for name in ("one", "two"):
        add_model(tmp_path, signature(name, max_queue_size=1))
    async with engine(tmp_path) as inference:
        answers = await asyncio.gather(
            *(inference.infer(name, {"features": features()}) for name in ("one", "two"))
        )
    assert len(answers) == 2


async def test_a_deadline_that_has_passed_is_told(linear):
    set_request(Request(continue_trace(None), time.monotonic() - 1))
    with pytest.raises(errors.DeadlineExceeded):
        await linear.infer("linear", {"features": features()})


async def test_a_slow_network_misses_the_deadline_and_serves_the_next_request(tmp_path):
    # A second of work against 20 ms: a loop that is held up still sees the deadline first.
    add_slow_model(tmp_path, signature("slow", max_queue_size=1), times=150)
    async with engine(tmp_path) as inference:
        await inference.describe("slow")  # loaded beforehand
        set_request(Request(continue_trace(None), time.monotonic() + 0.02))
        with pytest.raises(errors.DeadlineExceeded):
            await inference.infer("slow", {"features": features()})
        set_request(Request(continue_trace(None), time.monotonic() + 100))
        answer = await inference.infer("slow", {"features": features()})
    np.testing.assert_allclose(answer["values"], features() @ WEIGHTS, rtol=1e-4, atol=1e-4)


async def test_the_loop_goes_on_while_a_network_runs(tmp_path):
    add_slow_model(tmp_path, signature("slow"), times=40)
    async with engine(tmp_path) as inference:
        await inference.describe("slow")
        running = asyncio.create_task(inference.infer("slow", {"features": features()}))
        turns = 0
        while not running.done():
            turns += 1
            await asyncio.sleep(0.001)
        assert turns > 3
        await running
