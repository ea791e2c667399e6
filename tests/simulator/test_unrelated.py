"""Unrelated pictures: from the wheel alone, never from the network."""

import socket
from typing import NoReturn

import numpy as np
import pytest

from lotwise_simulator import unrelated
from lotwise_simulator.unrelated import PICTURES, unrelated_tiles


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    unrelated._picture.cache_clear()


def test_crops_of_every_picture() -> None:
    tiles = unrelated_tiles(2 * len(PICTURES))
    assert len(tiles) == 2 * len(PICTURES)
    for tile in tiles:
        assert tile.image.shape == (256, 256)
        assert tile.image.dtype == np.uint8
        assert tile.lot_id == "unrelated"
    assert len({tile.image.tobytes() for tile in tiles}) == len(tiles)


def test_seeds() -> None:
    first, again, other = (unrelated_tiles(3, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].image, other[0].image)


def test_errors() -> None:
    with pytest.raises(ValueError, match="n must"):
        unrelated_tiles(0)
    with pytest.raises(ValueError, match="seed"):
        unrelated_tiles(1, seed=-1)
