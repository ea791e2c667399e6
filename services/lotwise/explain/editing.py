"""Tiles, encoded once, edited and judged as often as asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lotwise.core.counterfactual import Evaluation
from lotwise.core.errors import Contradiction, InvalidRequest, NotFound
from lotwise.core.known_tiles import KnownTiles
from lotwise.core.preprocessing import PreparedTile, prepare
from lotwise.core.quality import Quality
from lotwise.core.signature import ModelMetadata, PropertySpec, TileGeometry
from lotwise.core.tile import DecodedTile, Grey
from lotwise.explain.familiarity import admit
from lotwise.explain.looking import Looks, Observer
from lotwise.explain.question import index_of
from lotwise.runtime.inference import Inference, ServedModel, infer_in_chunks

Floats = npt.NDArray[np.float32]

REGRESSOR, ENCODER, DECODER, GRADIENT = range(4)
"""Places of the models of an `Editor`."""


@dataclass(frozen=True)
class EditorModels:
    """Names of the models in the repository that an explanation composes.

    The meter may be missing, and none is asked for where its name is empty.
    """

    regressor: str
    encoder: str
    decoder: str
    gradient: str
    meter: str = ""

    @property
    def needed(self) -> tuple[str, ...]:
        """All without which nothing can be explained."""
        return (self.regressor, self.encoder, self.decoder, self.gradient)


@dataclass(frozen=True)
class Edits:
    """Edited tiles and what the regressor reads off them.

    Attributes:
        images: uint8 [N, px, px].
        looks: What the regressor says of these very images.
    """

    images: npt.NDArray[np.uint8]
    looks: Looks

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """float64 [N], the property, as predict would answer."""
        return self.looks.values


@dataclass(frozen=True)
class Editor:
    """The models of an explanation, as the engine describes them.

    Attributes:
        models: In the order REGRESSOR, ENCODER, DECODER, GRADIENT.
        geometry: Field that regressor and encoder see.
        observer: Asks the regressor.
        min_familiarity: A tile below it is edited only where the caller insists.
        meter: Reads attributes, and has never seen an editor; None where there is none.
    """

    inference: Inference
    names: EditorModels
    models: tuple[ServedModel, ...]
    geometry: TileGeometry
    observer: Observer
    min_familiarity: float = 0.0
    meter: ServedModel | None = None

    @classmethod
    async def describe(
        cls,
        inference: Inference,
        names: EditorModels,
        known: KnownTiles | None = None,
        min_familiarity: float = 0.0,
    ) -> Editor:
        """Ask the engine for them.

        Args:
            inference: The engine.
            names: Of the models.
            known: Tiles that the regressor knows; None to say nothing of it.
            min_familiarity: See the class.

        Raises:
            NotFound, InferenceError: As the engine does.
            Contradiction: EDITOR_MISMATCH where the models do not belong together,
                KNOWN_TILES_MISMATCH where the known tiles are another regressor's.
        """
        models = tuple([await inference.describe(name) for name in names.needed])
        regressor, encoder = (served.signature.metadata for served in models[:2])
        if regressor.geometry is None or regressor.geometry != encoder.geometry:
            raise Contradiction(
                "EDITOR_MISMATCH",
                "Regressor and editor do not see the same field. Export them together.",
            )
        if known is not None:
            known.check_weights(regressor.weights_sha256)
        given = tuple(spec.name for spec in models[REGRESSOR].signature.outputs)
        observer = Observer(inference, names.regressor, given, known)
        editor = cls(inference, names, models, regressor.geometry, observer, min_familiarity)
        return replace(editor, meter=await editor._found_meter())

    async def _found_meter(self) -> ServedModel | None:
        if not self.names.meter:
            return None
        try:
            meter = await self.inference.describe(self.names.meter)
        except NotFound:
            return None
        read = meter.signature.metadata
        if read.geometry != self.geometry or read.attributes != self.metadata.attributes:
            raise Contradiction(
                "EDITOR_MISMATCH",
                "The meter reads other attributes, or another field, than the editor changes. "
                "Export them together.",
            )
        return meter

    @property
    def answering(self) -> tuple[ServedModel, ...]:
        """All models that an explanation rests on."""
        return self.models if self.meter is None else (*self.models, self.meter)

    async def read_attributes(
        self, images: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float64] | None:
        """What the meter reads off pictures, float64 [N, n_attributes]; None without a meter.

        Args:
            images: uint8 [N, px, px], of the editor's field.
        """
        if self.meter is None:
            return None
        read = await infer_in_chunks(self.inference, self.names.meter, {"image": images[:, None]})
        return read["attributes"].astype(np.float64)

    @property
    def metadata(self) -> ModelMetadata:
        """Of the decoder: attributes and the lots whose attributes are known."""
        return self.models[DECODER].signature.metadata

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Of the attributes, in the order of every array of them."""
        return tuple(attribute.name for attribute in self.metadata.attributes)

    @property
    def property(self) -> PropertySpec:
        """What the regressor gives."""
        specification = self.models[REGRESSOR].signature.metadata.property
        if specification is None:
            raise Contradiction(
                "EDITOR_MISMATCH", "The regressor states no property. Export it again."
            )
        return specification

    def lot_attributes(self, lot_id: str, stated: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """What the caller states of a lot, completed by what the model knows of it.

        Returns:
            float64 [n_attributes] in 0-1.

        Raises:
            InvalidRequest: ATTRIBUTE_UNKNOWN, ATTRIBUTE_OUT_OF_RANGE, ATTRIBUTES_MISSING.
        """
        names = self.attribute_names
        for name, value in stated.items():
            index_of(names, name)
            if not 0.0 <= value <= 1.0:
                raise InvalidRequest(
                    "ATTRIBUTE_OUT_OF_RANGE",
                    f"Attribute '{name}' must be within 0 to 1, not {value}.",
                )
        known = {lot.lot_id: lot.attributes for lot in self.metadata.reference_lots}.get(lot_id)
        missing = [name for name in names if name not in stated] if known is None else []
        if missing:
            raise InvalidRequest(
                "ATTRIBUTES_MISSING",
                f"'{lot_id}' is no lot whose attributes the model knows. "
                f"State {', '.join(missing)}, each within 0 to 1.",
            )
        base = dict(zip(names, known or [0.0] * len(names), strict=True))
        return np.array([stated.get(name, base[name]) for name in names])

    async def encode(
        self,
        tile: DecodedTile | PreparedTile,
        attributes: npt.ArrayLike,
        *,
        anyhow: bool = True,
    ) -> EditableTile:
        """Fit the tile to the models and encode it, once for all its edits.

        Args:
            tile: As decoded, or fitted already.
            attributes: [n_attributes] in 0-1, of the tile's lot. An encoder that has no such input
                does without.
            anyhow: Whether a tile that looks like none that the regressor knows is edited, too.

        Raises:
            InvalidTile: TILE_UNFAMILIAR, or as the scale rule says.
            NotFound, InferenceError: As the engine does.
        """
        encoder = self.models[ENCODER].signature
        prepared = tile if isinstance(tile, PreparedTile) else prepare(tile, self.geometry)
        looks = await self.observer.look(prepared.image, where=True)
        admit(looks.familiarity, self.min_familiarity, anyhow=anyhow)
        own = np.asarray(attributes, dtype=np.float32)[None]
        known: dict[str, npt.NDArray[Any]] = {"image": prepared.image, "attributes": own}
        inputs = {spec.name: known[spec.name] for spec in encoder.inputs if spec.name in known}
        code = await self.inference.infer(self.names.encoder, inputs)
        return EditableTile(self, looks, prepared.quality, code)


@dataclass(frozen=True)
class EditableTile:
    """G(I, .) and R(G(I, .)) of Liu et al. 2020 for one tile I.

    Attributes:
        editor: Whose edits.
        looks: What the regressor says of it.
        quality: Of the picture.
        code: What the encoder gives, each [1, ...].
    """

    editor: Editor
    looks: Looks
    quality: Quality
    code: dict[str, npt.NDArray[Any]]

    @property
    def original(self) -> float:
        """R(I), in the property's unit."""
        return float(self.looks.values[0])

    async def edit(self, attributes: npt.ArrayLike) -> Edits:
        """Redraw the tile with other attributes and read the property off the pictures.

        Args:
            attributes: [N, n_attributes] in 0-1.
        """
        return await edit_rows([(self, each) for each in np.asarray(attributes)])

    async def evaluate(self, attributes: npt.ArrayLike) -> list[Evaluation]:
        """R(G(I, A)) and its exact gradient in A, from the gradient graph.

        Args:
            attributes: [N, n_attributes] in 0-1.

        Returns:
            N evaluations.
        """
        return await evaluate_rows([(self, each) for each in np.asarray(attributes)])


Row = tuple[EditableTile, npt.NDArray[Any]]
"""A tile and the attributes [n_attributes] in 0-1 that it is to have."""


async def edit_rows(rows: Sequence[Row]) -> Edits:
    """`EditableTile.edit` of several tiles of one editor; one edit a row."""
    editor = rows[0][0].editor
    parts = []
    for chunk in _chunks(rows, editor.models[DECODER]):
        drawn = await editor.inference.infer(editor.names.decoder, _inputs(chunk))
        images = to_pixels(drawn["image"])
        parts.append(Edits(images[:, 0], await editor.observer.look(images)))
    return Edits(
        np.concatenate([part.images for part in parts]),
        Looks.joined([part.looks for part in parts]),
    )


async def evaluate_rows(rows: Sequence[Row]) -> list[Evaluation]:
    """`EditableTile.evaluate` of several tiles of one editor; one evaluation a row."""
    editor = rows[0][0].editor
    found = []
    for chunk in _chunks(rows, editor.models[GRADIENT]):
        answer = await editor.inference.infer(
            editor.names.gradient, _inputs(chunk), ("property", "gradient")
        )
        gradients = answer["gradient"].astype(np.float64)
        found += [
            Evaluation(float(value), gradient)
            for value, gradient in zip(answer["property"][:, 0], gradients, strict=True)
        ]
    return found


def _chunks(rows: Sequence[Row], model: ServedModel) -> Iterator[Sequence[Row]]:
    limit = model.signature.max_batch_size
    return (rows[start : start + limit] for start in range(0, len(rows), limit))


def _inputs(rows: Sequence[Row]) -> dict[str, npt.NDArray[Any]]:
    names = rows[0][0].code
    code = {name: np.concatenate([tile.code[name] for tile, _ in rows]) for name in names}
    return {**code, "attributes": np.stack([wanted for _, wanted in rows]).astype(np.float32)}


def to_pixels(grey: Floats) -> Grey:
    """Grey levels as the editor draws them -> uint8."""
    return np.rint(np.clip(grey, 0.0, 255.0)).astype(np.uint8)
