"""Which form of a served committee is fastest: `python -m benchmarks.committee_form`.

All forms compute what the members compute, and are checked for it before they are timed; only the
one with a shared first group is another network. Machines are noisy: so each form is timed right
beside the served one, now before it and now after it, in interleaved rounds, and what is shown is
the ratio of the two. Processor time is disturbed least by what else the machine does.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from lotwise.core.preprocessing import resample_area
from lotwise.runtime.assemble import assemble_members
from lotwise_simulator import mosaic, reference_lots
from lotwise_training.models.wide_resnet import (
    TileClassifier,
    WideResNet,
    channel_statistics,
    pooled,
)
from lotwise_training.onnx.export import PARITY_TOLERANCE, export_module

THREADS: Final = 2
CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
LEAST_S: Final = 0.1  # each timing lasts about this long at least
PAUSE_S: Final = 0.02  # until the threads of the form before have come to rest
OUTPUTS: Final = ("logits", "features", "early")
LOGITS: Final = OUTPUTS[:1]
LEVELS: Final = onnxruntime.GraphOptimizationLevel
Predictions = list[np.ndarray]
Ask = Callable[[np.ndarray], Predictions]


@dataclass(frozen=True)
class Settings:
    """Of a session. The defaults are those of the in-process engine, on two threads."""

    threads: int = THREADS
    between_nodes: int = 0  # threads that run branches side by side; 0 runs node after node
    spinning: bool = False
    level: object = LEVELS.ORT_ENABLE_ALL
    provider: str = CPU

    def session(self, path: Path) -> onnxruntime.InferenceSession:
        """Open a graph."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.graph_optimization_level = self.level
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "1" if self.spinning else "0"
        )
        if self.between_nodes:
            options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
            options.inter_op_num_threads = self.between_nodes
            options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(path, options, providers=[self.provider])


@dataclass
class Measured:
    """Times of each round in seconds, of a form and of the served one beside it."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    served_wall: list[float] = field(default_factory=list)
    served_processor: list[float] = field(default_factory=list)


class StackedCommittee(nn.Module):
    """All members as one network of T times the channels, whose convolutions have T groups.

    Args:
        members: Alike in shape, in evaluation mode.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, members: Sequence[TileClassifier]) -> None:
        super().__init__()
        networks = [member.network for member in members]
        self.count = len(networks)
        self.network = copy.deepcopy(networks[0])
        for name, module in list(self.network.named_modules()):
            same = [network.get_submodule(name) for network in networks]
            if isinstance(module, nn.Conv2d):
                # All members see the same picture: the first convolution needs no groups.
                _replace(self.network, name, _grouped(same, 1 if name == "stem" else self.count))
            elif isinstance(module, nn.BatchNorm2d):
                _replace(self.network, name, _one_norm(same))
        self.register_buffer("weight", torch.stack([n.head.weight.T for n in networks]))
        self.register_buffer("bias", torch.stack([n.head.bias for n in networks])[:, None])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As an assembled committee: [B, T, K], [B, T, 64 * widen] and [B, T, 32 * widen]."""
        first, last = self.network.activations(image.float() / 255.0)
        features, early = pooled(last), channel_statistics(first)
        features = features.reshape(-1, self.count, features.shape[1] // self.count)
        channels = early.shape[1] // 2 // self.count
        early = early.reshape(-1, 2, self.count, channels).transpose(1, 2).flatten(2)
        logits = torch.matmul(features.transpose(0, 1), self.weight) + self.bias
        return logits.transpose(0, 1), features, early


class SharedStart(nn.Module):
    """Members that share the first member's first group: another network, for its time only."""

    def __init__(self, members: Sequence[TileClassifier]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(member.network for member in members)
        self.shared = members[0].network.blocks_of_a_group

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As an assembled committee."""
        networks = [cast(WideResNet, network) for network in self.networks]
        first = networks[0]
        start = first.stem(image.float() / 255.0)
        for block in list(first.blocks)[: self.shared]:
            start = block(start)
        features = []
        for network in networks:
            hidden = start
            for block in list(network.blocks)[self.shared :]:
                hidden = block(hidden)
            features.append(torch.relu(network.norm(hidden)).mean(dim=(2, 3)))
        logits = [n.head(f) for n, f in zip(networks, features, strict=True)]
        early = channel_statistics(start)[:, None].expand(-1, len(networks), -1)
        return torch.stack(logits, 1), torch.stack(features, 1), early


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def _grouped(same: Sequence[nn.Module], groups: int) -> nn.Conv2d:
    first = same[0]
    assert isinstance(first, nn.Conv2d)
    conv = nn.Conv2d(
        first.in_channels * groups,
        first.out_channels * len(same),
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        groups=groups,
        bias=False,
    )
    conv.weight.data = torch.cat([conv.weight.data for conv in same])  # type: ignore[misc]
    return conv


def _one_norm(same: Sequence[nn.Module]) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(sum(each.num_features for each in same))  # type: ignore[misc]
    states = [each.state_dict() for each in same]
    joined = {key: torch.cat([s[key] for s in states]) for key in states[0] if states[0][key].ndim}
    norm.load_state_dict(joined, strict=False)
    return norm.eval()


def read_members(folder: Path, count: int) -> list[TileClassifier]:
    """`count` members from the files `member_*.onnx`, repeated where there are fewer."""
    paths = sorted(folder.glob("member_*.onnx"))
    if not paths:
        raise SystemExit(f"{folder} holds no member_<n>.onnx")
    read = [_read_member(path) for path in paths[:count]]
    return list(itertools.islice(itertools.cycle(read), count))


def _read_member(path: Path) -> TileClassifier:
    state = {
        tensor.name.removeprefix("network.").removesuffix(".half"): torch.from_numpy(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in onnx.load(path).graph.initializer
        if tensor.name.startswith("network.")
    }
    blocks = {match[1] for name in state if (match := re.match(r"blocks\.(\d+)\.", name))}
    widen = len(state["blocks.0.conv1.weight"]) // 16
    network = WideResNet(2 * len(blocks) + 4, widen, len(state["head.bias"]))
    missing, unexpected = network.load_state_dict(state, strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise SystemExit(f"{path} is no WideResNet: {missing} are missing, {unexpected} too many")
    return TileClassifier(network).eval()


def tiles(count: int) -> np.ndarray:
    """Simulated tiles, uint8 [count, 1, 64, 64]."""
    return np.stack(
        [resample_area(tile.image, 64)[None] for tile in mosaic(reference_lots()[0], count)]
    )


class Forms:
    """The graphs of a committee in every form, each made when first asked for."""

    def __init__(
        self, members: Sequence[TileClassifier], folder: Path, example: np.ndarray
    ) -> None:
        self.members = members
        self.folder = folder
        self.example = [torch.from_numpy(example)]
        self._made: dict[str, Path] = {}

    def _export(self, module: nn.Module, name: str, outputs: Sequence[str]) -> Path:
        path = self.folder / f"{name}.onnx"
        export_module(module.eval(), self.example, ["image"], outputs, path, half_weights=False)
        return path

    def single(self, outputs: Sequence[str] = OUTPUTS) -> list[Path]:
        """The members' own files."""
        paths = {}
        for number, member in enumerate(self.members):
            if id(member) not in paths:
                module = member if outputs == OUTPUTS else _LogitsAlone(member)
                paths[id(member)] = self._export(module, f"{len(outputs)}_{number:02d}", outputs)
        return [paths[id(member)] for member in self.members]

    def branches(self, outputs: Sequence[str] = OUTPUTS) -> Path:
        """As Lotwise assembles it."""
        path = self.folder / f"branches_{len(outputs)}.onnx"
        assemble_members(self.single(outputs), path)
        return path

    def groups(self, outputs: Sequence[str] = OUTPUTS) -> Path:
        """One network whose convolutions have a group for each member."""
        stacked = StackedCommittee(self.members)
        module = stacked if outputs == OUTPUTS else _LogitsAlone(stacked)
        return self._export(module, f"groups_{len(outputs)}", outputs)

    def shared(self) -> Path:
        """With one first group for all."""
        return self._export(SharedStart(self.members), "shared", OUTPUTS)


class _LogitsAlone(nn.Module):
    """A module's first output; what the others need is then not in the graph at all."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.module(image)[0]
        return logits


def one_graph(path: Path, settings: Settings, outputs: Sequence[str] = OUTPUTS) -> Ask:
    """Asks one session."""
    session = settings.session(path)
    return lambda image: list(session.run(list(outputs), {"image": image}))


def one_after_another(paths: Sequence[Path], settings: Settings) -> Ask:
    """Asks a session for each member."""
    sessions = [settings.session(path) for path in paths]

    def ask(image: np.ndarray) -> Predictions:
        answers = [session.run(list(OUTPUTS), {"image": image}) for session in sessions]
        return [np.stack(rows, axis=1) for rows in zip(*answers, strict=True)]

    return ask


def arrangements(forms: Forms) -> Iterator[tuple[str, Ask]]:
    """Everything to compare; the first is what Lotwise serves."""
    served = Settings()
    branches, groups = forms.branches(), forms.groups()
    yield "branches", one_graph(branches, served)
    yield "groups", one_graph(groups, served)
    yield "sessions one after another", one_after_another(forms.single(), served)
    yield "shared first group (ANOTHER network)", one_graph(forms.shared(), served)
    yield "branches, logits asked of all", one_graph(branches, served, LOGITS)
    yield "branches, logits alone in the graph", one_graph(forms.branches(LOGITS), served, LOGITS)
    yield "groups, logits alone in the graph", one_graph(forms.groups(LOGITS), served, LOGITS)
    side_by_side = Settings(threads=1, between_nodes=THREADS)
    yield "branches side by side, a thread each", one_graph(branches, side_by_side)
    both = Settings(between_nodes=THREADS)
    yield "branches side by side, 2 threads each", one_graph(branches, both)
    yield "branches, threads spin", one_graph(branches, Settings(spinning=True))
    plain = Settings(level=LEVELS.ORT_ENABLE_EXTENDED)
    yield "branches, no NCHWc layout", one_graph(branches, plain)
    yield "groups, no NCHWc layout", one_graph(groups, plain)
    if CUDA in onnxruntime.get_available_providers():
        gpu = Settings(provider=CUDA)
        yield "branches, CUDA", one_graph(branches, gpu)
        yield "groups, CUDA", one_graph(groups, gpu)
        yield "sessions one after another, CUDA", one_after_another(forms.single(), gpu)


def check(ways: Mapping[str, Ask], image: np.ndarray) -> float:
    """The worst parity of all forms with the first; the other network is left out.

    Raises:
        SystemExit: A form answers something else.
    """
    wanted = next(iter(ways.values()))(image)
    worst = 0.0
    for name, ask in ways.items():
        if "ANOTHER" in name:
            continue
        for got, reference in zip(ask(image), wanted, strict=False):
            scale = max(1.0, float(np.abs(reference).max()))
            parity = float(np.abs(got - reference).max()) / scale
            if not parity <= PARITY_TOLERANCE:
                raise SystemExit(f"{name} differs by {parity:.1e}")
            worst = max(worst, parity)
    return worst


def measure(ways: Mapping[str, Ask], image: np.ndarray, rounds: int) -> dict[str, Measured]:
    """Interleaved rounds; the first of `ways` is timed beside every other."""
    served = next(iter(ways.values()))
    for ask in ways.values():
        ask(image)  # warm-up
    repeats = int(LEAST_S / _timed(served, image, 1)[0]) + 1
    measured = {name: Measured() for name in ways}
    for turn in track(range(rounds), f"batch of {len(image)}", transient=True):
        for name, ask in ways.items():
            pair = [ask, served] if turn % 2 else [served, ask]
            times = [_timed(each, image, repeats) for each in pair]
            own, beside = times if turn % 2 else reversed(times)
            each = measured[name]
            each.wall.append(own[0])
            each.processor.append(own[1])
            each.served_wall.append(beside[0])
            each.served_processor.append(beside[1])
    return measured


def _timed(ask: Ask, image: np.ndarray, repeats: int) -> tuple[float, float]:
    """Seconds of a call, by the clock and of processor."""
    time.sleep(PAUSE_S)
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        ask(image)
    seconds = (time.perf_counter() - wall, time.process_time() - processor)
    return seconds[0] / repeats, seconds[1] / repeats


def show(measured: Mapping[str, Measured], title: str) -> None:
    """A table of times against those of the served form."""
    table = Table(title=title, title_justify="left")
    table.add_column("form")
    table.add_column("ms, median", justify="right")
    table.add_column("time against branches (quartiles)", justify="right")
    table.add_column("processor time (quartiles)", justify="right")
    for name, each in measured.items():
        wall = _ratios(each.wall, each.served_wall)
        processor = _ratios(each.processor, each.served_processor)
        table.add_row(name, f"{statistics.median(each.wall) * 1e3:.1f}", wall, processor)
    Console(width=120).print(table)


def _ratios(measured: Sequence[float], base: Sequence[float]) -> str:
    low, middle, high = np.quantile(np.divide(measured, base), [0.25, 0.5, 0.75])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main(members: Sequence[int], batches: Sequence[int], rounds: int, repository: Path) -> None:
    """Measure and print."""
    for count in members:
        with tempfile.TemporaryDirectory() as folder:
            committee = read_members(repository / "committee" / "1", count)
            ways = dict(arrangements(Forms(committee, Path(folder), tiles(3))))
            parity = check(ways, tiles(3))
            for batch in batches:
                title = f"{count} members, batch of {batch}, parity {parity:.0e}"
                show(measure(ways, tiles(batch), rounds), title)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--models", type=Path, default=Path("model_repository"))
    options = parser.parse_args()
    main(options.members, options.batches, options.rounds, options.models)
