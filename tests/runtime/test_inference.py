import numpy as np
import pytest

from lotwise.core.errors import InferenceFailed
from lotwise.core.signature import TensorSpec
from lotwise.runtime.engines import connect
from lotwise.runtime.inference import check_inputs, infer_in_chunks, requested_outputs
from lotwise.runtime.settings import InferenceSettings
from tests.runtime.networks import FEATURES, WEIGHTS, add_model, signature


@pytest.fixture
async def linear(tmp_path, caplog):
    add_model(tmp_path, signature(max_batch_size=4))
    inference = connect(InferenceSettings(engine="onnxruntime", model_repository=tmp_path))
    assert "without Triton" in caplog.text
    yield inference
    await inference.close()


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 8, 11])
async def test_any_number_of_rows_is_answered_in_batches_of_the_models_size(linear, rows):
    features = np.random.default_rng(rows).normal(size=(rows, FEATURES)).astype(np.float32)
    answer = await infer_in_chunks(linear, "linear", {"features": features})
    np.testing.assert_allclose(answer["values"], features @ WEIGHTS, rtol=1e-4, atol=1e-5)


async def test_the_engine_is_the_one_that_the_settings_name(linear):
    assert linear.engine == "onnxruntime"
    triton = connect(InferenceSettings(engine="triton", triton_address="127.0.0.1:1"))
    assert triton.engine == "triton"
    assert not await triton.ready(["linear"])
    await triton.close()


def test_all_outputs_are_asked_for_unless_some_are_named():
    names = ("logits", "features", "early")
    three = signature(outputs=tuple(TensorSpec(name=n, dtype="FP32", shape=(3,)) for n in names))
    assert requested_outputs(three, None) == list(names)
    assert requested_outputs(three, ("early", "logits")) == ["early", "logits"]


@pytest.mark.parametrize("wrong", [[], ["scores"], ["values", "scores"], ["values", "values"]])
async def test_outputs_that_the_model_does_not_give_are_refused_before_it_runs(linear, wrong):
    features = np.zeros((1, FEATURES), dtype=np.float32)
    with pytest.raises(InferenceFailed, match=r"linear gives the outputs \['values'\]"):
        await linear.infer("linear", {"features": features}, wrong)


def test_a_free_dimension_takes_any_length_and_a_fixed_one_its_own():
    free = signature(inputs=(TensorSpec(name="image", dtype="UINT8", shape=(1, -1, -1)),))
    check_inputs(free, {"image": np.zeros((2, 1, 7, 9), dtype=np.uint8)})
    with pytest.raises(InferenceFailed, match="image as UINT8"):
        check_inputs(free, {"image": np.zeros((2, 3, 7, 9), dtype=np.uint8)})
