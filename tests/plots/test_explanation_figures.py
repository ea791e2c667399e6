"""Figures of explanations: what they show, on answers made by hand."""

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from lotwise.client import (
    AttributeChange,
    BackwardExplanation,
    EditedImage,
    Evidence,
    Example,
    ForwardExplanation,
    ForwardStep,
    FrontPoint,
    LotBackward,
    LotCurve,
    LotForward,
    LotSurface,
    MeanOverTiles,
    PairExplanation,
    PairStep,
    Provenance,
    Quality,
    Quantity,
    Spread,
)
from lotwise.client.lot_answers import NumberSpread
from lotwise.plots.explanations import (
    backward_figure,
    forward_figure,
    lot_backward_figure,
    lot_forward_figure,
)
from lotwise.plots.style import write_figure
from lotwise.plots.surfaces import pair_figure

NAMES = ("size", "porosity", "polydispersity", "facetness")
OWN = dict(zip(NAMES, (0.44, 0.76, 0.15, 0.44), strict=True))
PROVENANCE = Provenance((), "", "fake", "0" * 32)


def psi(value):
    return Quantity(float(value), "psi")


def spread(value, width=60.0):
    return Spread(psi(value - width), psi(value), psi(value + width), psi(value + 5))


def picture(grey):
    buffer = io.BytesIO()
    noise = np.random.default_rng(grey).integers(0, 40, (64, 64)) + grey
    Image.fromarray(noise.astype(np.uint8)).save(buffer, format="PNG")
    return EditedImage(buffer.getvalue())


TILE = {
    "tile_id": "tile_07.tif",
    "lot_id": "R20",
    "quality": Quality("good", (), 0.0, 0.0),
    "provenance": PROVENANCE,
    "reading": None,
    "simulated": True,
    "property_name": "peak stress",
}
CHANGES = tuple(
    AttributeChange(name, OWN[name], OWN[name] + moved, psi(slope))
    for name, moved, slope in zip(
        NAMES, (-0.14, 0.0, 0.0, 0.31), (-900, -1200, 300, 800), strict=True
    )
)
FORWARD = ForwardExplanation(
    **TILE,
    attribute="size",
    original=psi(1680),
    reconstructed=psi(1682),
    steps=tuple(
        ForwardStep(at, psi(2200 - 1200 * at), picture(int(40 + 100 * at)))
        for at in np.linspace(0, 1, 11)
    ),
    sensitivity=psi(-1200),
)
BACKWARD = BackwardExplanation(
    **TILE,
    target=psi(1900),
    tolerance=psi(19),
    reached=True,
    before=psi(1680),
    after=psi(1893),
    changes=CHANGES,
    image=picture(90),
    evaluations=31,
    changed=2,
    cost=0.45,
    starts=3,
    starts_reached=3,
    spread=0.04,
    ended_by_deadline=False,
)
GRID = tuple((a, b) for a in np.linspace(0, 1, 4) for b in np.linspace(0, 1, 4))
PAIR = PairExplanation(
    **TILE,
    first="size",
    second="porosity",
    original=psi(1680),
    reconstructed=psi(1682),
    steps=tuple(PairStep(a, b, psi(2600 - 1000 * a - 500 * b)) for a, b in GRID),
    sensitivities=(psi(-1000), psi(-500)),
)


def example(number):
    buffer = io.BytesIO()
    grey = np.full((16, 16), 20 * number, dtype=np.uint8)
    Image.fromarray(grey).save(buffer, format="JPEG")
    return Example(f"L{number:04d}", psi(1600 + 10 * number), 0.8, True, buffer.getvalue())


EVIDENCE = Evidence(picture(10), (example(1), example(2)), (example(3),))
LOT = {
    "lot_id": "R20",
    "property_name": "peak stress",
    "received": 48,
    "usable": 48,
    "poor": 0,
    "sampled": 16,
    "unfamiliar": 0,
    "seed": 0,
    "failed": (),
    "provenance": PROVENANCE,
    "ended_by_deadline": False,
    "simulated": True,
}
LOT_FORWARD = LotForward(
    **LOT,
    attributes=OWN,
    original=spread(1680),
    curves=tuple(
        LotCurve(
            name,
            tuple((at, spread(1680 + slope * (at - OWN[name]))) for at in np.linspace(0, 1, 11)),
            MeanOverTiles(psi(slope), psi(slope - 90), psi(slope + 90)),
        )
        for name, slope in zip(NAMES, (-900, -1200, 300, 800), strict=True)
    ),
)
LOT_BACKWARD = LotBackward(
    **LOT,
    target=psi(1900),
    tolerance=psi(19),
    reached=True,
    before=spread(1680),
    after=spread(1890),
    after_mean=MeanOverTiles(psi(1895), psi(1870), psi(1920)),
    changes=CHANGES,
    share_reaching=0.44,
    own_changes={
        name: NumberSpread(moved - 0.06, moved, moved + 0.06, moved + 0.01)
        for name, moved in zip(NAMES, (-0.1, -0.05, 0.02, 0.2), strict=True)
    },
    alone=8,
    alone_reached=7,
    front=tuple(
        FrontPoint(cost, psi(value), OWN)
        for cost, value in ((0.1, 1740), (0.25, 1810), (0.42, 1890), (0.8, 1960))
    ),
    image=picture(90),
    image_of="tile_03.tif",
    evaluations=44,
    changed=2,
    cost=0.45,
    starts=3,
    starts_reached=2,
    spread=0.03,
)


def same(quantity):
    return quantity


def mpa(quantity):
    return Quantity(quantity.mpa, "MPa")


FIGURES = {
    "forward": lambda shown: forward_figure(FORWARD, shown, 0.44),
    "backward": lambda shown: backward_figure(BACKWARD, shown),
    "lot_forward": lambda shown: lot_forward_figure(LOT_FORWARD, shown),
    "pair": lambda shown: pair_figure(PAIR, shown, (0.44, 0.76)),
    "lot_backward": lambda shown: lot_backward_figure(LOT_BACKWARD, shown),
}


def texts(figure):
    return " ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_written_as_png_and_svg_in_the_unit_that_is_asked_for(name, tmp_path):
    figure = FIGURES[name](mpa)
    for ending in ("png", "svg"):
        write_figure(figure, tmp_path / f"{name}.{ending}")
    with Image.open(tmp_path / f"{name}.png") as drawn:
        assert drawn.width > 1000
    svg = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
    assert "peak stress, MPa" in svg
    assert "Hypothetical lots. Simulated lot." in svg
    assert ", psi" not in svg


def test_a_tiles_curve_shows_every_step_and_its_picture():
    figure = FIGURES["forward"](same)
    top, bottom = figure.subfigs
    (curve, *_) = top.axes[0].get_lines()
    np.testing.assert_allclose(curve.get_ydata(), [s.quantity.psi for s in FORWARD.steps])
    assert len(bottom.axes) == 11
    bare = replace(
        FORWARD, steps=tuple(replace(step, image=None) for step in FORWARD.steps), simulated=False
    )
    assert "Simulated" not in texts(forward_figure(bare, same))


def test_a_lots_curves_show_quartiles_and_the_slope_with_its_interval():
    figure = FIGURES["lot_forward"](same)
    assert len(figure.axes) == 4
    assert "slope here: −900 psi (−990 to −810)" in texts(figure)
    alone = replace(LOT_FORWARD, curves=LOT_FORWARD.curves[:1])
    assert len(lot_forward_figure(alone, same).axes) == 1
    three = lot_forward_figure(replace(LOT_FORWARD, curves=LOT_FORWARD.curves[:3]), same)
    assert [axes.axison for axes in three.axes] == [True, True, True, False]


def test_a_pair_is_drawn_with_its_first_attribute_to_the_right():
    figure = FIGURES["pair"](same)
    axes, scale = figure.axes
    assert axes.get_xlabel().startswith("size")
    assert axes.get_ylabel().startswith("porosity")
    assert scale.get_ylabel() == "peak stress, psi"
    # Rows run upwards along porosity: its lowest is the strongest of each column.
    (mesh,) = [each for each in axes.collections if hasattr(each, "get_coordinates")]
    drawn = np.asarray(mesh.get_array()).reshape(4, 4)
    assert drawn[0, 0] == 2600
    assert drawn[0, 3] == 1600
    assert drawn[3, 0] == 2100
    assert "the lot" in texts(figure)


def test_a_lots_surfaces_stand_beside_its_curves():
    points = tuple((a, b, spread(2600 - 1000 * a - 500 * b)) for a, b in GRID)
    surface = LotSurface("size", "porosity", points)
    both = lot_forward_figure(replace(LOT_FORWARD, surfaces=(surface,)), same)
    assert "median peak stress, psi" in texts(both)
    assert "slope here" in texts(both)
    alone = lot_forward_figure(replace(LOT_FORWARD, curves=(), surfaces=(surface,)), same)
    assert "slope here" not in texts(alone)
    assert len(alone.axes) == 2  # with its scale


def test_evidence_stands_below_what_it_is_about():
    swept = forward_figure(replace(FORWARD, evidence=EVIDENCE), same)
    told = texts(swept)
    assert "where the\nregressor looked" in told
    assert "L0001: 1,610 psi" in told
    changed = texts(backward_figure(replace(BACKWARD, evidence=EVIDENCE), same))
    assert "like the edit\nL0003: 1,630 psi" in changed
    assert "the edited\ntile" in changed
    nothing = replace(BACKWARD, evidence=Evidence(None, ()))
    assert "regressor" not in texts(backward_figure(nothing, same))


def test_a_change_is_written_beside_its_arrow_and_none_where_nothing_moves():
    told = texts(FIGURES["backward"](same))
    assert "−0.14" in told
    assert "+0.31" in told
    assert "+0.00" not in told
    assert "reached" in told
    missed = replace(BACKWARD, reached=False)
    assert "not reached" in texts(backward_figure(missed, same))


def test_a_lots_change_shows_the_share_of_tiles_that_it_works_for():
    assert "44% of tiles reach it" in texts(FIGURES["lot_backward"](same))
    bare = replace(LOT_BACKWARD, own_changes={}, front=())
    assert "tiles alone" not in texts(lot_backward_figure(bare, same))


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        write_figure(FIGURES["backward"](same), tmp_path / "figure.pdf")
