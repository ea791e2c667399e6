import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from lotwise.core.errors import Contradiction
from lotwise.core.signature import (
    AttributeSpec,
    ModelMetadata,
    ModelSignature,
    PropertySpec,
    ReferenceLot,
    TensorSpec,
    TileGeometry,
)
from lotwise.runtime.model_config import (
    METADATA_KEY,
    from_config,
    read_pbtxt,
    to_config,
    write_pbtxt,
)

FULL = ModelSignature(
    name="committee",
    inputs=(TensorSpec(name="image", dtype="UINT8", shape=(1, 64, 64)),),
    outputs=(
        TensorSpec(name="logits", dtype="FP32", shape=(5, 3), label_file="labels.txt"),
        TensorSpec(name="map", dtype="FP32", shape=(-1, -1)),
    ),
    metadata=ModelMetadata(
        weights_sha256="ab" * 32,
        trained_on_simulated_lots=False,
        geometry=TileGeometry(px=64, um_per_px=0.1 + 0.2),
        property=PropertySpec(name="peak stress", unit='µ"psi"\n', minimum=-1.5, maximum=1 / 3),
        attributes=(AttributeSpec(name="porosity", low="dense", high="porous"),),
        reference_lots=(ReferenceLot(lot_id="A", attributes=(0.1,)),),
        members=5,
    ),
    max_batch_size=3,
    max_queue_delay_us=0,
    queue_timeout_us=7_000,
    max_queue_size=11,
    priority=2,
)
PLAIN = ModelSignature(
    name="regressor",
    inputs=(TensorSpec(name="image", dtype="FP32", shape=(2,)),),
    outputs=(TensorSpec(name="value", dtype="FP32", shape=(1,)),),
    metadata=ModelMetadata(weights_sha256="", trained_on_simulated_lots=True),
)


def refusal(call, *args):
    with pytest.raises(Contradiction) as refused:
        call(*args)
    assert refused.value.reason == "MODEL_NOT_LOTWISE"
    return refused.value.message


def test_a_configuration_names_the_backend_that_reads_the_files(tmp_path):
    assert (to_config(PLAIN).backend, to_config(PLAIN).platform) == ("onnxruntime", "")
    torchscript = to_config(PLAIN, "pytorch")
    assert (torchscript.backend, torchscript.platform) == ("pytorch", "pytorch_libtorch")
    write_pbtxt(PLAIN, tmp_path / "config.pbtxt", "pytorch")
    assert read_pbtxt(tmp_path / "config.pbtxt") == PLAIN


@pytest.mark.parametrize("signature", [FULL, PLAIN], ids=lambda s: s.name)
def test_a_signature_comes_back_from_the_configuration_and_from_its_file(tmp_path, signature):
    assert from_config(to_config(signature)) == signature
    write_pbtxt(signature, tmp_path / "config.pbtxt")
    assert read_pbtxt(tmp_path / "config.pbtxt") == signature


def test_a_signature_survives_the_wire_between_engine_and_service():
    wire = to_config(FULL).SerializeToString()
    assert from_config(model_config_pb2.ModelConfig.FromString(wire)) == FULL


def test_the_same_signature_is_written_as_the_same_text(tmp_path):
    for name in ("a", "b"):
        write_pbtxt(FULL, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_engine_is_told_to_bound_its_queue_and_to_warm_up(tmp_path):
    write_pbtxt(FULL, tmp_path / "config.pbtxt")
    config = text_format.Parse(
        (tmp_path / "config.pbtxt").read_text(encoding="utf-8"), model_config_pb2.ModelConfig()
    )
    assert (config.name, config.max_batch_size) == ("committee", 3)
    policy = config.dynamic_batching.default_queue_policy
    assert policy.timeout_action == model_config_pb2.ModelQueuePolicy.REJECT
    assert (policy.max_queue_size, policy.default_timeout_microseconds) == (11, 7_000)
    assert policy.allow_timeout_override
    assert [warmup.batch_size for warmup in config.model_warmup] == [1, 3]
    assert all(set(warmup.inputs) == {"image"} for warmup in config.model_warmup)
    assert [list(output.dims) for output in config.output] == [[5, 3], [-1, -1]]
    assert config.output[0].label_filename == "labels.txt"


def test_a_batch_limit_of_one_is_warmed_up_once():
    single = PLAIN.model_copy(update={"max_batch_size": 1})
    assert len(to_config(single).model_warmup) == 1


def test_a_configuration_of_another_maker_is_refused_with_the_remedy():
    message = refusal(from_config, model_config_pb2.ModelConfig(name="resnet", max_batch_size=8))
    assert "resnet" in message
    assert "lotwise-train export" in message


@pytest.mark.parametrize(
    "metadata", ["", "{}", "[]", "no json", '{"weights_sha256": "a"}', '{"colour": "red"}']
)
def test_a_configuration_with_other_metadata_is_refused(metadata):
    config = to_config(PLAIN)
    config.parameters[METADATA_KEY].string_value = metadata
    assert "regressor" in refusal(from_config, config)


def test_a_configuration_of_another_version_is_refused():
    config = to_config(PLAIN)
    config.input[0].data_type = model_config_pb2.DataType.TYPE_BF16
    refusal(from_config, config)
    unbatched = to_config(PLAIN)
    unbatched.max_batch_size = 0
    refusal(from_config, unbatched)


@pytest.mark.parametrize(
    "content",
    [b"name: 'x'", b"surprise { }", b"name: ", b"\xff\xfe\x00binary", b""],
    ids=["foreign", "unknown field", "cut off", "not text", "empty"],
)
def test_a_file_that_is_no_configuration_of_ours_is_refused(tmp_path, content):
    path = tmp_path / "config.pbtxt"
    path.write_bytes(content)
    refusal(read_pbtxt, path)


def test_an_absent_file_is_refused_by_name(tmp_path):
    assert str(tmp_path / "config.pbtxt") in refusal(read_pbtxt, tmp_path / "config.pbtxt")


def test_work_that_may_wait_goes_after_all_other():
    may_wait, first = to_config(FULL), to_config(PLAIN)
    assert may_wait.instance_group[0].rate_limiter.priority == 2
    assert first.instance_group[0].rate_limiter.priority == 1
    for config in (may_wait, first):
        batching = config.dynamic_batching
        assert (batching.priority_levels, batching.default_priority_level) == (2, 1)


def test_a_configuration_of_before_priorities_comes_first():
    config = to_config(FULL)
    config.instance_group[0].ClearField("rate_limiter")
    assert from_config(config).priority == 1
