"""The stream of one lot: settled early, resumed elsewhere, complete, repeated, of one scale."""

import json
import zlib
from collections import Counter

import grpc
import numpy as np
import pytest

from lotwise.core.errors import InvalidRequest
from lotwise.core.lot_diagnosis import LotPlaces
from lotwise.core.verdict import Decision, LotTally, Reason, Verdict
from lotwise.referral.lot_so_far import FIRST_TOKEN, LotSoFar
from lotwise.runtime.status import reason_of
from lotwise.v1 import referral_pb2, tile_pb2
from tests.support.tiles import bad_tiles, png

BLACK = png(np.zeros((256, 256), dtype=np.uint8))


async def send(stubs, *messages):
    async def requests():
        for message in messages:
            yield message

    return [event async for event in stubs.referral.DecideLot(requests())]


def tile_message(tile, **fields):
    return referral_pb2.DecideLotRequest(tile=tile, **fields)


async def test_a_lot_that_was_called_complete_gets_its_verdict_at_once(stubs, make_tile):
    events = await send(
        stubs,
        tile_message(make_tile(0)),
        tile_message(make_tile(1), complete=True),
        tile_message(make_tile(2)),
    )
    assert [event.WhichOneof("event") for event in events] == ["acknowledged"] * 2 + ["verdict"]
    assert events[-1].verdict.complete
    assert events[-1].verdict.tiles == 2


async def test_a_message_without_a_tile_may_call_a_lot_complete(stubs, make_tile):
    last = referral_pb2.DecideLotRequest(complete=True)
    *_, end = await send(stubs, tile_message(make_tile(0)), last)
    assert (end.verdict.complete, end.verdict.tiles) == (True, 1)
    *_, end = await send(stubs, tile_message(make_tile(0)))
    assert not end.verdict.complete
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(stubs, last)
    assert reason_of(refused.value) == "LOT_EMPTY"


async def test_a_verdict_says_when_enough_tiles_have_come(stubs, make_tile):
    events = await send(stubs, *[tile_message(make_tile(i, file=BLACK)) for i in range(20)])
    settled = [event.acknowledged.running.settled for event in events[:-1]]
    needed = settled.index(True) + 1
    assert settled == [False] * (needed - 1) + [True] * (21 - needed)
    verdict = events[-1].verdict
    assert (verdict.settled, verdict.settled_after) == (True, needed)
    assert verdict.verdict == referral_pb2.VERDICT_REFER
    assert verdict.referred_share_lower > verdict.max_referred_share


async def test_a_stream_is_resumed_where_another_broke_and_counts_nothing_twice(stubs, make_tile):
    tiles = [make_tile(i, file=BLACK, tile_id=f"black {i}") for i in range(FIRST_TOKEN + 5)]
    tiles[3] = make_tile(0, tile_id="known")
    whole = await send(stubs, *map(tile_message, tiles), tile_message(tiles[0], complete=True))
    tokens = [event.acknowledged.resume_token for event in whole if event.HasField("acknowledged")]
    assert [number for number, token in enumerate(tokens, start=1) if token] == [FIRST_TOKEN]
    # What came after the token, and before it too, is sent again.
    rest = [tile_message(tile) for tile in tiles[FIRST_TOKEN - 4 :]]
    first = tile_message(tiles[0], resume_token=tokens[FIRST_TOKEN - 1])
    resumed = await send(stubs, first, *rest, referral_pb2.DecideLotRequest(complete=True))
    repeated = [each.acknowledged.repeated for each in resumed[:-1]]
    assert repeated == [True] * 5 + [False] * 5
    one, other = whole[-1].verdict, resumed[-1].verdict
    for field in ("lot_id", "tiles", "referred", "verdict", "settled_after", "reason_counts"):
        assert getattr(one, field) == getattr(other, field), field
    assert (one.repeated, other.repeated) == (1, 5)


async def test_a_stream_may_be_opened_by_the_token_alone(stubs, make_tile):
    tiles = [make_tile(i, file=BLACK, tile_id=f"black {i}") for i in range(FIRST_TOKEN)]
    *_, last, _ = await send(stubs, *map(tile_message, tiles))
    token = last.acknowledged.resume_token
    opened = referral_pb2.DecideLotRequest(resume_token=token, complete=True)
    (end,) = await send(stubs, opened)
    assert (end.verdict.lot_id, end.verdict.tiles) == ("R01", FIRST_TOKEN)
    strange = tile_message(make_tile(0, lot_id="another"), resume_token=token)
    acknowledged, end = await send(stubs, strange)
    assert acknowledged.acknowledged.error.reason == "LOT_CONTRADICTORY"
    assert end.verdict.tiles == FIRST_TOKEN


@pytest.mark.parametrize("token", [b"x", zlib.compress(b"{}"), zlib.compress(b"\x00" * 10**6)])
async def test_a_token_that_is_none_is_refused(stubs, make_tile, token):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(stubs, tile_message(make_tile(0), resume_token=token))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == "RESUME_INVALID"


async def test_a_token_of_another_policy_is_refused(stubs, make_tile):
    token = LotSoFar("R01", "another", LotTally(0.4, 0.95)).token()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(stubs, tile_message(make_tile(0), resume_token=token))
    assert reason_of(refused.value) == "RESUME_MISMATCH"


async def test_the_same_picture_under_another_name_is_not_counted_twice(stubs, make_tile):
    again = make_tile(0, tile_id="a copy")
    events = await send(stubs, *map(tile_message, [make_tile(0), again, make_tile(1)]))
    assert [event.acknowledged.repeated for event in events[:-1]] == [False, True, False]
    assert events[1].acknowledged.HasField("decision")
    assert (events[-1].verdict.tiles, events[-1].verdict.repeated) == (2, 1)


async def test_a_tile_that_cannot_be_read_counts_once(stubs, make_tile, pictures):
    bad = make_tile(1, **bad_tiles(pictures[0])["TILE_TRUNCATED"])
    events = await send(stubs, *map(tile_message, [make_tile(0), bad, bad]))
    assert [event.acknowledged.error.reason for event in events[1:3]] == ["TILE_TRUNCATED"] * 2
    assert events[-1].verdict.failed == 1


async def test_tiles_of_two_scales_are_no_lot(stubs, make_tile):
    tiles = [make_tile(0), make_tile(1, um_per_px=1.1), make_tile(2, um_per_px=1.01)]
    events = await send(stubs, *map(tile_message, tiles))
    assert events[1].acknowledged.error.reason == "LOT_SCALE_DIFFERS"
    assert "1.1 um" in events[1].acknowledged.error.message
    assert events[-1].verdict.tiles == 2


async def test_a_first_tile_without_a_lot_refuses_the_stream_whatever_follows(stubs, make_tile):
    tiles = [make_tile(0, lot_id=""), make_tile(1), make_tile(2)]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(stubs, *map(tile_message, tiles))
    assert reason_of(refused.value) == "LOT_MISSING"


def filled():
    lot = LotSoFar("a lot", "policy 7", LotTally(0.4, 0.95), um_per_px=0.5, repeated=2)
    rng = np.random.default_rng(0)
    for number in range(30):
        tile = tile_pb2.Tile(tile_id=str(number), file=bytes([number]))
        lot.note(tile, seen=number % 2 == 0)
        lot.tally.add(Decision.REFER, (Reason.UNFAMILIAR,), "R07")
    lot.tally.add_failure()
    lot.places = LotPlaces.of(rng.normal(size=(30, 4)), rng.normal(size=(30, 8)))
    return lot


def test_a_token_holds_all_that_is_known_of_a_lot():
    lot = filled()
    back = LotSoFar.resumed(lot.token())
    assert (back.lot_id, back.policy_version) == ("a lot", "policy 7")
    assert (back.um_per_px, back.repeated) == (0.5, 2)
    assert back.tally == lot.tally
    assert back.tally.settled is Verdict.REFER
    assert back.tally.reasons == Counter({Reason.UNFAMILIAR: 30, Reason.UNREADABLE: 1})
    assert back.places.tiles == 30
    assert back.places.spread_score == pytest.approx(lot.places.spread_score)
    assert back.places.log_probabilities == pytest.approx(lot.places.log_probabilities)
    assert back.was_sent(tile_pb2.Tile(tile_id="3", file=bytes([3])))
    assert not back.was_sent(tile_pb2.Tile(tile_id="4", file=bytes([3])))
    assert back.was_seen(tile_pb2.Tile(tile_id="x", file=bytes([4])))
    assert not back.was_seen(tile_pb2.Tile(tile_id="x", file=bytes([3])))
    assert back.token() == lot.token()


@pytest.mark.parametrize(
    "change", [{"log_probabilities": [0.1]}, {"products": [1.0]}, {"diagnosed": 99}, {"sent": "?"}]
)
def test_a_token_whose_parts_do_not_fit_is_refused(change):
    said = json.loads(zlib.decompress(filled().token()))
    token = zlib.compress(json.dumps(said | change).encode())
    with pytest.raises(InvalidRequest) as refused:
        LotSoFar.resumed(token)
    assert refused.value.reason == "RESUME_INVALID"


async def test_a_message_that_says_nothing_is_an_empty_tile(stubs, make_tile):
    nothing = referral_pb2.DecideLotRequest()
    events = await send(stubs, tile_message(make_tile(0)), nothing, tile_message(make_tile(1)))
    assert events[1].acknowledged.error.reason == "TILE_EMPTY"
    assert (events[-1].verdict.tiles, events[-1].verdict.failed) == (3, 1)


@pytest.mark.parametrize("cut", [0, 1, 10, 200])
def test_a_token_that_was_cut_is_refused(cut):
    with pytest.raises(InvalidRequest) as refused:
        LotSoFar.resumed(filled().token()[:cut])
    assert refused.value.reason == "RESUME_INVALID"


def test_tokens_become_rarer_so_that_they_do_not_outweigh_tiles():
    lot = LotSoFar("a lot", "p", LotTally(0.4, 0.95))
    due, size = [], 0
    for number in range(6_000):
        lot.note(tile_pb2.Tile(tile_id=str(number), file=number.to_bytes(4, "big")), seen=True)
        lot.tally.accepted += 1
        if lot.token_due():
            due.append(number + 1)
            size += len(lot.token())
    gaps = np.diff(due)
    assert gaps[0] == FIRST_TOKEN
    assert gaps[-1] > 100
    assert size < 6_000 * 1_500
