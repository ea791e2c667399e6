"""The committee of a model repository, asked about many tiles in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lotwise.core.committee_outputs import BLOCKS, LOGITS, CommitteeOutputs
from lotwise.core.errors import InvalidRequest
from lotwise.core.signature import ModelSignature
from lotwise.runtime.assemble import assemble_repository, has_parts
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference

Track = Callable[[Sequence[int]], Iterable[int]]
"""Goes through the first tiles of batches and shows how far it is."""

Answer = TypeVar("Answer")


class RepositoryCommittee:
    """A committee in the in-process engine.

    Args:
        repository: The model repository.
        model: Name of the committee.

    Raises:
        NotFound: MODEL_UNKNOWN.
        InvalidRequest: MODEL_WRONG_KIND.
        Contradiction: The repository cannot be used.
    """

    def __init__(self, repository: Path, model: str) -> None:
        if has_parts(repository):
            assemble_repository(repository)
        self._repository = repository
        self._model = model
        self.signature: ModelSignature = _run(self._describe())
        if self.signature.metadata.members is None or self.signature.metadata.geometry is None:
            raise InvalidRequest(
                "MODEL_WRONG_KIND", f"Model '{model}' is no committee. Name one that is."
            )

    def ask(
        self, images: npt.NDArray[np.uint8], track: Track = lambda starts: starts
    ) -> CommitteeOutputs:
        """Logits and features of all members.

        Args:
            images: uint8 [N, px, px], one at least.
            track: Shows how far it is.
        """
        return _run(self._ask(images, track))

    async def _describe(self) -> ModelSignature:
        engine = OnnxRuntimeInference(self._repository)
        try:
            return (await engine.describe(self._model)).signature
        finally:
            await engine.close()

    async def _ask(self, images: npt.NDArray[np.uint8], track: Track) -> CommitteeOutputs:
        given = {spec.name for spec in self.signature.outputs}
        wanted = [name for name in (LOGITS, *BLOCKS) if name in given]
        size = self.signature.max_batch_size
        engine = OnnxRuntimeInference(self._repository)
        try:
            parts = [
                await engine.infer(
                    self._model, {"image": images[start : start + size, None]}, wanted
                )
                for start in track(range(0, len(images), size))
            ]
        finally:
            await engine.close()
        return CommitteeOutputs.of(
            {name: np.concatenate([part[name] for part in parts]) for name in wanted}
        )


def _run(asked: Coroutine[Any, Any, Answer]) -> Answer:
    # An own loop that is not made the thread's: a caller may have one.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(asked)
