"""The engine in production: Triton over the KServe v2 protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy.typing as npt
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from lotwise.core.errors import (
    DeadlineExceeded,
    EngineOverloaded,
    EngineUnavailable,
    InferenceError,
    InferenceFailed,
    LotwiseError,
    NotFound,
)
from lotwise.runtime.inference import ServedModel, Tensors, check_inputs, requested_outputs
from lotwise.runtime.model_config import from_config
from lotwise.runtime.request import TRACEPARENT, current_request

logger = logging.getLogger(__name__)

# Without its own bound gRPC waits up to two minutes before it looks for a returned server.
_CHANNEL: Final = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_PROBE_TIMEOUT_S: Final = 2.0
DEFAULT_TIMEOUT_S: Final = 30.0


class TritonInference:
    """Asks a Triton server.

    Args:
        address: host:port of its gRPC endpoint.
        priority: 1, or 2 for requests that wait where others of priority 1 do; a caller may ask
            for 2, too.
    """

    engine = "triton"

    def __init__(self, address: str, priority: int = 1) -> None:
        self.address = address
        self._priority = priority
        self._client: Any = InferenceServerClient(address, channel_args=_CHANNEL)
        self._served: dict[str, ServedModel] = {}

    @property
    def described(self) -> tuple[ServedModel, ...]:
        """See `Inference`."""
        return tuple(self._served.values())

    async def describe(self, model: str) -> ServedModel:
        """See `Inference`. Kept until the server goes away: models do not change under it."""
        if model not in self._served:
            try:
                config = await self._client.get_model_config(model, client_timeout=_PROBE_TIMEOUT_S)
                metadata = await self._client.get_model_metadata(
                    model, client_timeout=_PROBE_TIMEOUT_S
                )
            except InferenceServerException as error:
                raise self._translate(error, model) from None
            self._served[model] = ServedModel(
                from_config(config.config), max(metadata.versions, key=int)
            )
        return self._served[model]

    async def infer(
        self, model: str, inputs: Tensors, outputs: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """See `Inference`."""
        served = await self.describe(model)
        check_inputs(served.signature, inputs)
        names = requested_outputs(served.signature, outputs)
        request = current_request()
        remaining = request.remaining_s()
        timeout_s = DEFAULT_TIMEOUT_S if remaining is None else remaining
        if timeout_s <= 0:
            raise DeadlineExceeded("The deadline passed before the engine was asked.")
        tensors = []
        for spec in served.signature.inputs:
            tensor = InferInput(spec.name, inputs[spec.name].shape, spec.dtype)
            tensor.set_data_from_numpy(inputs[spec.name])
            tensors.append(tensor)
        try:
            answer = await self._client.infer(
                model,
                tensors,
                outputs=[InferRequestedOutput(name) for name in names],
                request_id=request.trace.trace_id,
                priority=max(self._priority, request.priority),
                headers={TRACEPARENT: request.trace.traceparent},
                # The model's queue policy bounds the wait in Triton's queue. A timeout of the
                # request itself would too, but makes Triton's batcher hold it back: 16 ms a tile
                # became 50 to 200 ms. A call that the deadline ends is cancelled in the queue.
                client_timeout=timeout_s,
            )
        except InferenceServerException as error:
            raise self._translate(error, model) from None
        return {name: answer.as_numpy(name) for name in names}

    async def ready(self, models: Iterable[str]) -> bool:
        """See `Inference`."""
        try:
            for model in models:
                if not await self._client.is_model_ready(model, client_timeout=_PROBE_TIMEOUT_S):
                    return False
                await self.describe(model)
        except (InferenceServerException, LotwiseError):
            # The server may come back with other models.
            self._served.clear()
            return False
        return True

    async def close(self) -> None:
        """See `Inference`."""
        await self._client.close()

    def _translate(self, error: InferenceServerException, model: str) -> InferenceError | NotFound:
        status, text = str(error.status() or ""), str(error.message() or "")
        if "DEADLINE_EXCEEDED" in status or "Request timeout expired" in text:
            return DeadlineExceeded("The engine did not answer within the deadline.")
        if "Exceeds maximum queue size" in text:
            return EngineOverloaded("The engine's queue is full. Try again in a moment.")
        if "unknown model" in text or "NOT_FOUND" in status:
            return NotFound(
                "MODEL_UNKNOWN",
                f"The engine serves no model named '{model}'. Leave the field empty for the "
                "service's default.",
            )
        if "UNAVAILABLE" in status:
            return EngineUnavailable(
                f"The inference engine at {self.address} is down. Try again in a moment."
            )
        logger.error("Triton refused %s: %s %s", model, status, text)
        return InferenceFailed(f"The engine could not run {model} on this request.")
