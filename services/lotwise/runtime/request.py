"""What travels with a request without being an argument: its trace and its deadline.

The trace follows W3C Trace Context (https://www.w3.org/TR/trace-context/); the trace id is
the request id of every answer, log line and downstream call.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
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

    @property
    def sampled(self) -> bool:
        """Whether the caller records it, so that others should."""
        return bool(int(self.flags, 16) & 1)


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


def callers_trace(traceparent: str | None) -> Trace | None:
    """The caller's own span; None where the header is absent or malformed."""
    match = _PATTERN.fullmatch(traceparent or "")
    if match is None or set(match[1]) == {"0"} or set(match[2]) == {"0"}:
        return None
    return Trace(match[1], match[2], match[3])


def continue_trace(traceparent: str | None) -> Trace:
    """A new span of the caller's trace; a new trace where the header is absent or malformed."""
    caller, span_id = callers_trace(traceparent), secrets.token_hex(8)
    return (
        Trace(secrets.token_hex(16), span_id)
        if caller is None
        else replace(caller, span_id=span_id)
    )


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


@contextlib.contextmanager
def request_in(trace: Trace) -> Iterator[None]:
    """Give the present request another place in its trace until the block is done."""
    token = _current.set(replace(current_request(), trace=trace))
    try:
        yield
    finally:
        _current.reset(token)
