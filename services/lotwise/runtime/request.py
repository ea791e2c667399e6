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
    """The request that the present task serves. `deadline` is on `time.monotonic`'s clock."""

    trace: Trace
    deadline: float | None = None

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


_current: ContextVar[Request | None] = ContextVar("lotwise_request", default=None)


def current_request() -> Request:
    """The request of the present task; a fresh one outside of any."""
    return _current.get() or Request(continue_trace(None))


def set_request(request: Request) -> None:
    """Make it the request of the present task and of the tasks that it starts."""
    _current.set(request)
