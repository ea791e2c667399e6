"""Exports the served editor: encoder, decoder, gradient of the property after it, and meter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from lotwise.core.signature import ModelMetadata, ModelSignature, TensorSpec
from lotwise_simulator import ATTRIBUTE_NAMES
from lotwise_training.data.property_lots import STRENGTH_GEOMETRY
from lotwise_training.export.exporter import (
    VERSION,
    Exporter,
    float_spec,
    image_spec,
    learned_geometry,
    learned_property,
    sha256,
)
from lotwise_training.export.lot_metadata import ATTRIBUTES, known_lots
from lotwise_training.inference.predict import load_regressor
from lotwise_training.models.editors import EditorNetwork, EncoderGraph
from lotwise_training.onnx.export import (
    GRADIENT_PARITY_TOLERANCE,
    check_parity,
    export_module,
)
from lotwise_training.onnx.gradient import EditGradient, export_gradient
from lotwise_training.onnx.half_precision import save_half, to_half
from lotwise_training.onnx.shared_weights import save_skeleton, strip_weights
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.editor.runs import editor_name, load_editor, read_served
from lotwise_training.training.tasks.attributes import METER, SERVED_METER, load_attribute_network
from lotwise_training.training.tasks.property import served_name

DECODER = "editor_decoder"
MODEL = "model.onnx"
SKELETON = "skeleton.onnx"
WHOLE = "whole.onnx"
CODE = ("latent", "skip")
WHAT = {
    "AttGan": "an AttGAN generator",
    "DifferenceEditor": "an editor of differences: the tile, plus what changes, zoomed",
}


def export_editor(exporter: Exporter) -> None:
    """Write `editor_encoder`, `editor_decoder`, `edit_gradient` and `attribute_meter`.

    Without `edit_gradient` where the regressor sees another field than the editor.

    Raises:
        CheckpointError: A network is missing or unfinished.
        ParityError: An exported graph does not compute what its network computes.
    """
    kind = read_served(exporter.runs)
    network = load_editor(checkpoint_path(exporter.runs, editor_name(kind)))
    current, target, code, specs = _examples(exporter, network)
    _decoder(exporter, network, [*code, target], specs)
    _encoder(exporter, network, [exporter.tiles, current], specs)
    if sees_the_editors_field(exporter.runs):
        _gradient(exporter, network, [*code, target], specs)
    _meter(exporter)


def sees_the_editors_field(runs: Path) -> bool:
    """Whether the run's regressor sees the field of view that editors learn from."""
    path = checkpoint_path(runs, served_name())
    if not path.exists():  # what needs it says so
        return True
    return learned_geometry(path, STRENGTH_GEOMETRY.px) == STRENGTH_GEOMETRY


def export_gradient_anew(exporter: Exporter, network: EditorNetwork) -> None:
    """Write `edit_gradient` again, for another regressor after the editor that is served.

    Raises:
        CheckpointError: The regressor is missing or unfinished.
        ParityError: The exported graph does not compute what the networks compute.
    """
    _, target, code, specs = _examples(exporter, network)
    _gradient(exporter, network, [*code, target], specs)


def _examples(
    exporter: Exporter, network: EditorNetwork
) -> tuple[Tensor, Tensor, list[Tensor], list[TensorSpec]]:
    """Attributes of tiles, attributes to ask for, and what the encoder makes of the tiles."""
    tiles = exporter.tiles
    drawn = torch.rand(2, len(tiles), len(ATTRIBUTE_NAMES), generator=torch.manual_seed(0))
    with torch.no_grad():
        code = list(network.encode(tiles, drawn[0]))
    specs = [float_spec(name, tensor) for name, tensor in zip(CODE, code, strict=True)]
    return drawn[0], drawn[1], code, specs


def _encoder(
    exporter: Exporter, network: EditorNetwork, inputs: list[Tensor], code: Sequence[TensorSpec]
) -> None:
    known = {"image": inputs[0], "attributes": inputs[1]}
    taken = list(network.encoder_inputs)
    examples = [known[name] for name in taken]
    folder = exporter.folder("editor_encoder")
    for old in (MODEL, SKELETON):
        (folder / old).unlink(missing_ok=True)
    graph = EncoderGraph(network).eval()
    whole = folder / WHOLE
    model = export_module(graph, examples, taken, list(CODE), whole)
    parity = check_parity(graph, whole, examples)
    whole.unlink()
    path = folder / MODEL
    if "attributes" in taken:
        # It draws the tile itself, so it holds the decoder's weights beside its own.
        decoder = onnx.load(_path(exporter, DECODER))
        path = folder / SKELETON
        skeleton = strip_weights(to_half(model), {DECODER: decoder}, own_weights=True)
        save_skeleton(skeleton, path)
    else:
        save_half(model, path)
    specs = {"image": image_spec(STRENGTH_GEOMETRY.px), "attributes": _attributes()}
    exporter.describe(
        _signature("editor_encoder", [specs[name] for name in taken], code, sha256(path)),
        parity,
        f"encoder of {WHAT[type(network).__name__]}",
    )


def _decoder(
    exporter: Exporter, network: EditorNetwork, inputs: list[Tensor], code: Sequence[TensorSpec]
) -> None:
    path = exporter.folder(DECODER) / MODEL
    export_module(network, inputs, [*CODE, "attributes"], ["image"], path)
    parity = check_parity(network, path, inputs)
    exporter.describe(
        _signature(
            DECODER,
            [*code, _attributes()],
            [_edited()],
            sha256(path),
            attributes=ATTRIBUTES,
            reference_lots=known_lots(),
        ),
        parity,
        f"decoder of {WHAT[type(network).__name__]}",
    )


def _gradient(
    exporter: Exporter, network: EditorNetwork, inputs: list[Tensor], code: Sequence[TensorSpec]
) -> None:
    regressor = load_regressor(checkpoint_path(exporter.runs, served_name()))
    folder = exporter.folder("edit_gradient")
    whole = folder / WHOLE
    model = export_gradient(network, regressor, inputs, whole)
    parity = check_parity(
        EditGradient(network, regressor), whole, inputs, tolerance=GRADIENT_PARITY_TOLERANCE
    )
    whole.unlink()
    paths = {name: _path(exporter, name) for name in (DECODER, "regressor")}
    sources = {name: onnx.load(path) for name, path in paths.items()}
    save_skeleton(strip_weights(model, sources), folder / SKELETON)
    exporter.describe(
        _signature(
            "edit_gradient",
            [*code, _attributes()],
            [
                _edited(),
                TensorSpec(name="property", dtype="FP32", shape=(1,)),
                _attributes("gradient"),
            ],
            sha256(folder / SKELETON, *paths.values()),
            property=learned_property(exporter.runs, regressor),
            attributes=ATTRIBUTES,
        ),
        parity,
        "derivative of the regressor after the decoder, with respect to the attributes",
        GRADIENT_PARITY_TOLERANCE,
    )


def _meter(exporter: Exporter) -> None:
    """What explanations ask what an edit has changed, as evaluations do."""
    network = load_attribute_network(checkpoint_path(exporter.runs, METER))
    path = exporter.folder(SERVED_METER) / MODEL
    export_module(network, [exporter.tiles], ["image"], ["attributes"], path)
    parity = check_parity(network, path, [exporter.tiles])
    inputs = [image_spec(STRENGTH_GEOMETRY.px)]
    exporter.describe(
        _signature(SERVED_METER, inputs, [_attributes()], sha256(path), attributes=ATTRIBUTES),
        parity,
        "a small wide residual network that reads the attributes of a tile's lot and has never "
        "seen an editor",
    )


def _path(exporter: Exporter, name: str) -> Path:
    return exporter.repository / name / VERSION / MODEL


def _signature(
    name: str,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    weights_sha256: str,
    **metadata: Any,
) -> ModelSignature:
    """Of a model of simulated lots; `metadata` are further fields of `ModelMetadata`."""
    known: dict[str, Any] = {
        "trained_on_simulated_lots": True,
        "geometry": STRENGTH_GEOMETRY,
        **metadata,
    }
    return ModelSignature(
        name=name,
        priority=2,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        metadata=ModelMetadata(weights_sha256=weights_sha256, **known),
    )


def _attributes(name: str = "attributes") -> TensorSpec:
    return TensorSpec(name=name, dtype="FP32", shape=(len(ATTRIBUTE_NAMES),))


def _edited() -> TensorSpec:
    px = STRENGTH_GEOMETRY.px
    return TensorSpec(name="image", dtype="FP32", shape=(1, px, px))
