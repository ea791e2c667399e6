"""Tells laboratory systems of verdicts: by webhook or command, signed, until they have heard.

What is to be told is in the store since the verdict itself, in the same transaction. A receiver
that is dead is tried again after growing pauses; it holds nobody up and loses nothing. It may hear
of a verdict twice, and knows it by the number of the delivery.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import random
import shlex
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from lotwise.core.errors import InvalidRequest
from lotwise.store import Delivery, LotKey, LotOutcome, ScreeningKey, Store

SIGNATURE: Final = "Lotwise-Signature"
DELIVERY: Final = "Lotwise-Delivery"
COMMAND: Final = "command:"
EVENT: Final = "lot.verdict"
CALL_S: Final = 15.0
COMMAND_S: Final = 120.0
FIRST_PAUSE_S: Final = 10.0
LONGEST_PAUSE_S: Final = 3600.0
AT_ONCE: Final = 8
LOOK_S: Final = 5.0
_SHOWN: Final = 300
"""Characters of what a receiver says that are kept."""


def check_target(target: str) -> str:
    """A target as it is stored.

    Args:
        target: A URL of http or https, or "command:" and a command with its arguments.

    Raises:
        InvalidRequest: NOTIFY_INVALID.
    """
    if target.startswith(COMMAND):
        try:
            if shlex.split(target.removeprefix(COMMAND)):
                return target
        except ValueError as error:
            raise InvalidRequest("NOTIFY_INVALID", f"The command is not closed: {error}.") from None
    else:
        parts = urllib.parse.urlsplit(target)
        if parts.scheme in ("http", "https") and parts.hostname and parts.username is None:
            return target
    raise InvalidRequest(
        "NOTIFY_INVALID",
        "Whom to tell is named by a URL (http, https, without a password: requests are signed) or "
        "by 'command:' and a command.",
    )


def notification(lot: LotKey, screening: ScreeningKey, outcome: LotOutcome) -> dict[str, Any]:
    """What is told of a verdict.

    Args:
        lot: Of it.
        screening: That came to it.
        outcome: The verdict.
    """
    return {
        "event": EVENT,
        "lot": lot.name,
        "source": lot.source,
        "screening": screening.id,
        "verdict": outcome.verdict,
        "reasons": list(outcome.reasons),
        "tiles": outcome.tiles,
        "accepted": outcome.accepted,
        "referred": outcome.referred,
        "failed": outcome.failed,
        "property": outcome.property_name,
        "mean": outcome.mean,
        "standard_deviation": outcome.sd,
        "unit": outcome.unit,
    }


def signature(secret: bytes, said_at: int, body: bytes) -> str:
    """What proves that a notification is Lotwise's own: value of the header `SIGNATURE`.

    Args:
        secret: That both sides know.
        said_at: Seconds since 1970; a receiver refuses what is too old.
        body: Of the request.

    Returns:
        `t=<said_at>,v1=<HMAC-SHA256 of "<said_at>.<body>", hexadecimal>`.
    """
    digest = hmac.new(secret, b"%d." % said_at + body, hashlib.sha256).hexdigest()
    return f"t={said_at},v1={digest}"


@dataclass
class Notifier:
    """Sends what is due.

    Attributes:
        store: That holds it.
        secret: To sign with; empty signs nothing.
        failed: Told of a target and why it was not reached.
    """

    store: Store
    secret: bytes = b""
    failed: Callable[[str, str], None] = lambda target, why: None

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop.

        Args:
            stop: Ends it.

        Raises:
            StoreError: As the store says.
        """
        while not stop.is_set():
            if await self.send_due():
                continue
            try:
                await asyncio.wait_for(stop.wait(), LOOK_S)
            except TimeoutError:
                continue

    async def send_due(self) -> int:
        """Send what is due now, several at once.

        Returns:
            How many were tried.

        Raises:
            StoreError: As the store says.
        """
        lease_s = 2 * COMMAND_S
        due = await asyncio.to_thread(self.store.due_deliveries, AT_ONCE, lease_s)
        sent = await asyncio.gather(*map(self._send, due), return_exceptions=True)
        for failure in filter(None, sent):
            raise failure
        return len(due)

    async def _send(self, delivery: Delivery) -> None:
        now = self.store.now()
        body = json.dumps({**delivery.payload, "delivery": delivery.id}, sort_keys=True).encode()
        headers = {DELIVERY: str(delivery.id)}
        if self.secret:
            headers[SIGNATURE] = signature(self.secret, int(now.timestamp()), body)
        if delivery.target.startswith(COMMAND):
            why = await _run(delivery.target.removeprefix(COMMAND), body, headers)
        else:
            why = await asyncio.to_thread(_post, delivery.target, body, headers)
        if why is None:
            await asyncio.to_thread(self.store.delivered, delivery)
            return
        self.failed(delivery.target, why)
        again = retry_at(now, delivery.attempts)
        await asyncio.to_thread(self.store.delivery_failed, delivery, why, again)


def retry_at(now: datetime, attempts: int) -> datetime:
    """When a target is tried again: twice as late each time, up to an hour, and never given up.

    Args:
        now: Of the failure.
        attempts: Begun so far.
    """
    pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 20))
    return now + timedelta(seconds=pause * random.uniform(0.8, 1.2))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A receiver elsewhere than where it was named is none."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuse."""


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> str | None:
    """None where the receiver has taken it, else why not."""
    request = urllib.request.Request(
        url, data=body, headers={"Content-Type": "application/json", **headers}, method="POST"
    )
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=CALL_S) as answer:
            return None if 200 <= answer.status < 300 else f"status {answer.status}"
    except urllib.error.HTTPError as error:
        with error:
            return f"status {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))[:_SHOWN]


async def _run(command: str, body: bytes, headers: Mapping[str, str]) -> str | None:
    """None where the command has ended with 0; the notification is its standard input."""
    environment = {
        **os.environ,
        **{name.upper().replace("-", "_"): value for name, value in headers.items()},
    }
    try:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
    except (OSError, ValueError) as error:
        return str(error)[:_SHOWN]
    try:
        _, said = await asyncio.wait_for(process.communicate(body), COMMAND_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"took longer than {COMMAND_S:.0f} s"
    if process.returncode == 0:
        return None
    return f"ended with {process.returncode}: {said.decode(errors='replace').strip()}"[:_SHOWN]
