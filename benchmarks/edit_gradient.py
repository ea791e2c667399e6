"""What an edit's gradient costs, and whether it is right: `python -m benchmarks.edit_gradient`.

The served graph gives an edited tile, its property and the derivative in all attributes. Beside it:
decoder and regressor alone, which is what one evaluation without a derivative costs, and what
central differences would cost, two of those for each attribute. Rounds are interleaved and ratios
are taken within a round, because machines are noisy.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lotwise.explain.editing import to_pixels
from lotwise.runtime.assemble import assemble_repository
from lotwise_simulator import benchmark, mosaic

BATCHES: Final = (1, 2, 4, 8)
STEP: Final = 5e-2
"""Of central differences. Smaller ones of an edit that zooms say how pixels fell, not where the
property goes: see ADR 0013."""

Feed = dict[str, npt.NDArray[Any]]


class Models:
    """The served graphs, each in a session of its own with the engine's defaults."""

    def __init__(self, repository: Path) -> None:
        assemble_repository(repository)
        self.sessions = {
            name: onnxruntime.InferenceSession(
                repository / name / "1" / "model.onnx", providers=["CPUExecutionProvider"]
            )
            for name in ("editor_encoder", "editor_decoder", "regressor", "edit_gradient")
        }

    def run(self, name: str, feed: Feed) -> Feed:
        """All outputs by name; inputs that the graph does not have are left out."""
        session = self.sessions[name]
        taken = {spec.name: feed[spec.name] for spec in session.get_inputs()}
        outputs = [spec.name for spec in session.get_outputs()]
        return dict(zip(outputs, session.run(outputs, taken), strict=True))

    def values(self, code: Feed) -> npt.NDArray[np.float64]:
        """Property of the edited tiles, float64 [B], without a derivative."""
        image = self.run("editor_decoder", code)["image"]
        # The regressor's graph takes pixels; the gradient's takes what was drawn, unrounded.
        answer = self.run("regressor", {"image": to_pixels(image)})["property"][:, 0]
        value: npt.NDArray[np.float64] = answer.astype(np.float64)
        return value

    def encoded(self, batch: int, rng: np.random.Generator) -> Feed:
        """Codes of tiles of simulated lots, and attributes to ask for."""
        lots = benchmark.new_lots()[:batch]
        tiles = np.stack([mosaic(lot, 1, tiles_per_side=1)[0].image for lot in lots])[:, None]
        own = np.stack([lot.attributes.as_array() for lot in lots])
        wanted = np.clip(own + rng.uniform(-0.2, 0.2, own.shape), 0.05, 0.95).astype(np.float32)
        code = self.run("editor_encoder", {"image": tiles, "attributes": own})
        return {**code, "attributes": wanted}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=Path, default=Path("model_repository"))
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    models = Models(options.models)
    console = Console()
    table = Table(title="The gradient graph beside decoder and regressor", title_justify="left")
    for heading in (
        "tiles",
        "decoder + regressor, ms",
        "gradient, ms",
        "ratio",
        "ratio to central differences",
        "deviation from them, median",
        "largest",
    ):
        table.add_column(heading, justify="right")
    for batch in BATCHES:
        code = models.encoded(batch, np.random.default_rng(batch))
        # The first call of a batch size also makes room for it.
        models.values(code)
        models.run("edit_gradient", code)
        forward, gradient, ratios = [], [], []
        for _ in track(range(options.rounds), f"{batch} tiles", console=Console(stderr=True)):
            forward.append(seconds(partial(models.values, code)))
            gradient.append(seconds(partial(models.run, "edit_gradient", code)))
            ratios.append(gradient[-1] / forward[-1])
        ratio = statistics.median(ratios)
        attributes = code["attributes"].shape[1]
        table.add_row(
            str(batch),
            f"{1e3 * statistics.median(forward):.0f}",
            f"{1e3 * statistics.median(gradient):.0f}",
            f"{ratio:.2f}",
            f"{ratio / (2 * attributes):.2f}",
            *(f"{each:.1%}" for each in deviations(models, code)),
        )
    console.print(table)
    console.print(
        "Deviation: of the gradient from central differences of its own value, of the largest "
        "derivative."
    )


def deviations(models: Models, code: Feed) -> tuple[float, float]:
    """Median and largest difference of the gradient from central differences, of its largest."""
    gradient = models.run("edit_gradient", code)["gradient"].astype(np.float64)
    numeric = np.empty_like(gradient)
    for attribute in range(gradient.shape[1]):
        ends = []
        for sign in (1.0, -1.0):
            at = code["attributes"].copy()
            at[:, attribute] += sign * STEP
            moved = models.run("edit_gradient", {**code, "attributes": at})["property"][:, 0]
            ends.append(moved.astype(np.float64))
        numeric[:, attribute] = (ends[0] - ends[1]) / (2 * STEP)
    apart = np.abs(gradient - numeric) / np.abs(gradient).max()
    return float(np.median(apart)), float(apart.max())


def seconds(act: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
