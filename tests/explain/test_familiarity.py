"""What is explained, and what is refused because no network knows such tiles."""

import asyncio

import numpy as np
import pytest

from lotwise.core.errors import EngineUnavailable, InvalidRequest, InvalidTile
from lotwise.explain.familiarity import AT_ONCE, Onlooker
from lotwise.v1 import tile_pb2, uncertainty_pb2

PX = 4
LIMIT = 0.05


class ByGrey:
    """An uncertainty service to which a tile is as familiar as it is bright."""

    def __init__(self, error=None):
        self.error = error
        self.asked = 0
        self.most_at_once = 0
        self._now = 0

    async def assess(self, tile):
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        self.asked += 1
        if self.error is not None:
            raise self.error
        answer = uncertainty_pb2.AssessResponse(familiarity=tile.raw.data[0] / 255)
        answer.provenance.models.add(name="committee", weights_sha256="c" * 64)
        answer.calibration.version = "v1"
        return answer


def picture(level):
    return np.full((PX, PX), level, dtype=np.uint8)


def tile(level):
    return tile_pb2.Tile(raw=tile_pb2.RawImage(data=picture(level).tobytes()))


async def test_a_familiar_tile_is_admitted_with_what_says_so():
    admitted = await Onlooker(ByGrey(), LIMIT).admit(tile(51), anyhow=False)
    assert (admitted.value, admitted.unfamiliar) == (0.2, False)
    assert (admitted.committee.name, admitted.calibration_version) == ("committee", "v1")


async def test_an_unfamiliar_tile_is_refused_unless_the_caller_insists():
    onlooker = Onlooker(ByGrey(), LIMIT)
    with pytest.raises(InvalidTile, match="allow_unfamiliar") as refused:
        await onlooker.admit(tile(0), anyhow=False)
    assert refused.value.reason == "TILE_UNFAMILIAR"
    assert (await onlooker.admit(tile(0), anyhow=True)).unfamiliar


async def test_without_an_uncertainty_service_nothing_is_claimed():
    onlooker = Onlooker(None, LIMIT)
    assert await onlooker.admit(tile(0), anyhow=False) is None
    assert await onlooker.familiarities([picture(0)] * 2, 1.0) == [None, None]
    assert await onlooker.admit_lot([picture(0)] * 2, 1.0, anyhow=False) == [False, False]


async def test_an_uncertainty_service_that_is_down_is_no_permission():
    onlooker = Onlooker(ByGrey(EngineUnavailable("down")), LIMIT)
    with pytest.raises(EngineUnavailable):
        await onlooker.admit(tile(255), anyhow=True)
    with pytest.raises(EngineUnavailable):
        await onlooker.familiarities([picture(255)] * 20, 1.0)


async def test_an_edited_picture_that_is_no_tile_at_all_is_not_real():
    onlooker = Onlooker(ByGrey(InvalidTile("TILE_BLACK", "Black.")), LIMIT)
    assert await onlooker.familiarities([picture(0)], 1.0) == [0.0]


async def test_pictures_are_asked_about_in_order_and_not_all_at_once():
    service = ByGrey()
    levels = range(0, 240, 8)
    found = await Onlooker(service, LIMIT).familiarities([picture(each) for each in levels], 1.0)
    assert found == [each / 255 for each in levels]
    assert service.asked == len(levels)
    assert service.most_at_once == AT_ONCE


@pytest.mark.parametrize(("strange", "refused"), [(1, False), (2, False), (3, True), (4, True)])
async def test_a_lot_is_refused_where_most_of_its_sample_is_strange(strange, refused):
    onlooker = Onlooker(ByGrey(), LIMIT)
    sample = [picture(0)] * strange + [picture(200)] * (4 - strange)
    expected = [True] * strange + [False] * (4 - strange)
    assert await onlooker.admit_lot(sample, 1.0, anyhow=True) == expected
    if refused:
        with pytest.raises(InvalidRequest, match=f"{strange} of 4") as said:
            await onlooker.admit_lot(sample, 1.0, anyhow=False)
        assert said.value.reason == "LOT_UNFAMILIAR"
    else:
        assert await onlooker.admit_lot(sample, 1.0, anyhow=False) == expected
