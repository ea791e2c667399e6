"""Exports the meter: explanations ask it what an edit has changed, as evaluations do."""

from __future__ import annotations

from lotwise.core.signature import ModelMetadata, ModelSignature, TensorSpec
from lotwise_simulator import ATTRIBUTE_NAMES
from lotwise_training.data.property_lots import STRENGTH_GEOMETRY
from lotwise_training.export.exporter import Exporter, image_spec, sha256
from lotwise_training.export.lot_metadata import ATTRIBUTES
from lotwise_training.onnx.export import check_parity, export_module
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.attribute_meter import NAME, SERVED
from lotwise_training.training.tasks.attributes import load_attribute_network


def export_meter(exporter: Exporter) -> None:
    """Write `attribute_meter`.

    Raises:
        CheckpointError: It is missing or unfinished.
        ParityError: The exported graph does not compute what the network computes.
    """
    network = load_attribute_network(checkpoint_path(exporter.runs, NAME))
    path = exporter.folder(SERVED) / "model.onnx"
    export_module(network, [exporter.tiles], ["image"], ["attributes"], path)
    parity = check_parity(network, path, [exporter.tiles])
    exporter.describe(
        ModelSignature(
            name=SERVED,
            priority=2,
            inputs=(image_spec(STRENGTH_GEOMETRY.px),),
            outputs=(TensorSpec(name="attributes", dtype="FP32", shape=(len(ATTRIBUTE_NAMES),)),),
            metadata=ModelMetadata(
                weights_sha256=sha256(path),
                trained_on_simulated_lots=True,
                geometry=STRENGTH_GEOMETRY,
                attributes=ATTRIBUTES,
            ),
        ),
        parity,
        "a small wide residual network that reads the attributes of a tile's lot and has never "
        "seen an editor",
    )
