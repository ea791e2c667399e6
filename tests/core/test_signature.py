import pytest
from pydantic import ValidationError

from lotwise.core.signature import (
    AttributeSpec,
    ModelMetadata,
    ModelSignature,
    ReferenceLot,
    TensorSpec,
    TileGeometry,
)

ATTRIBUTES = (
    AttributeSpec(name="porosity", low="dense", high="porous"),
    AttributeSpec(name="grain size", low="fine", high="coarse"),
)


def metadata(**changes):
    return ModelMetadata(
        **{"weights_sha256": "0" * 64, "trained_on_simulated_lots": True, **changes}
    )


def signature(**changes):
    fields = {
        "name": "regressor",
        "inputs": (TensorSpec(name="image", dtype="UINT8", shape=(1, 64, 64)),),
        "outputs": (TensorSpec(name="value", dtype="FP32", shape=(1,)),),
        "metadata": metadata(),
    }
    return ModelSignature(**{**fields, **changes})


def test_the_field_of_view_is_pixels_times_their_length():
    assert TileGeometry(px=256, um_per_px=0.5).field_of_view_um == 128


@pytest.mark.parametrize("geometry", [(0, 1.0), (-1, 1.0), (64, 0.0), (64, -1.0), (64.5, 1.0)])
def test_a_geometry_has_positive_sizes(geometry):
    with pytest.raises(ValidationError):
        TileGeometry(px=geometry[0], um_per_px=geometry[1])


def test_a_reference_lot_states_every_attribute_of_the_model():
    lots = (ReferenceLot(lot_id="A", attributes=(0.1, 0.9)),)
    assert metadata(attributes=ATTRIBUTES, reference_lots=lots).reference_lots == lots
    for wrong in ((0.1,), (0.1, 0.2, 0.3), ()):
        with pytest.raises(ValidationError, match="reference lot B has"):
            metadata(
                attributes=ATTRIBUTES,
                reference_lots=(*lots, ReferenceLot(lot_id="B", attributes=wrong)),
            )


def test_an_unknown_type_of_tensor_is_refused():
    with pytest.raises(ValidationError):
        TensorSpec(name="image", dtype="INT64", shape=(1,))


@pytest.mark.parametrize(
    "change",
    [
        {"max_batch_size": 0},
        {"max_queue_delay_us": -1},
        {"queue_timeout_us": 0},
        {"max_queue_size": 0},
        {"labels": ("A",)},
    ],
)
def test_limits_that_make_no_sense_and_unknown_fields_are_refused(change):
    with pytest.raises(ValidationError):
        signature(**change)


def test_a_signature_survives_json_and_cannot_be_changed():
    stated = signature(metadata=metadata(attributes=ATTRIBUTES, members=5))
    assert ModelSignature.model_validate_json(stated.model_dump_json()) == stated
    with pytest.raises(ValidationError):
        stated.name = "other"
