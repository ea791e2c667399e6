"""What the explain service answers of a tile, as plain Python values."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from lotwise.client.answers import Answer
from lotwise.client.quantity import Quantity
from lotwise.core.tile import Grey


@dataclass(frozen=True)
class EditedImage:
    """The picture of a hypothetical lot, drawn by the editor. Not a photograph.

    Attributes:
        png: The bytes of a PNG file.
    """

    png: bytes = field(repr=False)

    def array(self) -> Grey:
        """The pixels: uint8 [height, width]."""
        return _pixels(self.png)

    def save(self, path: str | Path) -> Path:
        """Write the PNG file; returns its path."""
        path = Path(path)
        path.write_bytes(self.png)
        return path

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        return self.png


@dataclass(frozen=True)
class Example:
    """A tile that the regressor learned from.

    Attributes:
        lot_id: Its lot.
        quantity: The lot's measured property.
        distance: From the tile that was explained, as the regressor sees both; 1 is usual between
            two tiles of one lot.
        simulated: Whether the lot is.
        jpeg: The tile, smaller: the bytes of a JPEG file.
    """

    lot_id: str
    quantity: Quantity
    distance: float
    simulated: bool
    jpeg: bytes = field(repr=False)

    def array(self) -> Grey:
        """The pixels: uint8 [height, width]."""
        return _pixels(self.jpeg)


@dataclass(frozen=True)
class Evidence:
    """What an answer of the regressor rests on, beside edits.

    Attributes:
        activation_map: Where it looked: its class activation map (Grad-CAM) as a picture of the
            tile's field, black where nothing raises the property. It says where, not what about the
            material. None where the regressor cannot say.
        examples: Tiles that it learned from and sees as most alike, nearest first.
        edited_examples: The same of the edited picture, of a `BackwardExplanation` alone.
    """

    activation_map: EditedImage | None
    examples: tuple[Example, ...]
    edited_examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class ForwardStep:
    """What the lot would be with one attribute changed.

    Attributes:
        attribute_value: Of the attribute that is varied, 0 to 1.
        quantity: The property then, less the editor's own shift.
        image: The edited tile; None where images were not asked for.
        measured_change: By how much the attribute has changed, as a network reads it that has never
            seen an editor; None where the platform has none.
        realism: How familiar the edited picture is; a small value means that it looks like no real
            one. None where nobody can say.
    """

    attribute_value: float
    quantity: Quantity
    image: EditedImage | None
    measured_change: float | None = None
    realism: float | None = None


@dataclass(frozen=True, kw_only=True)
class ForwardExplanation(Answer):
    """The property along one attribute, all others fixed.

    Attributes:
        property_name: Such as "peak stress".
        attribute: The one that is varied.
        original: Prediction for the tile as it is.
        reconstructed: Prediction for the tile as the editor redraws it, nothing changed. How far
            it lies from `original` says how well the editor knows such a tile.
        steps: One for each value of the attribute, ascending.
        sensitivity: Derivative of the property along the attribute at the lot as it is, in the
            property's unit per whole range of the attribute.
        familiarity: P-value of the tile among tiles of lots that the regressor might have learned
            from; None where nobody can say.
        unfamiliar: Whether it looks like none that the regressor knows: explained only because the
            call allowed it. Do not act on it.
        evidence: What the regressor looked at; None without images.
    """

    property_name: str
    attribute: str
    original: Quantity
    reconstructed: Quantity
    steps: tuple[ForwardStep, ...]
    sensitivity: Quantity
    familiarity: float | None = None
    unfamiliar: bool = False
    evidence: Evidence | None = None


@dataclass(frozen=True)
class PairStep:
    """What the lot would be with two attributes changed.

    Attributes:
        first_value, second_value: Of the attributes that are varied, 0 to 1.
        quantity: The property then, less the editor's own shift.
        realism: As of `ForwardStep`.
    """

    first_value: float
    second_value: float
    quantity: Quantity
    realism: float | None = None


@dataclass(frozen=True, kw_only=True)
class PairExplanation(Answer):
    """The property over a pair of attributes, all others fixed.

    Attributes:
        property_name: Such as "peak stress".
        first, second: The attributes that are varied.
        original, reconstructed: As of `ForwardExplanation`.
        steps: Every pair of values, the second attribute's running faster.
        sensitivities: Derivatives along both, see `ForwardExplanation`.
        familiarity, unfamiliar: As of `ForwardExplanation`.
    """

    property_name: str
    first: str
    second: str
    original: Quantity
    reconstructed: Quantity
    steps: tuple[PairStep, ...]
    sensitivities: tuple[Quantity, Quantity]
    familiarity: float | None = None
    unfamiliar: bool = False


@dataclass(frozen=True)
class EditedAttribute:
    """An attribute before and after an edit, each 0 to 1.

    Attributes:
        measured_change: As of `AttributeChange`.
    """

    name: str
    before: float
    after: float
    measured_change: float | None = None


@dataclass(frozen=True, kw_only=True)
class EditedTile(Answer):
    """A tile as its lot would look with other attributes.

    Attributes:
        property_name: Such as "peak stress".
        original: Prediction for the tile as it is.
        quantity: Prediction for the edited tile, less the editor's own shift.
        attributes: One for each attribute of the model, unchanged ones too.
        image: The edited tile; None where it was not asked for.
        realism, familiarity, unfamiliar: As of `BackwardExplanation`.
    """

    property_name: str
    original: Quantity
    quantity: Quantity
    attributes: tuple[EditedAttribute, ...]
    image: EditedImage | None
    realism: float | None = None
    familiarity: float | None = None
    unfamiliar: bool = False


@dataclass(frozen=True)
class AttributeChange:
    """An attribute before and after, each 0 to 1.

    Attributes:
        sensitivity: Derivative of the property at the lot as it is, in the property's unit per
            whole range of the attribute.
        measured_change: By how much the edited picture differs, as a network reads it that has
            never seen an editor; of a lot, the mean over the sample. None where the platform has
            none.
    """

    name: str
    before: float
    after: float
    sensitivity: Quantity
    measured_change: float | None = None


@dataclass(frozen=True, kw_only=True)
class BackwardExplanation(Answer):
    """The smallest change of attributes that reaches a target.

    Attributes:
        property_name: Such as "peak stress".
        target, tolerance: What was asked for, in the model's unit.
        reached: Whether `after` lies within the tolerance of the target. If not, it is the
            nearest that was found.
        before: Prediction for the tile as it is.
        after: Prediction for the edited tile, less the editor's own shift.
        changes: One for each attribute of the model, unchanged ones too.
        image: The edited tile.
        evaluations: Steps of all searches together.
        changed: How many attributes change.
        cost: Of the change: the sum of all changes, each times its cost.
        starts, starts_reached: Searches from different places, and how many met the target.
        spread: Of those that met it, the largest standard deviation of an attribute; the smaller,
            the more they agree on what to change.
        ended_by_deadline: Whether time ended the searches early, with the best so far.
        fidelity: How much of the change that network sees in the edited picture: 1 is as asked, 0
            is nothing. None where there is no such network, or no change.
        realism: How familiar the edited picture is ; a small value means that it looks like no
            real one. None where nobody can say.
        familiarity, unfamiliar: As of `ForwardExplanation`.
        evidence: What the regressor looked at, in the tile and in the edited one.
    """

    property_name: str
    target: Quantity
    tolerance: Quantity
    reached: bool
    before: Quantity
    after: Quantity
    changes: tuple[AttributeChange, ...]
    image: EditedImage
    evaluations: int
    changed: int
    cost: float
    starts: int
    starts_reached: int
    spread: float
    ended_by_deadline: bool
    fidelity: float | None = None
    realism: float | None = None
    familiarity: float | None = None
    unfamiliar: bool = False
    evidence: Evidence | None = None


def _pixels(content: bytes) -> Grey:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("L"))
