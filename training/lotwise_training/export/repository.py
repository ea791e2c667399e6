"""From finished runs to the model repository that Triton and the services read.

Every network is exported with its parity check, its config.pbtxt written from its signature,
and its card. Weights are written once each: the committee is kept as its members, the gradient
as a skeleton without weights; `lotwise.runtime.assemble` puts both together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx
import torch
from rich.progress import Progress
from torch import Tensor, nn

from lotwise.core.errors import Contradiction
from lotwise.core.policy import ReferralPolicy
from lotwise.core.preprocessing import resample_area
from lotwise.core.signature import (
    AttributeSpec,
    ModelMetadata,
    ModelSignature,
    PropertySpec,
    ReferenceLot,
    TensorSpec,
    TileGeometry,
)
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.model_config import write_pbtxt
from lotwise_simulator import ATTRIBUTE_NAMES, mosaic, reference_lots
from lotwise_training.editor import load_editor
from lotwise_training.export.card import write_card
from lotwise_training.export.gradient import EditGradient, export_gradient
from lotwise_training.export.onnx_export import (
    GRADIENT_PARITY_TOLERANCE,
    PARITY_TOLERANCE,
    check_parity,
    export_module,
)
from lotwise_training.export.skeleton import save_skeleton, strip_weights
from lotwise_training.models.wide_resnet import LINEAR_RANGE
from lotwise_training.policy import committee_sha256, write_policy
from lotwise_training.prediction import load_members, load_regressor

VERSION: Final = "1"
CLASSIFIER_GEOMETRY: Final = TileGeometry(px=64, um_per_px=4.0)
REGRESSOR_GEOMETRY: Final = TileGeometry(px=256, um_per_px=1.0)
ATTRIBUTES: Final = (
    AttributeSpec(name="size", low="crystals of 10 um", high="crystals of 80 um"),
    AttributeSpec(name="porosity", low="solid crystals", high="many pin-prick holes"),
    AttributeSpec(name="polydispersity", low="crystals of one size", high="a broad distribution"),
    AttributeSpec(name="facetness", low="rounded crystals", high="flat faces that meet at edges"),
)
LABELS: Final = "labels.txt"
POLICY: Final = "referral_policy.json"
EXAMPLES: Final = 3  # an odd batch that no graph can have been specialised to


@dataclass(frozen=True)
class _Exporter:
    """Where to write, and tiles to check every export on."""

    runs: Path
    repository: Path
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
        write_pbtxt(signature, folder / "config.pbtxt")
        write_card(
            signature,
            folder / "MODEL_CARD.md",
            what=what,
            parity=parity,
            tolerance=tolerance,
            runs=self.runs,
        )


def write_repository(runs: Path, repository: Path) -> None:
    """Export everything that has been trained.

    Args:
        runs: Folder with the finished runs `committee`, `regressor` and `editor`.
        repository: The model repository; models in it are replaced.

    Raises:
        CheckpointError: A run is missing or unfinished.
        ParityError: An exported graph does not compute what its network computes.
        Contradiction: The committee has no policy, or one of other members.
    """
    lots = reference_lots()[:EXAMPLES]
    tiles = torch.stack([torch.from_numpy(mosaic(lot, 1)[0].image)[None] for lot in lots])
    exporter = _Exporter(runs, repository, tiles)
    with Progress() as progress:
        task = progress.add_task("exporting", total=4)
        for step in (_export_committee, _export_regressor, _export_editor):
            step(exporter)
            progress.advance(task)
        assemble_repository(repository)
        progress.advance(task)


def _export_committee(exporter: _Exporter) -> None:
    members, lot_ids = load_members(exporter.runs / "committee")
    folder = exporter.folder("committee")
    for old in folder.glob("member_*.onnx"):
        old.unlink()
    small = torch.stack(
        [
            torch.from_numpy(resample_area(tile[0].numpy(), CLASSIFIER_GEOMETRY.px))[None]
            for tile in exporter.tiles
        ]
    )
    parity = 0.0
    for number, member in enumerate(members):
        path = folder / f"member_{number:02d}.onnx"
        export_module(member, [small], ["image"], ["logits"], path)
        parity = max(parity, check_parity(member, path, [small]))
    attributes = {lot.lot_id: lot.attributes for lot in reference_lots()}
    metadata = ModelMetadata(
        weights_sha256=committee_sha256(members),
        trained_on_simulated_lots=True,
        geometry=CLASSIFIER_GEOMETRY,
        attributes=ATTRIBUTES,
        reference_lots=tuple(
            ReferenceLot(lot_id=name, attributes=_rounded(attributes[name].as_array().tolist()))
            for name in lot_ids
        ),
        members=len(members),
    )
    signature = ModelSignature(
        name="committee",
        inputs=(_image(CLASSIFIER_GEOMETRY.px),),
        outputs=(
            TensorSpec(
                name="logits",
                dtype="FP32",
                shape=(len(members), len(lot_ids)),
                label_file=LABELS,
            ),
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
    exporter.describe(signature, parity, f"{len(members)} WRN-16-2 members, logits before pooling")


def _export_regressor(exporter: _Exporter) -> None:
    regressor = load_regressor(exporter.runs / "regressor")
    path = exporter.folder("regressor") / "model.onnx"
    export_module(regressor, [exporter.tiles], ["image"], ["property"], path)
    parity = check_parity(regressor, path, [exporter.tiles])
    signature = ModelSignature(
        name="regressor",
        inputs=(_image(REGRESSOR_GEOMETRY.px),),
        outputs=(TensorSpec(name="property", dtype="FP32", shape=(1,)),),
        metadata=ModelMetadata(
            weights_sha256=_sha256(path),
            trained_on_simulated_lots=True,
            geometry=REGRESSOR_GEOMETRY,
            property=_property(regressor),
        ),
        max_batch_size=8,
    )
    exporter.describe(signature, parity, "WRN-28-1 with a tanh head")


def _export_editor(exporter: _Exporter) -> None:
    editor = load_editor(exporter.runs / "editor")
    encoder, decoder = editor.encoder, editor.decoder
    regressor = load_regressor(exporter.runs / "regressor")
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
            inputs=(_image(REGRESSOR_GEOMETRY.px),),
            outputs=code_specs,
            metadata=ModelMetadata(
                weights_sha256=_sha256(encoder_path),
                trained_on_simulated_lots=True,
                geometry=REGRESSOR_GEOMETRY,
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
        name="image", dtype="FP32", shape=(1, REGRESSOR_GEOMETRY.px, REGRESSOR_GEOMETRY.px)
    )
    wanted = TensorSpec(name="attributes", dtype="FP32", shape=(len(ATTRIBUTE_NAMES),))
    known = tuple(
        ReferenceLot(lot_id=lot.lot_id, attributes=_rounded(lot.attributes.as_array().tolist()))
        for lot in reference_lots()
    )
    exporter.describe(
        ModelSignature(
            name="editor_decoder",
            inputs=(*code_specs, wanted),
            outputs=(edited,),
            metadata=ModelMetadata(
                weights_sha256=_sha256(decoder_path),
                trained_on_simulated_lots=True,
                geometry=REGRESSOR_GEOMETRY,
                attributes=ATTRIBUTES,
                reference_lots=known,
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
                weights_sha256=_sha256(skeleton_path, decoder_path, regressor_path),
                trained_on_simulated_lots=True,
                geometry=REGRESSOR_GEOMETRY,
                property=_property(regressor),
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


def _property(regressor: nn.Module) -> PropertySpec:
    centre = float(regressor.get_buffer("target_centre"))
    half_range = float(regressor.get_buffer("target_scale")) * LINEAR_RANGE
    return PropertySpec(
        name="peak stress",
        unit="psi",
        minimum=round(centre - half_range, 1),
        maximum=round(centre + half_range, 1),
    )


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value, 4) for value in values)


def _sha256(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()
