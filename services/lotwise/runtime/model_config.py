"""A model's signature <-> its config.pbtxt.

The file is written from the signature and read back from the engine, so what a service
knows of a model is what the engine serves. The metadata travels as one JSON parameter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from google.protobuf import text_format
from pydantic import ValidationError
from tritonclient.grpc import model_config_pb2 as pb

from lotwise.core.errors import Contradiction
from lotwise.core.signature import DataType, ModelMetadata, ModelSignature, TensorSpec

Backend = Literal["onnxruntime", "pytorch"]

METADATA_KEY: Final = "lotwise"
PRIORITIES: Final = (1, 2)
FIRST: Final = 1
_TRITON_DTYPES: Final[dict[DataType, int]] = {
    "UINT8": pb.DataType.TYPE_UINT8,
    "FP32": pb.DataType.TYPE_FP32,
}
_DTYPES: Final = {value: key for key, value in _TRITON_DTYPES.items()}


def to_config(signature: ModelSignature, backend: Backend = "onnxruntime") -> pb.ModelConfig:
    """Triton's configuration of a model.

    One instance on any kind of device; requests are batched as they come, queued up to a
    bound and refused beyond it; a zero request of every extreme batch size warms it up.
    `backend: onnxruntime` names the C++ backend in production and ours on machines without;
    `pytorch` serves TorchScript, whose tensors must be called <name>__<position>.
    """
    config = pb.ModelConfig(
        name=signature.name,
        backend=backend,
        # The PyTorch backend has several kinds of models, and takes its kind from here.
        platform="pytorch_libtorch" if backend == "pytorch" else "",
        max_batch_size=signature.max_batch_size,
    )
    for spec in signature.inputs:
        config.input.add(name=spec.name, data_type=_TRITON_DTYPES[spec.dtype], dims=spec.shape)
    for spec in signature.outputs:
        config.output.add(
            name=spec.name,
            data_type=_TRITON_DTYPES[spec.dtype],
            dims=spec.shape,
            label_filename=spec.label_file,
        )
    # KIND_AUTO takes a GPU where there is one; the count keeps a CPU from loading two copies.
    group = config.instance_group.add(count=1, kind=pb.ModelInstanceGroup.KIND_AUTO)
    # Between models: Triton's own with --rate-limit, and a niceness in our backend.
    group.rate_limiter.priority = signature.priority
    batching = config.dynamic_batching
    # Within a model: what explanations ask of the regressor waits for what predict asks.
    batching.priority_levels = len(PRIORITIES)
    batching.default_priority_level = FIRST
    batching.max_queue_delay_microseconds = signature.max_queue_delay_us
    policy = batching.default_queue_policy
    policy.timeout_action = pb.ModelQueuePolicy.REJECT
    policy.default_timeout_microseconds = signature.queue_timeout_us
    policy.allow_timeout_override = True
    policy.max_queue_size = signature.max_queue_size
    for batch_size in sorted({1, signature.max_batch_size}):
        warmup = config.model_warmup.add(name=f"batch of {batch_size}", batch_size=batch_size)
        for spec in signature.inputs:
            given = warmup.inputs[spec.name]
            given.data_type = _TRITON_DTYPES[spec.dtype]
            given.dims.extend(spec.shape)
            given.zero_data = True
    config.parameters[METADATA_KEY].string_value = signature.metadata.model_dump_json()
    return config


def from_config(config: pb.ModelConfig) -> ModelSignature:
    """The signature that a configuration was written from.

    Raises:
        Contradiction: MODEL_NOT_LOTWISE where the configuration is not one of ours.
    """
    if METADATA_KEY not in config.parameters:
        raise Contradiction(
            "MODEL_NOT_LOTWISE",
            f"Model {config.name} has no '{METADATA_KEY}' parameter in its config.pbtxt. "
            "Export it with `lotwise-train export`.",
        )
    policy = config.dynamic_batching.default_queue_policy
    try:
        return ModelSignature(
            name=config.name,
            inputs=tuple(_tensor(t) for t in config.input),
            outputs=tuple(
                _tensor(t).model_copy(update={"label_file": t.label_filename})
                for t in config.output
            ),
            metadata=ModelMetadata.model_validate_json(
                config.parameters[METADATA_KEY].string_value
            ),
            max_batch_size=config.max_batch_size,
            max_queue_delay_us=config.dynamic_batching.max_queue_delay_microseconds,
            queue_timeout_us=policy.default_timeout_microseconds,
            max_queue_size=policy.max_queue_size,
            priority=max([FIRST, *(each.rate_limiter.priority for each in config.instance_group)]),
        )
    except (ValidationError, KeyError):
        raise Contradiction(
            "MODEL_NOT_LOTWISE",
            f"The config.pbtxt of model {config.name} was not written by this version of "
            "Lotwise. Export it again with `lotwise-train export`.",
        ) from None


def write_pbtxt(signature: ModelSignature, path: Path, backend: Backend = "onnxruntime") -> None:
    """Write config.pbtxt."""
    path.write_text(text_format.MessageToString(to_config(signature, backend)), encoding="utf-8")


def read_pbtxt(path: Path) -> ModelSignature:
    """Read config.pbtxt.

    Raises:
        Contradiction: MODEL_NOT_LOTWISE.
    """
    try:
        config = text_format.Parse(path.read_text(encoding="utf-8"), pb.ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise Contradiction("MODEL_NOT_LOTWISE", f"{path} cannot be read: {error}.") from None
    return from_config(config)


def _tensor(tensor: pb.ModelInput | pb.ModelOutput) -> TensorSpec:
    return TensorSpec(name=tensor.name, dtype=_DTYPES[tensor.data_type], shape=tuple(tensor.dims))
