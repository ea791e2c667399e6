"""The engine in production: Triton over the KServe v2 protocol."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

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
from lotwise.runtime.addresses import channel, is_balanced
from lotwise.runtime.inference import ServedModel, Tensors, check_inputs, requested_outputs
from lotwise.runtime.model_config import from_config
from lotwise.runtime.request import TRACEPARENT, current_request

Answer = TypeVar("Answer")
logger = logging.getLogger(__name__)

_LARGEST_REPEATED: Final = 64 * 2**20
_MESSAGES: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A request can be sent to another server as long as it fits into this buffer.
    ("grpc.per_rpc_retry_buffer_size", _LARGEST_REPEATED),
)
# Inference changes nothing, so where a server goes away in the middle of it another is asked.
_REPEATABLE: Final = [{"service": "inference.GRPCInferenceService"}]
_PROBE_TIMEOUT_S: Final = 2.0
_PROBES: Final = 3
_DESCRIBED_S: Final = 10.0
# A server that leaves unloads its models first, and listens on until what it works on is done.
_LEAVING: Final = "has no available versions"
_PAUSES_S: Final = (0.0, 0.05, 0.1, *[0.2] * 20)
DEFAULT_TIMEOUT_S: Final = 30.0


class TritonInference:
    """Asks a Triton server, or several in turn.

    Args:
        address: Of the gRPC endpoint; see `addresses`.
        priority: 1, or 2 for requests that wait where others of priority 1 do; a caller may ask
            for 2, too.
    """

    engine = "triton"

    def __init__(self, address: str, priority: int = 1) -> None:
        self.address = address
        self._priority = priority
        # Triton tells no health that gRPC could watch; it listens once its models are loaded.
        target, options = channel(address, repeatable=_REPEATABLE, attempts=5, health=False)
        self._client: Any = InferenceServerClient(target, channel_args=[*_MESSAGES, *options])
        self._served: dict[str, ServedModel] = {}
        self._described = time.monotonic()

    @property
    def described(self) -> tuple[ServedModel, ...]:
        """See `Inference`."""
        return tuple(self._served.values())

    async def describe(self, model: str) -> ServedModel:
        """See `Inference`. Kept until the server goes away: models do not change under it.

        Of several servers, kept for ten seconds.
        """
        if model not in self._served:
            config = await self._past_leaving(
                model,
                lambda: self._client.get_model_config(model, client_timeout=_PROBE_TIMEOUT_S),
            )
            metadata = await self._past_leaving(
                model,
                lambda: self._client.get_model_metadata(model, client_timeout=_PROBE_TIMEOUT_S),
            )
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
        tensors = []
        for spec in served.signature.inputs:
            tensor = InferInput(spec.name, inputs[spec.name].shape, spec.dtype)
            tensor.set_data_from_numpy(inputs[spec.name])
            tensors.append(tensor)
        answer = await self._past_leaving(model, lambda: self._infer(model, tensors, names))
        return {name: answer.as_numpy(name) for name in names}

    async def _past_leaving(self, model: str, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of a server that has the model; others are asked again, mostly another one."""
        for pause_s in (*_PAUSES_S, None):
            try:
                return await call()
            except InferenceServerException as error:
                if pause_s is None or _LEAVING not in str(error.message()):
                    raise self._translate(error, model) from None
            await asyncio.sleep(pause_s)
        raise AssertionError("the last call returns or raises")

    async def _infer(self, model: str, tensors: list[InferInput], names: list[str]) -> Any:
        request = current_request()
        remaining = request.remaining_s()
        timeout_s = DEFAULT_TIMEOUT_S if remaining is None else remaining
        if timeout_s <= 0:
            raise DeadlineExceeded("The deadline passed before the engine was asked.")
        return await self._client.infer(
            model,
            tensors,
            outputs=[InferRequestedOutput(name) for name in names],
            request_id=request.trace.trace_id,
            priority=max(self._priority, request.priority),
            # Triton records what has a traceparent, whatever its sampled flag says.
            headers={TRACEPARENT: request.trace.traceparent} if request.trace.sampled else {},
            # The model's queue policy bounds the wait in Triton's queue. A timeout of the
            # request itself would too, but makes Triton's batcher hold it back: 16 ms a tile
            # became 50 to 200 ms. A call that the deadline ends is cancelled in the queue.
            client_timeout=timeout_s,
        )

    async def ready(self, models: Iterable[str]) -> bool:
        """See `Inference`. Of several servers, one that is leaving is no reason to say no."""
        wanted, several = list(models), is_balanced(self.address)
        if several and time.monotonic() - self._described > _DESCRIBED_S:
            # They may have been replaced one by one, without ever all being away.
            self._forget()
        for _ in range(_PROBES if several else 1):
            if await self._all_ready(wanted):
                return True
        # The server may come back with other models.
        self._forget()
        return False

    def _forget(self) -> None:
        self._served.clear()
        self._described = time.monotonic()

    async def _all_ready(self, models: list[str]) -> bool:
        try:
            for model in models:
                if not await self._client.is_model_ready(model, client_timeout=_PROBE_TIMEOUT_S):
                    return False
                await self.describe(model)
        except (InferenceServerException, LotwiseError):
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
        if _LEAVING in text:
            return EngineUnavailable(f"The inference engine has {model} no longer, or not yet.")
        if "unknown model" in text or "NOT_FOUND" in status:
            return NotFound(
                "MODEL_UNKNOWN",
                f"The engine serves no model named '{model}'. Leave the field empty for the "
                "service's default.",
            )
        if "UNAVAILABLE" in status or "CANCELLED" in status:
            return EngineUnavailable(
                f"The inference engine at {self.address} is down. Try again in a moment."
            )
        logger.error("Triton refused %s: %s %s", model, status, text)
        return InferenceFailed(f"The engine could not run {model} on this request.")
