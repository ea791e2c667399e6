"""What travels with a request without being an argument: its trace and its deadline.

The trace follows W3C Trace Context (https://www.w3.org/TR/trace-context/); the trace id is
the request id of every answer, log line and downstream call.
"""

from __future__ import annotations

import re
import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

TRACEPARENT: Final = "traceparent"
PRIORITY: Final = "lotwise-priority"
"""Metadata of a call: "2" for a batch that may wait where instruments do not; "1" is meant else."""
_PATTERN: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True)
class Trace:
    """Position in a distributed trace."""

    trace_id: str
    span_id: str
    flags: str = "01"

    @property
    def traceparent(self) -> str:
        """The header for the next hop."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


@dataclass(frozen=True)
class Request:
    """The request that the present task serves.

    Attributes:
        trace: Its place in a distributed trace.
        deadline: On `time.monotonic`'s clock; None without one.
        priority: 1, or 2 where it waits while others of priority 1 do.
    """

    trace: Trace
    deadline: float | None = None
    priority: int = 1

    def remaining_s(self) -> float | None:
        """Time that is left, in seconds; None without a deadline."""
        return None if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)


def continue_trace(traceparent: str | None) -> Trace:
    """A new span of the caller's trace; a new trace where the header is absent or malformed."""
    match = _PATTERN.fullmatch(traceparent or "")
    span_id = secrets.token_hex(8)
    if match is None or set(match[1]) == {"0"} or set(match[2]) == {"0"}:
        return Trace(secrets.token_hex(16), span_id)
    return Trace(match[1], span_id, match[3])


def priority_of(said: object) -> int:
    """The priority that a call's metadata says; what is no priority counts as the first.

    Args:
        said: Value of `PRIORITY`, None where it is absent.
    """
    return 2 if said == "2" else 1


_current: ContextVar[Request | None] = ContextVar("lotwise_request", default=None)


def current_request() -> Request:
    """The request of the present task; a fresh one outside of any."""
    return _current.get() or Request(continue_trace(None))


def set_request(request: Request) -> None:
    """Make it the request of the present task and of the tasks that it starts."""
    _current.set(request)
