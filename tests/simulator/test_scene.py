"""Scenes: each attribute shows in what is rendered, in the direction that it should."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import grey_closing

from lotwise_simulator.attributes import Attributes
from lotwise_simulator.crystals import FACETS, draw_crystals
from lotwise_simulator.faces import mark_faces
from lotwise_simulator.packing import deposit
from lotwise_simulator.pores import prick
from lotwise_simulator.render import Surface, render
from lotwise_simulator.scene import draw_scene

MIDDLE = Attributes(size=0.5, porosity=0.3, polydispersity=0.3, facetness=0.6)
SIDE_PX = 384


def scene(attributes: Attributes, seed: int = 5) -> NDArray[np.float32]:
    return draw_scene(attributes, SIDE_PX, np.random.default_rng(seed))


def surface(attributes: Attributes, seed: int = 5) -> Surface:
    rng = np.random.default_rng(seed)
    crystals = draw_crystals(attributes, float(SIDE_PX**2), rng)
    return render(crystals, deposit(crystals, float(SIDE_PX), rng), SIDE_PX)


def autocorrelation_length(grey: NDArray[np.float32]) -> int:
    """First lag, px, at which the correlation along x and y falls below a third."""
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    correlation = np.fft.ifft2(power).real
    correlation /= correlation[0, 0]
    profile = 0.5 * (correlation[0] + correlation[:, 0])
    return int(np.argmax(profile < 1 / 3))


def dark_dot_share(grey: NDArray[np.float32]) -> float:
    """Share of pixels that a closing with a window wider than a pore lifts by much."""
    return float((grey_closing(grey, (5, 5)) - grey > 0.12).mean())


def flat_share(rendered: Surface) -> float:
    """Share of horizontal neighbours on one crystal with nearly the same normal."""
    same = rendered.crystal[:, 1:] == rendered.crystal[:, :-1]
    cosine = (rendered.normal[:, 1:] * rendered.normal[:, :-1]).sum(axis=2)
    return float((cosine[same] > 0.99999).mean())


def visible_spread(rendered: Surface) -> float:
    """Relative spread of the diameters of the crystals' visible areas."""
    areas = np.bincount(rendered.crystal[rendered.crystal >= 0])
    diameters = np.sqrt(areas[areas > 8])
    return float(diameters.std() / diameters.mean())


def rises(values: list[float], least: float) -> bool:
    """Whether each value exceeds the one before by a factor of at least ``least``."""
    return all(b > least * a for a, b in pairwise(values))


def test_autocorrelation_length_rises_with_size() -> None:
    lengths = [
        float(autocorrelation_length(scene(replace(MIDDLE, size=size)))) for size in (0.0, 0.5, 1.0)
    ]
    assert rises(lengths, least=1.5), lengths


def test_dark_dots_rise_with_porosity() -> None:
    shares = [dark_dot_share(scene(replace(MIDDLE, porosity=p))) for p in (0.0, 0.5, 1.0)]
    assert min(np.diff(shares)) > 0.02, shares


def test_visible_spread_rises_with_polydispersity() -> None:
    spreads = [
        np.mean([visible_spread(surface(replace(MIDDLE, polydispersity=p), s)) for s in (1, 2, 3)])
        for p in (0.0, 1.0, 2.0)
    ]
    assert rises([float(value) for value in spreads], least=1.1), spreads


def test_flat_faces_rise_with_facetness() -> None:
    shares = [flat_share(surface(replace(MIDDLE, facetness=f))) for f in (0.0, 0.5, 1.0)]
    assert rises(shares, least=1.0), shares
    assert shares[2] > 0.8 > 0.2 > shares[0], shares


def test_porosity_moves_no_crystal() -> None:
    dense = surface(replace(MIDDLE, porosity=0.0))
    porous = surface(replace(MIDDLE, porosity=1.0))
    assert np.array_equal(dense.crystal, porous.crystal)


@pytest.mark.parametrize("size", [0.0, 0.5, 0.9])
def test_drawn_diameters_follow_the_attributes(size: float) -> None:
    attributes = replace(MIDDLE, size=size, polydispersity=0.75)
    crystals = draw_crystals(attributes, 4e6, np.random.default_rng(2))
    # The frame maps the ellipsoid to the unit ball: its volume is 4/3 pi / det.
    frame = crystals.frame[: -crystals.debris].astype(np.float64)
    diameters = 2.0 / np.cbrt(np.abs(np.linalg.det(frame)))
    assert diameters.mean() == pytest.approx(attributes.diameter_um, rel=0.05)
    assert diameters.std() / diameters.mean() == pytest.approx(attributes.delta, rel=0.08)


def test_layers_leave_few_gaps_and_show_many_crystals() -> None:
    rendered = surface(replace(MIDDLE, size=0.2))
    assert (rendered.crystal < 0).mean() < 0.02
    assert len(np.unique(rendered.crystal)) > 300
    np.testing.assert_allclose(np.linalg.norm(rendered.normal, axis=2), 1.0, atol=1e-4)
    assert (rendered.normal[..., 2] >= 0.0).all()


def test_packed_ellipsoids_do_not_enter_each_other() -> None:
    rounded = replace(MIDDLE, size=0.6, facetness=0.0, polydispersity=0.0)
    rng = np.random.default_rng(4)
    crystals = draw_crystals(rounded, float(SIDE_PX**2), rng)
    centres = deposit(crystals, float(SIDE_PX), rng).astype(np.float64)
    frame = crystals.frame.astype(np.float64)
    # Centres closer than twice the smallest inscribed ball would be deep inside each other; the
    # slack allows for the grid's cell.
    smallest = 1.0 / np.linalg.svd(frame[: -crystals.debris], compute_uv=False).max()
    centres = centres[: -crystals.debris]
    apart = np.abs(centres[:, None] - centres[None])
    apart[..., :2] = np.minimum(apart[..., :2], SIDE_PX - apart[..., :2])
    distance = np.linalg.norm(apart, axis=2) + 1e9 * np.eye(len(centres))
    assert distance.min() > 2.0 * smallest - 3.0


def test_debris_is_small_and_lies_on_top() -> None:
    rng = np.random.default_rng(4)
    crystals = draw_crystals(MIDDLE, float(SIDE_PX**2), rng)
    centres = deposit(crystals, float(SIDE_PX), rng)
    assert crystals.debris > 100
    assert crystals.extent[-crystals.debris :].max() < 3.0
    seen = np.unique(render(crystals, centres, SIDE_PX).crystal)
    assert (seen >= len(crystals) - crystals.debris).sum() > 0.7 * crystals.debris


def test_fracture_cuts_the_stated_share_and_keeps_the_centre_inside() -> None:
    crystals = draw_crystals(MIDDLE, 4e6, np.random.default_rng(2), fracture=0.4)
    planes = np.linalg.norm(crystals.cuts, axis=2)
    assert (planes[:, 0] > 0).mean() == pytest.approx(0.4, abs=0.02)
    assert (planes[:, 1] > 0).mean() == pytest.approx(0.2, abs=0.02)
    # A plane n . y <= 1 with |n| = 1/distance; cut bodies hold their centre.
    assert planes.max() <= 10.01
    assert not draw_crystals(MIDDLE, 4e6, np.random.default_rng(2)).cuts.any()


def test_fracture_faces_are_seen_flat() -> None:
    rounded = replace(MIDDLE, facetness=0.0)
    rng = np.random.default_rng(5)
    crystals = draw_crystals(rounded, float(SIDE_PX**2), rng, fracture=1.0)
    rendered = render(crystals, deposit(crystals, float(SIDE_PX), rng), SIDE_PX)
    on_cut = rendered.facet >= FACETS
    assert 0.1 < on_cut.mean() < 0.6
    # Two neighbours on one cut share its normal; on a rounded body normals turn.
    same = rendered.crystal[:, 1:] == rendered.crystal[:, :-1]
    same &= rendered.facet[:, 1:] == rendered.facet[:, :-1]
    turn = np.abs(np.diff(rendered.normal, axis=1)).max(axis=2)
    assert np.quantile(turn[same & on_cut[:, 1:]], 0.95) < 1e-3
    assert np.median(turn[same & ~on_cut[:, 1:]]) > 1e-2


def test_growth_steps_need_flat_faces_and_cracks_do_not() -> None:
    def marks(facetness: float) -> NDArray[np.float32]:
        rng = np.random.default_rng(6)
        crystals = draw_crystals(
            replace(MIDDLE, size=0.7, facetness=facetness), float(SIDE_PX**2), rng
        )
        centres = deposit(crystals, float(SIDE_PX), rng)
        return mark_faces(render(crystals, centres, SIDE_PX), crystals, centres, rng)

    flat, rounded = marks(1.0), marks(0.0)
    assert (flat > 1.05).mean() > 0.02
    assert not (rounded > 1.0).any()
    for marked in (flat, rounded):
        assert 0.001 < (marked < 0.8).mean() < 0.05


def test_pores_cover_the_stated_share() -> None:
    size = 400
    flat = Surface(
        height=np.zeros((size, size), np.float32),
        normal=np.tile(np.array([0, 0, 1], np.float32), (size, size, 1)),
        crystal=np.zeros((size, size), np.int32),
        facet=np.zeros((size, size), np.int8),
    )
    # One crystal only, so its own density scales the share; many draws average it out.
    shares = []
    for seed in range(60):
        grey = np.ones((size, size), np.float32)
        prick(grey, flat, 0.06, np.random.default_rng(seed))
        shares.append((grey < 0.54).mean())
    assert np.mean(shares) == pytest.approx(0.06, rel=0.15)


def test_yield_lies_in_the_stated_range() -> None:
    grey = scene(MIDDLE)
    assert grey.dtype == np.float32
    assert grey.shape == (SIDE_PX, SIDE_PX)
    assert grey.min() >= 0.0
    assert grey.max() < 3.5
    assert 0.2 < grey.mean() < 0.6
    assert (grey > 1.0).mean() < 0.03


def test_errors() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="fracture"):
        draw_scene(MIDDLE, SIDE_PX, rng, fracture=-0.1)
    with pytest.raises(ValueError, match="side_px"):
        draw_scene(MIDDLE, 32, rng)
    with pytest.raises(ValueError, match="pore_fraction"):
        prick(np.ones((4, 4), np.float32), surface(MIDDLE), 1.0, rng)
