"""Trained networks, read back and run over many tiles."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from lotwise.core.committee_outputs import LOGITS, CommitteeOutputs
from lotwise_training.models.wide_resnet import (
    MEMBER_OUTPUTS,
    TileClassifier,
    TileRegressor,
    WideResNet,
    mc_dropout,
    target_scaling,
)
from lotwise_training.onnx.session import open_session
from lotwise_training.store.checkpoint import CheckpointError, load_finished
from lotwise_training.store.device import best_device, mixed_precision, to_device

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

BATCH: Final = 64
WORTH_AN_ENGINE: Final = 512
"""Tiles from which on a CPU is faster with the engine that serves, its loading included."""
KEPT: Final[dict[str, npt.DTypeLike]] = {"features": np.float16}
"""Kept in half precision; rounding of the other outputs would be seen beside how little some of
their channels vary."""


def load_network(path: Path) -> tuple[WideResNet, tuple[str, ...]]:
    """A finished tile classifier, in evaluation mode on the CPU, and the lots that it tells apart.

    Raises:
        CheckpointError: It is missing or unfinished.
    """
    state = load_finished(path, "network of the committee", "committee")
    depth, widen, n_classes = state["shape"]
    network = WideResNet(depth, widen, n_classes, dropout=state["dropout"])
    network.load_state_dict(state["network"])
    return network.eval(), tuple(state["lot_ids"])


def load_members(folder: Path) -> tuple[list[TileClassifier], tuple[str, ...]]:
    """The finished members of a committee, as they are served, and the names of their classes.

    Args:
        folder: Holds `member_00.pt` and so on.

    Returns:
        Members in evaluation mode on the CPU, in order, and the lot ids in the order of the logits.

    Raises:
        CheckpointError: There is no member, one is unfinished, or they know different lots.
    """
    found = [load_network(path) for path in sorted(folder.glob("member_*.pt"))]
    if not found:
        raise CheckpointError(f"no trained member in {folder}; run `lotwise-train committee` first")
    if len({lot_ids for _, lot_ids in found}) != 1:
        raise CheckpointError(f"the members in {folder} were trained on different lots")
    return [TileClassifier(network).eval() for network, _ in found], found[0][1]


def predict_logits(classifier: TileClassifier, images: Images) -> Floats:
    """Logits of one classifier.

    Args:
        classifier: In evaluation mode.
        images: uint8 [N, H, W].

    Returns:
        float32 [N, K].
    """
    return predict_tiles(classifier, images, classifier.logits)


def _in_engine(module: nn.Module, outputs: Sequence[str], images: Images) -> Floats:
    """First output of a module, by the engine that serves: half of torch's time or less on a CPU.

    Args:
        module: From uint8 [B, 1, H, W], in evaluation mode.
        outputs: Names of its outputs.
        images: uint8 [N, H, W].
    """
    session = export_session(module, outputs, images[:1, None])
    batches = range(0, len(images), BATCH)
    return np.concatenate(
        [session.run(outputs[:1], {"image": images[at : at + BATCH, None]})[0] for at in batches]
    )


def export_session(
    module: nn.Module, outputs: Sequence[str], images: Images
) -> onnxruntime.InferenceSession:
    """A module as the engine runs it, with the input "image".

    Args:
        module: From uint8 [B, 1, H, W], in evaluation mode.
        outputs: Names of its outputs.
        images: uint8 [n, 1, H, W], an example of its input.
    """
    # Here, because the exporter takes seconds to import.
    from lotwise_training.onnx.export import export_module

    module.cpu()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        example = torch.from_numpy(images[:1]).repeat(3, 1, 1, 1)
        export_module(module, [example], ["image"], outputs, path, half_weights=False)
        return open_session(path)


def dropout_logits(
    network: WideResNet, images: Images, passes: int, seed: int, *, title: str | None = None
) -> Floats:
    """Logits of one network with dropout switched on, pass after pass (Gal & Ghahramani 2016).

    Args:
        network: Trained with dropout.
        images: uint8 [N, H, W].
        passes: T, 16 in Zhang et al. 2020.
        seed: Of what is dropped.
        title: Of a progress bar; None shows none.

    Returns:
        float32 [N, T, K].
    """
    torch.manual_seed(seed)
    classifier = TileClassifier(network)
    mc_dropout(network)

    def halved(image: Tensor) -> Tensor:
        # Half the time; its rounding is far below what dropout does at random.
        with mixed_precision(image.device):
            return classifier.logits(image)

    rounds = range(passes)
    shown = rounds if title is None else track(rounds, title, console=Console(stderr=True))
    logits = np.stack([predict_tiles(classifier, images, halved) for _ in shown], axis=1)
    network.eval()
    return logits


def load_regressor(path: Path) -> TileRegressor:
    """A finished regressor as it is served, in evaluation mode on the CPU.

    Raises:
        CheckpointError: There is none, or it is unfinished.
    """
    state = load_finished(path, "regressor", "regressor")
    network = WideResNet(*state["shape"])
    network.load_state_dict(state["network"])
    logarithmic = state["logarithmic"]
    scaling = target_scaling(*state["property_range"], logarithmic=logarithmic)
    return TileRegressor(
        network, *scaling, state["pool"], unshuffle=state["unshuffle"], logarithmic=logarithmic
    ).eval()


def predict_property(regressor: nn.Module, images: Images) -> Floats:
    """Property of every tile.

    Args:
        regressor: Module from uint8 [B, 1, H, W] to [B, 1], in evaluation mode.
        images: uint8 [N, H, W].

    Returns:
        float32 [N], in the property's unit.
    """
    return predict_outputs(regressor, "property", images)[:, 0]


def predict_outputs(network: nn.Module, name: str, images: Images) -> Floats:
    """Predictions of any network for every tile, by the engine that serves where that is faster.

    Args:
        network: Module from uint8 [B, 1, H, W] to [B, k], in evaluation mode.
        name: Of what it gives.
        images: uint8 [N, H, W].

    Returns:
        float32 [N, k].
    """
    if best_device().type == "cuda" or len(images) < WORTH_AN_ENGINE:
        return predict_tiles(network, images)
    return _in_engine(network, [name], images)


@torch.inference_mode()
def predict_tiles(
    network: nn.Module, images: Images, forward: Callable[[Tensor], Tensor] | None = None
) -> Floats:
    """Predictions of any network for every tile, in batches on the best device.

    Args:
        network: Module from uint8 [B, 1, H, W] to [B, k], in evaluation mode.
        images: uint8 [N, H, W].
        forward: What of the network is computed; None for its own `forward`.

    Returns:
        float32 [N, k].
    """
    device = best_device()
    to_device(network, device)
    outputs: list[Floats] = []
    # A GPU would else compute convolutions with ten bits of mantissa.
    with torch.backends.cudnn.flags(allow_tf32=False):
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(images[start : start + BATCH, None]).to(device)
            outputs.append((forward or network)(batch).float().cpu().numpy())
    return np.concatenate(outputs)


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
