"""Served models, run inside this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from lotwise.core.errors import LotwiseError
from lotwise.core.signature import ModelMetadata, ModelSignature
from lotwise.runtime.assemble import assemble_repository, has_parts
from lotwise_training.data.tiles import Images

if TYPE_CHECKING:
    from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference

COMMITTEE: Final = "committee"
"""Its name in a model repository."""

Tensors = dict[str, npt.NDArray[Any]]


class RecheckFailed(RuntimeError):
    """What was made anew is not what is stored; the message says where, and both values."""


def check_same(what: str, served: object, measured: object, command: str) -> None:
    """Refuse to report on other models than those that are served.

    Args:
        what: Is compared.
        served: Version or content; None where there is none.
        measured: The same of what was measured.
        command: That makes them agree.

    Raises:
        RecheckFailed: They differ.
    """
    if served != measured:
        raise RecheckFailed(f"another {what} is served than was measured; run `{command}`")


class Committee(Protocol):
    """A committee that predicts."""

    @property
    def metadata(self) -> ModelMetadata:
        """What it states of itself."""
        ...

    def logits(self, images: Images) -> npt.NDArray[np.float32]:
        """Float32 [n, T, K] of uint8 [n, 64, 64]."""
        ...


class ServedModels:
    """A repository's models in the in-process engine; use as `served_models` gives it."""

    def __init__(self, engine: OnnxRuntimeInference, runner: asyncio.Runner) -> None:
        self._engine = engine
        self._runner = runner

    def signature(self, model: str) -> ModelSignature:
        """What a model states of itself."""
        return self._runner.run(self._engine.describe(model)).signature

    def infer(self, model: str, inputs: Tensors) -> Tensors:
        """All outputs of a model for one batch; inputs that it does not have are left out."""
        taken = {spec.name: inputs[spec.name] for spec in self.signature(model).inputs}
        return self._runner.run(self._engine.infer(model, taken))


class ServedCommittee:
    """The repository's committee."""

    def __init__(self, models: ServedModels) -> None:
        self._models = models
        self.signature = models.signature(COMMITTEE)
        self.metadata = self.signature.metadata

    def logits(self, images: Images) -> npt.NDArray[np.float32]:
        """See `Committee`."""
        # As many calls as the model's batch limit asks for.
        limit = self.signature.max_batch_size
        parts = []
        for start in range(0, len(images), limit):
            batch = {"image": images[start : start + limit, None]}
            parts.append(self._models.infer(COMMITTEE, batch)["logits"])
        return np.concatenate(parts)


@contextmanager
def served_models(repository: Path) -> Iterator[ServedModels]:
    """The models of a repository, put together from their parts where needed.

    Raises:
        RecheckFailed: One that is run cannot be loaded.
    """
    # Here, because who measures on a machine without the packages of serving has no engine.
    from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference

    # An own loop that is not made the thread's: a caller may have one.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        engine = OnnxRuntimeInference(repository)
        try:
            if has_parts(repository):
                assemble_repository(repository)
            yield ServedModels(engine, runner)
        except LotwiseError as error:
            raise RecheckFailed(f"a model of {repository} does not answer: {error}") from None
        finally:
            runner.run(engine.close())
