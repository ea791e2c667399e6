import numpy as np
import pytest

from lotwise.core.errors import InvalidTile
from lotwise.core.quality import Fault, QualityVerdict, assess_quality, require_signal

GOOD = np.random.default_rng(0).integers(40, 200, (100, 100), dtype=np.uint8)


def saturated(share):
    picture = GOOD.copy()
    picture.ravel()[: round(share * picture.size)] = 255
    return picture


def test_a_tile_with_structure_is_good():
    quality = assess_quality(GOOD)
    assert (quality.verdict, quality.faults) == (QualityVerdict.GOOD, ())
    assert (quality.black_share, quality.saturated_share) == (0.0, 0.0)
    require_signal(quality)


@pytest.mark.parametrize("level", [0, 3, 7])
def test_a_tile_without_signal_is_black_and_nothing_else(level):
    quality = assess_quality(np.full((100, 100), level, dtype=np.uint8))
    assert (quality.verdict, quality.faults) == (QualityVerdict.POOR, (Fault.BLACK,))


def test_a_few_hot_pixels_are_no_signal():
    picture = np.zeros((100, 100), dtype=np.uint8)
    picture[50, :50] = 255
    quality = assess_quality(picture)
    assert quality.faults == (Fault.BLACK,)
    assert quality.black_share == pytest.approx(0.995)


def test_a_dark_tile_with_structure_is_not_black():
    quality = assess_quality(np.random.default_rng(0).integers(0, 30, (100, 100), dtype=np.uint8))
    assert (quality.verdict, quality.faults) == (QualityVerdict.GOOD, ())


@pytest.mark.parametrize("edge", ["top", "bottom", "left", "right"])
def test_a_black_strip_on_any_edge_is_a_margin(edge):
    thin, thick = GOOD.copy(), GOOD.copy()
    turns = {"top": 0, "left": 1, "bottom": 2, "right": 3}[edge]
    np.rot90(thin, turns)[:1] = 0
    np.rot90(thick, turns)[:2] = 3
    assert assess_quality(thin).faults == ()
    found = assess_quality(thick)
    assert (found.verdict, found.faults) == (QualityVerdict.POOR, (Fault.BLACK_MARGIN,))


def test_a_strip_with_one_lit_pixel_or_inside_the_tile_is_no_margin():
    lit, inside = GOOD.copy(), GOOD.copy()
    lit[:5] = 0
    lit[0, 40] = 90
    inside[40:50] = 0
    assert assess_quality(lit).faults == ()
    assert assess_quality(inside).faults == ()


@pytest.mark.parametrize(
    ("share", "verdict", "faults"),
    [
        (0.04, QualityVerdict.GOOD, ()),
        (0.05, QualityVerdict.MARGINAL, (Fault.SATURATED,)),
        (0.24, QualityVerdict.MARGINAL, (Fault.SATURATED,)),
        (0.25, QualityVerdict.POOR, (Fault.SATURATED,)),
        (0.80, QualityVerdict.POOR, (Fault.SATURATED,)),
    ],
)
def test_saturation_is_marginal_before_it_is_poor(share, verdict, faults):
    quality = assess_quality(saturated(share))
    assert (quality.verdict, quality.faults) == (verdict, faults)
    assert quality.saturated_share == pytest.approx(share)
    require_signal(quality)


def test_a_flat_grey_tile_has_too_little_contrast():
    flat = np.full((100, 100), 120, dtype=np.uint8)
    flat[::2] += 3
    quality = assess_quality(flat)
    assert (quality.verdict, quality.faults) == (QualityVerdict.POOR, (Fault.LOW_CONTRAST,))


def test_every_fault_of_a_tile_is_named():
    picture = saturated(0.1)
    picture[-10:] = 0
    assert assess_quality(picture).faults == (Fault.BLACK_MARGIN, Fault.SATURATED)


def test_a_black_tile_is_refused():
    with pytest.raises(InvalidTile) as refused:
        require_signal(assess_quality(np.zeros((50, 50), dtype=np.uint8)))
    assert refused.value.reason == "TILE_BLACK"


@pytest.mark.parametrize("share", [0.9, 1.0])
def test_an_almost_white_tile_is_refused(share):
    with pytest.raises(InvalidTile) as refused:
        require_signal(assess_quality(saturated(share)))
    assert refused.value.reason == "TILE_SATURATED"
