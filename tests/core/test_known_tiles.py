"""What a regressor knows: its file, familiarity of tiles, and the examples that are alike."""

import numpy as np
import pytest

from lotwise.core.committee_outputs import BLOCKS, FeatureOutputs
from lotwise.core.errors import Contradiction
from lotwise.core.familiarity_fit import fit_familiarity
from lotwise.core.known_tiles import Example, KnownTiles, KnownTilesStatement

LOTS, EACH = 30, 20
SIZES = (8, 6)
WEIGHTS = "a" * 64


def tiles(seed, *, shift=0.0, lots=LOTS):
    """Tiles of lots whose features lie around a place of the lot's own."""
    rng = np.random.default_rng(seed)
    lot = np.repeat(np.arange(lots), EACH)
    places = np.random.default_rng(0).normal(0.0, 3.0, (LOTS, sum(SIZES)))
    both = places[lot] + rng.normal(0.0, 1.0, (len(lot), sum(SIZES))) + shift
    parts = np.split(both, [SIZES[0]], axis=1)
    outputs = {name: part.astype(np.float32) for name, part in zip(BLOCKS, parts, strict=True)}
    return FeatureOutputs.of(outputs), lot


def example(lot):
    return Example(f"L{lot}", 1000.0 + lot, lot % 2 == 0, b"jpeg" * (lot + 1))


@pytest.fixture(scope="module")
def known():
    reference = tiles(1)
    familiarity = fit_familiarity(reference, tiles(2)[0], tiles(3)[0])
    seen, lots = reference
    rows = np.arange(0, len(lots), 5)
    block = familiarity.blocks[BLOCKS[0]]
    return KnownTiles(
        KnownTilesStatement(
            version="v1", weights_sha256=WEIGHTS, calibration_tiles=1200, lots=LOTS
        ),
        familiarity,
        tuple(example(lot) for lot in lots[rows].tolist()),
        block.places(seen.blocks[BLOCKS[0]][rows]).astype(np.float16),
    )


def test_tiles_of_the_same_kind_are_familiar_and_shifted_ones_are_not(known):
    p = known.p_values(tiles(4)[0])
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert (known.p_values(tiles(5, shift=6.0)[0]) <= 0.05).mean() > 0.9


def test_examples_are_of_the_tiles_own_lot_first_and_of_different_lots(known):
    seen, lots = tiles(6)
    nearest = known.nearest(seen, 3)
    own = [found[0][0].lot_id == f"L{lot}" for found, lot in zip(nearest, lots, strict=True)]
    assert np.mean(own) > 0.95
    for found in nearest:
        assert len({example.lot_id for example, _ in found}) == 3
        distances = [distance for _, distance in found]
        assert distances == sorted(distances)
    # 1 is what two tiles of one lot usually differ by; the nearest of four is nearer.
    assert 0.4 < np.median([found[0][1] for found in nearest]) < 1.0


def test_fewer_lots_than_are_asked_for_are_all(known):
    few = KnownTiles(known.statement, known.familiarity, known.examples[:8], known.places[:8])
    (found, *_) = few.nearest(tiles(7)[0].take(slice(1)), 3)
    assert [example.lot_id for example, _ in found] == ["L0", "L1"]


def test_what_is_read_is_what_was_written(known, tmp_path):
    path = tmp_path / "regressor" / "known_tiles.npz"
    known.write(path)
    read = KnownTiles.read(path)
    assert read.statement == known.statement
    assert read.examples == known.examples
    seen = tiles(8)[0]
    np.testing.assert_array_equal(read.p_values(seen), known.p_values(seen))
    assert read.nearest(seen, 2) == known.nearest(seen, 2)


def test_another_regressor_is_refused(known):
    known.check_weights(WEIGHTS)
    with pytest.raises(Contradiction) as refused:
        known.check_weights("b" * 64)
    assert refused.value.reason == "KNOWN_TILES_MISMATCH"


def truncated(content):
    return content[: len(content) // 2]


def without_places(content):
    return content.replace(b"places.npy", b"blaces.npy")


@pytest.mark.parametrize("damage", [truncated, without_places, lambda _: b"", lambda _: b"no zip"])
def test_a_damaged_file_is_refused_with_what_is_wrong(known, tmp_path, damage):
    path = tmp_path / "known_tiles.npz"
    known.write(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Contradiction) as refused:
        KnownTiles.read(path)
    assert refused.value.reason == "KNOWN_TILES_INVALID"


def test_parts_that_do_not_belong_together_are_refused(known, tmp_path):
    path = tmp_path / "known_tiles.npz"
    KnownTiles(known.statement, known.familiarity, known.examples, known.places[:-1]).write(path)
    with pytest.raises(Contradiction, match="do not belong together"):
        KnownTiles.read(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(Contradiction) as refused:
        KnownTiles.read(tmp_path / "known_tiles.npz")
    assert refused.value.reason == "KNOWN_TILES_MISSING"
