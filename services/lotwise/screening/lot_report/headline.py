"""The verdict of a lot in large, why, and what to do: what most readers read alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from lotwise.screening.lot_report.gathering import Gathered
from lotwise.screening.lot_report.wording import (
    KIND_ACTIONS,
    REASONS,
    readable,
    reason_of,
    share,
    tiles,
)

Kind = Literal["accept", "refer", "undecided", "open"]
_KINDS: Final[dict[str, Kind]] = {"accept": "accept", "refer": "refer", "undecided": "undecided"}
_MOST_ACTIONS: Final = 3


@dataclass(frozen=True)
class Headline:
    """What stands at the top.

    Attributes:
        kind: How it looks.
        title: The verdict in capitals.
        why: Sentences.
        reasons: The lot's reasons for people, the commonest first.
        actions: What to do, a sentence each.
    """

    kind: Kind
    title: str
    why: tuple[str, ...]
    reasons: tuple[str, ...]
    actions: tuple[str, ...]


def headline(gathered: Gathered) -> Headline:
    """The verdict, why, and what to do.

    Args:
        gathered: Of the screening.
    """
    outcome = gathered.screening.outcome
    if outcome is None:
        return _unfinished(gathered)
    kind = _KINDS.get(outcome.verdict, "open")
    title = readable(outcome.verdict, 40).upper() or "NO VERDICT"
    reasons = tuple(dict.fromkeys(readable(reason_of(each), 60) for each in outcome.reasons))
    why = [_counted(gathered)]
    if gathered.done and gathered.failed == gathered.done:
        why.append("No tile could be judged; see “Failed tiles”.")
    else:
        bound = _bound(gathered, kind)
        why += [bound] if bound else []
    if gathered.pending:
        why.append(
            f"The screening ended early: {tiles(gathered.pending)} of the lot have no result."
        )
    return Headline(kind, title, tuple(why), reasons, _actions(gathered, kind, reasons))


def _unfinished(gathered: Gathered) -> Headline:
    why = [
        f"{gathered.done:,} of {tiles(gathered.progress.tiles)} have a result. "
        "There is no verdict yet, and every number below is of these tiles alone."
    ]
    return Headline(
        "open",
        "NOT FINISHED",
        tuple(why),
        (),
        ("Run the screening again: it goes on where it ended. Then make the report again.",),
    )


def _counted(gathered: Gathered) -> str:
    outcome = gathered.screening.outcome
    assert outcome is not None  # who has none is unfinished
    against = outcome.referred + outcome.failed
    failed = f", {outcome.failed:,} of them because they failed" if outcome.failed else ""
    return f"{against:,} of {tiles(outcome.tiles)} count against the lot{failed}."


def _bound(gathered: Gathered, kind: Kind) -> str:
    said = gathered.said.shares
    if said.confidence is None or said.limit is None:
        return ""
    sure, limit = share(said.confidence), share(said.limit)
    if kind == "accept" and said.upper is not None:
        return (
            f"At {sure} confidence at most {share(said.upper)} of the lot would be referred; "
            f"the policy allows {limit}."
        )
    if kind == "refer" and said.lower is not None and said.lower > said.limit:
        return (
            f"At {sure} confidence at least {share(said.lower)} of the lot would be referred; "
            f"the policy allows {limit}."
        )
    if said.lower is not None and said.upper is not None:
        bounds = f"between {share(said.lower)} and {share(said.upper)}"
        if kind == "refer":
            return (
                f"The share of such tiles in the lot is {bounds} (the policy allows {limit}); "
                "what all tiles say together is the reason."
            )
        return (
            f"The share of such tiles in the lot is {bounds}, each bound at {sure} confidence; "
            f"the policy allows {limit}, so neither verdict can be given."
        )
    return ""


def _actions(gathered: Gathered, kind: Kind, reasons: tuple[str, ...]) -> tuple[str, ...]:
    if kind == "accept":
        return (
            "The models may be applied to this lot: use the property below, with its interval.",
        )
    found = [REASONS[reason].action for reason in reasons if reason in REASONS]
    strange = gathered.said.strange
    if not found and strange is not None:
        found = [KIND_ACTIONS.get(strange.kinds[0][0], strange.action)]
    found = [each for each in dict.fromkeys(found) if each][:_MOST_ACTIONS]
    return tuple(found) or ("Have an expert look at the referred tiles below.",)
