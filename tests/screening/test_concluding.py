"""What is said at the end of a screening beyond the verdict: what to change, on any database."""

import asyncio
import json

import pytest

from lotwise.screening import concluding
from lotwise.screening import services as services_module
from lotwise.screening import stored as stored_module
from lotwise.screening.concluding import Wish
from lotwise.screening.lot_report.gathering import gather
from lotwise.screening.lot_report.page import lot_page
from lotwise.screening.services import Services
from lotwise.screening.sources import open_source
from lotwise.screening.stored import StoredScreening
from lotwise.store import Store, StoreError
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots
from tests.support import postgres
from tests.support.disks import fill_disk, small_disk
from tests.support.tiles import png

TILES = 12
REGION = 8_127
ATTRIBUTES = {"size": 0.4, "porosity": 0.5, "polydispersity": 0.5, "facetness": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("lots") / "C3"
    made.mkdir()
    for number, tile in enumerate(mosaic(reference_lots()[4], TILES, region=REGION)):
        (made / f"r{number // 4}_c{number % 4}.png").write_bytes(png(tile.image))
    said = {"um_per_px": 1.0, "simulated": True, "attributes": ATTRIBUTES}
    (made / "lot.json").write_text(json.dumps(said))
    return made


async def screened(store, folder, addresses, **options):
    async with Services(addresses) as services:
        return await StoredScreening(store, open_source(str(folder)), services, **options).run()


async def test_what_to_change_is_searched_kept_and_reported(
    folder, addresses, tmp_path, monkeypatch
):
    monkeypatch.setattr(concluding, "EXPLAINED", 2)
    with Store.open(tmp_path / "s.sqlite", create=True) as store:
        first = await screened(store, folder, addresses)
        assert first.outcome.document["explanation"] is None
        wanted = first.outcome.mean * 1.1 * 0.006894757
        store.reopen(first.key)
        found = await screened(store, folder, addresses, wish=Wish(wanted, "MPa"))
        (lot,) = store.lots()
        gathered = gather(store, lot)
        page = lot_page(gathered, store.now())
    assert Wish.of(found.outcome) == Wish(wanted, "MPa")
    assert Wish.of(first.outcome) is Wish.of(None) is None
    said = found.outcome.document["explanation"]
    assert "explanation_error" not in found.outcome.document, found.outcome.document
    assert said["target"] == pytest.approx(first.outcome.mean * 1.1, rel=1e-6)
    assert not said["edited_png"]  # the store keeps numbers
    change = gathered.said.change
    assert change.unit == "psi"
    assert change.sampled == 2
    assert change.after > change.before
    assert len(change.changes) + change.unchanged == len(ATTRIBUTES)
    before = {each["name"]: each["before"] for each in said["changes"]}
    assert before == pytest.approx(ATTRIBUTES)
    assert "What to change" in page
    # The chance of error is drawn against what it was in calibration.
    assert sum(gathered.said.scores.shares) == pytest.approx(1.0)
    assert "tiles like the calibration tiles" in page
    assert "less certain than in calibration" in page


async def test_what_cannot_be_searched_is_said_and_holds_no_verdict_up(
    folder, addresses, tmp_path, monkeypatch
):
    monkeypatch.setattr(services_module, "PATIENCE_S", 0.3)
    wishes = {
        "kelvin": ("TARGET_INVALID", {}),
        "": ("ENGINE_UNAVAILABLE", {"explain": "127.0.0.1:9"}),
    }
    with Store.open(tmp_path / "s.sqlite", create=True) as store:
        for unit, (reason, away) in wishes.items():
            asked = screened(store, folder, addresses | away, wish=Wish(2000.0, unit))
            found = await asyncio.wait_for(asked, 120)
            assert found.outcome.tiles == TILES
            assert found.outcome.document["explanation"] is None
            assert found.outcome.document["explanation_error"]["reason"] == reason
            (lot,) = store.lots()
            page = lot_page(gather(store, lot), store.now())
            assert "Not available: " in page
            store.reopen(found.key)


async def test_screeners_share_a_lot_in_postgresql(folder, addresses, monkeypatch):
    monkeypatch.setattr(stored_module, "CLAIMED", 3)
    with postgres.running() as server:
        server.run("CREATE DATABASE screened")
        with Store.open(server.url("screened"), create=True) as store:
            found = await asyncio.gather(*(screened(store, folder, addresses) for _ in range(2)))
            kept = list(store.results(found[0].key))
            again = await screened(store, folder, addresses)
        assert found[0].key == found[1].key == again.key
        assert found[0].outcome == found[1].outcome
        assert found[0].outcome.tiles == TILES
        assert len({each.tile.id for each in kept}) == len(kept) == TILES
        assert len({each.worker for each in kept}) == 2


async def test_a_full_disk_ends_a_screener_and_another_goes_on(
    folder, addresses, tmp_path, monkeypatch
):
    monkeypatch.setattr(stored_module, "BATCH", 2)
    monkeypatch.setattr(stored_module, "LEASE_S", 1.0)
    with small_disk(tmp_path / "disk", "4m"):
        path = tmp_path / "disk" / "store.sqlite"
        other = tmp_path / "disk" / "other"

        def fill(progress):
            if progress.done and not other.exists():
                fill_disk(other)

        with Store.open(path, create=True) as store:
            with pytest.raises(StoreError) as full:
                await screened(store, folder, addresses, progress=fill)
            assert full.value.reason == "STORE_FULL"
            (begun,) = store.screenings()
            kept = store.progress(begun.key).done
            assert 0 < kept < TILES
        other.unlink()
        with Store.open(path) as store:
            found = await asyncio.wait_for(screened(store, folder, addresses), 120)
            assert len(list(store.results(found.key))) == found.outcome.tiles == TILES
