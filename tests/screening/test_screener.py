import asyncio
import gc
import json
import re
import socket
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from lotwise.core.errors import EngineUnavailable
from lotwise.screening.folder import read_lot_folder
from lotwise.screening.report import as_json, as_table
from lotwise.screening.screener import screen_lot, tiles_of
from lotwise.v1 import referral_pb2, tile_pb2
from tests.core.headers import JEOL
from tests.core.images import encoded
from tests.support.tiles import png


@pytest.fixture
def folder(tmp_path, pictures):
    lot = tmp_path / "R01 [bold]"  # markup in a name must stay a name
    lot.mkdir()
    for index, picture in enumerate(pictures[:4]):
        (lot / f"{index}.png").write_bytes(png(picture))
    (lot / "4.png").write_bytes(png(pictures[4])[:900])
    (lot / "lot.json").write_text('{"um_per_px": 1.0, "simulated": true}')
    return lot


@pytest.fixture
def addresses(services):
    return {
        f"{name}_address": f"127.0.0.1:{services[name].port}" for name in ("predict", "referral")
    }


async def test_every_tile_is_counted_and_the_bad_one_is_listed(folder, addresses):
    seen = []
    screened = await screen_lot(
        read_lot_folder(folder), **addresses, on_tile=lambda: seen.append(1)
    )
    assert len(seen) == screened.verdict.tiles == 5
    assert screened.verdict.failed == 1
    assert [failure.tile_id for failure in screened.failures] == ["4.png"]
    assert screened.failures[0].reason == "TILE_TRUNCATED"
    assert len(screened.values) == 4
    assert screened.unit == "psi"
    assert set(screened.models) == {"regressor", "committee"}


async def test_scale_and_state_beside_a_file_are_sent_with_it(tmp_path, pictures, addresses):
    lot = tmp_path / "B"
    lot.mkdir()
    for index, picture in enumerate(pictures[:3]):
        (lot / f"{index}.bmp").write_bytes(encoded(picture, "BMP"))
        (lot / f"{index}.txt").write_bytes(JEOL.replace(b"BAR 53", b"BAR 10"))
    (lot / "2.txt").unlink()
    screened = await screen_lot(read_lot_folder(lot), **addresses)
    assert screened.verdict.tiles == 3
    assert [(each.tile_id, each.reason) for each in screened.failures] == [
        ("2.bmp", "TILE_SCALE_UNKNOWN")
    ]
    assert len(screened.values) == 2


async def test_what_a_sidecar_says_is_in_the_message_and_the_lots_scale_goes_before(
    tmp_path, pictures
):
    (tmp_path / "a.bmp").write_bytes(encoded(pictures[0], "BMP"))
    (tmp_path / "a.txt").write_bytes(JEOL)
    [tile] = [each async for each in tiles_of(read_lot_folder(tmp_path))]
    assert tile.tile_id == "a.bmp"
    assert tile.um_per_px == pytest.approx(10 / 53)
    assert tile.instrument == tile_pb2.Instrument(
        manufacturer="JEOL",
        model="JSM-7800F",
        detector="SEI",
        beam_energy_kev=10.0,
        working_distance_mm=23.5,
        magnification=500.0,
    )
    [tile] = [each async for each in tiles_of(read_lot_folder(tmp_path, um_per_px=0.5))]
    assert tile.um_per_px == 0.5
    (tmp_path / "a.txt").unlink()
    [tile] = [each async for each in tiles_of(read_lot_folder(tmp_path))]
    assert not tile.HasField("um_per_px")
    assert not tile.HasField("instrument")


async def test_the_table_shows_the_lot_and_says_what_is_simulated(folder, addresses):
    screened = await screen_lot(read_lot_folder(folder), **addresses)
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(as_table([screened]))
    console.file.close()
    text = console.export_text()
    assert re.search(r"R01 \[bold\].*\n *simulated", text)
    assert "trained on simulated lots" in text
    assert "without Triton" in text
    assert "4.png: TILE_TRUNCATED" in text
    assert "psi" in text


async def test_json_holds_the_verdict_and_its_provenance(folder, addresses):
    screened = await screen_lot(read_lot_folder(folder), **addresses)
    report = json.loads(json.dumps(as_json(screened)))
    assert report["simulated"] is True
    assert report["verdict"]["verdict"] in referral_pb2.Verdict.keys()  # noqa: SIM118
    assert report["verdict"]["provenance"]["policy_version"]
    assert report["models"]["committee"]["weights_sha256"]
    assert report["mean"] == pytest.approx(screened.mean)


async def test_services_that_are_down_are_said(folder):
    with pytest.raises(EngineUnavailable, match="not reachable"):
        await screen_lot(
            read_lot_folder(folder), predict_address="127.0.0.1:1", referral_address="127.0.0.1:1"
        )


async def test_no_more_tiles_are_sent_than_the_verdict_needs(tmp_path, addresses):
    lot = tmp_path / "dark"
    lot.mkdir()
    for index in range(120):
        (lot / f"{index:03}.png").write_bytes(png(np.zeros((64, 64), np.uint8)))
    (lot / "lot.json").write_text('{"um_per_px": 4.0}')
    folder = read_lot_folder(lot)
    screened = await screen_lot(folder, **addresses, stop_early=True)
    assert screened.enough
    assert screened.verdict.settled
    assert screened.verdict.complete
    assert screened.verdict.verdict == referral_pb2.VERDICT_REFER
    assert screened.verdict.settled_after <= screened.verdict.tiles < 120
    whole = await screen_lot(folder, **addresses)
    assert (whole.enough, whole.verdict.tiles) == (False, 120)
    assert whole.verdict.settled_after == screened.verdict.settled_after


def is_lotwise(task):
    """Whether a task is none of gRPC's, which end a little later."""
    return "lotwise" in Path(task.get_coro().cr_code.co_filename).parts


async def test_a_service_that_is_down_ends_the_call_of_the_other_one(folder):
    lost = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: lost.append(context["message"]))
    before = asyncio.all_tasks()
    try:
        # It takes the connection and never answers.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            for down, up in (("predict", "referral"), ("referral", "predict")):
                addresses = {f"{down}_address": "127.0.0.1:1", f"{up}_address": address}
                with pytest.raises(EngineUnavailable, match=down):
                    await screen_lot(read_lot_folder(folder), **addresses)
                assert not any(map(is_lotwise, asyncio.all_tasks() - before))
        gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert lost == []
