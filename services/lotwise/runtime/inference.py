"""What services ask of an inference engine, whichever it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from lotwise.core.errors import InferenceFailed
from lotwise.core.signature import DataType, ModelSignature, TensorSpec

Tensors = Mapping[str, npt.NDArray[Any]]
DTYPES: Final[dict[DataType, np.dtype[Any]]] = {
    "UINT8": np.dtype(np.uint8),
    "FP32": np.dtype(np.float32),
}


@dataclass(frozen=True)
class ServedModel:
    """A model as the engine serves it."""

    signature: ModelSignature
    version: str


class Inference(Protocol):
    """An engine that serves the models of a repository.

    Every method may raise EngineUnavailable, and `infer` also EngineOverloaded,
    DeadlineExceeded and InferenceFailed. An unknown model is NotFound (MODEL_UNKNOWN).
    The deadline and the trace are those of `current_request()`.
    """

    @property
    def engine(self) -> str:
        """Name for the provenance of answers."""
        ...

    @property
    def described(self) -> tuple[ServedModel, ...]:
        """What `describe` has said of models and still holds."""
        ...

    async def describe(self, model: str) -> ServedModel:
        """What the engine serves under this name."""
        ...

    async def infer(
        self, model: str, inputs: Tensors, outputs: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """Run one batch: every tensor [batch, ...] as the signature says.

        `outputs` names what is wanted; None asks for all. What nobody asked for is neither copied
        nor sent. ONNX Runtime computes it all the same.
        """
        ...

    async def ready(self, models: Iterable[str]) -> bool:
        """Whether all of them can be asked now. Does not raise."""
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...


def check_inputs(signature: ModelSignature, inputs: Tensors) -> None:
    """Refuse tensors that are not as the signature says.

    Raises:
        InferenceFailed: A mistake of the calling service, found before the engine sees it.
    """
    if set(inputs) != {spec.name for spec in signature.inputs}:
        raise InferenceFailed(f"{signature.name} does not take the inputs {sorted(inputs)}.")
    for spec in signature.inputs:
        given = inputs[spec.name]
        if given.dtype != DTYPES[spec.dtype] or not _fits(given.shape[1:], spec):
            raise InferenceFailed(
                f"{signature.name} takes {spec.name} as {spec.dtype} {spec.shape}, "
                f"not {given.dtype} {given.shape[1:]}."
            )


def requested_outputs(signature: ModelSignature, outputs: Sequence[str] | None) -> list[str]:
    """The outputs to ask for: those named, or all of the model's.

    Raises:
        InferenceFailed: None at all, one twice or one that the model lacks: a mistake of the
            calling service.
    """
    known = [spec.name for spec in signature.outputs]
    wanted = known if outputs is None else list(outputs)
    if not wanted or len(set(wanted)) < len(wanted) or not set(wanted) <= set(known):
        raise InferenceFailed(f"{signature.name} gives the outputs {known}, not {wanted}.")
    return wanted


def _fits(shape: tuple[int, ...], spec: TensorSpec) -> bool:
    return len(shape) == len(spec.shape) and all(
        want in (-1, have) for have, want in zip(shape, spec.shape, strict=True)
    )


async def infer_in_chunks(
    inference: Inference, model: str, inputs: Tensors, outputs: Sequence[str] | None = None
) -> dict[str, npt.NDArray[Any]]:
    """`infer` for any number of rows: as many calls as the model's batch limit asks for."""
    limit = (await inference.describe(model)).signature.max_batch_size
    rows = len(next(iter(inputs.values())))
    parts = [
        await inference.infer(
            model, {name: tensor[start : start + limit] for name, tensor in inputs.items()}, outputs
        )
        for start in range(0, rows, limit)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
