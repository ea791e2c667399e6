from datetime import UTC

import grpc
import numpy as np
import pytest

from lotwise.core.verdict import Decision, Reason
from lotwise.referral.assessor import UncertaintyAssessor
from lotwise.referral.handler import ReferralHandler, Ruling
from lotwise.runtime.status import reason_of
from lotwise.runtime.uncertainty_client import UncertaintyClient
from lotwise.v1 import calibration_pb2, referral_pb2, tile_pb2
from tests.support.tiles import bad_tiles, png

ACCEPT, REFER = referral_pb2.DECISION_ACCEPT, referral_pb2.DECISION_REFER


def request(tile, **fields):
    return referral_pb2.DecideRequest(tile=tile, **fields)


async def decide_lot(stubs, tiles, policy=""):
    async def messages():
        for tile in tiles:
            yield referral_pb2.DecideLotRequest(tile=tile, policy=policy)

    return [event async for event in stubs.referral.DecideLot(messages())]


async def test_a_decision_follows_the_policys_threshold(stubs, make_tile, pictures, policy):
    for index in range(len(pictures)):
        answer = await stubs.referral.Decide(request(make_tile(index)))
        assert answer.threshold == policy.max_score
        assert answer.min_familiarity == policy.request.min_familiarity
        unfamiliar = answer.familiarity < answer.min_familiarity
        expected = REFER if unfamiliar or answer.score > answer.threshold else ACCEPT
        assert answer.decision == expected
        assert bool(answer.reasons) == (expected == REFER)
        assert answer.provenance.policy_version == policy.policy_version
        assert answer.provenance.models[0].name == "committee"


async def test_a_threshold_between_two_tiles_accepts_one_and_refers_the_other(
    services, stubs, make_tile, pictures, policy
):
    tiles = [make_tile(index) for index in range(len(pictures))]
    scores = {tile.tile_id: (await stubs.referral.Decide(request(tile))).score for tile in tiles}
    middle = (min(scores.values()) + max(scores.values())) / 2
    any_tile = policy.request.model_copy(update={"min_familiarity": 1e-9})
    parting = policy.model_copy(update={"max_score": middle, "request": any_tile})
    client = UncertaintyClient(f"127.0.0.1:{services['uncertainty'].port}", 2**20)
    handler = ReferralHandler(UncertaintyAssessor(client), Ruling(parting))
    decided = {tile.tile_id: await handler.decide(tile) for tile in tiles}
    await client.close()
    referred = {name for name, each in decided.items() if each.decision is Decision.REFER}
    assert referred == {name for name, score in scores.items() if score > middle}
    assert 0 < len(referred) < len(tiles)
    assert {decided[name].reasons for name in referred} == {(Reason.AMBIGUOUS,)}


async def test_a_decision_says_what_it_promises_and_on_which_tiles_that_rests(
    stubs, make_tile, policy
):
    answer = await stubs.referral.Decide(request(make_tile()))
    assert answer.guarantee.statement == policy.guarantee.statement
    assert answer.guarantee.quantity == policy.guarantee.quantity
    assert answer.guarantee.target == policy.guarantee.target
    assert answer.guarantee.bound == policy.guarantee.bound
    assert answer.guarantee.confidence == policy.request.confidence
    used = answer.calibration_set
    assert (used.tiles, used.lots) == (policy.calibration_set.tiles, policy.calibration_set.lots)
    assert used.sha256 == policy.calibration_set.sha256
    assert used.date.ToDatetime(UTC) == policy.calibration_set.date
    assert used.origin == calibration_pb2.CALIBRATION_ORIGIN_SIMULATED


async def test_coverage_reasons_and_scores_are_counted(services, stubs, make_tile, pictures):
    registry = services["referral"]._service.registry  # what /metrics shows
    before = registry.get_sample_value("lotwise_referral_score_count") or 0
    answers = [await stubs.referral.Decide(request(make_tile(i))) for i in range(len(pictures))]
    after = registry.get_sample_value("lotwise_referral_score_count")
    assert after - before == len(pictures)
    assert 0 <= registry.get_sample_value("lotwise_referral_coverage") <= 1
    assert registry.get_sample_value("lotwise_referral_calibration_coverage") > 0.5
    accepted = {"decision": "accept", "reason": ""}
    if any(answer.decision == ACCEPT for answer in answers):
        assert registry.get_sample_value("lotwise_referral_decisions_total", accepted) > 0


async def test_a_decision_says_how_the_tile_was_read(stubs, make_tile, pictures):
    answer = await stubs.referral.Decide(request(make_tile()))
    assert answer.reading.um_per_px == 1.0
    assert answer.reading.scale_source == tile_pb2.SCALE_SOURCE_STATED
    unseen = make_tile(**bad_tiles(pictures[0])["TILE_BLACK"])
    assert not (await stubs.referral.Decide(request(unseen))).HasField("reading")


async def test_the_trace_reaches_the_uncertainty_service_and_comes_back(stubs, make_tile):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await stubs.referral.Decide(
        request(make_tile()), metadata=(("traceparent", f"00-{trace}-00f067aa0ba902b7-01"),)
    )
    assert answer.provenance.request_id == trace


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("TILE_BLACK", referral_pb2.REASON_POOR_QUALITY),
        ("TILE_SATURATED", referral_pb2.REASON_POOR_QUALITY),
        ("WRONG_MAGNIFICATION", referral_pb2.REASON_WRONG_MAGNIFICATION),
    ],
)
async def test_a_picture_that_cannot_be_judged_is_referred_not_refused(
    stubs, make_tile, pictures, fault, reason
):
    answer = await stubs.referral.Decide(request(make_tile(**bad_tiles(pictures[0])[fault])))
    assert answer.decision == REFER
    assert list(answer.reasons) == [reason]
    assert not answer.HasField("score")


async def test_a_black_margin_is_referred_for_its_quality(stubs, make_tile, pictures):
    edge = pictures[0].copy()
    edge[:, 200:] = 0
    answer = await stubs.referral.Decide(request(make_tile(file=png(edge))))
    assert answer.decision == REFER
    assert answer.reasons[0] == referral_pb2.REASON_POOR_QUALITY


@pytest.mark.parametrize("reason", ["TILE_EMPTY", "TILE_TRUNCATED", "TILE_SCALE_UNKNOWN"])
async def test_what_cannot_be_read_is_refused_with_its_reason(stubs, make_tile, pictures, reason):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.referral.Decide(request(make_tile(**bad_tiles(pictures[0])[reason])))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == reason


async def test_an_unknown_policy_is_named(stubs, make_tile):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.referral.Decide(request(make_tile(), policy="of last year"))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    assert reason_of(refused.value) == "POLICY_UNKNOWN"


async def test_a_stream_goes_on_after_a_bad_tile(stubs, make_tile, pictures):
    bad = bad_tiles(pictures[0])["TILE_EMPTY"]

    async def messages():
        for tile in (make_tile(0), make_tile(1, **bad), make_tile(2)):
            yield referral_pb2.DecideStreamRequest(request=request(tile))

    answers = [answer async for answer in stubs.referral.DecideStream(messages())]
    assert [answer.WhichOneof("outcome") for answer in answers] == ["result", "error", "result"]
    assert answers[1].error.reason == "TILE_EMPTY"


async def test_a_lot_acknowledges_every_tile_and_ends_with_its_verdict(
    stubs, make_tile, pictures, policy
):
    tiles = [make_tile(i) for i in range(len(pictures))]
    tiles[3] = make_tile(3, **bad_tiles(pictures[0])["TILE_TRUNCATED"])
    *acknowledged, last = await decide_lot(stubs, tiles)

    assert [event.acknowledged.tile_id for event in acknowledged] == [t.tile_id for t in tiles]
    running = [event.acknowledged.running.tiles for event in acknowledged]
    assert running == list(range(1, len(tiles) + 1))
    assert acknowledged[3].acknowledged.error.reason == "TILE_TRUNCATED"
    verdict = last.verdict
    assert (verdict.lot_id, verdict.tiles, verdict.failed) == ("R01", len(tiles), 1)
    assert verdict.accepted + verdict.referred + verdict.failed == verdict.tiles
    assert verdict.confidence == policy.request.confidence
    assert verdict.guarantee.statement == policy.guarantee.statement
    assert verdict.referred_share_lower < 1 / len(tiles) * (verdict.referred + 1)
    assert verdict == acknowledged[-1].acknowledged.running


async def test_a_lot_of_pictures_that_are_black_is_referred(stubs, make_tile):
    black = png(np.zeros((256, 256), dtype=np.uint8))
    events = await decide_lot(stubs, [make_tile(i, file=black) for i in range(20)])
    assert events[-1].verdict.verdict == referral_pb2.VERDICT_REFER
    assert list(events[-1].verdict.reasons) == [referral_pb2.REASON_POOR_QUALITY]


async def test_one_tile_is_not_enough_for_a_verdict_of_acceptance(stubs, make_tile):
    events = await decide_lot(stubs, [make_tile(0)])
    assert events[-1].verdict.verdict != referral_pb2.VERDICT_ACCEPT
    assert referral_pb2.REASON_TOO_FEW_TILES in events[-1].verdict.reasons or (
        events[-1].verdict.verdict == referral_pb2.VERDICT_REFER
    )


async def test_a_lot_without_a_name_is_refused(stubs, make_tile):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await decide_lot(stubs, [make_tile(0, lot_id="")])
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == "LOT_MISSING"


async def test_a_lot_without_tiles_is_refused(stubs):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await decide_lot(stubs, [])
    assert reason_of(refused.value) == "LOT_EMPTY"


async def test_a_tile_of_another_lot_is_told_and_not_counted(stubs, make_tile):
    tiles = [make_tile(0), make_tile(1, lot_id="R02"), make_tile(2, lot_id="")]
    events = await decide_lot(stubs, tiles)
    assert events[1].acknowledged.error.reason == "LOT_CONTRADICTORY"
    assert events[-1].verdict.tiles == 2
