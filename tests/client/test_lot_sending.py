"""A lot on its way: stopped early, gone on with after an outage, nothing lost or counted twice."""

import pytest

from lotwise.client import EngineUnavailable, InferenceFailed
from lotwise.client.lot_sending import LotSending
from tests.client.fake import FakeReferral, Serving

NAMES = [f"tile-{number}" for number in range(20)]


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    return [tmp_path / f"{name}.png" for name in NAMES]


@pytest.fixture
def screened(make_asker, folder):
    async def screen(fake, retries=3, **options):
        seen = []
        with Serving(fake) as serving:
            asker = make_asker(referral=serving.address, retries=retries)
            verdict = await asker.ask(
                "screen_lot", folder, lot_id="a lot", on_tile=seen.append, **options
            )
        return verdict, [each.tile_id for each in seen]

    return screen


@pytest.mark.parametrize("breaks", [(), (0,), (2,), (7,), (19,), (20,), (7, 1, 5), (7, 0, 0)])
async def test_a_lot_goes_on_where_its_stream_broke(screened, breaks):
    fake = FakeReferral(breaks)
    verdict, seen = await screened(fake)
    counted = verdict.looks_like.split(",")
    assert counted == seen == [f"{name}.png" for name in NAMES]
    assert [each.tile_id for each in verdict.decisions] == seen
    assert verdict.complete
    assert len(fake.streams) == len(breaks) + 1
    for number, stream in enumerate(fake.streams):
        tokens = [bool(message.resume_token) for message in stream]
        assert not any(tokens[1:])
        if number == 0:
            assert not tokens[0]


async def test_only_what_came_after_the_token_is_sent_again(screened):
    fake = FakeReferral(breaks=(10,), every=4)
    await screened(fake)
    again = [message.tile.tile_id for message in fake.streams[1] if message.HasField("tile")]
    # The answer to the eighth tile, with its token, may have been lost with the stream.
    assert again[0] in ("tile-4.png", "tile-8.png", "tile-0.png")
    assert again == [f"{name}.png" for name in NAMES[-len(again) :]]


async def test_an_outage_that_stays_is_said(screened):
    fake = FakeReferral(breaks=(0,) * 40)
    with pytest.raises(EngineUnavailable):
        await screened(fake, retries=2)
    assert 3 <= len(fake.streams) <= 9  # gRPC itself tries a stream again that has not begun
    with pytest.raises(EngineUnavailable):
        await screened(FakeReferral(breaks=(5,)), retries=0)


async def test_an_answer_gives_new_tries(screened):
    fake = FakeReferral(breaks=(1, 1, 1, 1, 1, 1), every=1)
    verdict, _ = await screened(fake, retries=1)
    assert verdict.tiles == len(NAMES)


async def test_no_more_tiles_are_sent_once_there_are_enough(screened):
    fake = FakeReferral(settled=3)
    verdict, seen = await screened(fake, stop_early=True)
    # Those that were under way are answered.
    assert 3 <= verdict.tiles == len(seen) <= 20
    assert verdict.complete
    verdict, _ = await screened(FakeReferral(settled=3))
    assert verdict.tiles == 20


def test_tiles_that_are_under_way_are_all_that_come_after_enough():
    sending = LotSending(list(range(20)), "", stop_early=True, retries=0, timeout=None)
    taken = []
    for tile in sending.opened().tiles:
        taken.append(tile)
        if tile == 4:
            sending._enough = True
    assert taken == [0, 1, 2, 3, 4]


def test_a_stream_without_a_verdict_is_an_error():
    with pytest.raises(InferenceFailed):
        LotSending([], "", stop_early=False, retries=0, timeout=None).verdict(False)


def test_waiting_ends_with_the_deadline():
    sending = LotSending([b"x"], "", stop_early=False, retries=5, timeout=0.0)
    with pytest.raises(EngineUnavailable):
        sending.again(EngineUnavailable("gone"))
