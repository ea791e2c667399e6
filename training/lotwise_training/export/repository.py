"""From finished runs to the model repository that Triton and the services read.

Every network is exported with its parity check, its config.pbtxt written from its signature,
and its card. Weights are written once each: the committee is kept as its members, the gradient
as a skeleton without weights; `lotwise.runtime.assemble` puts both together.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from lotwise.core.calibration import read_calibration, write_calibration
from lotwise.core.diagnosis import DIAGNOSIS_FILE, Diagnosis
from lotwise.core.errors import Contradiction
from lotwise.core.known_tiles import KNOWN_TILES_FILE, KnownTiles
from lotwise.core.lot_diagnosis import LOT_DIAGNOSIS_FILE
from lotwise.core.policy import ReferralPolicy, write_policy
from lotwise.core.preprocessing import resample_area
from lotwise.core.signature import ModelMetadata, ModelSignature, TensorSpec
from lotwise.runtime.assemble import assemble_repository, has_parts
from lotwise.runtime.cascade_models import write_cascade_models
from lotwise_simulator import mosaic, reference_lots
from lotwise_training.calibration.policy import FILES, POLICY_FILE, committee_sha256
from lotwise_training.data.benchmark import GEOMETRY
from lotwise_training.data.property_lots import STRENGTH_GEOMETRY
from lotwise_training.export.editor import (
    DECODER,
    export_editor,
    export_gradient_anew,
    sees_the_editors_field,
)
from lotwise_training.export.exporter import (
    VERSION,
    Exporter,
    float_spec,
    image_spec,
    learned_geometry,
    learned_property,
    simulated_lots,
)
from lotwise_training.export.lot_metadata import stated_lots
from lotwise_training.export.regressor_folds import export_folds
from lotwise_training.export.restore import restored_editor
from lotwise_training.inference.predict import load_members, load_regressor
from lotwise_training.models.heads import OBSERVED_OUTPUTS, ObservedRegressor
from lotwise_training.models.wide_resnet import MEMBER_OUTPUTS
from lotwise_training.onnx.export import check_parity, export_module
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.property import SERVED as REGRESSOR
from lotwise_training.training.tasks.property import served_name

LABELS: Final = "labels.txt"
EXAMPLES: Final = 3  # an odd batch that no graph can have been specialised to


def write_repository(
    runs: Path,
    repository: Path,
    results: Path,
    *,
    only: Collection[str] | None = None,
) -> list[str]:
    """Export what has been trained.

    Args:
        runs: Folder with the finished runs `committee`, `regressor` and `editor`.
        repository: The model repository; models in it are replaced.
        results: Folder of the committee's stored answers; without them its card has no figures.
        only: Names of the runs to export; None for all.

    Returns:
        What is left out and why, in sentences.

    Raises:
        CheckpointError: A run is missing or unfinished.
        ParityError: An exported graph does not compute what its network computes.
        Contradiction: The committee's calibration or policy is invalid or of other members, or the
            regressor's intervals or known tiles are missing or of other networks; EXPORT_UNKNOWN
            for a name that is no run.
    """
    steps = {
        "committee": _export_committee,
        "regressor": _export_regressor,
        "editor": export_editor,
    }
    chosen = steps.keys() if only is None else set(only)
    if unknown := sorted(chosen - steps.keys()):
        raise Contradiction(
            "EXPORT_UNKNOWN", f"'{unknown[0]}' cannot be exported; there are {', '.join(steps)}."
        )
    exporter = Exporter(runs, repository, results, example_tiles())
    # The gradient's graph names the regressor's weights: a new one alone would leave it broken.
    alone = "regressor" in chosen and "editor" not in chosen
    editor = restored_editor(repository) if alone and (repository / DECODER).exists() else None
    left_out = []
    if chosen - {"committee"} and not sees_the_editors_field(runs):
        editor = None
        shutil.rmtree(repository / "edit_gradient", ignore_errors=True)
        left_out.append(
            "edit_gradient is left out: the regressor sees another field of view than the editor, "
            f"which learned from {STRENGTH_GEOMETRY.field_of_view_um:g} um. `explain` needs an "
            "editor of the regressor's field, and is not available with these models."
        )
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("exporting", total=len(chosen) + 1)
        for name, step in steps.items():
            if name in chosen:
                step(exporter)
                progress.advance(task)
        if editor is not None:
            export_gradient_anew(exporter, editor)
        if has_parts(repository):
            assemble_repository(repository)
        progress.advance(task)
    return left_out


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


def _export_committee(exporter: Exporter) -> None:
    members, lot_ids = load_members(exporter.runs / "committee")
    geometry = learned_geometry(checkpoint_path(exporter.runs, "committee/member_00"), GEOMETRY.px)
    small = resampled(exporter.tiles, geometry.px)
    parity = exporter.write_members("committee", members, small, MEMBER_OUTPUTS)
    simulated, specs, lots = stated_lots(exporter.runs / "committee", lot_ids)
    with torch.no_grad():
        examples = dict(zip(MEMBER_OUTPUTS, members[0](small), strict=True))
    metadata = ModelMetadata(
        weights_sha256=committee_sha256(members),
        trained_on_simulated_lots=simulated,
        geometry=geometry,
        attributes=specs,
        reference_lots=lots,
        members=len(members),
    )
    signature = ModelSignature(
        name="committee",
        inputs=(image_spec(geometry.px),),
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
    _export_calibration(exporter, metadata.weights_sha256)
    _keep_diagnosis(exporter.repository / "committee", metadata.weights_sha256)
    what = (
        f"{len(members)} WRN-16-2 members; of each its logits, the pooled features of its last "
        "group, and mean and deviation of every channel of its first"
    )
    exporter.describe(signature, parity, what)
    write_cascade_models(exporter.repository, signature, VERSION)


def _export_calibration(exporter: Exporter, weights_sha256: str) -> None:
    """Copy calibration and policy; a committee without them loses those of the one before."""
    run, served = exporter.runs / "committee", exporter.repository / "committee"
    if not any((run / name).exists() for name in FILES):
        for name in FILES:
            (served / name).unlink(missing_ok=True)
        return
    calibrated = read_calibration(run)
    policy = ReferralPolicy.read(run / POLICY_FILE)
    versions = {policy.calibration_version, calibrated.calibration.calibration_version}
    if policy.weights_sha256 != weights_sha256 or len(versions) > 1:
        raise Contradiction(
            "POLICY_MISMATCH",
            "The policy was fitted for other members. Run `lotwise-train policy` first.",
        )
    calibrated.check_weights(weights_sha256)
    write_calibration(calibrated, served)
    write_policy(policy, served / POLICY_FILE)


def _keep_diagnosis(served: Path, weights_sha256: str) -> None:
    """Remove a diagnosis that is another committee's: it is fitted on what that one says."""
    try:
        diagnosis = Diagnosis.read(served / DIAGNOSIS_FILE)
        if diagnosis is not None:
            diagnosis.check_weights(weights_sha256)
            return
    except Contradiction:
        pass
    for name in (DIAGNOSIS_FILE, LOT_DIAGNOSIS_FILE):
        (served / name).unlink(missing_ok=True)


def _export_regressor(exporter: Exporter) -> None:
    checkpoint = checkpoint_path(exporter.runs, served_name())
    regressor = load_regressor(checkpoint)
    geometry = learned_geometry(checkpoint, STRENGTH_GEOMETRY.px)
    observed = ObservedRegressor.of(regressor).eval()
    path = exporter.folder("regressor") / "model.onnx"
    export_module(observed, [exporter.tiles], ["image"], OBSERVED_OUTPUTS, path)
    parity = check_parity(observed, path, [exporter.tiles])
    with torch.no_grad():
        examples = dict(zip(OBSERVED_OUTPUTS, observed(exporter.tiles), strict=True))
    signature = ModelSignature(
        name="regressor",
        inputs=(image_spec(geometry.px),),
        outputs=tuple(float_spec(name, example) for name, example in examples.items()),
        metadata=ModelMetadata(
            weights_sha256=committee_sha256([regressor]),
            trained_on_simulated_lots=simulated_lots(exporter.runs),
            geometry=geometry,
            property=learned_property(exporter.runs, regressor),
        ),
        max_batch_size=8,
    )
    exporter.describe(signature, parity, "WRN-28-1 with a tanh head")
    _export_known_tiles(exporter, signature.metadata.weights_sha256)
    export_folds(exporter)


def _export_known_tiles(exporter: Exporter, weights_sha256: str) -> None:
    """Put what the regressor knows beside it; a run of few lots has no such file."""
    served = exporter.repository / "regressor" / KNOWN_TILES_FILE
    fitted = exporter.runs / REGRESSOR / KNOWN_TILES_FILE
    if not fitted.exists():
        served.unlink(missing_ok=True)
        return
    KnownTiles.read(fitted).check_weights(weights_sha256)
    shutil.copyfile(fitted, served)
