"""Triton and the in-process engine answer the same, from one repository and one config.pbtxt."""

import asyncio
import contextlib

import numpy as np
import pytest
import pytest_asyncio

from lotwise.core.errors import DeadlineExceeded, InferenceFailed, NotFound
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.runtime.inference_triton import TritonInference
from lotwise.runtime.request import Request, continue_trace, set_request
from tests.support.triton import ROOT

MODELS = sorted(path.parent.name for path in (ROOT / "model_repository").glob("*/config.pbtxt"))


@pytest_asyncio.fixture(scope="module")
async def engines(triton, repository):
    both = (
        TritonInference(f"127.0.0.1:{triton.ports.grpc}"),
        OnnxRuntimeInference(repository),
    )
    yield both
    for engine in both:
        await engine.close()


def inputs(signature, pictures, batch):
    rng = np.random.default_rng(7)
    tensors = {}
    for spec in signature.inputs:
        shape = (batch, *spec.shape)
        if spec.dtype == "UINT8":
            edge = spec.shape[-1]
            tiles = [picture[:edge, :edge] for picture in pictures]
            tensors[spec.name] = np.stack([tiles[i % len(tiles)] for i in range(batch)])[:, None]
        else:
            tensors[spec.name] = rng.random(shape, dtype=np.float32)
    return tensors


@pytest.mark.parametrize("model", MODELS)
async def test_both_describe_the_same_model(engines, model):
    triton, in_process = [await engine.describe(model) for engine in engines]
    assert triton == in_process


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("model", MODELS)
async def test_both_give_the_same_numbers(engines, pictures, model, batch):
    signature = (await engines[0].describe(model)).signature
    tensors = inputs(signature, pictures, batch)
    triton, in_process = [await engine.infer(model, tensors) for engine in engines]
    assert set(triton) == set(in_process) == {spec.name for spec in signature.outputs}
    for spec in signature.outputs:
        assert triton[spec.name].shape == (batch, *spec.shape)
        scale = max(1.0, float(np.abs(in_process[spec.name]).max()))
        np.testing.assert_allclose(
            triton[spec.name] / scale, in_process[spec.name] / scale, atol=1e-5
        )


@pytest.mark.parametrize("model", ["edit_gradient", "committee"])
async def test_both_give_only_the_outputs_that_are_asked_for(engines, pictures, model):
    signature = (await engines[0].describe(model)).signature
    tensors = inputs(signature, pictures, 2)
    for engine in engines:
        everything = await engine.infer(model, tensors)
        for spec in signature.outputs:
            alone = await engine.infer(model, tensors, [spec.name])
            assert list(alone) == [spec.name]
            np.testing.assert_array_equal(alone[spec.name], everything[spec.name])


async def test_requests_of_one_batch_get_each_the_outputs_they_ask_for(engines, pictures):
    signature = (await engines[0].describe("edit_gradient")).signature
    tensors = inputs(signature, pictures, 1)
    names = [spec.name for spec in signature.outputs]
    asked = [names[:1], names[1:], None, names[-1:]] * 4
    for engine in engines:
        expected = await engine.infer("edit_gradient", tensors)
        answers = await asyncio.gather(
            *(engine.infer("edit_gradient", tensors, wanted) for wanted in asked)
        )
        for wanted, answer in zip(asked, answers, strict=True):
            assert list(answer) == (wanted or names)
            for name, tensor in answer.items():
                scale = max(1.0, float(np.abs(expected[name]).max()))
                np.testing.assert_allclose(tensor / scale, expected[name] / scale, atol=1e-5)


async def test_both_refuse_the_same_way(engines):
    for engine in engines:
        with pytest.raises(NotFound, match="no_such_model") as unknown:
            await engine.infer("no_such_model", {})
        assert unknown.value.reason == "MODEL_UNKNOWN"
        with pytest.raises(InferenceFailed):
            await engine.infer("regressor", {"image": np.zeros((1, 1, 8, 8), np.uint8)})
        with pytest.raises(InferenceFailed):
            await engine.infer("regressor", {"picture": np.zeros((1, 1, 256, 256), np.uint8)})
        tile = {"image": np.zeros((1, 1, 256, 256), np.uint8)}
        with pytest.raises(InferenceFailed, match="gives the outputs"):
            await engine.infer("regressor", tile, ["logits"])
        assert await engine.ready(MODELS)
        assert not await engine.ready(["no_such_model"])


async def test_both_keep_the_deadline(engines):
    async def ask(engine):
        set_request(Request(continue_trace(None), deadline=0.0))
        with contextlib.suppress(AssertionError):
            await engine.infer("regressor", {"image": np.zeros((1, 1, 256, 256), np.uint8)})

    for engine in engines:
        with pytest.raises(DeadlineExceeded):
            await asyncio.create_task(ask(engine))
