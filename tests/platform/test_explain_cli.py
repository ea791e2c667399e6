"""The verbs of `lotwise explain`."""

import subprocess

import numpy as np
import pytest
from PIL import Image

from tests.support.command import LOTWISE, ask, lines_of
from tests.support.tiles import png
from tests.support.triton import ROOT


def lotwise(*arguments, **options):
    return subprocess.run(
        [LOTWISE, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
        **options,
    )


@pytest.fixture
def lot(tmp_path, pictures):
    folder = tmp_path / "lot"
    folder.mkdir()
    for index, picture in enumerate(pictures[:3]):
        (folder / f"{index}.png").write_bytes(png(picture))
    return folder


@pytest.fixture
def simulated_lot(lot):
    (lot / "lot.json").write_text('{"lot_id": "R01", "um_per_px": 1.0, "simulated": true}')
    return lot


async def test_explain_forward_shows_values_and_saves_pictures(services, simulated_lot, tmp_path):
    file, saved = simulated_lot / "0.png", tmp_path / "out"
    options = ("--vary", "porosity", "--steps", 3)
    asked = {"service": "explain", "services": services}
    done = await ask("explain forward", file, *options, "--save", saved, **asked)
    assert done.returncode == 0, done.stderr
    for at in ("0.00", "0.50", "1.00"):
        assert at in done.stdout
        with Image.open(saved / f"0_porosity_{at}.png") as picture:
            assert picture.size == (256, 256)
    assert "hypothetical" in done.stdout
    assert "The lot is simulated." in done.stdout
    with Image.open(saved / "0_porosity.png") as strip:
        pixels = np.asarray(strip)
    # The tile and three edited ones, side by side on white.
    assert pixels.shape[1] >= 4 * 256
    inked = np.flatnonzero((pixels[100:200] < 200).mean(axis=0) > 0.3)
    assert np.count_nonzero(np.diff(inked) > 3) == 3

    told = lines_of(await ask("explain forward", file, *options, "--json", **asked))[0]
    in_mpa = await ask("explain forward", file, *options, "--json", "--unit", "MPa", **asked)
    values = [step["value"] for step in lines_of(in_mpa)[0]["steps"]]
    expected = [step["value"] * 0.006894757293168361 for step in told["steps"]]
    assert values == pytest.approx(expected)


async def test_explain_backward_takes_its_target_in_either_unit(services, simulated_lot, tmp_path):
    file = simulated_lot / "0.png"
    asked = {"service": "explain", "services": services}

    async def told(*options):
        done = await ask(
            "explain backward", file, "--immutable", "size", *options, "--json", **asked
        )
        assert done.returncode == 0, done.stderr
        return lines_of(done)[0]

    psi = await told("--target", 1200)
    mpa = await told("--target", 1200 * 0.006894757293168361, "--unit", "MPa")
    assert psi["target"] == 1200
    assert mpa["after"] / 0.006894757293168361 == pytest.approx(psi["after"], rel=1e-6)
    size = next(change for change in psi["changes"] if change["name"] == "size")
    assert size["before"] == size["after"]

    held = await told("--target", 9000, "--allow", "facetness=0:1", "--cost", "porosity=2",
                      "--starts", 2)  # fmt: skip
    assert held["starts"] == 2
    assert held["cost"] == pytest.approx(
        sum(
            abs(change["after"] - change["before"]) * (2 if change["name"] == "porosity" else 1)
            for change in held["changes"]
        )
    )

    table = await ask("explain backward", file, "--target", 9000, "--save", tmp_path, **asked)
    assert "not reached" in table.stdout
    assert "0 of 3 searches reached the target" in table.stdout
    assert "slope" in table.stdout
    slopes = [[change["sensitivity"] for change in each["changes"]] for each in (psi, mpa)]
    np.testing.assert_allclose(np.array(slopes[1]) / 0.006894757293168361, slopes[0], rtol=1e-4)
    assert (tmp_path / "0_edited.png").is_file()
    assert (tmp_path / "0_before_after.png").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--vary", "colour"), "ATTRIBUTE_UNKNOWN"),
        (("--vary", "size", "--lot", "nobody's"), "ATTRIBUTES_MISSING"),
        (("--vary", "size", "--attribute", "size"), "name=value"),
        (("--vary", "size", "--attribute", "size=2"), "ATTRIBUTE_OUT_OF_RANGE"),
    ],
)
async def test_explain_says_what_is_wrong(services, simulated_lot, options, said):
    done = await ask(
        "explain forward", simulated_lot / "0.png", *options, service="explain", services=services
    )
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--allow", "size=0.2"), "name=minimum:maximum"),
        (("--allow", "size=0.9:0.1"), "RANGE_INVALID"),
        (("--cost", "size"), "--cost size: state it as name=value, such as size=2"),
        (("--starts", "40"), "STARTS_OUT_OF_RANGE"),
    ],
)
async def test_a_search_says_what_is_wrong(services, simulated_lot, options, said):
    file = simulated_lot / "0.png"
    done = await ask(
        "explain backward", file, "--target", 1200, *options, service="explain", services=services
    )
    assert done.returncode == 1
    assert said in done.stderr


async def test_a_lot_is_swept_as_a_table_and_as_json(services, simulated_lot):
    asked = {"service": "explain", "services": services}
    few = ("--sample", 2, "--steps", 2, "--seed", 4)
    drawn = simulated_lot.parent / "along.svg"
    table = await ask(
        "explain forward-lot", simulated_lot, "--vary", "size", *few, "--plot", drawn, **asked
    )
    assert table.returncode == 0, table.stderr
    assert "peak stress, psi" in drawn.read_text(encoding="utf-8")
    assert f"Drew {drawn}." in table.stdout
    assert "R01: peak stress along size, in psi" in table.stdout
    assert "2 of 3 usable tiles were worked on (seed 4)." in table.stdout
    assert "The lot is simulated." in table.stdout
    done = await ask(
        "explain forward-lot", simulated_lot, "--vary", "size", *few, "--unit", "MPa", "--json",
        **asked,
    )  # fmt: skip
    (line,) = lines_of(done)
    counted = {"received": 3, "usable": 3, "poor": 0, "sampled": 2, "unfamiliar": 0, "seed": 4}
    assert line["tiles"] == counted
    (curve,) = line["curves"]
    assert [point["attribute_value"] for point in curve["points"]] == [0.0, 1.0]
    assert line["unit"] == "MPa"
    assert curve["sensitivity"]["lower"] <= curve["sensitivity"]["upper"]


async def test_a_change_of_a_lot_as_a_table_and_as_json(services, simulated_lot, tmp_path):
    asked = {"service": "explain", "services": services}
    few = ("--sample", 2, "--alone", 1, "--front", 1, "--starts", 1, "--immutable", "size")
    saved = tmp_path / "edited.png"
    table = await ask(
        "explain backward-lot", simulated_lot, "--target", 1200, *few, "--save", saved, **asked
    )
    assert table.returncode == 0, table.stderr
    assert "R01: what to change for 1,200 psi" in table.stdout
    assert "How far one gets at which cost" in table.stdout
    assert "An editor drew it." in table.stdout
    with Image.open(saved) as picture:
        assert picture.size == (256, 256)
    done = await ask(
        "explain backward-lot", simulated_lot, "--target", 8, "--unit", "MPa", *few, "--json",
        **asked,
    )  # fmt: skip
    (line,) = lines_of(done)
    assert line["target"] == pytest.approx(8.0)
    changes = {change["name"]: change for change in line["changes"]}
    assert changes["size"]["before"] == changes["size"]["after"]
    assert set(line["own_changes"]) == set(changes)
    assert len(line["front"]) == line["alone"] == 1


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("forward-lot", ("--vary", "colour"), "ATTRIBUTE_UNKNOWN"),
        ("forward-lot", ("--sample", 999), "SAMPLE_TOO_LARGE"),
        ("forward-lot", ("--plot", "curve.pdf"), "end it with .png or .svg"),
        ("backward-lot", ("--target", 1200, "--front", 99), "FRONT_OUT_OF_RANGE"),
        ("backward-lot", ("--target", 1200, "--allow", "size=0.2"), "name=minimum:maximum"),
    ],
)
async def test_what_makes_no_sense_of_a_lot_is_said(services, simulated_lot, verb, options, said):
    done = await ask(
        f"explain {verb}", simulated_lot, *options, service="explain", services=services
    )
    assert done.returncode == 1
    assert said in done.stderr


def test_explain_takes_the_attributes_of_a_lot_of_ones_own_and_starts_a_platform(
    simulated_lot, tmp_path, repository
):
    stated = [
        option
        for name in ("size", "porosity", "polydispersity", "facetness")
        for option in ("--attribute", f"{name}=0.5")
    ]
    done = lotwise(
        "explain", "forward", simulated_lot / "0.png", "--lot", "mine", *stated,
        "--vary", "size", "--steps", 2, "--json", "--start", "--engine", "onnxruntime",
        "--state", tmp_path / "state",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(lines_of(done)[0]["steps"]) == 2


async def test_an_edit_as_a_table_a_picture_and_json(services, simulated_lot, tmp_path):
    asked = {"service": "explain", "services": services}
    file, saved = simulated_lot / "0.png", tmp_path / "new" / "edited.png"
    wanted = ("--to", "size=0.3", "--to", "porosity=0.2")
    table = await ask("explain edit", file, *wanted, "--save", saved, **asked)
    assert table.returncode == 0, table.stderr
    assert "0.png, edited" in table.stdout
    assert "hypothetical" in table.stdout
    with Image.open(saved) as picture:
        assert picture.size == (256, 256)
    done = await ask("explain edit", file, *wanted, "--json", **asked)
    (line,) = lines_of(done)
    assert {each["name"]: each["after"] for each in line["attributes"]}["size"] == 0.3
    assert line["value"] != line["original"]
    assert line["saved"] == []


async def test_a_pair_as_a_table_a_figure_and_json(services, simulated_lot, tmp_path):
    asked = {"service": "explain", "services": services}
    file, drawn = simulated_lot / "0.png", tmp_path / "pair.svg"
    pair = ("--vary", "size,porosity", "--steps", 2)
    table = await ask("explain pair", file, *pair, "--plot", drawn, **asked)
    assert table.returncode == 0, table.stderr
    assert "size down, porosity to the right" in table.stdout
    assert "peak stress, psi" in drawn.read_text(encoding="utf-8")
    (line,) = lines_of(await ask("explain pair", file, *pair, "--json", **asked))
    assert [step["attribute_values"] for step in line["steps"]] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert line["attributes"] == ["size", "porosity"]
    alone = await ask("explain pair", file, "--vary", "size", **asked)
    assert alone.returncode == 1
    assert "name two attributes" in alone.stderr


async def test_a_lots_pair_as_a_table_and_as_json(services, simulated_lot):
    asked = {"service": "explain", "services": services}
    pair = ("--pair", "size,facetness", "--sample", 1, "--steps", 2)
    table = await ask("explain forward-lot", simulated_lot, *pair, **asked)
    assert table.returncode == 0, table.stderr
    assert "R01: median peak stress in psi, size down, facetness to the right" in table.stdout
    (line,) = lines_of(await ask("explain forward-lot", simulated_lot, *pair, "--json", **asked))
    assert line["curves"] == []
    (surface,) = line["surfaces"]
    assert surface["attributes"] == ["size", "facetness"]
    assert len(surface["points"]) == 4
