"""What the shipped diagnosis says of lots that nothing was fitted on, through the services."""

import numpy as np
import pytest

from lotwise.v1 import diagnosis_pb2, referral_pb2, tile_pb2
from lotwise_simulator import benchmark, mosaic
from lotwise_simulator.instrument import NOMINAL
from lotwise_simulator.unrelated import unrelated_tiles
from tests.conftest import TEST_REGION
from tests.support.tiles import png

TILES = 16
KNOWN = benchmark.reference_lots()[4]
NEW = benchmark.new_lots()[7]
PASSES_FOR_ANOTHER = benchmark.ground_lots()[0]


def pictures(lot, state=NOMINAL):
    return [tile.image for tile in mosaic(lot, TILES, state, region=TEST_REGION, tiles_per_side=4)]


async def verdict_on(stubs, images):
    async def messages():
        for number, image in enumerate(images):
            tile = tile_pb2.Tile(
                tile_id=str(number), lot_id="a lot", file=png(image), um_per_px=1.0
            )
            yield referral_pb2.DecideLotRequest(tile=tile)
        yield referral_pb2.DecideLotRequest(complete=True)

    *_, running, last = [event async for event in stubs.referral.DecideLot(messages())]
    return running.acknowledged.running, last.verdict


LOTS = {
    "known": lambda: pictures(KNOWN),
    "dim filament": lambda: pictures(KNOWN, benchmark.FILAMENTS["filament_dim"]),
    "new": lambda: pictures(NEW),
    "photographs": lambda: [tile.image for tile in unrelated_tiles(TILES, 77)],
}
EXPECTED = {
    "known": (diagnosis_pb2.SHIFT_NONE, None),
    "dim filament": (diagnosis_pb2.SHIFT_INSTRUMENT, referral_pb2.REASON_INSTRUMENT_SHIFT),
    "new": (diagnosis_pb2.SHIFT_SYNTHESIS, referral_pb2.REASON_UNSEEN_SYNTHESIS),
    "photographs": (diagnosis_pb2.SHIFT_UNRELATED, referral_pb2.REASON_UNRELATED),
}


@pytest.mark.parametrize("name", LOTS)
async def test_a_lot_is_referred_for_the_kind_of_its_shift(stubs, name):
    kind, reason = EXPECTED[name]
    running, verdict = await verdict_on(stubs, LOTS[name]())
    said = verdict.diagnosis
    assert said.probabilities[0].shift == kind
    assert sum(each.probability for each in said.probabilities) == pytest.approx(1.0)
    assert said.tiles == TILES
    assert bool(said.action) == (kind != diagnosis_pb2.SHIFT_NONE)
    assert running.diagnosis == said
    if reason is None:
        assert verdict.verdict != referral_pb2.VERDICT_REFER
        assert said.known_p_value > said.alarm_level
    else:
        assert verdict.verdict == referral_pb2.VERDICT_REFER
        assert verdict.reasons[0] == reason


async def test_tiles_of_two_lots_are_a_mixture_and_no_lot_alone_is(stubs):
    first, second = pictures(NEW), pictures(benchmark.new_lots()[31])
    mixed = [*first[: TILES // 2], *second[: TILES // 2]]
    _, verdict = await verdict_on(stubs, mixed)
    assert referral_pb2.REASON_MIXED_LOT in verdict.reasons
    for lot in (first, second):
        _, verdict = await verdict_on(stubs, lot)
        assert referral_pb2.REASON_MIXED_LOT not in verdict.reasons


async def test_tests_on_the_whole_lot_wait_until_it_is_complete(stubs):
    # Many of its tiles pass for those of another lot, one by one.
    running, verdict = await verdict_on(stubs, pictures(PASSES_FOR_ANOTHER))
    assert running.verdict == referral_pb2.VERDICT_UNDECIDED
    assert not running.settled
    assert referral_pb2.REASON_TOO_FEW_TILES in running.reasons
    assert running.diagnosis.known_p_value <= running.diagnosis.alarm_level
    assert verdict.verdict == referral_pb2.VERDICT_REFER
    assert verdict.reasons[0] == referral_pb2.REASON_UNSEEN_SYNTHESIS
    assert referral_pb2.REASON_TOO_FEW_TILES not in verdict.reasons


async def test_the_committee_says_why_a_tile_is_strange(stubs):
    (image,) = pictures(KNOWN, benchmark.FILAMENTS["filament_dim"])[:1]
    tile = tile_pb2.Tile(tile_id="1", lot_id="a", file=png(image), um_per_px=1.0)
    decided = await stubs.referral.Decide(referral_pb2.DecideRequest(tile=tile))
    chances = {each.shift: each.probability for each in decided.diagnosis.probabilities}
    assert set(chances) == {1, 2, 3, 4}
    assert max(chances, key=chances.get) == diagnosis_pb2.SHIFT_INSTRUMENT
    assert len(decided.diagnosis.place) == 16
    assert np.isfinite(decided.diagnosis.place).all()
    assert decided.diagnosis.diagnosis_version
