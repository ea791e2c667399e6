"""From finished runs to the model repository that Triton and the services read.

Every network is exported with its parity check, its config.pbtxt written from its signature,
and its card. Weights are written once each: the committee is kept as its members, the gradient
as a skeleton without weights; `lotwise.runtime.assemble` puts both together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from lotwise.core.errors import Contradiction
from lotwise.core.policy import ReferralPolicy
from lotwise.core.preprocessing import resample_area
from lotwise.core.signature import (
    ModelMetadata,
    ModelSignature,
    PropertySpec,
    TensorSpec,
)
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.model_config import write_pbtxt
from lotwise_simulator import ATTRIBUTE_NAMES, mosaic, reference_lots
from lotwise_training.benchmark_data import GEOMETRY
from lotwise_training.dataset import LOTS_FILE, SIMULATED, read_table
from lotwise_training.editor import load_editor
from lotwise_training.export.card import run_figures, write_card
from lotwise_training.export.gradient import EditGradient, export_gradient
from lotwise_training.export.lots import ATTRIBUTES, known_lots, stated_lots
from lotwise_training.export.onnx_export import (
    GRADIENT_PARITY_TOLERANCE,
    PARITY_TOLERANCE,
    check_parity,
    export_module,
)
from lotwise_training.export.skeleton import save_skeleton, strip_weights
from lotwise_training.models.wide_resnet import LINEAR_RANGE, MEMBER_OUTPUTS
from lotwise_training.outputs import ENSEMBLE, read_outputs
from lotwise_training.policy import committee_sha256, write_policy
from lotwise_training.prediction import load_members, load_regressor
from lotwise_training.regressor import SERVED as REGRESSOR
from lotwise_training.regressor import served_name
from lotwise_training.report.card_figures import card_figures
from lotwise_training.stored import OutputsError
from lotwise_training.strength_tiles import STRENGTH_GEOMETRY
from lotwise_training.training_loop import checkpoint_path

VERSION: Final = "1"
LABELS: Final = "labels.txt"
POLICY: Final = "referral_policy.json"
MEASURED: Final = "By `lotwise-train evaluate`, on simulated tiles of regions that no training saw:"
EXAMPLES: Final = 3  # an odd batch that no graph can have been specialised to


@dataclass(frozen=True)
class _Exporter:
    """Where to write, and tiles to check every export on."""

    runs: Path
    repository: Path
    results: Path
    tiles: Tensor  # uint8 [3, 1, 256, 256]

    def folder(self, name: str) -> Path:
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
        folder = self.repository / signature.name
        run = "editor" if signature.name.startswith("edit") else signature.name
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
        )

    def committee_figures(self, weights_sha256: str) -> tuple[dict[str, str], str]:
        """Figures of the stored answers, if it was these members that gave them."""
        try:
            outputs, stated = read_outputs(self.results)
        except OutputsError:
            return {}, ""
        answered = {run["weights_sha256"][ENSEMBLE] for run in stated["runs"].values()}
        if weights_sha256 not in answered:
            return {}, ""
        where = f"benchmark v{stated['benchmark']}" if stated["benchmark"] else "its own lots"
        measured = (
            f"By `make evaluate`, on {where}, profile {stated['profile']}. Networks of the other "
            "splits were trained for less long and are not served."
        )
        return card_figures(outputs, stated), measured


def write_repository(
    runs: Path,
    repository: Path,
    results: Path,
    *,
    only: Collection[str] | None = None,
) -> None:
    """Export what has been trained.

    Args:
        runs: Folder with the finished runs `committee`, `regressor` and `editor`.
        repository: The model repository; models in it are replaced.
        results: Folder of the committee's stored answers; without them its card has no figures.
        only: Names of the runs to export; None for all.

    Raises:
        CheckpointError: A run is missing or unfinished.
        ParityError: An exported graph does not compute what its network computes.
        Contradiction: The committee has no policy, or one of other members; EXPORT_UNKNOWN for a
            name that is no run.
    """
    steps = {
        "committee": _export_committee,
        "regressor": _export_regressor,
        "editor": _export_editor,
    }
    chosen = steps.keys() if only is None else set(only)
    if unknown := sorted(chosen - steps.keys()):
        raise Contradiction(
            "EXPORT_UNKNOWN", f"'{unknown[0]}' cannot be exported; there are {', '.join(steps)}."
        )
    exporter = _Exporter(runs, repository, results, example_tiles())
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("exporting", total=len(chosen) + 1)
        for name, step in steps.items():
            if name in chosen:
                step(exporter)
                progress.advance(task)
        if any((repository / name).is_dir() for name in ("committee", "edit_gradient")):
            assemble_repository(repository)
        progress.advance(task)


def example_tiles() -> Tensor:
    """Tiles to check exports on, uint8 [3, 1, 256, 256]."""
    lots = reference_lots()[:EXAMPLES]
    return torch.stack([torch.from_numpy(mosaic(lot, 1)[0].image)[None] for lot in lots])


def resampled(tiles: Tensor, px: int) -> Tensor:
    """Tiles as a network of that many pixels gets them: from uint8 [B, 1, H, W] to [B, 1, px, px].

    They are resampled as services do it.
    """
    return torch.stack(
        [torch.from_numpy(resample_area(tile[0].numpy(), px))[None] for tile in tiles]
    )


def _export_committee(exporter: _Exporter) -> None:
    members, lot_ids = load_members(exporter.runs / "committee")
    folder = exporter.folder("committee")
    for old in folder.glob("member_*.onnx"):
        old.unlink()
    small = resampled(exporter.tiles, GEOMETRY.px)
    parity = 0.0
    for number, member in enumerate(members):
        path = folder / f"member_{number:02d}.onnx"
        export_module(member, [small], ["image"], MEMBER_OUTPUTS, path)
        parity = max(parity, check_parity(member, path, [small]))
    simulated, specs, lots = stated_lots(exporter.runs / "committee", lot_ids)
    with torch.no_grad():
        examples = dict(zip(MEMBER_OUTPUTS, members[0](small), strict=True))
    metadata = ModelMetadata(
        weights_sha256=committee_sha256(members),
        trained_on_simulated_lots=simulated,
        geometry=GEOMETRY,
        attributes=specs,
        reference_lots=lots,
        members=len(members),
    )
    signature = ModelSignature(
        name="committee",
        inputs=(_image(GEOMETRY.px),),
        outputs=tuple(
            TensorSpec(
                name=name,
                dtype="FP32",
                shape=(len(members), *example.shape[1:]),
                label_file=LABELS if name == "logits" else "",
            )
            for name, example in examples.items()
        ),
        metadata=metadata,
        max_batch_size=16,
    )
    (exporter.repository / "committee" / LABELS).write_text("\n".join(lot_ids) + "\n", "utf-8")
    policy = ReferralPolicy.read(exporter.runs / "committee" / POLICY)
    if policy.weights_sha256 != metadata.weights_sha256:
        raise Contradiction(
            "POLICY_MISMATCH",
            "The policy was fitted for other members. Run `lotwise-train policy` first.",
        )
    write_policy(policy, exporter.repository / "committee" / POLICY)
    what = (
        f"{len(members)} WRN-16-2 members; of each its logits, the pooled features of its last "
        "group, and mean and deviation of every channel of its first"
    )
    exporter.describe(signature, parity, what)


def _export_regressor(exporter: _Exporter) -> None:
    regressor = load_regressor(checkpoint_path(exporter.runs, served_name()))
    path = exporter.folder("regressor") / "model.onnx"
    export_module(regressor, [exporter.tiles], ["image"], ["property"], path)
    parity = check_parity(regressor, path, [exporter.tiles])
    signature = ModelSignature(
        name="regressor",
        inputs=(_image(STRENGTH_GEOMETRY.px),),
        outputs=(TensorSpec(name="property", dtype="FP32", shape=(1,)),),
        metadata=ModelMetadata(
            weights_sha256=sha256(path),
            trained_on_simulated_lots=simulated_lots(exporter.runs),
            geometry=STRENGTH_GEOMETRY,
            property=learned_property(exporter.runs, regressor),
        ),
        max_batch_size=8,
    )
    exporter.describe(signature, parity, "WRN-28-1 with a tanh head")


def _export_editor(exporter: _Exporter) -> None:
    editor = load_editor(exporter.runs / "editor")
    encoder, decoder = editor.encoder, editor.decoder
    regressor = load_regressor(checkpoint_path(exporter.runs, served_name()))
    tiles = exporter.tiles
    attributes = torch.rand(len(tiles), len(ATTRIBUTE_NAMES), generator=torch.manual_seed(0))
    with torch.no_grad():
        latent, skip = encoder(tiles)
    code = [latent, skip, attributes]

    encoder_path = exporter.folder("editor_encoder") / "model.onnx"
    export_module(encoder, [tiles], ["image"], ["latent", "skip"], encoder_path)
    parity = check_parity(encoder, encoder_path, [tiles])
    code_specs = (_floats("latent", latent), _floats("skip", skip))
    exporter.describe(
        ModelSignature(
            name="editor_encoder",
            inputs=(_image(STRENGTH_GEOMETRY.px),),
            outputs=code_specs,
            metadata=ModelMetadata(
                weights_sha256=sha256(encoder_path),
                trained_on_simulated_lots=True,
                geometry=STRENGTH_GEOMETRY,
            ),
        ),
        parity,
        "encoder of an AttGAN generator",
    )

    decoder_path = exporter.folder("editor_decoder") / "model.onnx"
    inputs = ["latent", "skip", "attributes"]
    export_module(decoder, code, inputs, ["image"], decoder_path)
    parity = check_parity(decoder, decoder_path, code)
    edited = TensorSpec(
        name="image", dtype="FP32", shape=(1, STRENGTH_GEOMETRY.px, STRENGTH_GEOMETRY.px)
    )
    wanted = TensorSpec(name="attributes", dtype="FP32", shape=(len(ATTRIBUTE_NAMES),))
    exporter.describe(
        ModelSignature(
            name="editor_decoder",
            inputs=(*code_specs, wanted),
            outputs=(edited,),
            metadata=ModelMetadata(
                weights_sha256=sha256(decoder_path),
                trained_on_simulated_lots=True,
                geometry=STRENGTH_GEOMETRY,
                attributes=ATTRIBUTES,
                reference_lots=known_lots(),
            ),
        ),
        parity,
        "decoder of an AttGAN generator",
    )

    folder = exporter.folder("edit_gradient")
    whole = folder / "whole.onnx"
    graph = export_gradient(decoder, regressor, code, whole)
    parity = check_parity(
        EditGradient(decoder, regressor), whole, code, tolerance=GRADIENT_PARITY_TOLERANCE
    )
    whole.unlink()
    sources = {
        name: onnx.load(exporter.repository / name / VERSION / "model.onnx")
        for name in ("editor_decoder", "regressor")
    }
    skeleton_path = folder / "skeleton.onnx"
    save_skeleton(strip_weights(graph, sources), skeleton_path)
    regressor_path = exporter.repository / "regressor" / VERSION / "model.onnx"
    exporter.describe(
        ModelSignature(
            name="edit_gradient",
            inputs=(*code_specs, wanted),
            outputs=(
                edited,
                TensorSpec(name="property", dtype="FP32", shape=(1,)),
                TensorSpec(name="gradient", dtype="FP32", shape=(len(ATTRIBUTE_NAMES),)),
            ),
            metadata=ModelMetadata(
                weights_sha256=sha256(skeleton_path, decoder_path, regressor_path),
                trained_on_simulated_lots=True,
                geometry=STRENGTH_GEOMETRY,
                property=learned_property(exporter.runs, regressor),
                attributes=ATTRIBUTES,
            ),
        ),
        parity,
        "derivative of the regressor after the decoder, with respect to the attributes",
        GRADIENT_PARITY_TOLERANCE,
    )


def _image(px: int) -> TensorSpec:
    return TensorSpec(name="image", dtype="UINT8", shape=(1, px, px))


def _floats(name: str, example: Tensor) -> TensorSpec:
    return TensorSpec(name=name, dtype="FP32", shape=tuple(example.shape[1:]))


def learned_property(runs: Path, regressor: nn.Module) -> PropertySpec:
    """What a regressor gives, by the scaling in its weights and the table of its lots.

    Args:
        runs: Folder of all runs.
        regressor: A `TileRegressor`.

    Raises:
        DatasetError: The table is missing or unreadable.
    """
    table = read_table(runs / REGRESSOR / LOTS_FILE)
    centre = float(regressor.get_buffer("target_centre"))
    half_range = float(regressor.get_buffer("target_scale")) * LINEAR_RANGE
    return PropertySpec(
        name=table.property_name,
        unit=table.unit,
        minimum=round(centre - half_range, 1),
        maximum=round(centre + half_range, 1),
    )


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
