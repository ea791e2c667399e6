"""Verdicts are told until somebody has heard: signed, in order, and never holding a lot up."""

import asyncio
import hashlib
import hmac
import http.server
import json
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from lotwise.core.errors import InvalidRequest
from lotwise.screening.notifying import (
    DELIVERY,
    LONGEST_PAUSE_S,
    SIGNATURE,
    Notifier,
    check_target,
    notification,
    retry_at,
    signature,
)
from lotwise.store import FoundTile, LotOutcome, Store, TileResult

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
OUTCOME = LotOutcome(
    verdict="refer", reasons=("unfamiliar",), tiles=1, accepted=0, referred=1, failed=0
)


class Clock:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    with Store.open(tmp_path / "store.sqlite", create=True, clock=clock) as opened:
        yield opened


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers with the statuses it is given, one after another, and keeps what it got."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.statuses = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(server):
    return f"http://127.0.0.1:{server.server_address[1]}/hook"


def finished(store, *targets):
    """A lot with its verdict, of which these are to be told."""
    lot = store.register_lot("A<b>", "/somewhere")
    store.add_tiles(lot, [FoundTile(sha256="a" * 64, tile_id="t", path="t.png", bytes=1)])
    screening = store.begin_screening(lot, "f" * 64, {})
    (tile,) = store.claim(screening, "w", 1, 60.0)
    store.record(screening, "w", [TileResult(tile=tile.id, decision="refer")])
    told = dict.fromkeys(targets, notification(lot, screening, OUTCOME))
    assert store.finish(screening, OUTCOME, notify=told) == "finished"


async def test_a_webhook_gets_the_verdict_once_and_signed(store, receiver):
    finished(store, url(receiver))
    notifier = Notifier(store, b"secret")
    assert await notifier.send_due() == 1
    assert await notifier.send_due() == 0
    ((headers, body),) = receiver.got
    said = json.loads(body)
    assert (said["event"], said["lot"], said["verdict"]) == ("lot.verdict", "A<b>", "refer")
    assert said["reasons"] == ["unfamiliar"]
    assert headers[DELIVERY] == str(said["delivery"])
    at, proof = (part.partition("=")[2] for part in headers[SIGNATURE].split(","))
    assert int(at) == int(NOW.timestamp())
    wanted = hmac.new(b"secret", f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(proof, wanted)
    assert store.deliveries(undelivered=True) == []


async def test_without_a_secret_nothing_is_signed(store, receiver):
    finished(store, url(receiver))
    await Notifier(store).send_due()
    assert SIGNATURE not in receiver.got[0][0]


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_a_receiver_that_refuses_is_asked_again_later(store, receiver, clock, status):
    finished(store, url(receiver))
    receiver.statuses = [status]
    told = []
    notifier = Notifier(store, failed=lambda target, why: told.append(why))
    assert await notifier.send_due() == 1
    assert told == [f"status {status}"]
    (waiting,) = store.deliveries(undelivered=True)
    assert waiting.last_error == f"status {status}"
    assert await notifier.send_due() == 0
    clock.now += timedelta(seconds=15)
    assert await notifier.send_due() == 1
    assert len(receiver.got) == 2
    assert receiver.got[0][1] == receiver.got[1][1]
    assert store.deliveries(undelivered=True) == []


async def test_a_dead_receiver_holds_no_other_up(store, receiver, clock):
    finished(store, "http://127.0.0.1:9/nobody", url(receiver))
    told = []
    await Notifier(store, failed=lambda target, why: told.append(target)).send_due()
    assert len(receiver.got) == 1
    assert told == ["http://127.0.0.1:9/nobody"]
    # Nothing is given up, however often.
    for _ in range(5):
        clock.now += timedelta(hours=2)
        assert await Notifier(store).send_due() == 1
    (waiting,) = store.deliveries(undelivered=True)
    assert (waiting.attempts, waiting.next_attempt_at > clock.now) == (6, True)


def test_pauses_grow_up_to_an_hour():
    pauses = [(retry_at(NOW, n) - NOW).total_seconds() for n in (1, 2, 3, 8, 100)]
    assert 8 <= pauses[0] <= 12
    assert 16 <= pauses[1] <= 24
    assert 32 <= pauses[2] <= 48
    assert 0.8 * 1280 <= pauses[3] <= 1.2 * 1280
    assert 0.8 * LONGEST_PAUSE_S <= pauses[4] <= 1.2 * LONGEST_PAUSE_S


async def test_a_command_reads_the_verdict(store, tmp_path):
    path = tmp_path / "heard"
    script = tmp_path / "hear.py"
    script.write_text(
        "import json, os, sys\n"
        "said = json.load(sys.stdin)\n"
        f"open({str(path)!r}, 'w').write(said['verdict'] + os.environ['LOTWISE_SIGNATURE'])\n"
    )
    finished(store, f"command:{sys.executable} {script}")
    await Notifier(store, b"x").send_due()
    assert path.read_text().startswith("refert=")
    assert store.deliveries(undelivered=True) == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (f"{sys.executable} -c 'import sys; sys.exit(\"no room\")'", "ended with 1: no room"),
        ("/nowhere/at-all", "No such file"),
    ],
)
async def test_a_command_that_fails_is_run_again_later(store, command, why):
    finished(store, f"command:{command}")
    await Notifier(store).send_due()
    (waiting,) = store.deliveries(undelivered=True)
    assert why in waiting.last_error


async def test_a_notifier_runs_until_it_is_stopped(store, receiver):
    stop = asyncio.Event()
    running = asyncio.create_task(Notifier(store).run(stop))
    finished(store, url(receiver))
    async with asyncio.timeout(30):
        while store.deliveries(undelivered=True):
            await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert len(receiver.got) == 1


def test_a_signature_is_of_time_and_body():
    one = signature(b"s", 100, b"body")
    assert one.startswith("t=100,v1=")
    assert len({one, signature(b"s", 101, b"body"), signature(b"s", 100, b"other")}) == 3
    assert one != signature(b"z", 100, b"body")


@pytest.mark.parametrize(
    "target",
    ["", "ftp://x/y", "file:///etc/passwd", "http://", "https://user:pw@host/", "command:", "x y"],
)
def test_targets_that_are_none_are_refused(target):
    with pytest.raises(InvalidRequest) as refused:
        check_target(target)
    assert refused.value.reason == "NOTIFY_INVALID"


@pytest.mark.parametrize(
    "target", ["http://lims:8080/hook?x=1", "https://h/", "command:tell 'a b'"]
)
def test_targets_are_urls_and_commands(target):
    assert check_target(target) == target
    with pytest.raises(InvalidRequest):
        check_target("command:tell 'unclosed")
