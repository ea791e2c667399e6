"""Screening into a store: every tile once, whoever is killed, and the verdict of all of them."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter

import numpy as np
import pytest
from typer.testing import CliRunner

from lotwise.cli import app
from lotwise.core.errors import EngineUnavailable, InvalidRequest
from lotwise.screening import services as services_module
from lotwise.screening import stored as stored_module
from lotwise.screening.folder import read_lot_folder
from lotwise.screening.screener import screen_lot
from lotwise.screening.services import Answered, Services
from lotwise.screening.sources import Unreadable, open_source
from lotwise.screening.stored import ModelsChanged, StoredScreening
from lotwise.store import Store
from lotwise.v1 import predict_pb2, referral_pb2, tile_pb2
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots
from tests.support.tiles import png

TILES = 24
REGION = 8_123


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A lot of tiles, with a picture twice and one file that is no picture."""
    made = tmp_path_factory.mktemp("lots") / "A12"
    made.mkdir()
    images = [tile.image for tile in mosaic(reference_lots()[1], TILES, region=REGION)]
    for number, image in enumerate(images):
        (made / f"r{number // 6}_c{number % 6}.png").write_bytes(png(image))
    (made / "r9_c9.png").write_bytes((made / "r0_c0.png").read_bytes())
    (made / "r8_c8.png").write_bytes(b"no picture")
    (made / "lot.json").write_text('{"um_per_px": 1.0, "simulated": true}')
    return made


async def screened(store, folder, addresses, **options):
    async with Services(addresses) as services:
        return await StoredScreening(store, open_source(str(folder)), services, **options).run()


def results_of(store, screening):
    return list(store.results(screening.key))


async def test_a_stored_lot_has_the_verdict_of_a_streamed_one(folder, addresses, tmp_path):
    told = []
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        found = await screened(store, folder, addresses, progress=told.append)
        kept = results_of(store, found)
        (lot,) = store.lots()
    streamed = await screen_lot(
        read_lot_folder(folder),
        predict_address=addresses["predict"],
        referral_address=addresses["referral"],
    )
    assert (lot.tiles, lot.repeats, lot.simulated) == (TILES + 1, 1, True)
    outcome, verdict = found.outcome, streamed.verdict
    assert (outcome.tiles, outcome.accepted, outcome.referred, outcome.failed) == (
        verdict.tiles,
        verdict.accepted,
        verdict.referred,
        verdict.failed,
    )
    said = outcome.document["verdict"]
    assert said["verdict"] == referral_pb2.Verdict.Name(verdict.verdict)
    assert said["guarantee"]["statement"] == verdict.guarantee.statement
    assert said["looks_like"] == verdict.looks_like
    assert said["complete"]
    for name in ("known_p_value", "instrument_p_value", "mixed_p_value"):
        assert said["diagnosis"][name] == pytest.approx(getattr(verdict.diagnosis, name))
    # The streamed lot has the repeated picture in its mean, too.
    assert outcome.mean == pytest.approx(streamed.mean, rel=0.02)
    assert outcome.mean == pytest.approx(
        np.mean([each.result.value for each in kept if each.result.value is not None])
    )
    assert outcome.unit == "psi"
    interval = outcome.document["interval"]
    assert interval["lower"] < outcome.mean < interval["upper"]
    assert set(found.stated["models"]) == {"committee", "regressor"}
    assert found.stated["policy_version"] == verdict.provenance.policy_version
    # In the mosaic's order, each with its place, and the one that is no picture with its reason.
    assert len(kept) == TILES + 1
    places = [(each.tile.row, each.tile.column) for each in kept]
    assert places == sorted(places)
    seen = [each.result for each in kept if each.result.score is not None]
    assert all(each.entropy_nats is not None and each.entropy_nats >= 0 for each in seen)
    limits = outcome.document["policy"]
    for each in seen:
        if each.decision == "accept":
            assert each.score <= limits["threshold"]
            assert each.familiarity >= limits["min_familiarity"]
    (bad,) = [each.result for each in kept if each.result.decision == "failed"]
    assert bad.error_reason == "TILE_UNSUPPORTED_FORMAT"
    assert told[-1].pending == 0


async def test_a_finished_lot_is_not_asked_about_again(folder, addresses, tmp_path):
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        first = await screened(store, folder, addresses)
        times = [each.screened_at for each in results_of(store, first)]
        again = await screened(store, folder, addresses)
        assert again.key == first.key
        assert [each.screened_at for each in results_of(store, again)] == times


async def test_a_lot_that_grows_gets_a_verdict_of_all(folder, addresses, tmp_path):
    grown = tmp_path / "B7"
    grown.mkdir()
    names = sorted(each.name for each in folder.glob("r[01]_*.png"))
    for name in names[:4]:
        (grown / name).write_bytes((folder / name).read_bytes())
    (grown / "lot.json").write_text('{"um_per_px": 1.0}')
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        first = await screened(store, grown, addresses)
        assert first.outcome.tiles == 4
        for name in names[4:]:
            (grown / name).write_bytes((folder / name).read_bytes())
        again = await screened(store, grown, addresses)
        assert again.key == first.key
        assert again.outcome.tiles == len(names)
        workers = Counter(each.worker for each in results_of(store, again))
        assert sorted(workers.values()) == sorted((4, len(names) - 4))


async def test_two_screeners_share_a_lot(folder, addresses, tmp_path, monkeypatch):
    monkeypatch.setattr(stored_module, "CLAIMED", 5)
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        found = await asyncio.gather(*(screened(store, folder, addresses) for _ in range(2)))
        assert found[0].key == found[1].key
        assert found[0].outcome == found[1].outcome
        kept = results_of(store, found[0])
    assert len({each.tile.id for each in kept}) == len(kept) == TILES + 1
    assert len({each.worker for each in kept}) == 2


async def test_a_screener_that_is_killed_again_and_again_loses_nothing(folder, addresses, tmp_path):
    path, rng = tmp_path / "store.sqlite", np.random.default_rng(3)
    killed = 0
    for _ in range(30):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _SCREENER,
            str(path),
            str(folder),
            json.dumps(addresses),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        first = killed == 0
        # At any moment after it has begun; the last one may come to its end.
        line = await process.stdout.readline()
        assert line == b"ready\n", line
        if killed < 4:
            await asyncio.sleep(rng.uniform(0.0, 0.8 if first else 0.5))
            process.send_signal(signal.SIGKILL)
            killed += 1
            await process.wait()
            continue
        rest = await process.stdout.read()
        assert await process.wait() == 0, rest
        break
    with Store.open(path) as store:
        (screening,) = store.screenings()
        kept = results_of(store, screening)
    assert screening.outcome.tiles == TILES + 1
    assert len({each.tile.id for each in kept}) == len(kept) == TILES + 1


_SCREENER = """
import asyncio, json, sys
from lotwise.screening import stored
from lotwise.screening.services import Services
from lotwise.screening.sources import open_source
from lotwise.store import Store

stored.LEASE_S, stored.BATCH, stored.CLAIMED = 1.0, 2, 6

async def main():
    async with Services(json.loads(sys.argv[3])) as services:
        with Store.open(sys.argv[1], create=True) as store:
            screening = stored.StoredScreening(store, open_source(sys.argv[2]), services)
            print("ready", flush=True)
            await screening.run()

asyncio.run(main())
"""


async def forwarded(port, listening):
    """A server that passes everything on to a port, from when it is told to."""

    async def copy(reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader, writer):
        inner = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, inner[1]), copy(inner[0], writer))

    return await asyncio.start_server(serve, sock=listening)


async def test_an_outage_is_waited_for(folder, addresses, tmp_path):
    import socket

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    away = {**addresses, "referral": f"127.0.0.1:{listening.getsockname()[1]}"}
    real = int(addresses["referral"].rpartition(":")[2])
    waits = []
    started = asyncio.Event()

    def waiting(why, seconds):
        waits.append((why, seconds))
        started.set()

    async def come_back():
        await started.wait()
        return await forwarded(real, listening)

    async with Services(away, "", waiting) as services:
        with Store.open(tmp_path / "store.sqlite", create=True) as store:
            back = asyncio.create_task(come_back())
            work = StoredScreening(store, open_source(str(folder)), services)
            found = await asyncio.wait_for(work.run(), 120)
    (await back).close()
    assert found.outcome.tiles == TILES + 1
    assert waits[0][0]
    assert 0 < waits[0][1] <= 0.2
    assert waits[-1] == ("", 0.0)


async def test_no_verdict_waits_for_an_interval(folder, addresses, tmp_path, monkeypatch):
    monkeypatch.setattr(services_module, "PATIENCE_S", 0.3)
    away = {**addresses, "uncertainty": "127.0.0.1:9"}
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        found = await asyncio.wait_for(screened(store, folder, away), 120)
    assert found.outcome.tiles == TILES + 1
    assert found.outcome.document["interval"] is None


async def test_a_policy_that_changes_on_the_way_ends_the_screening(
    folder, addresses, tmp_path, monkeypatch
):
    async with Services(addresses) as services:
        asked = services.ask
        count = 0

        async def ask(tile):
            nonlocal count
            answered = await asked(tile)
            count += 1
            if count > 10 and not isinstance(answered.decision, Exception):
                answered.decision.provenance.policy_version = "newer"
            return answered

        monkeypatch.setattr(services, "ask", ask)
        with Store.open(tmp_path / "store.sqlite", create=True) as store:
            with pytest.raises(ModelsChanged) as refused:
                await StoredScreening(store, open_source(str(folder)), services).run()
            (begun,) = store.screenings()
            assert begun.finished is None
            kept = results_of(store, begun)
            # Nothing is held back, and nothing of the newer policy is among it.
            assert store.progress(begun.key).claimed == 0
    assert refused.value.reason == "MODELS_CHANGED"
    assert len(kept) < TILES


async def test_files_that_cannot_be_read_hold_the_verdict_back(folder, addresses, tmp_path):
    source = open_source(str(folder))
    found = source.found

    def with_unreadable():
        yield from found()
        source.unreadable.append(Unreadable("r7_c7.png", "Permission denied"))

    source.found = with_unreadable
    async with Services(addresses) as services:
        with Store.open(tmp_path / "store.sqlite", create=True) as store:
            with pytest.raises(InvalidRequest) as refused:
                await StoredScreening(store, source, services).run()
            (begun,) = store.screenings()
            assert store.progress(begun.key).pending == 0
            assert begun.finished is None
    assert refused.value.reason == "TILES_UNREADABLE"
    assert "r7_c7.png (Permission denied)" in refused.value.message


async def test_an_empty_folder_is_no_lot(addresses, tmp_path):
    (tmp_path / "empty").mkdir()
    with (
        Store.open(tmp_path / "store.sqlite", create=True) as store,
        pytest.raises(InvalidRequest) as refused,
    ):
        await screened(store, tmp_path / "empty", addresses)
    assert refused.value.reason == "LOT_EMPTY"


async def test_lots_of_one_name_stay_apart(folder, addresses, tmp_path):
    twin = tmp_path / "elsewhere" / "A12"
    twin.mkdir(parents=True)
    (twin / "r0_c0.png").write_bytes((folder / "r0_c0.png").read_bytes())
    (twin / "lot.json").write_text('{"um_per_px": 1.0}')
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        for each in (folder, twin):
            await screened(store, each, addresses)
        assert [lot.key.name for lot in store.lots()] == ["A12", "A12"]
        assert len({lot.shown for lot in store.lots()}) == 2
        assert [each.outcome.tiles for each in store.screenings()] == [TILES + 1, 1]


def test_a_picture_that_is_too_poor_has_no_property_and_no_error():
    from lotwise.screening.recording import tile_result

    decision = referral_pb2.DecideResponse(
        decision=referral_pb2.DECISION_REFER, reasons=[referral_pb2.REASON_POOR_QUALITY]
    )
    result = tile_result(3, Answered(decision, EngineUnavailable("x")))
    assert (result.decision, result.reasons) == ("refer", ("poor quality",))
    assert result.value is result.score is result.familiarity is None
    prediction = predict_pb2.PredictResponse(property="peak stress", value=2.0, unit="psi")
    result = tile_result(3, Answered(decision, prediction))
    assert (result.property_name, result.value, result.unit) == ("peak stress", 2.0, "psi")
    assert tile_pb2.Tile().tile_id == ""


def test_stop_early_and_a_store_exclude_each_other(tmp_path):
    result = CliRunner().invoke(
        app, ["screen", str(tmp_path), "--stop-early", "--store", str(tmp_path / "s.sqlite")]
    )
    assert result.exit_code == 1
    assert "exclude each other" in result.output


async def test_the_command_screens_what_it_can_and_says_what_it_cannot(folder, addresses, tmp_path):
    ports = [f"--{name}={address}" for name, address in addresses.items()]
    command = [
        *(sys.executable, "-c", "from lotwise.cli import main; main()", "screen"),
        *(str(folder), str(tmp_path / "nowhere")),
        *("--store", str(tmp_path / "s.sqlite"), *ports),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 1, err.decode()
    assert "A12" in out.decode()
    assert f"of {TILES + 1}" in out.decode()
    assert "LOT_MISSING" in err.decode()
