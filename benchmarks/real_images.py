"""The committee's classifier on real SEM images: `python -m benchmarks.real_images FOLDER`.

Three studies of few images: powder series, coating samples, anneal times. Each is laid out and
read as a laboratory's lots (`real_lots`), split by image, and learned by WRN-16-2 at 64 x 64 with
the product's own trainer. Every image is in a test fold once, and no place is on two sides.

Beside the networks stands what brightness alone tells: a logistic regression on the mean and the
standard deviation of a tile's grey levels. And a network that learns from images which were all
brought to the same mean and standard deviation. A session's settings can make lots easy to tell;
these two say how much of an accuracy they may account for.

Writes training/results/real_images.json and docs/img/real_images.png; `--redraw` makes tables and
picture anew from the stored figures. docs/real-images.md says where the images come from.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from rich.console import Console
from scipy.optimize import minimize
from scipy.stats import binomtest

from benchmarks.real_lots import (
    STUDIES,
    RealImagesMissing,
    RealLots,
    brightness,
    examples,
    fold_tiles,
    folds,
    read_real_lots,
    with_evened,
)
from benchmarks.real_report import BRIGHTNESS, ENSEMBLE, EVENED, SINGLE, WIDTH, picture, show
from lotwise.core.uncertainty import committee_probabilities, softmax
from lotwise_training.config.load import RECIPES, RecipeError, load_recipe
from lotwise_training.config.schema import STRICT, Count, NetworkRecipe, OpenShare
from lotwise_training.data.tiles import Floats, Images, Numbers, TileDataset
from lotwise_training.inference.predict import MembersPredictor, load_members
from lotwise_training.metrics import (
    accuracy,
    expected_calibration_error,
    negative_log_likelihood,
)
from lotwise_training.report.figures.style import write_png
from lotwise_training.store.checkpoint import load_checkpoint
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.parallel import train_networks
from lotwise_training.training.tasks.classifier import ClassifierJob, ClassifierTrainer

ROOT: Final = Path(__file__).parents[1]
RECIPE: Final = RECIPES / "cpu" / "real_images.toml"
RESULTS: Final = ROOT / "training" / "results" / "real_images.json"
PICTURE: Final = ROOT / "docs" / "img" / "real_images.png"
CONFIDENCE: Final = 0.95
PENALTY: Final = 1e-3
"""On the squared weights of the logistic regression; keeps them finite where lots separate."""
SHOWN: Final = 4
"""Tiles a lot in the picture, at most."""
PACKAGES: Final = ("lotwise", "torch", "numpy", "scipy")
FOLD_SEEDS: Final = 100
"""Seeds of a fold's members are this far apart from those of the next fold."""


@dataclass(frozen=True, config=STRICT)
class RealImagesRecipe:
    """How the networks of all studies are trained."""

    members: Count
    folds: Annotated[int, Field(ge=2)]
    validation_share: OpenShare
    parallel: Count
    network: NetworkRecipe


def read_recipe(path: Path) -> RealImagesRecipe:
    """The recipe of a file.

    Raises:
        RecipeError: It cannot be followed.
    """
    return load_recipe(RealImagesRecipe, path.parent.parent, path.parent.name, path.stem)


def fold_jobs(lots: RealLots, tested: Numbers, recipe: RealImagesRecipe) -> list[ClassifierJob]:
    """The networks of a study: the members of each fold, and one that learns from evened images.

    Args:
        lots: N tiles, learned from as `with_evened` doubles them.
        tested: int64 [images], see `real_lots.folds`.
        recipe: How many, and how long.
    """
    jobs: list[ClassifierJob] = []
    for fold in range(recipe.folds):
        train, validation, _ = fold_tiles(
            lots.data, tested, fold, recipe.validation_share, recipe.network.seed
        )
        for variant, members, offset in ((SINGLE, recipe.members, 0), (EVENED, 1, len(lots.data))):
            jobs += [
                ClassifierJob(
                    name=f"{_folder(fold, variant)}/member_{member:02d}",
                    train=train + offset,
                    validation=validation + offset,
                    classes=np.arange(len(lots.data.table.lot_ids)),
                    seed=recipe.network.seed + FOLD_SEEDS * fold + member,
                    dropout=0.0,
                    steps=recipe.network.steps,
                    head_tiles=recipe.network.head_tiles,
                )
                for member in range(members)
            ]
    return jobs


def measure(lots: RealLots, recipe: RealImagesRecipe, run: Path) -> dict[str, Any]:
    """Train a study's networks, ask them about the images they did not see, and count.

    Args:
        lots: The study.
        recipe: How to train.
        run: Folder of the networks.

    Returns:
        The study's part of the results, in JSON's types.
    """
    tested = folds(lots.lots, lots.places, recipe.folds)
    both = with_evened(lots.data)
    jobs = fold_jobs(lots, tested, recipe)
    train_networks(ClassifierTrainer(both, recipe.network), jobs, run, parallel=recipe.parallel)
    count, classes = len(lots.data), len(lots.data.table.lot_ids)
    answers = {
        SINGLE: np.empty((recipe.members, count, classes)),
        **{method: np.empty((1, count, classes)) for method in (ENSEMBLE, EVENED, BRIGHTNESS)},
    }
    of_known: list[Numbers] = []
    for fold in range(recipe.folds):
        train, validation, test = fold_tiles(
            lots.data, tested, fold, recipe.validation_share, recipe.network.seed
        )
        guessed = _asked(run / _folder(fold, SINGLE), both.images[validation]).argmax(axis=2)
        of_known.append((guessed == lots.data.lots[validation][:, None]).ravel())
        alone = _asked(run / _folder(fold, SINGLE), both.images[test])
        answers[SINGLE][:, test] = alone.transpose(1, 0, 2)
        answers[ENSEMBLE][0, test] = committee_probabilities(alone)
        evened = _asked(run / _folder(fold, EVENED), both.images[test + count])
        answers[EVENED][0, test] = evened[:, 0]
        known = np.sort(np.concatenate([train, validation]))
        answers[BRIGHTNESS][0, test] = brightness_probabilities(lots.data, known, test)
    steps = [_steps(checkpoint_path(run, job.name)) for job in jobs]
    return {
        **summary(lots, tested, answers, float(np.concatenate(of_known).mean())),
        "steps": {"fewest": min(steps), "most": max(steps)},
    }


def brightness_probabilities(data: TileDataset, known: Numbers, asked: Numbers) -> Floats:
    """What mean and standard deviation of the grey levels alone tell, by logistic regression.

    Args:
        data: The tiles.
        known: int64 [n], tiles to learn from.
        asked: int64 [m], tiles to answer.

    Returns:
        float64 [m, K], each row summing to 1.
    """
    measured = brightness(data.images)
    centre, scale = measured[known].mean(axis=0), measured[known].std(axis=0) + 1e-9
    mean, spread = ((measured - centre) / scale).T
    # Squares and product too: a lot may lie between two others.
    terms = np.stack([np.ones_like(mean), mean, spread, mean**2, spread**2, mean * spread], axis=1)
    truth = np.eye(len(data.table.lot_ids))[data.lots[known]]
    shape = (terms.shape[1], truth.shape[1])

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(shape)
        probabilities = softmax(terms[known] @ weights)
        likely = (probabilities * truth).sum(axis=1)
        value = -np.log(np.clip(likely, 1e-300, 1.0)).mean() + PENALTY * (weights**2).sum()
        slope = terms[known].T @ (probabilities - truth) / len(known) + 2.0 * PENALTY * weights
        return float(value), slope.ravel()

    found = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B")
    return softmax(terms[asked] @ found.x.reshape(shape))


def by_image(probabilities: Floats, images: Numbers) -> Floats:
    """Mean over the tiles of each image: float64 [N, K] and int64 [N] to float64 [images, K]."""
    return np.stack(
        [probabilities[images == image].mean(axis=0) for image in range(int(images.max()) + 1)]
    )


def summary(
    lots: RealLots, tested: Numbers, answers: Mapping[str, Floats], known_images: float
) -> dict[str, Any]:
    """Figures of a study.

    Args:
        lots: N tiles, K lots.
        tested: int64 [images], fold that tested each image.
        answers: By method float64 [M, N, K], the probabilities of M runs, each alone.
        known_images: Share that one network has right of tiles of the images it learned from.
    """
    data = lots.data
    names = data.table.lot_ids
    tiles = np.bincount(data.lots, minlength=len(names))
    images = np.bincount(lots.lots, minlength=len(names))
    whole = by_image(answers[ENSEMBLE][0], data.regions)
    guessed = whole.argmax(axis=1)
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, (lots.lots, guessed), 1)
    measured = brightness(data.images)
    return {
        "title": lots.study.title,
        "caveat": lots.study.caveat,
        "field_px": lots.study.field_px,
        "data_version": data.version,
        "lots": [
            {
                "lot": name,
                "label": lots.study.label(name),
                "images": int(images[lot]),
                "places": len(np.unique(lots.places[lots.lots == lot])),
                "tiles": int(tiles[lot]),
                "grey_mean": round(float(measured[data.lots == lot, 0].mean()), 1),
            }
            for lot, name in enumerate(names)
        ],
        "left_out": dict(lots.left_out),
        "unused": list(lots.unused),
        "images": len(lots.images),
        "places": len(np.unique(lots.places)),
        "tiles": len(data),
        "chance": {
            "tiles": float(tiles.max() / tiles.sum()),
            "images": float(images.max() / images.sum()),
        },
        "tiles_of_known_images": known_images,
        "methods": {name: _figures(runs, lots) for name, runs in answers.items()},
        "confusion": confusion.tolist(),
        "by_image": [
            {
                "image": image,
                "lot": names[lots.lots[number]],
                "place": int(lots.places[number]),
                "fold": int(tested[number]),
                "tiles": int((data.regions == number).sum()),
                "answered": names[guessed[number]],
                "probability_of_its_lot": round(float(whole[number, lots.lots[number]]), 4),
            }
            for number, image in enumerate(lots.images)
        ],
    }


def _figures(runs: Floats, lots: RealLots) -> dict[str, Any]:
    """Means over M runs [M, N, K]; where there is one, its count of images and an interval."""
    wholes = [by_image(run, lots.data.regions) for run in runs]
    figures: dict[str, Any] = {
        "runs": len(runs),
        "tiles": float(np.mean([accuracy(run, lots.data.lots) for run in runs])),
        "images": float(np.mean([accuracy(whole, lots.lots) for whole in wholes])),
        "nll": float(np.mean([negative_log_likelihood(run, lots.data.lots) for run in runs])),
        "ece": float(np.mean([expected_calibration_error(run, lots.data.lots) for run in runs])),
    }
    if len(runs) == 1:
        right = int((wholes[0].argmax(axis=1) == lots.lots).sum())
        interval = binomtest(right, len(lots.images)).proportion_ci(CONFIDENCE, method="exact")
        figures |= {"images_right": right, "images_interval": [interval.low, interval.high]}
    return figures


def _asked(folder: Path, images: Images) -> Floats:
    """Probabilities of a folder's members, float64 [n, members, K]."""
    members, _ = load_members(folder)
    return softmax(MembersPredictor(members, "").outputs(images).logits)


def _steps(path: Path) -> int:
    """How many steps a network took: fewer than the recipe's where its time was short."""
    state = load_checkpoint(path)
    if state is None:
        raise RealImagesMissing(f"There is no network {path}.")
    return int(state["step"])


def _folder(fold: int, variant: str) -> str:
    return f"fold_{fold}/{variant}"


def run_studies(
    folder: Path, recipe: RealImagesRecipe, scratch: Path, runs: Path
) -> tuple[dict[str, Any], dict[str, list[Images]]]:
    """All studies: results in JSON's types, and tiles to show, by study and lot.

    Args:
        folder: Of the images.
        recipe: How to train.
        scratch: Empty folder for links to the images.
        runs: Folder of the networks; those that are there and fit are not trained again.

    Raises:
        RealImagesMissing: Before anything is trained.
    """
    started = time.monotonic()
    every = [read_real_lots(folder, study, scratch / study.name) for study in STUDIES]
    results = {lots.study.name: measure(lots, recipe, runs / lots.study.name) for lots in every}
    stated = json.dumps([[lots.study.name, lots.data.version] for lots in every])
    document = {
        "command": "python -m benchmarks.real_images FOLDER",
        "data_sha256": hashlib.sha256(stated.encode()).hexdigest(),
        "recipe": dataclasses.asdict(recipe),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        "seconds": round(time.monotonic() - started),
        "studies": results,
    }
    return document, {lots.study.name: examples(lots, SHOWN) for lots in every}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 1 where the images or the recipe cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        recipe = read_recipe(options.recipe)
        with tempfile.TemporaryDirectory(prefix="real-images-") as scratch:
            runs = options.runs or Path(scratch) / "runs"
            if options.redraw:
                document = json.loads(options.results.read_text(encoding="utf-8"))
                shown = {
                    study.name: examples(
                        read_real_lots(options.folder, study, Path(scratch) / study.name), SHOWN
                    )
                    for study in STUDIES
                }
            else:
                document, shown = run_studies(options.folder, recipe, Path(scratch), runs)
                options.results.parent.mkdir(parents=True, exist_ok=True)
                text = json.dumps(document, indent=1, allow_nan=False) + "\n"
                options.results.write_text(text, encoding="utf-8")
    except (RealImagesMissing, RecipeError, OSError) as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False)
        return 1
    # Wide tables, also where they go into a file or a small window: figures must not be cut.
    show(document, Console(width=max(Console().width, WIDTH)))
    write_png(picture(document, shown), options.picture)
    Console(stderr=True).print(f"wrote {options.results} and {options.picture}", highlight=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_images", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="of the real images, with manifest.csv")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file of the figures")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="PNG file")
    parser.add_argument("--runs", type=Path, help="keep the networks here, and go on from them")
    parser.add_argument(
        "--redraw", action="store_true", help="train nothing, show the figures that are stored"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
