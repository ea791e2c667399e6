"""Real images as lots: layout, split by image, baselines and figures. No real image is needed."""

import csv
import dataclasses
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from scipy.ndimage import gaussian_filter
from skimage.feature import match_template

from benchmarks import real_images, real_lots
from benchmarks.real_images import brightness_probabilities, measure, read_recipe, summary
from benchmarks.real_lots import RealImagesMissing, Study, folds, read_real_lots
from benchmarks.real_report import (
    BRIGHTNESS,
    ENSEMBLE,
    EVENED,
    METHODS,
    SINGLE,
    markdown,
    picture,
    show,
)
from lotwise_training.config.load import RecipeError
from lotwise_training.data.tiles import LotTable, TileDataset, dataset_version

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data"
STUDY = Study(
    name="steel",
    title="steels",
    group="steel",
    field_px=64,
    same_place=(frozenset({"L2_a.png", "L2_b.png"}),),
    caveat="They are noise.",
    labels={"L2": "second"},
)
IMAGES = {"L10": 3, "L2": 3, "L30": 1}
"""Images a lot; of L2 the first two share a place."""


@pytest.fixture
def folder(tmp_path):
    """Noise of another brightness for each lot; pictures of 2 x 3 tiles and a rim."""
    root = tmp_path / "data"
    rows = []
    rng = np.random.default_rng(0)
    for number, (lot, count) in enumerate(IMAGES.items()):
        for letter in "abc"[:count]:
            path = root / "steel" / f"{lot}_{letter}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.normal(60 + 60 * number, 20, (140, 200)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append([f"steel/{path.name}", "somebody", "steel", lot, digest])
    write_manifest(root, rows)
    return root


def write_manifest(root, rows, columns=("path", "source", "group", "lot", "sha256")):
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


@pytest.fixture
def lots(folder, tmp_path):
    return read_real_lots(folder, STUDY, tmp_path / "laboratory", jobs=1)


def dataset(tiles_of, lot_of, px=16, seed=0):
    """A dataset of noise: numbers of tiles by image, lots by image."""
    regions = np.repeat(np.arange(len(tiles_of)), tiles_of)
    images = np.random.default_rng(seed).integers(0, 256, (len(regions), px, px), dtype=np.uint8)
    names = tuple(f"L{number}" for number in range(max(lot_of) + 1))
    nothing = np.full(len(names), np.nan)
    table = LotTable(names, names, "", "", nothing, (), np.empty((len(names), 0)), names)
    labels = np.asarray(lot_of)[regions]
    version = dataset_version(images, 4.0, labels, regions, table)
    return TileDataset(images, 4.0, labels, regions, table, version)


# Layout


def test_a_region_is_an_image_and_lots_are_in_natural_order(lots):
    assert lots.data.table.lot_ids == ("L2", "L10")
    assert lots.images == ("L2_a.png", "L2_b.png", "L2_c.png", "L10_a.png", "L10_b.png",
                           "L10_c.png")  # fmt: skip
    assert lots.lots.tolist() == [0, 0, 0, 1, 1, 1]
    assert np.bincount(lots.data.regions).tolist() == [6] * 6
    assert lots.data.lots.tolist() == [0] * 18 + [1] * 18
    assert lots.data.images.shape == (36, 64, 64)
    assert lots.unused == ()


def test_a_lot_of_one_place_is_left_out(lots):
    assert lots.left_out == {"L30": 1}


def test_images_of_one_place_have_one_number(lots):
    assert lots.places[0] == lots.places[1]
    assert len(np.unique(lots.places)) == 5


def test_the_folder_is_a_laboratorys(lots, tmp_path):
    root = tmp_path / "laboratory"
    assert (root / "lots.csv").read_text() == "lot_id,recipe,origin\nL2,L2,steel\nL10,L10,steel\n"
    assert json.loads((root / "L2" / "lot.json").read_text()) == {"um_per_px": 4.0}
    assert sorted(path.name for path in (root / "L2").glob("*.png")) == list(lots.images[:3])


def test_what_is_missing_is_named(folder, tmp_path):
    (folder / "steel" / "L2_a.png").unlink()
    Image.new("L", (140, 200)).save(folder / "steel" / "L10_b.png")
    with pytest.raises(RealImagesMissing) as caught:
        read_real_lots(folder, STUDY, tmp_path / "laboratory", jobs=1)
    message = str(caught.value)
    assert "2 of 7 images of steels cannot be used" in message
    assert "steel/L2_a.png is missing (from somebody)" in message
    assert "steel/L10_b.png is not the file that the manifest speaks of" in message
    assert "docs/real-images.md" in message
    assert not (tmp_path / "laboratory").exists()


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(RealImagesMissing, match="There is no .*manifest.csv"):
        read_real_lots(tmp_path, STUDY, tmp_path / "laboratory", jobs=1)


def test_a_manifest_without_a_column_is_refused(tmp_path):
    write_manifest(tmp_path, [["a.png", "steel"]], ("path", "group"))
    with pytest.raises(RealImagesMissing, match="no column lot, sha256, source"):
        read_real_lots(tmp_path, STUDY, tmp_path / "laboratory", jobs=1)


def test_a_manifest_without_the_group_is_refused(folder, tmp_path):
    other = dataclasses.replace(STUDY, group="glass")
    with pytest.raises(RealImagesMissing, match="no image of group glass"):
        read_real_lots(folder, other, tmp_path / "laboratory", jobs=1)


def test_one_lot_that_can_be_tested_is_too_few(folder, tmp_path):
    alone = dataclasses.replace(
        STUDY, same_place=(frozenset(f"L10_{letter}.png" for letter in "abc"),)
    )
    with pytest.raises(RealImagesMissing, match="a study needs two such lots"):
        read_real_lots(folder, alone, tmp_path / "laboratory", jobs=1)


def test_the_command_says_what_is_missing(tmp_path, capsys):
    assert real_images.main([str(tmp_path), "--results", str(tmp_path / "results.json")]) == 1
    said = capsys.readouterr().err.replace("\n", "")
    assert "manifest.csv" in said
    assert "docs/real-images.md" in said
    assert not (tmp_path / "results.json").exists()


# Split


def places_of_a_study():
    """Lots with 6, 2, 2 and 3 places; of the last lot two images share a place."""
    lots = np.repeat([0, 1, 2, 3], [6, 2, 2, 4])
    return lots, np.array([*range(10), 10, 11, 10, 12])


def test_each_place_is_tested_once_and_every_lot_is_always_learned():
    lots, places = places_of_a_study()
    tested = folds(lots, places, 3)
    assert set(tested.tolist()) == {0, 1, 2}
    for place in np.unique(places):
        assert len(set(tested[places == place].tolist())) == 1
    for fold in range(3):
        assert set(lots[tested != fold].tolist()) == {0, 1, 2, 3}


def test_neighbours_in_the_order_of_names_share_a_fold():
    lots, places = places_of_a_study()
    assert folds(lots, places, 3)[:6].tolist() == [0, 0, 1, 1, 2, 2]


def test_lots_of_two_places_are_spread_over_the_folds():
    lots = np.repeat(np.arange(6), 2)
    tested = folds(lots, np.arange(12), 3)
    assert np.bincount(tested, minlength=3).tolist() == [4, 4, 4]


def test_tiles_of_an_image_are_on_one_side():
    lots, places = places_of_a_study()
    data = dataset([5] * len(lots), lots)
    tested = folds(lots, places, 3)
    seen = []
    for fold in range(3):
        train, validation, test = real_lots.fold_tiles(data, tested, fold, 0.1, seed=0)
        everything = np.concatenate([train, validation, test])
        assert sorted(everything.tolist()) == list(range(len(data)))
        learned = data.regions[np.concatenate([train, validation])]
        assert not set(places[learned]) & set(places[data.regions[test]])
        assert np.bincount(data.regions[validation], minlength=len(lots))[tested != fold].min() == 1
        seen += test.tolist()
    assert sorted(seen) == list(range(len(data)))


# Baselines


def test_evened_images_have_one_brightness_and_keep_how_tiles_differ():
    data = dataset([4, 4], [0, 1])
    dark = data.images.copy()
    dark[data.regions == 0] //= 4
    dark[0] //= 2
    both = real_lots.with_evened(dataclasses.replace(data, images=dark))
    np.testing.assert_array_equal(both.images[:8], dark)
    assert both.lots.tolist() == data.lots.tolist() * 2
    assert both.regions.tolist() == [*[0] * 4, *[1] * 4, *[2] * 4, *[3] * 4]
    assert both.version != data.version
    for region in (2, 3):
        grey = both.images[both.regions == region].astype(float)
        assert grey.mean() == pytest.approx(128.0, abs=1.0)
        assert grey.std() == pytest.approx(50.0, abs=2.0)
    tile_means = both.images[8:12].mean(axis=(1, 2))
    assert tile_means[0] < tile_means[1:].min() - 20.0


def test_brightness_tells_lots_of_another_brightness():
    data = dataset([40, 40, 40], [0, 1, 2])
    images = (data.images // 4 + 60 * data.lots[:, None, None]).astype(np.uint8)
    data = dataclasses.replace(data, images=images)
    known, asked = np.arange(0, 120, 2), np.arange(1, 120, 2)
    answered = brightness_probabilities(data, known, asked)
    np.testing.assert_allclose(answered.sum(axis=1), 1.0)
    assert (answered.argmax(axis=1) == data.lots[asked]).all()


def test_brightness_tells_nothing_where_there_is_nothing():
    data = dataset([200, 200], [0, 1])
    known, asked = np.arange(0, 400, 2), np.arange(1, 400, 2)
    right = brightness_probabilities(data, known, asked).argmax(axis=1) == data.lots[asked]
    assert 0.35 < right.mean() < 0.65


# Figures


def answers(lots, wrong=()):
    """Sure answers; every tile of the images in `wrong` goes to the other lot."""
    said = lots.data.lots ^ np.isin(lots.data.regions, wrong)
    one = np.where(np.arange(2) == said[:, None], 0.9, 0.1)[None]
    return {SINGLE: np.repeat(one, 2, axis=0), ENSEMBLE: one, EVENED: one, BRIGHTNESS: one}


def test_an_images_answer_is_the_mean_over_its_tiles():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.2, 0.8], [1.0, 0.0]])
    means = real_images.by_image(probabilities, np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(means, [[1.3 / 3, 1.7 / 3], [1.0, 0.0]])


def test_figures_of_a_study(lots):
    tested = folds(lots.lots, lots.places, 2)
    study = summary(lots, tested, answers(lots, wrong=[4]), 0.95)
    assert (study["images"], study["places"], study["tiles"]) == (6, 5, 36)
    assert study["chance"] == {"tiles": 0.5, "images": 0.5}
    assert study["confusion"] == [[3, 0], [1, 2]]
    assert study["left_out"] == {"L30": 1}
    assert [lot["label"] for lot in study["lots"]] == ["second", "L10"]
    assert [lot["places"] for lot in study["lots"]] == [2, 3]
    figures = study["methods"][ENSEMBLE]
    assert (figures["images_right"], figures["runs"]) == (5, 1)
    # Clopper-Pearson, 5 of 6: table of exact limits.
    assert figures["images_interval"] == pytest.approx([0.3588, 0.9958], abs=1e-4)
    assert figures["tiles"] == pytest.approx(5 / 6)
    assert figures["ece"] == pytest.approx(0.9 - 5 / 6)
    assert "images_right" not in study["methods"][SINGLE]
    fifth = study["by_image"][4]
    assert (fifth["image"], fifth["lot"], fifth["answered"]) == ("L10_b.png", "L10", "L2")
    assert fifth["probability_of_its_lot"] == pytest.approx(0.1)
    json.dumps(study, allow_nan=False)


def test_tables_and_picture_are_made_of_the_figures(lots):
    study = summary(lots, folds(lots.lots, lots.places, 2), answers(lots, wrong=[4]), 0.95)
    document = {"recipe": {"members": 2}, "seconds": 1, "studies": {"steel": study}}
    text = io.StringIO()
    show(document, Console(file=text, width=120))
    assert "steels: 2 lots, 6 images of 5 places, 36 tiles of 64 x 64 px" in text.getvalue()
    assert "36% to 100%" in text.getvalue()
    assert "They are noise." in text.getvalue()
    assert "L30 (1)" in text.getvalue()
    assert "| ensemble of 2 | 83.3% | 5 of 6 | 36% to 100% |" in markdown(document)
    shown = real_lots.examples(lots, 4)
    assert [tiles.shape for tiles in shown] == [(4, 64, 64)] * 2
    assert "| one network, new tiles of known images | 95.0% |" in markdown(document)
    picture(document, {"steel": shown}).canvas.draw()


# Training


@pytest.fixture
def recipe():
    full = read_recipe(real_images.RECIPE)
    network = dataclasses.replace(
        full.network, depth=10, widen=1, batch_size=8, crops=((0.0, 16),), validations=1, steps=2
    )
    return dataclasses.replace(full, members=2, folds=2, parallel=1, network=network)


def test_every_network_takes_the_same_steps_and_learns_its_own_pictures(lots, recipe):
    tested = folds(lots.lots, lots.places, recipe.folds)
    jobs = real_images.fold_jobs(lots, tested, recipe)
    assert len({job.name for job in jobs}) == len(jobs) == 6
    assert {job.steps for job in jobs} == {2}
    for job in jobs:
        assert (job.train.min() >= len(lots.data)) == (EVENED in job.name)
        images = lots.data.regions[job.train % len(lots.data)]
        assert not (tested[images] == int(job.name[len("fold_")])).any()


def test_a_study_is_trained_and_measured(lots, recipe, tmp_path):
    study = measure(lots, recipe, tmp_path / "runs")
    assert set(study["methods"]) == set(METHODS)
    assert study["methods"][SINGLE]["runs"] == 2
    assert study["steps"] == {"fewest": 2, "most": 2}
    assert 0.0 <= study["tiles_of_known_images"] <= 1.0
    for figures in study["methods"].values():
        assert np.isfinite(list({**figures, "images_interval": 0}.values())).all()
    assert study["methods"][BRIGHTNESS]["images_right"] == 6


@pytest.mark.parametrize(("key", "value"), [("folds", "1"), ("validation_share", "0.0")])
def test_a_recipe_that_cannot_be_followed_is_refused(tmp_path, key, value):
    lines = real_images.RECIPE.read_text().splitlines()
    changed = [f"{key} = {value}" if line.startswith(f"{key} ") else line for line in lines]
    path = tmp_path / "cpu" / "recipe.toml"
    path.parent.mkdir()
    path.write_text("\n".join(changed))
    with pytest.raises(RecipeError, match=key):
        read_recipe(path)


# What is stored


def test_the_page_shows_the_stored_figures():
    document = json.loads(real_images.RESULTS.read_text(encoding="utf-8"))
    assert markdown(document) in (ROOT / "docs" / "real-images.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real images are not at {REAL}")
@pytest.mark.parametrize("study", real_lots.STUDIES, ids=lambda study: study.name)
def test_the_real_images_are_those_of_the_stored_figures(study, tmp_path):
    stored = json.loads(real_images.RESULTS.read_text(encoding="utf-8"))["studies"][study.name]
    lots = read_real_lots(REAL, study, tmp_path / study.name, jobs=1)
    assert lots.data.version == stored["data_version"]
    assert {name for group in study.same_place for name in group} <= set(lots.images)


def half(name, share=1.0):
    """A real image at half its size, times `share`, without its slow changes of brightness."""
    found = next(REAL.glob(f"*/images/*{name}*.png"))
    with Image.open(found) as image:
        size = (round(image.width * share / 2), round(image.height * share / 2))
        grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX), dtype=float)
    return grey - gaussian_filter(grey, 12)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real images are not at {REAL}")
@pytest.mark.parametrize(
    ("whole", "part", "share"),
    [
        ("Sc1Tile_001-001", "Sc1Tile_001-002", 1.0),
        ("800C-85H-Q-5", "800C-85H-Q-1", 0.494),
        ("800C-85H-Q-6", "800C-85H-Q-2", 0.494),
    ],
)
def test_images_that_are_kept_together_show_one_place(whole, part, share):
    template = half(part, share)
    height, width = template.shape
    # Neighbours share a strip at the edge; of a closer view all is in the other image.
    columns = slice(0, 50) if share == 1.0 else slice(width // 5, -width // 5)
    piece = template[height // 4 : -height // 4, columns]
    assert match_template(half(whole), piece).max() > 0.8  # of others 0.35 at most
