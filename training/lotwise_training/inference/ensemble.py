"""A committee's members, run over many tiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from rich.console import Console
from rich.progress import track

from lotwise.core.committee_outputs import LOGITS, CommitteeOutputs
from lotwise_training.inference.predict import BATCH, Images, export_session
from lotwise_training.models.wide_resnet import MEMBER_OUTPUTS, TileClassifier
from lotwise_training.store.device import best_device, to_device

KEPT: Final[dict[str, npt.DTypeLike]] = {"features": np.float16}
"""Kept in half precision; rounding of the other outputs would be seen beside how little some of
their channels vary."""


class CommitteePredictor(Protocol):
    """A committee that predicts many tiles."""

    @property
    def weights_sha256(self) -> str:
        """Hash of its members' weights."""

    def outputs(self, images: Images, title: str | None = None) -> CommitteeOutputs:
        """Logits float32 [N, T, K], and blocks of features.

        Args:
            images: uint8 [N, px, px].
            title: Of a progress bar; None shows none.
        """


class MembersPredictor:
    """Members on the best device, or on a CPU in the engine that serves, which takes half the time.

    Args:
        members: In evaluation mode.
        weights_sha256: Hash of their weights.
    """

    def __init__(self, members: Sequence[TileClassifier], weights_sha256: str) -> None:
        self.weights_sha256 = weights_sha256
        self._device = best_device()
        self._members = list(members)
        self._sessions: list[onnxruntime.InferenceSession] = []
        if self._device.type == "cuda":
            for member in self._members:
                to_device(member, self._device)

    def outputs(self, images: Images, title: str | None = None) -> CommitteeOutputs:
        """See `CommitteePredictor`; features are float16, early is float32."""
        batches: Iterable[int] = range(0, len(images), BATCH)
        steps = [(at, member) for at in batches for member in range(len(self._members))]
        shown = steps if title is None else track(steps, title, console=Console(stderr=True))
        parts: dict[str, list[list[npt.NDArray[Any]]]] = {
            name: [[] for _ in self._members] for name in MEMBER_OUTPUTS
        }
        for at, member in shown:
            batch = images[at : at + BATCH, None]
            predicted = self._predict(member, batch)
            for name, output in zip(MEMBER_OUTPUTS, predicted, strict=True):
                parts[name][member].append(output.astype(KEPT.get(name, np.float32)))
        whole = {
            name: np.stack([np.concatenate(each) for each in of_members], axis=1)
            for name, of_members in parts.items()
        }
        return CommitteeOutputs(
            whole[LOGITS], {name: each for name, each in whole.items() if name != LOGITS}
        )

    def _predict(self, member: int, batch: Images) -> Sequence[npt.NDArray[Any]]:
        if self._device.type != "cuda":
            if not self._sessions:
                self._sessions = [
                    export_session(each, MEMBER_OUTPUTS, batch) for each in self._members
                ]
            outputs: list[npt.NDArray[Any]] = self._sessions[member].run(
                list(MEMBER_OUTPUTS), {"image": batch}
            )
            return outputs
        # A GPU would else compute convolutions with ten bits of mantissa.
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            given = torch.from_numpy(batch).to(self._device)
            return [each.float().cpu().numpy() for each in self._members[member](given)]
