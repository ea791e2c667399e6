"""The engine for machines without Triton: ONNX Runtime in the service's own process.

It reads the same repository and the same config.pbtxt, and answers the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt
import onnxruntime

from lotwise.core.errors import (
    DeadlineExceeded,
    EngineOverloaded,
    EngineUnavailable,
    InferenceFailed,
    LotwiseError,
    NotFound,
)
from lotwise.runtime.inference import ServedModel, Tensors, check_inputs, requested_outputs
from lotwise.runtime.model_config import read_pbtxt
from lotwise.runtime.request import current_request

THREADS: Final = 1  # ONNX Runtime parallelises within a run; more runs at once only compete


@dataclass(frozen=True)
class _Loaded:
    served: ServedModel
    session: onnxruntime.InferenceSession


class OnnxRuntimeInference:
    """Runs the repository's networks in this process; a model is loaded when first asked for.

    Args:
        repository: The model repository.
    """

    engine = "onnxruntime"

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self._loaded: dict[str, _Loaded] = {}
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="onnxruntime")
        self._waiting: dict[str, int] = {}

    @property
    def described(self) -> tuple[ServedModel, ...]:
        """See `Inference`."""
        return tuple(loaded.served for loaded in tuple(self._loaded.values()))

    async def describe(self, model: str) -> ServedModel:
        """See `Inference`."""
        return (await self._load_aside(model)).served

    async def infer(
        self, model: str, inputs: Tensors, outputs: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """See `Inference`."""
        loaded = await self._load_aside(model)
        signature = loaded.served.signature
        check_inputs(signature, inputs)
        names = requested_outputs(signature, outputs)
        if self._waiting.get(model, 0) >= signature.max_queue_size:
            raise EngineOverloaded("The engine's queue is full. Try again in a moment.")
        self._waiting[model] = self._waiting.get(model, 0) + 1
        try:
            run = asyncio.get_running_loop().run_in_executor(
                self._executor, loaded.session.run, names, dict(inputs)
            )
            results = await asyncio.wait_for(run, current_request().remaining_s())
        except TimeoutError:
            raise DeadlineExceeded("The engine did not answer within the deadline.") from None
        except Exception as error:  # ONNX Runtime's own errors have no base of their own
            raise InferenceFailed(f"The engine could not run {model} on this request.") from error
        finally:
            self._waiting[model] -= 1
        return dict(zip(names, results, strict=True))

    async def ready(self, models: Iterable[str]) -> bool:
        """See `Inference`."""
        try:
            for model in models:
                await self._load_aside(model)
        except LotwiseError:
            return False
        return True

    async def close(self) -> None:
        """See `Inference`."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def _load_aside(self, model: str) -> _Loaded:
        # In the one thread that runs networks: the loop goes on, and nothing is loaded twice.
        loaded = self._loaded.get(model)
        if loaded is not None:
            return loaded
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._load, model)

    def _load(self, model: str) -> _Loaded:
        if model not in self._loaded:
            folder = self.repository / model
            # Compared with what is there: a name from a request never becomes a path.
            if model not in {path.parent.name for path in self.repository.glob("*/config.pbtxt")}:
                raise NotFound(
                    "MODEL_UNKNOWN",
                    f"The repository has no model named '{model}'. Leave the field empty for "
                    "the service's default.",
                )
            versions = sorted((p for p in folder.iterdir() if p.name.isdigit()), key=_number)
            path = versions[-1] / "model.onnx" if versions else folder / "1" / "model.onnx"
            options = onnxruntime.SessionOptions()
            # As in Triton's backend: a thread that waits must not burn a core.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            try:
                session = onnxruntime.InferenceSession(
                    path, options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # a missing or damaged file, in many guises
                raise EngineUnavailable(
                    f"The network {path} cannot be loaded. Run `make models`."
                ) from error
            self._loaded[model] = _Loaded(
                ServedModel(read_pbtxt(folder / "config.pbtxt"), path.parent.name), session
            )
        return self._loaded[model]


def _number(path: Path) -> int:
    return int(path.name)
