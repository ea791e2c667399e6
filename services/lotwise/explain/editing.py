"""One tile, encoded once, edited and judged as often as asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lotwise.core.counterfactual import Evaluation
from lotwise.core.errors import Contradiction
from lotwise.core.preprocessing import prepare
from lotwise.core.quality import Quality
from lotwise.core.signature import ModelMetadata, PropertySpec, TileGeometry
from lotwise.core.tile import DecodedTile, Grey
from lotwise.runtime.inference import Inference, ServedModel, infer_in_chunks

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EditorModels:
    """Names of the models in the repository that an explanation composes."""

    regressor: str
    encoder: str
    decoder: str
    gradient: str

    @property
    def all(self) -> tuple[str, ...]:
        """Every one of them."""
        return (self.regressor, self.encoder, self.decoder, self.gradient)


@dataclass(frozen=True)
class Edits:
    """Edited tiles and what the regressor reads off them.

    Attributes:
        images: uint8 [N, px, px].
        values: float64 [N], as predict would answer for these very images.
    """

    images: npt.NDArray[np.uint8]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Editor:
    """The models of an explanation, as the engine describes them.

    Attributes:
        models: In the order regressor, encoder, decoder, gradient.
        geometry: Field that regressor and encoder see.
    """

    inference: Inference
    names: EditorModels
    models: tuple[ServedModel, ...]
    geometry: TileGeometry

    @classmethod
    async def describe(cls, inference: Inference, names: EditorModels) -> Editor:
        """Ask the engine for them.

        Raises:
            NotFound, InferenceError: As the engine does.
            Contradiction: EDITOR_MISMATCH where the models do not belong together.
        """
        models = tuple([await inference.describe(name) for name in names.all])
        regressor, encoder = (served.signature.metadata for served in models[:2])
        if regressor.geometry is None or regressor.geometry != encoder.geometry:
            raise Contradiction(
                "EDITOR_MISMATCH",
                "Regressor and editor do not see the same field. Export them together.",
            )
        return cls(inference, names, models, regressor.geometry)

    @property
    def metadata(self) -> ModelMetadata:
        """Of the decoder: attributes and the lots whose attributes are known."""
        return self.models[2].signature.metadata

    @property
    def property(self) -> PropertySpec:
        """What the regressor gives."""
        specification = self.models[0].signature.metadata.property
        if specification is None:
            raise Contradiction(
                "EDITOR_MISMATCH", "The regressor states no property. Export it again."
            )
        return specification

    async def encode(self, tile: DecodedTile, attributes: npt.ArrayLike) -> EditableTile:
        """Fit the tile to the models and encode it, once for all its edits.

        Args:
            tile: As decoded.
            attributes: [n_attributes] in 0-1, of the tile's lot. An encoder that has no such input
                does without.

        Raises:
            InvalidTile, NotFound, InferenceError: As the engine and the scale rule do.
        """
        encoder = self.models[1].signature
        prepared = prepare(tile, self.geometry)
        own = np.asarray(attributes, dtype=np.float32)[None]
        known: dict[str, npt.NDArray[Any]] = {"image": prepared.image, "attributes": own}
        inputs = {spec.name: known[spec.name] for spec in encoder.inputs if spec.name in known}
        code = await self.inference.infer(self.names.encoder, inputs)
        answer = await self.inference.infer(self.names.regressor, {"image": prepared.image})
        return EditableTile(self, float(answer["property"][0, 0]), prepared.quality, code)


@dataclass(frozen=True)
class EditableTile:
    """G(I, .) and R(G(I, .)) of Liu et al. 2020 for one tile I.

    Attributes:
        editor: Whose edits.
        original: R(I), in the property's unit.
        quality: Of the picture.
    """

    editor: Editor
    original: float
    quality: Quality
    _code: dict[str, npt.NDArray[Any]]

    async def edit(self, attributes: npt.ArrayLike) -> Edits:
        """Redraw the tile with other attributes and read the property off the pictures.

        Args:
            attributes: [N, n_attributes] in 0-1.
        """
        wanted = np.asarray(attributes, dtype=np.float32)
        drawn = await infer_in_chunks(
            self.editor.inference, self.editor.names.decoder, self._inputs(wanted)
        )
        images = to_pixels(drawn["image"])
        judged = await infer_in_chunks(
            self.editor.inference, self.editor.names.regressor, {"image": images}
        )
        return Edits(images[:, 0], judged["property"][:, 0].astype(np.float64))

    async def evaluate(self, attributes: npt.ArrayLike) -> list[Evaluation]:
        """R(G(I, A)) and its exact gradient in A, from the gradient graph.

        Args:
            attributes: [N, n_attributes] in 0-1.

        Returns:
            N evaluations.
        """
        answer = await infer_in_chunks(
            self.editor.inference,
            self.editor.names.gradient,
            self._inputs(np.asarray(attributes, dtype=np.float32)),
        )
        return [
            Evaluation(float(value), gradient)
            for value, gradient in zip(
                answer["property"][:, 0], answer["gradient"].astype(np.float64), strict=True
            )
        ]

    def _inputs(self, attributes: Floats) -> dict[str, npt.NDArray[Any]]:
        n = len(attributes)
        code = {
            name: np.ascontiguousarray(np.broadcast_to(tensor, (n, *tensor.shape[1:])))
            for name, tensor in self._code.items()
        }
        return {**code, "attributes": attributes}


def to_pixels(grey: Floats) -> Grey:
    """Grey levels as the editor draws them -> uint8."""
    return np.rint(np.clip(grey, 0.0, 255.0)).astype(np.uint8)
