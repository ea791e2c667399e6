"""Messages of the explain service on tiles -> answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lotwise.client.convert import common
from lotwise.client.explanations import (
    AttributeChange,
    BackwardExplanation,
    EditedAttribute,
    EditedImage,
    EditedTile,
    Evidence,
    Example,
    ForwardExplanation,
    ForwardStep,
    PairExplanation,
    PairStep,
)
from lotwise.client.quantity import Quantity
from lotwise.v1 import explain_pb2


def forward(message: explain_pb2.ForwardResponse, simulated: bool) -> ForwardExplanation:
    """The answer of the explain service along one attribute."""
    unit = message.unit
    return ForwardExplanation(
        **common(message, simulated),
        property_name=message.property,
        attribute=message.attribute,
        original=Quantity(message.original, unit),
        reconstructed=Quantity(message.reconstructed, unit),
        steps=tuple(
            ForwardStep(
                step.attribute_value,
                Quantity(step.value, unit),
                EditedImage(step.edited_png) if step.edited_png else None,
                _told(step, "measured_change"),
                _told(step, "realism"),
            )
            for step in message.steps
        ),
        sensitivity=Quantity(message.sensitivity, unit),
        evidence=_evidence(message, unit),
        **_familiarity(message),
    )


def pair(message: explain_pb2.ForwardResponse, simulated: bool) -> PairExplanation:
    """The answer of the explain service over two attributes."""
    unit = message.unit
    return PairExplanation(
        **common(message, simulated),
        property_name=message.property,
        first=message.attribute,
        second=message.attribute_also,
        original=Quantity(message.original, unit),
        reconstructed=Quantity(message.reconstructed, unit),
        steps=tuple(
            PairStep(
                step.attribute_value,
                step.also_value,
                Quantity(step.value, unit),
                _told(step, "realism"),
            )
            for step in message.steps
        ),
        sensitivities=(
            Quantity(message.sensitivity, unit),
            Quantity(message.sensitivity_also, unit),
        ),
        **_familiarity(message),
    )


def edited(message: explain_pb2.EditResponse, simulated: bool) -> EditedTile:
    """The answer of the explain service to one edit."""
    unit = message.unit
    return EditedTile(
        **common(message, simulated),
        property_name=message.property,
        original=Quantity(message.original, unit),
        quantity=Quantity(message.value, unit),
        attributes=tuple(
            EditedAttribute(each.name, each.before, each.after, _told(each, "measured_change"))
            for each in message.attributes
        ),
        image=EditedImage(message.edited_png) if message.edited_png else None,
        realism=_told(message, "realism"),
        **_familiarity(message),
    )


def backward(message: explain_pb2.BackwardResponse, simulated: bool) -> BackwardExplanation:
    """The answer of the explain service to a target."""
    unit, quality = message.unit, message.explanation_quality
    return BackwardExplanation(
        **common(message, simulated),
        property_name=message.property,
        target=Quantity(message.target, unit),
        tolerance=Quantity(message.tolerance, unit),
        reached=message.reached,
        before=Quantity(message.before, unit),
        after=Quantity(message.after, unit),
        changes=changes(message.changes, unit),
        image=EditedImage(message.edited_png),
        evaluations=message.evaluations,
        changed=quality.changed,
        cost=quality.cost,
        starts=quality.starts,
        starts_reached=quality.starts_reached,
        spread=quality.spread,
        ended_by_deadline=message.ended_by_deadline,
        fidelity=_told(quality, "fidelity"),
        realism=_told(quality, "realism"),
        evidence=_evidence(message, unit),
        **_familiarity(message),
    )


def changes(
    messages: Iterable[explain_pb2.AttributeChange], unit: str
) -> tuple[AttributeChange, ...]:
    """Changes of attributes; `unit` is the property's."""
    return tuple(
        AttributeChange(
            each.name,
            each.before,
            each.after,
            Quantity(each.sensitivity, unit),
            _told(each, "measured_change"),
        )
        for each in messages
    )


def _familiarity(message: Any) -> dict[str, Any]:
    """Whether the networks know such tiles."""
    if not message.HasField("familiarity"):
        return {}
    said: explain_pb2.Familiarity = message.familiarity
    return {"familiarity": said.value, "unfamiliar": said.unfamiliar}


def _evidence(message: Any, unit: str) -> Evidence | None:
    """What the regressor looked at."""
    if not message.HasField("evidence"):
        return None
    said: explain_pb2.Evidence = message.evidence
    return Evidence(
        EditedImage(said.activation_map_png) if said.activation_map_png else None,
        _examples(said.examples, unit),
        _examples(said.edited_examples, unit),
    )


def _examples(messages: Iterable[explain_pb2.Example], unit: str) -> tuple[Example, ...]:
    return tuple(
        Example(
            each.lot_id,
            Quantity(each.value, unit),
            each.distance,
            each.simulated,
            each.picture_jpeg,
        )
        for each in messages
    )


def _told(message: Any, field: str) -> Any:
    """A field; None where it is absent."""
    return getattr(message, field) if message.HasField(field) else None
