"""The served committee, asked inside this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from lotwise.core.errors import LotwiseError
from lotwise.core.signature import ModelMetadata
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise_training.dataset import Images

COMMITTEE: Final = "committee"
"""Its name in a model repository."""


class RecheckFailed(RuntimeError):
    """What was made anew is not what is stored; the message says where, and both values."""


class Committee(Protocol):
    """A committee that can be asked."""

    @property
    def metadata(self) -> ModelMetadata:
        """What it states of itself."""
        ...

    def logits(self, images: Images) -> npt.NDArray[np.float32]:
        """Float32 [n, T, K] of uint8 [n, 64, 64]."""
        ...


class ServedCommittee:
    """The repository's committee in the in-process engine; use as `served_committee` gives it."""

    def __init__(self, engine: OnnxRuntimeInference, runner: asyncio.Runner) -> None:
        self._engine = engine
        self._runner = runner
        self.signature = runner.run(engine.describe(COMMITTEE)).signature

    @property
    def metadata(self) -> ModelMetadata:
        """See `Committee`."""
        return self.signature.metadata

    def logits(self, images: Images) -> npt.NDArray[np.float32]:
        """See `Committee`."""
        # As many calls as the model's batch limit asks for.
        limit = self.signature.max_batch_size
        parts = []
        for start in range(0, len(images), limit):
            batch = {"image": images[start : start + limit, None]}
            parts.append(self._runner.run(self._engine.infer(COMMITTEE, batch))["logits"])
        return np.concatenate(parts)


@contextmanager
def served_committee(repository: Path) -> Iterator[ServedCommittee]:
    """The committee of a model repository, put together from its members where needed.

    Raises:
        RecheckFailed: The repository has none that can be loaded.
    """
    # An own loop that is not made the thread's: a caller may have one.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        engine = OnnxRuntimeInference(repository)
        try:
            if any(repository.glob(f"{COMMITTEE}/*/member_*.onnx")):
                assemble_repository(repository)
            yield ServedCommittee(engine, runner)
        except LotwiseError as error:
            raise RecheckFailed(f"the committee of {repository} does not answer: {error}") from None
        finally:
            runner.run(engine.close())
