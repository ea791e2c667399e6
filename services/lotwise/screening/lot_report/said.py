"""What a screening's outcome says beyond its counts, from `LotOutcome.document` and `stated`.

Each part may be missing. A report leaves such a part out or says that it is not there.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lotwise.screening.lot_report.reader import Reader
from lotwise.screening.lot_report.wording import kind_of, reason_of
from lotwise.store import Screening


@dataclass(frozen=True)
class Shares:
    """Of the lot's tiles that are referred or failed, 0 to 1.

    Attributes:
        lower, upper: One-sided bounds, each at the confidence; None where they are not said.
        confidence: Of each.
        limit: The policy's, above which a lot is referred.
    """

    lower: float | None
    upper: float | None
    confidence: float | None
    limit: float | None


@dataclass(frozen=True)
class Strange:
    """What all tiles of the lot say together.

    Attributes:
        kinds: (key of `wording.KINDS`, its probability), the likeliest first.
        action: What to do about the likeliest.
        known, instrument, mixed: P-values of the three tests; None where they are not said.
        alarm_level: Below it a test is a reason to refer.
        tiles: So many were looked at; None where it is not said.
    """

    kinds: tuple[tuple[str, float], ...]
    action: str
    known: float | None
    instrument: float | None
    mixed: float | None
    alarm_level: float | None
    tiles: int | None


@dataclass(frozen=True)
class Calibration:
    """The labelled tiles that the policy rests on; what is not said is None or empty."""

    tiles: int | None
    lots: int | None
    sha256: str
    date: str
    simulated: bool


@dataclass(frozen=True)
class LotInterval:
    """Interval of the lot's property.

    Attributes:
        lower, upper: In `unit`; None for an end that is not finite.
        coverage: 0 to 1; None where it is not said.
        unit: Such as "psi".
    """

    lower: float | None
    upper: float | None
    coverage: float | None
    unit: str


@dataclass(frozen=True)
class AttributeChange:
    """An attribute before and after, each 0 to 1; the measured change where it is known."""

    name: str
    before: float
    after: float
    measured: float | None


@dataclass(frozen=True)
class Change:
    """What would have to change for the lot to reach a target.

    Attributes:
        target, before, after: Means over tiles in `unit`; None where they are not said.
        after_lower, after_upper: 95% interval of `after` over the tiles.
        unit: Of these.
        reached: Whether the target is met then.
        changes: Of attributes that change.
        unchanged: How many attributes stay.
        share_reaching: Share of the tiles that the change brings to the target.
        sampled: Tiles that were worked on.
    """

    target: float | None
    before: float | None
    after: float | None
    after_lower: float | None
    after_upper: float | None
    unit: str
    reached: bool | None
    changes: tuple[AttributeChange, ...]
    unchanged: int
    share_reaching: float | None
    sampled: int | None


@dataclass(frozen=True)
class Scores:
    """How the chance of error was distributed over the calibration tiles.

    Attributes:
        edges: Rising, of the bins, from 0 to 1.
        shares: Of the tiles in each bin.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Model:
    """A model behind the answers; what is not said is empty."""

    name: str
    version: str
    weights_sha256: str
    simulated: bool


@dataclass(frozen=True)
class Provenance:
    """Where the answers come from; what is not said is empty or None.

    Attributes:
        models: Of the platform.
        policy: Version of the policy.
        engine: That ran the models.
        um_per_px: Stated edge length of a pixel in micrometres.
        fingerprint: SHA-256 of all of this.
    """

    models: tuple[Model, ...]
    policy: str
    engine: str
    um_per_px: float | None
    fingerprint: str

    @property
    def simulated(self) -> bool:
        """Whether any model learned from simulated lots alone."""
        return any(model.simulated for model in self.models)


@dataclass(frozen=True)
class Said:
    """What the document of an outcome says; None and empty for what it does not.

    Attributes:
        change_from: The reference lot whose attributes the search began at; empty where it
            began at the lot's own.
        change_error: Why nobody can say what to change, where that was asked.
        scores: Of calibration.
        guarantee: What the policy promises of accepted tiles, a sentence.
        threshold: The largest chance of error of an accepted tile.
        min_familiarity: The least familiarity of one.
        reason_counts: (reason for people, tiles), the commonest first.
        looks_like, looks_like_share: The reference lot that most tiles look like.
        settled_after: So many tiles were needed for the verdict.
    """

    shares: Shares
    strange: Strange | None
    calibration: Calibration | None
    interval: LotInterval | None
    change: Change | None
    change_from: str
    change_error: str
    scores: Scores | None
    guarantee: str
    threshold: float | None
    min_familiarity: float | None
    reason_counts: tuple[tuple[str, int], ...]
    looks_like: str
    looks_like_share: float | None
    settled_after: int | None


def said_of(document: Mapping[str, Any] | None) -> Said:
    """Read an outcome's document. Never fails.

    Args:
        document: Of a `LotOutcome`; the protocol's LotVerdict as JSON stands in it either beside
            "interval" and "explanation", or under "verdict".
    """
    whole = Reader(document)
    verdict = whole.of("verdict") if whole.of("verdict") else whole
    counts = [
        (reason_of(each.text("reason")), each.count("tiles") or 0)
        for each in verdict.each("reason_counts")
    ]
    policy = whole.of("policy")
    return Said(
        shares=_shares(verdict),
        strange=_strange(verdict.of("diagnosis")),
        calibration=_calibration(verdict.of("calibration_set")),
        interval=_interval(whole.of("interval")),
        change=_change(whole.of("explanation")),
        change_from=whole.text("attributes_of"),
        change_error=whole.of("explanation_error").text("message"),
        scores=_scores(whole.of("calibration_scores")),
        guarantee=verdict.of("guarantee").text("statement"),
        threshold=policy.number("threshold"),
        min_familiarity=policy.number("min_familiarity"),
        reason_counts=tuple(sorted(counts, key=lambda each: -each[1])),
        looks_like=verdict.text("looks_like"),
        looks_like_share=verdict.number("looks_like_share"),
        settled_after=verdict.count("settled_after") or None,
    )


def provenance_of(screening: Screening) -> Provenance:
    """Read what a screening states of its models. Never fails.

    Args:
        screening: As the store has it.
    """
    stated = Reader(screening.stated)
    models = [
        Model(
            name,
            model.text("version"),
            model.text("weights_sha256"),
            model.true("trained_on_simulated_lots") or False,
        )
        for name, model in sorted(stated.of("models").members().items())
    ]
    return Provenance(
        models=tuple(models),
        policy=stated.text("policy_version"),
        engine=stated.text("engine"),
        um_per_px=stated.number("um_per_px"),
        fingerprint=screening.fingerprint,
    )


def _shares(verdict: Reader) -> Shares:
    confidence = verdict.number("confidence")
    lower, upper = verdict.number("referred_share_lower"), verdict.number("referred_share_upper")
    if confidence and upper is not None and lower is None:
        lower = 0.0  # JSON of the protocol leaves zeros out
    return Shares(lower, upper, confidence, verdict.number("max_referred_share"))


def _strange(said: Reader) -> Strange | None:
    kinds = [
        (kind_of(each.text("shift")), each.number("probability") or 0.0)
        for each in said.each("probabilities")
        if each.text("shift")
    ]
    if not kinds:
        return None
    return Strange(
        kinds=tuple(sorted(kinds, key=lambda each: -each[1])),
        action=said.text("action"),
        known=said.number("known_p_value"),
        instrument=said.number("instrument_p_value"),
        mixed=said.number("mixed_p_value"),
        alarm_level=said.number("alarm_level"),
        tiles=said.count("tiles"),
    )


def _calibration(said: Reader) -> Calibration | None:
    if not said:
        return None
    return Calibration(
        tiles=said.count("tiles"),
        lots=said.count("lots"),
        sha256=said.text("sha256"),
        date=said.text("date")[:10],
        simulated=said.text("origin") == "CALIBRATION_ORIGIN_SIMULATED",
    )


def _interval(said: Reader) -> LotInterval | None:
    if not said.text("unit"):
        return None
    lower, upper = said.number("lower"), said.number("upper")
    return LotInterval(lower, upper, said.number("coverage"), said.text("unit"))


def _scores(said: Reader) -> Scores | None:
    inner, shares = said.numbers("edges"), said.numbers("shares")
    edges = (0.0, *inner, 1.0)
    rising = all(a < b for a, b in itertools.pairwise(edges))
    if not inner or len(shares) != len(inner) + 1 or not rising or min(shares) <= 0:
        return None
    return Scores(edges, shares)


def _change(said: Reader) -> Change | None:
    attributes = []
    for each in said.each("changes"):
        before, after = each.number("before"), each.number("after")
        if before is not None and after is not None:
            attributes.append(
                AttributeChange(each.text("name"), before, after, each.number("measured_change"))
            )
    if not attributes:
        return None
    changed = [each for each in attributes if abs(each.after - each.before) >= 0.005]
    mean = said.of("after_mean")
    return Change(
        target=said.number("target"),
        before=said.of("before").number("mean"),
        after=mean.number("mean"),
        after_lower=mean.number("lower"),
        after_upper=mean.number("upper"),
        unit=said.text("unit"),
        reached=said.true("reached"),
        changes=tuple(sorted(changed, key=lambda each: -abs(each.after - each.before))),
        unchanged=len(attributes) - len(changed),
        share_reaching=said.number("share_reaching"),
        sampled=said.of("tiles").count("sampled"),
    )
