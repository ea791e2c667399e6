"""Stored lots under another policy: the list of what changes."""

import json

import pytest

from lotwise.cli import rescreen
from lotwise.cli.rescreen import Rescreened
from lotwise.screening.concluding import Wish
from lotwise.screening.services import Services
from lotwise.screening.sources import open_source
from lotwise.screening.stored import StoredScreening
from lotwise.store import Store
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots
from tests.support.tiles import png

REGION = 8_125


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "A12"
    made.mkdir()
    for tile in mosaic(reference_lots()[3], 6, region=REGION):
        (made / f"r0_c{tile.column + 10 * tile.row}.png").write_bytes(png(tile.image))
    (made / "lot.json").write_text('{"um_per_px": 1.0}')
    return made


async def again(store, addresses, **options):
    options = {"policy": "", "um_per_px": None} | options
    return await rescreen._rescreen(store, store.lots(), addresses, **options)


async def test_another_policy_is_another_screening_and_is_compared(folder, addresses, tmp_path):
    with Store.open(tmp_path / "s.sqlite", create=True) as store:
        wish = Wish(2000.0, "kelvin")
        async with Services(addresses) as services:
            work = StoredScreening(store, open_source(str(folder)), services, wish=wish)
            first = await work.run()
        ((same,), failed) = await again(store, addresses)
        assert (same.again, same.changed_tiles, failed) == (False, None, 0)
        assert len(store.screenings()) == 1
        ((other,), failed) = await again(store, addresses, policy="cascade")
        assert failed == 0
        assert (other.lot, other.before, other.again) == ("A12", first.outcome.verdict, True)
        was, becomes = store.screenings()
        assert was.key == first.key
        # What to change is asked for again, and refused again.
        assert Wish.of(becomes.outcome) == wish
        assert becomes.outcome.document["explanation_error"]["reason"] == "TARGET_INVALID"
        assert becomes.outcome.verdict == other.after
        assert becomes.stated["policy_version"] != was.stated["policy_version"]
        decisions = [
            {each.tile.tile_id: each.result.decision for each in store.results(screening.key)}
            for screening in (was, becomes)
        ]
        differ = sum(decisions[0][name] != decisions[1][name] for name in decisions[0])
        assert other.changed_tiles == differ


async def test_a_lot_whose_files_are_gone_is_said_and_the_others_go_on(
    folder, addresses, tmp_path, capsys
):
    with Store.open(tmp_path / "s.sqlite", create=True) as store:
        async with Services(addresses) as services:
            await StoredScreening(store, open_source(str(folder)), services).run()
        store.register_lot("gone", str(tmp_path / "gone"))
        found, failed = await again(store, addresses)
    assert [each.lot for each in found] == ["A12"]
    assert failed == 1
    assert "gone: LOT_MISSING" in capsys.readouterr().err


FOUND = [
    Rescreened("A12", "accept", "refer", 3, again=True),
    Rescreened("B7", "refer", "refer", 0, again=True),
    Rescreened("C1", None, "accept", None, again=False),
]


def test_what_changes_is_listed(capsys):
    rescreen._show(FOUND, only_changed=True, as_json=False)
    shown = capsys.readouterr().out
    assert "A12" in shown
    assert "B7" not in shown
    assert "1 of 3 verdicts have changed." in shown
    assert "1 lots were screened by the same models" in shown


def test_programs_read_a_line_a_lot(capsys):
    rescreen._show(FOUND, only_changed=False, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["lot"] for line in lines] == ["A12", "B7", "C1"]
    assert lines[0]["before"] == "accept"
    assert lines[0]["changed_tiles"] == 3
