"""An engine each of whose runs is a span."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy.typing as npt

from lotwise.runtime import tracing
from lotwise.runtime.inference import Inference, ServedModel, Tensors

_CALL: Final = tracing.rpc("inference.GRPCInferenceService", "ModelInfer")


class TracedInference:
    """Another engine, with a span around each of its runs.

    Args:
        inference: The engine.
    """

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    @property
    def engine(self) -> str:
        """See `Inference`."""
        return self._inference.engine

    @property
    def described(self) -> tuple[ServedModel, ...]:
        """See `Inference`."""
        return self._inference.described

    async def describe(self, model: str) -> ServedModel:
        """See `Inference`."""
        return await self._inference.describe(model)

    async def infer(
        self, model: str, inputs: Tensors, outputs: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """See `Inference`."""
        # Of what a caller may name, only what is served becomes a name in traces.
        served = await self._inference.describe(model)
        said: tracing.Attributes = {
            "lotwise.model": served.signature.name,
            "lotwise.batch": len(next(iter(inputs.values()), ())),
        }
        elsewhere = self.engine == "triton"
        with tracing.span(
            tracing.INFER,
            "client" if elsewhere else "internal",
            {**said, **_CALL} if elsewhere else said,
        ):
            return await self._inference.infer(model, inputs, outputs)

    async def ready(self, models: Iterable[str]) -> bool:
        """See `Inference`."""
        return await self._inference.ready(models)

    async def close(self) -> None:
        """See `Inference`."""
        await self._inference.close()
