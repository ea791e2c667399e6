"""An editor whose tiles are evenly grey, so that all it does is known exactly."""

import numpy as np

from lotwise.core.errors import NotFound
from lotwise.core.preprocessing import PreparedTile
from lotwise.core.quality import assess_quality
from lotwise.core.signature import (
    AttributeSpec,
    ModelMetadata,
    ModelSignature,
    PropertySpec,
    ReferenceLot,
    TensorSpec,
    TileGeometry,
)
from lotwise.explain.editing import Editor, EditorModels
from lotwise.runtime.inference import ServedModel

PX = 8
NAMES = ("size", "porosity")
SLOPES = np.array([40.0, -10.0])
"""Grey levels for each unit of an attribute."""
PSI = 10.0
"""Property for each grey level."""
OWN = (0.5, 0.5)
MODELS = EditorModels("regressor", "encoder", "decoder", "gradient")
METERED = EditorModels("regressor", "encoder", "decoder", "gradient", "meter")
SEEN = 0.5
"""Share of a change of the size that the meter sees; it is blind to porosity."""


class GreyEngine:
    """Models that draw a tile's grey level plus SLOPES @ change, and read PSI of it.

    Args:
        drift: Grey levels that redrawing alone adds.
        served: What it has, by name.
    """

    engine = "fake"

    def __init__(self, drift=0.0, served=None):
        self.drift = drift
        self.judged = 0
        self.served = SERVED if served is None else served

    async def describe(self, model):
        if model not in self.served:
            raise NotFound("MODEL_NOT_FOUND", f"There is no {model}.")
        return self.served[model]

    async def infer(self, model, inputs, outputs=None):
        rows = len(next(iter(inputs.values())))
        assert rows <= SERVED[model].signature.max_batch_size
        if model == "encoder":
            level = inputs["image"].mean(axis=(1, 2, 3), dtype=float)[:, None]
            return {"latent": np.hstack([level, inputs["attributes"]]).astype(np.float32)}
        if model == "regressor":
            return {"property": PSI * inputs["image"].mean(axis=(1, 2, 3), dtype=float)[:, None]}
        if model == "meter":
            level = inputs["image"].mean(axis=(1, 2, 3), dtype=float)
            return {"attributes": np.stack([SEEN * level / SLOPES[0], np.zeros(rows)], axis=1)}
        self.judged += rows
        level, own = inputs["latent"][:, 0], inputs["latent"][:, 1:]
        grey = level + self.drift + (inputs["attributes"] - own) @ SLOPES
        if model == "decoder":
            return {"image": np.broadcast_to(grey[:, None, None, None], (rows, 1, PX, PX))}
        return {"property": PSI * grey[:, None], "gradient": np.tile(PSI * SLOPES, (rows, 1))}


def _served(name, inputs, outputs):
    return ServedModel(
        ModelSignature(
            name=name,
            inputs=inputs,
            outputs=outputs,
            max_batch_size=8,
            metadata=ModelMetadata(
                weights_sha256="a" * 64,
                trained_on_simulated_lots=True,
                geometry=TileGeometry(px=PX, um_per_px=1.0),
                property=PropertySpec(
                    name="peak stress", unit="psi", minimum=0.0, maximum=PSI * 255
                ),
                attributes=tuple(
                    AttributeSpec(name=each, low="little", high="much") for each in NAMES
                ),
                reference_lots=(ReferenceLot(lot_id="known", attributes=OWN),),
            ),
        ),
        "1",
    )


IMAGE = TensorSpec(name="image", dtype="UINT8", shape=(1, PX, PX))
DRAWN = TensorSpec(name="image", dtype="FP32", shape=(1, PX, PX))
LATENT = TensorSpec(name="latent", dtype="FP32", shape=(3,))
ATTRIBUTES = TensorSpec(name="attributes", dtype="FP32", shape=(2,))
PROPERTY = TensorSpec(name="property", dtype="FP32", shape=(1,))
GRADIENT = TensorSpec(name="gradient", dtype="FP32", shape=(2,))
SERVED = {
    "regressor": _served("regressor", (IMAGE,), (PROPERTY,)),
    "encoder": _served("encoder", (IMAGE, ATTRIBUTES), (LATENT,)),
    "decoder": _served("decoder", (LATENT, ATTRIBUTES), (DRAWN,)),
    "gradient": _served("gradient", (LATENT, ATTRIBUTES), (PROPERTY, GRADIENT)),
    "meter": _served("meter", (IMAGE,), (ATTRIBUTES,)),
}


async def grey_editor(engine, models=MODELS):
    return await Editor.describe(engine, models)


def grey_tile(level):
    """A tile of one grey level."""
    image = np.full((1, 1, PX, PX), level, dtype=np.uint8)
    return PreparedTile(image, assess_quality(image[0, 0]))
