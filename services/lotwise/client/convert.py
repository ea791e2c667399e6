"""Messages of the protocol -> answers. The only place of the client that reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any, Literal

from lotwise.client.answers import (
    Decision,
    LotVerdict,
    Prediction,
    TileFailure,
    Uncertainty,
)
from lotwise.client.calibration import CalibrationSet, Guarantee
from lotwise.client.diagnosis import Diagnosis, LotDiagnosis, ShiftName
from lotwise.client.interval_answers import LotInterval, PropertyInterval, TileInterval
from lotwise.client.provenance import ModelVersion, Provenance, Quality, Reading
from lotwise.client.quantity import Quantity
from lotwise.client.tiles import INSTRUMENT_TAGS
from lotwise.core.tile import InstrumentTags
from lotwise.v1 import (
    calibration_pb2,
    diagnosis_pb2,
    interval_pb2,
    predict_pb2,
    referral_pb2,
    tile_pb2,
    uncertainty_pb2,
)


def prediction(message: predict_pb2.PredictResponse, simulated: bool) -> Prediction:
    """The answer of the predict service."""
    return Prediction(
        **common(message, simulated),
        property_name=message.property,
        quantity=Quantity(message.value, message.unit),
    )


def uncertainty(message: uncertainty_pb2.AssessResponse, simulated: bool) -> Uncertainty:
    """The answer of the uncertainty service."""
    likeliest_first = sorted(message.probabilities, key=lambda each: -each.probability)
    return Uncertainty(
        **common(message, simulated),
        looks_like=message.top[0].reference_lot if message.top else "",
        confidence=message.confidence,
        error_probability=message.error_probability,
        familiarity=message.familiarity,
        probabilities={each.reference_lot: each.probability for each in likeliest_first},
        predictive_entropy_nats=message.predictive_entropy_nats,
        mean_member_entropy_nats=message.mean_member_entropy_nats,
        mutual_information_nats=message.mutual_information_nats,
        members=message.members,
        asked_members=message.asked_members,
        calibration_version=message.calibration.version,
        diagnosis=_diagnosis(message.diagnosis) if message.HasField("diagnosis") else None,
        calibration_set=_calibration_set(message.calibration.set),
    )


def decision(message: referral_pb2.DecideResponse, simulated: bool) -> Decision:
    """The answer of the referral service on one tile."""
    accepted = message.decision == referral_pb2.DECISION_ACCEPT
    return Decision(
        **common(message, simulated),
        decision="accept" if accepted else "refer",
        reasons=_reasons(message.reasons),
        score=message.score if message.HasField("score") else None,
        threshold=message.threshold,
        familiarity=message.familiarity if message.HasField("familiarity") else None,
        min_familiarity=message.min_familiarity,
        looks_like=message.looks_like,
        confidence=message.confidence,
        guarantee=_guarantee(message.guarantee),
        calibration_set=_calibration_set(message.calibration_set),
        diagnosis=_diagnosis(message.diagnosis) if message.HasField("diagnosis") else None,
    )


def verdict(
    message: referral_pb2.LotVerdict, decisions: Sequence[Decision | TileFailure], simulated: bool
) -> LotVerdict:
    """The answer of the referral service on a lot."""
    kinds: dict[int, Literal["accept", "refer", "undecided"]] = {
        referral_pb2.VERDICT_ACCEPT: "accept",
        referral_pb2.VERDICT_REFER: "refer",
    }
    return LotVerdict(
        lot_id=message.lot_id,
        verdict=kinds.get(message.verdict, "undecided"),
        reasons=_reasons(message.reasons),
        reason_counts={_reasons([each.reason])[0]: each.tiles for each in message.reason_counts},
        tiles=message.tiles,
        accepted=message.accepted,
        referred=message.referred,
        failed=message.failed,
        referred_share_lower=message.referred_share_lower,
        referred_share_upper=message.referred_share_upper,
        confidence=message.confidence,
        max_referred_share=message.max_referred_share,
        looks_like=message.looks_like,
        looks_like_share=message.looks_like_share,
        provenance=provenance(message.provenance),
        guarantee=_guarantee(message.guarantee),
        calibration_set=_calibration_set(message.calibration_set),
        decisions=tuple(decisions),
        settled=message.settled,
        settled_after=message.settled_after,
        complete=message.complete,
        repeated=message.repeated,
        diagnosis=_lot_diagnosis(message.diagnosis) if message.HasField("diagnosis") else None,
        simulated=simulated,
    )


def _diagnosis(message: diagnosis_pb2.Diagnosis) -> Diagnosis:
    return Diagnosis(_shifts(message.probabilities), message.action, message.diagnosis_version)


def _lot_diagnosis(message: diagnosis_pb2.LotDiagnosis) -> LotDiagnosis:
    return LotDiagnosis(
        _shifts(message.probabilities),
        message.action,
        message.diagnosis_version,
        known_p_value=message.known_p_value,
        instrument_p_value=message.instrument_p_value,
        mixed_p_value=message.mixed_p_value,
        alarm_level=message.alarm_level,
        tiles=message.tiles,
    )


def _shifts(messages: Iterable[diagnosis_pb2.ShiftProbability]) -> dict[ShiftName, float]:
    names: dict[int, ShiftName] = {
        diagnosis_pb2.SHIFT_NONE: "none",
        diagnosis_pb2.SHIFT_INSTRUMENT: "instrument",
        diagnosis_pb2.SHIFT_SYNTHESIS: "synthesis",
        diagnosis_pb2.SHIFT_UNRELATED: "unrelated",
    }
    # A kind of a newer service is left out.
    return {names[each.shift]: each.probability for each in messages if each.shift in names}


def tile_interval(message: interval_pb2.IntervalResponse, simulated: bool) -> TileInterval:
    """The answer of the uncertainty service on where the property of a tile's lot lies."""
    return TileInterval(**common(message, simulated), interval=_interval(message.interval))


def lot_interval(
    message: interval_pb2.LotIntervalResponse, failed: tuple[TileFailure, ...], simulated: bool
) -> LotInterval:
    """The answer of the uncertainty service on where a lot's property lies."""
    return LotInterval(
        lot_id=message.lot_id,
        interval=_interval(message.interval),
        tiles=message.tiles,
        poor_tiles=message.poor_tiles,
        failed=failed,
        provenance=provenance(message.provenance),
        simulated=simulated,
    )


def _interval(message: interval_pb2.PropertyInterval) -> PropertyInterval:
    return PropertyInterval(
        kind="lot" if message.kind == interval_pb2.INTERVAL_KIND_LOT else "tile",
        property_name=message.property,
        point=Quantity(message.point, message.unit),
        lower=Quantity(message.lower, message.unit),
        upper=Quantity(message.upper, message.unit),
        coverage=message.coverage,
        guaranteed_coverage=message.guaranteed_coverage,
        calibration_lots=message.calibration_lots,
        calibration_recipes=message.calibration_recipes,
        guarantee=message.guarantee,
        calibration_version=message.calibration_version,
    )


def common(message: Any, simulated: bool) -> dict[str, Any]:
    """What every answer to a tile says."""
    return {
        "tile_id": message.tile_id,
        "lot_id": message.lot_id,
        "quality": _quality(message.quality),
        "provenance": provenance(message.provenance),
        "reading": _reading(message),
        "simulated": simulated,
    }


def _calibration_set(message: calibration_pb2.CalibrationSet) -> CalibrationSet:
    return CalibrationSet(
        tiles=message.tiles,
        lots=message.lots,
        sha256=message.sha256,
        date=message.date.ToDatetime(UTC),
        origin=_name(calibration_pb2.CalibrationOrigin, message.origin, "CALIBRATION_ORIGIN_"),
    )


def _guarantee(message: calibration_pb2.Guarantee) -> Guarantee:
    return Guarantee(
        quantity=message.quantity,
        target=message.target if message.HasField("target") else None,
        bound=message.bound,
        confidence=message.confidence,
        statement=message.statement,
    )


def _quality(message: tile_pb2.Quality) -> Quality:
    return Quality(
        verdict=_name(tile_pb2.QualityVerdict, message.verdict, "QUALITY_VERDICT_"),
        faults=tuple(
            _name(tile_pb2.QualityFault, fault, "QUALITY_FAULT_") for fault in message.faults
        ),
        black_share=message.black_share,
        saturated_share=message.saturated_share,
    )


def provenance(message: tile_pb2.Provenance) -> Provenance:
    """Which models gave an answer."""
    return Provenance(
        models=tuple(
            ModelVersion(
                model.name, model.version, model.weights_sha256, model.trained_on_simulated_lots
            )
            for model in message.models
        ),
        policy_version=message.policy_version,
        engine=message.engine,
        request_id=message.request_id,
    )


def _reading(message: Any) -> Reading | None:
    if "reading" not in message.DESCRIPTOR.fields_by_name or not message.HasField("reading"):
        return None
    reading: tile_pb2.Reading = message.reading
    said = {field.name: value for field, value in reading.instrument.ListFields()}
    return Reading(
        um_per_px=reading.um_per_px,
        scale_source=_name(tile_pb2.ScaleSource, reading.scale_source, "SCALE_SOURCE_"),
        data_bar_px=reading.data_bar_px,
        instrument=InstrumentTags(**{tag: said[tag] for tag in INSTRUMENT_TAGS if tag in said}),
        grey_levels_stretched=reading.grey_levels_stretched,
    )


def _reasons(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(_name(referral_pb2.Reason, number, "REASON_") for number in numbers)


def _name(enum: Any, number: int, prefix: str) -> str:
    if number == 0:
        return ""
    # A newer service may know more of them than this client.
    if number not in enum.values():
        return f"unknown_{number}"
    return str(enum.Name(number).removeprefix(prefix).lower())
