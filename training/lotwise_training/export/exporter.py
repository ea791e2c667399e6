"""What every export has in common: where it writes, what it is checked on, what it states."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from lotwise.core.signature import ModelSignature, PropertySpec, TensorSpec, TileGeometry
from lotwise.runtime.model_config import write_pbtxt
from lotwise_training.data.benchmark import GEOMETRY
from lotwise_training.data.tiles import LOTS_FILE, SIMULATED, read_remarks, read_table
from lotwise_training.evaluation.classification import card_figures
from lotwise_training.evaluation.predictions import ENSEMBLE, EnsembleResult
from lotwise_training.export.model_card import run_figures, training_sentence, write_card
from lotwise_training.models.wide_resnet import LINEAR_RANGE, TileRegressor
from lotwise_training.onnx.export import PARITY_TOLERANCE, check_parity, export_module
from lotwise_training.store.arrays import ResultsError, read
from lotwise_training.store.checkpoint import CHECKPOINTS_OF, load_checkpoint
from lotwise_training.training.editor.runs import RUN as EDITOR
from lotwise_training.training.editor.runs import SERVED_FILE, read_served
from lotwise_training.training.tasks.property import SERVED as REGRESSOR

DIGITS: Final = 6
"""Of the ends of a property's range."""
VERSION: Final = "1"
"""Folder of the models' version."""
MEASURED: Final = "By `lotwise-train evaluate`, on simulated tiles that no training saw:"


@dataclass(frozen=True)
class Exporter:
    """Where to write, and tiles to check every export on.

    Attributes:
        runs: Folder of the finished runs.
        repository: The model repository.
        results: Folder of stored answers.
        tiles: uint8 [3, 1, 256, 256].
    """

    runs: Path
    repository: Path
    results: Path
    tiles: Tensor

    def folder(self, name: str) -> Path:
        """Folder of a model's version, made where it is missing."""
        folder = self.repository / name / VERSION
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def describe(
        self,
        signature: ModelSignature,
        parity: float,
        what: str,
        tolerance: float = PARITY_TOLERANCE,
    ) -> None:
        """Write config.pbtxt and the card of a model.

        Args:
            signature: Of the model.
            parity: Worst difference between the exported graph and the network.
            what: The architecture in a few words.
            tolerance: Parity above which the export fails.
        """
        folder = self.repository / signature.name
        run = "editor" if signature.name.startswith("edit") else signature.name
        # Fold networks learn from the lots of the regressor's run.
        lots_run = self.runs / ("regressor" if run.startswith("regressor") else run)
        figures, measured = run_figures(self.runs, run), MEASURED
        if signature.name == "committee":
            figures, measured = self.committee_figures(signature.metadata.weights_sha256)
        write_pbtxt(signature, folder / "config.pbtxt")
        write_card(
            signature,
            folder / "MODEL_CARD.md",
            what=what,
            parity=parity,
            tolerance=tolerance,
            figures=figures,
            measured=measured,
            trained=training_sentence(self.training_states(signature.name)),
            remarks=read_remarks(lots_run),
        )

    def write_members(
        self, name: str, members: Sequence[nn.Module], tiles: Tensor, outputs: Sequence[str]
    ) -> float:
        """Write a graph for each member, in place of those of the run before; the worst parity.

        Args:
            name: Of the model.
            members: In evaluation mode.
            tiles: uint8 [B, 1, px, px], to trace and check the graphs on.
            outputs: Names of what a member gives.
        """
        folder = self.folder(name)
        for old in folder.glob("member_*.onnx"):
            old.unlink()
        parity = 0.0
        for number, member in enumerate(members):
            path = folder / f"member_{number:02d}.onnx"
            export_module(member, [tiles], ["image"], outputs, path)
            parity = max(parity, check_parity(member, path, [tiles]))
        return parity

    def training_states(self, model: str) -> list[dict[str, Any]]:
        """Checkpoints of the networks that a model holds; none of one that is not in `runs`."""
        if model.startswith("edit"):
            served = self.runs / EDITOR / SERVED_FILE
            files = [f"{EDITOR}/{read_served(self.runs)}.pt"] if served.exists() else []
        else:
            files = [CHECKPOINTS_OF[model]] if model in CHECKPOINTS_OF else []
        paths = [path for each in files for path in sorted(self.runs.glob(each))]
        return [state for path in paths if (state := load_checkpoint(path)) is not None]

    def committee_figures(self, weights_sha256: str) -> tuple[dict[str, str], str]:
        """Figures of the stored predictions, if they are of these members."""
        try:
            stored = read(EnsembleResult, self.results)
        except ResultsError:
            return {}, ""
        by_weights = {run.weights_sha256[ENSEMBLE]: run for run in stored.runs.values()}
        if weights_sha256 not in by_weights:
            return {}, ""
        run = by_weights[weights_sha256]
        where = f"benchmark v{stored.benchmark}" if stored.benchmark else "its own lots"
        measured = (
            f"By `make evaluate`, on {where}, profile {stored.profile}. The members took "
            f"{run.steps:,} steps each on {run.train_tiles:,} tiles, {run.seconds / 60:.0f} "
            "minutes in all. Networks of the other splits were trained for less long and are not "
            "served."
        )
        return card_figures(stored.sets, stored.manifest()), measured


def image_spec(px: int) -> TensorSpec:
    """Of a model's picture."""
    return TensorSpec(name="image", dtype="UINT8", shape=(1, px, px))


def float_spec(name: str, example: Tensor) -> TensorSpec:
    """Of a tensor like an example, whose first axis is the batch."""
    return TensorSpec(name=name, dtype="FP32", shape=tuple(example.shape[1:]))


def learned_property(runs: Path, regressor: TileRegressor) -> PropertySpec:
    """What a regressor gives, by the scaling in its weights and the table of its lots.

    Raises:
        DatasetError: The table is missing or unreadable.
    """
    table = read_table(runs / REGRESSOR / LOTS_FILE)
    centre = float(regressor.get_buffer("target_centre"))
    half_range = float(regressor.get_buffer("target_scale")) * LINEAR_RANGE
    ends = (centre - half_range, centre + half_range)
    minimum, maximum = map(math.exp, ends) if regressor.logarithmic else ends
    return PropertySpec(
        name=table.property_name,
        unit=table.unit,
        minimum=float(f"{minimum:.{DIGITS}g}"),
        maximum=float(f"{maximum:.{DIGITS}g}"),
    )


def learned_geometry(path: Path, px: int) -> TileGeometry:
    """The field that a network learned from, by its checkpoint.

    Args:
        path: The checkpoint; one that does not say learned from simulated tiles of 256 um.
        px: Edge of what the network sees.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    return TileGeometry(px=px, um_per_px=state.get("um_per_px", GEOMETRY.field_of_view_um / px))


def simulated_lots(runs: Path) -> bool:
    """Whether all lots that the regressor learned are simulated."""
    table = read_table(runs / REGRESSOR / LOTS_FILE)
    return all(origin == SIMULATED for origin in table.origins)


def sha256(*paths: Path) -> str:
    """SHA-256 of files one after another, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()
