"""What is said of a lot at its end: the verdict, where its property lies, what to change.

The verdict has to come, however long the referral service is away. The interval and the change are
worth a short wait only: where they do not come, that is said, and the lot is finished.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from lotwise.core.errors import InvalidRequest, LotwiseError
from lotwise.core.pressure import convert
from lotwise.screening.recording import LotSum, as_json
from lotwise.screening.services import Services
from lotwise.store import LotOutcome
from lotwise.v1 import explain_pb2, interval_pb2, referral_pb2, tile_pb2

SAMPLE: Final = 64
"""Tiles of a lot for the interval of its property."""
EXPLAINED: Final = 16
"""Tiles of a lot that a change is searched on: a minute of two cores."""

_VERDICTS: Final = {
    referral_pb2.VERDICT_ACCEPT: "accept",
    referral_pb2.VERDICT_REFER: "refer",
    referral_pb2.VERDICT_UNDECIDED: "undecided",
}


@dataclass(frozen=True)
class Wish:
    """The property that a lot should have; kept beside the answer, to ask for it again.

    Attributes:
        value: In `unit`.
        unit: "psi" or "MPa"; empty for the model's own.
        tolerance: How near is near enough, in `unit`; 0 for the service's own.
    """

    value: float
    unit: str = ""
    tolerance: float = 0.0

    @classmethod
    def of(cls, outcome: LotOutcome | None) -> Wish | None:
        """That which a lot was screened with.

        Args:
            outcome: Of the screening; None where it has none.
        """
        said = (outcome.document or {}).get("wish") if outcome is not None else None
        return cls(**said) if said else None


async def outcome_of(
    services: Services,
    summed: LotSum,
    sample: Sequence[tile_pb2.Tile],
    *,
    wish: Wish | None,
    attributes: Mapping[str, float],
    policy: Mapping[str, float],
    scores: Mapping[str, Any] | None,
) -> LotOutcome:
    """Ask the services what is to be said of a lot.

    Args:
        services: That answer.
        summed: All results of the lot.
        sample: Tiles drawn evenly from those with a property.
        wish: What the lot should reach; None to search no change.
        attributes: Of the lot's material; where they are empty, those of the reference lot that an
            accepted lot looks like.
        policy: Limits by which tiles were accepted, as they are kept.
        scores: How chances of error were distributed in calibration, as it is kept.

    Raises:
        LotwiseError: As the referral service says of the verdict.
    """
    verdict = await services.conclude([summed.message()])
    document: dict[str, Any] = {
        "verdict": as_json(verdict),
        "policy": dict(policy),
        "calibration_scores": scores,
        "interval": await _interval(services, sample),
        "explanation": None,
    }
    if wish is not None:
        # What a referred lot looks like says nothing of what it is.
        accepted = verdict.verdict == referral_pb2.VERDICT_ACCEPT
        like = verdict.looks_like if accepted and not attributes else ""
        requests = functools.partial(_wished, sample[:EXPLAINED], summed, wish, attributes, like)
        document |= await _change(services, requests)
        document |= {"attributes_of": like, "wish": asdict(wish)}
    return LotOutcome(
        verdict=_VERDICTS.get(verdict.verdict, "undecided"),
        reasons=tuple(
            referral_pb2.Reason.Name(reason).removeprefix("REASON_").replace("_", " ").lower()
            for reason in verdict.reasons
        ),
        tiles=verdict.tiles,
        accepted=verdict.accepted,
        referred=verdict.referred,
        failed=verdict.failed,
        property_name=summed.property_name,
        mean=summed.mean,
        sd=summed.sd,
        unit=summed.unit,
        document=document,
    )


async def _interval(services: Services, sample: Sequence[tile_pb2.Tile]) -> dict[str, Any] | None:
    """None where the service cannot say: intervals are calibrated apart."""
    if "uncertainty" not in services.addresses or not sample:
        return None
    try:
        found = await services.interval(sample)
    except LotwiseError:
        return None
    if not isinstance(found, interval_pb2.LotIntervalResponse):
        return None
    return as_json(found.interval)


async def _change(
    services: Services, requests: Callable[[], list[explain_pb2.BackwardLotRequest]]
) -> dict[str, Any]:
    """What to change, or why nobody can say, as it is kept."""
    try:
        found = await services.change(requests())
        if isinstance(found, LotwiseError):
            raise found
    except LotwiseError as error:
        return {"explanation_error": {"reason": error.reason, "message": error.message}}
    found.ClearField("edited_png")  # the store keeps numbers; the picture can be asked for again
    return {"explanation": as_json(found)}


def _wished(
    tiles: Sequence[tile_pb2.Tile],
    summed: LotSum,
    wish: Wish,
    attributes: Mapping[str, float],
    like: str,
) -> list[explain_pb2.BackwardLotRequest]:
    unit = summed.unit
    try:
        target = convert(wish.value, wish.unit or unit, unit)
        tolerance = convert(wish.tolerance, wish.unit or unit, unit)
    except ValueError as error:
        raise InvalidRequest("TARGET_INVALID", str(error)) from None
    requests = []
    for tile in tiles:
        request = explain_pb2.BackwardLotRequest(
            tile=tile,
            attributes=[
                explain_pb2.AttributeValue(name=name, value=value)
                for name, value in attributes.items()
            ],
            target=target,
            tolerance=tolerance,
            sampling=explain_pb2.LotSampling(tiles=EXPLAINED),
            alone=0,
            front_points=0,
        )
        if like:
            request.tile.lot_id = like
        requests.append(request)
    return requests
