"""TorchScript, for those whose Triton has the PyTorch backend and no ONNX Runtime.

An option beside the ONNX files, which stay what Lotwise serves: its services ask for the names of
those. Each member of the committee becomes a model of its own, and so does the regressor. Weights
are 32 bits wide here, and batch norm is merged into the convolutions, so the files are larger and
differ from the networks in the last digits; that is checked as for ONNX.

torch calls TorchScript deprecated. It is also the one format that this backend of Triton reads
without Python.
"""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from lotwise.core.signature import ModelMetadata, ModelSignature, TensorSpec
from lotwise.runtime.model_config import write_pbtxt
from lotwise_training.data.benchmark import GEOMETRY
from lotwise_training.data.property_lots import STRENGTH_GEOMETRY
from lotwise_training.export.exporter import (
    VERSION,
    learned_geometry,
    learned_property,
    sha256,
    simulated_lots,
)
from lotwise_training.export.lot_metadata import stated_lots
from lotwise_training.export.repository import LABELS, example_tiles, resampled
from lotwise_training.inference.predict import load_members, load_regressor
from lotwise_training.models.wide_resnet import MEMBER_OUTPUTS
from lotwise_training.onnx.export import PARITY_TOLERANCE, compare
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.property import served_name

FILE: Final = "model.pt"  # the name that the backend looks for
_SOURCES: Final = ".debug_pkl"


def write_torchscript(runs: Path, folder: Path) -> dict[str, float]:
    """Export committee and regressor as a model repository for Triton's PyTorch backend.

    Models are `committee_member_<n>`, with outputs logits__0 [K], features__1 and early__2, and
    `regressor` with property__0 [1]; the input is image__0 uint8 [1, px, px]. The numbers are the
    positions by which the backend knows tensors.

    Args:
        runs: Folder with the finished runs `committee` and `regressor`.
        folder: The repository to write; models of these names in it are replaced.

    Returns:
        The parity of each model with its network, by its name.

    Raises:
        CheckpointError: A run is missing or unfinished.
        ParityError: A file does not compute what its network computes.
    """
    members, lot_ids = load_members(runs / "committee")
    regressor = load_regressor(checkpoint_path(runs, served_name()))
    tiles = example_tiles()
    geometry = learned_geometry(checkpoint_path(runs, "committee/member_00"), GEOMETRY.px)
    small = resampled(tiles, geometry.px)
    simulated, specs, lots = stated_lots(runs / "committee", lot_ids)
    parities = {}
    for number, member in enumerate(members):
        name = f"committee_member_{number:02d}"
        parities[name] = _write_model(
            folder / name,
            member,
            small,
            MEMBER_OUTPUTS,
            ModelMetadata(
                weights_sha256="",
                trained_on_simulated_lots=simulated,
                geometry=geometry,
                attributes=specs,
                reference_lots=lots,
            ),
        )
        (folder / name / LABELS).write_text("\n".join(lot_ids) + "\n", encoding="utf-8")
    parities["regressor"] = _write_model(
        folder / "regressor",
        regressor,
        tiles,
        ["property"],
        ModelMetadata(
            weights_sha256="",
            trained_on_simulated_lots=simulated_lots(runs),
            geometry=learned_geometry(checkpoint_path(runs, served_name()), STRENGTH_GEOMETRY.px),
            property=learned_property(runs, regressor),
        ),
    )
    return parities


def export_torchscript(module: nn.Module, examples: Sequence[Tensor], path: Path) -> None:
    """Write a module as TorchScript: traced, frozen, in one file.

    It has no branches that depend on its input, so a trace is all of it, for any batch. Load it
    with a `map_location`, as Triton does: frozen weights do not follow a later `.to(device)`. The
    file keeps no paths of this machine.

    Args:
        module: In evaluation mode, on the CPU; takes `examples`, returns a tensor or a tuple.
        examples: Its inputs.
        path: The file; replaced atomically, folders are made as needed.

    Raises:
        ValueError: The module is in training mode.
    """
    if module.training:
        raise ValueError("export needs module.eval(): batch norm would use the batch's statistics")
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        # A check of the trace is left out: the parity is checked on the file.
        traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
            module, tuple(examples), check_trace=False
        )
        torch.jit.save(torch.jit.freeze(traced), buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(_without_sources(buffer))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_torchscript(
    module: nn.Module,
    path: Path,
    inputs: Sequence[Tensor],
    *,
    tolerance: float = PARITY_TOLERANCE,
) -> float:
    """Compare the file at `path`, run on the CPU, with the torch module.

    Args:
        module: What was exported, in evaluation mode.
        path: The file.
        inputs: Of the module. All of the batch and its first tile alone are compared.
        tolerance: Largest accepted parity.

    Returns:
        The parity, see :func:`.onnx_export.check_parity`.

    Raises:
        ParityError: It is above `tolerance`, or shapes or the number of outputs differ.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        loaded = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    parity = 0.0
    for batch in (list(inputs), [tensor[:1] for tensor in inputs]):
        with torch.no_grad():
            actual, expected = (
                [answer] if isinstance(answer, Tensor) else list(answer)
                for answer in (loaded(*batch), module(*batch))
            )
        parity = max(
            parity,
            compare(
                [tensor.numpy() for tensor in actual],
                [tensor.numpy() for tensor in expected],
                path,
                tolerance=tolerance,
            ),
        )
    return parity


def _write_model(
    folder: Path,
    module: nn.Module,
    tiles: Tensor,
    outputs: Sequence[str],
    metadata: ModelMetadata,
) -> float:
    """One model of the repository: file and config.pbtxt, which names the file's hash.

    Args:
        folder: Of the model, named like it.
        module: The network.
        tiles: uint8 [B, 1, px, px].
        outputs: Names of what the module gives.
        metadata: All but the hash.

    Returns:
        The parity.
    """
    path = folder / VERSION / FILE
    export_torchscript(module, [tiles], path)
    parity = check_torchscript(module, path, [tiles])
    with torch.no_grad():
        answer = module(tiles)
    examples = [answer] if isinstance(answer, Tensor) else list(answer)
    signature = ModelSignature(
        name=folder.name,
        inputs=(TensorSpec(name="image__0", dtype="UINT8", shape=tuple(tiles.shape[1:])),),
        outputs=tuple(
            TensorSpec(
                name=f"{name}__{position}",
                dtype="FP32",
                shape=tuple(example.shape[1:]),
                label_file=LABELS if name == "logits" else "",
            )
            for position, (name, example) in enumerate(zip(outputs, examples, strict=True))
        ),
        metadata=metadata.model_copy(update={"weights_sha256": sha256(path)}),
    )
    write_pbtxt(signature, folder / "config.pbtxt", backend="pytorch")
    return parity


def _without_sources(buffer: io.BytesIO) -> bytes:
    """A TorchScript archive without the positions in source files, which hold their paths."""
    kept = io.BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(kept, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(_SOURCES):
                target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry))
    return kept.getvalue()
