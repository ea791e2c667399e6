"""A report on a lot that was really screened lacks nothing that a screener can store."""

import pytest

from lotwise.screening.lot_report.gathering import gather
from lotwise.screening.lot_report.page import lot_page
from lotwise.screening.services import Services
from lotwise.screening.sources import open_source
from lotwise.screening.stored import StoredScreening
from lotwise.store import Store
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots
from tests.support.tiles import png

REGION = 8_126


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "A12"
    made.mkdir()
    for number, tile in enumerate(mosaic(reference_lots()[4], 8, region=REGION)):
        (made / f"r{number // 4}_c{number % 4}.png").write_bytes(png(tile.image))
    (made / "lot.json").write_text('{"um_per_px": 1.0, "simulated": true}')
    return made


async def test_the_report_of_a_screened_lot_is_whole(addresses, folder, tmp_path):
    with Store.open(tmp_path / "s.sqlite", create=True) as store:
        async with Services(addresses) as asked:
            found = await StoredScreening(store, open_source(str(folder)), asked).run()
        (lot,) = store.lots()
        page = lot_page(gather(store, lot), store.now())
    outcome, said = found.outcome, found.outcome.document
    assert outcome.verdict.upper() in page
    assert "SIMULATED" in page.upper()
    assert (
        said["verdict"]["guarantee"]["statement"].split(",")[0][:30] in page or "promised" in page
    )
    for model in found.stated["models"].values():
        assert model["weights_sha256"] in page
    assert found.stated["policy_version"] in page
    assert said["interval"] is None  # eight tiles are too few for one
    # Both limits of the policy, and the entropy of every tile that was seen.
    assert "limit of the policy" in page
    assert "limits are not" not in page
    assert "entropy" in page
    assert all(
        each.result.entropy_nats is not None
        for each in store_results(tmp_path, found)
        if each.result.score is not None
    )


def store_results(tmp_path, found):
    with Store.open(tmp_path / "s.sqlite") as store:
        return list(store.results(found.key))
