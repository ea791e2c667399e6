"""Plans of tests on the benchmark's new lots, played through and kept for `make evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from lotwise_simulator.benchmark import VERSION, new_lots
from lotwise_simulator.benchmark_files import PROPERTY, UNIT
from lotwise_training.asker import Asker
from lotwise_training.benchmark_data import benchmark_set
from lotwise_training.committee import SERVED as COMMITTEE
from lotwise_training.config import CommitteeRecipe
from lotwise_training.lot_places import lot_means
from lotwise_training.plan_experiment import KnownLots, Played, played
from lotwise_training.stored import OutputsError
from lotwise_training.workshop import Workshop

FILE: Final = "plan_lots.json"
SET: Final = "new"
TESTS: Final = 2
RELATIVE_SCATTER: Final = 0.02
"""Of one strength test, as `lotwise_simulator.traits.strength_tests` draws it."""
DIGITS: Final = 6


def played_benchmark(shop: Workshop, repository: Path) -> tuple[Played, dict[str, Any]]:
    """Play plans of tests through on the benchmark's new lots.

    Args:
        shop: Recipes and rendered tiles; the lots' 20,000 tiles are rendered and asked about
            where that was not done before.
        repository: The model repository.

    Returns:
        What came of it, and what it rests on.

    Raises:
        LotwiseError: The repository cannot be used.
        OutputsError: The committee gives no features.
    """
    # Here, because it needs the engine that serves, which no training does.
    from lotwise_training.judging import ExportedCommittee

    committee = ExportedCommittee(repository)
    asker = Asker(shop.runs, shop.recipe(CommitteeRecipe, COMMITTEE), exported=committee)
    tiles = benchmark_set(SET, shop.cache)
    means = lot_means(asker.served(tiles.images, f"{SET}, ensemble"), tiles.lots)
    lots = new_lots()
    known = KnownLots(
        means,
        measured=np.array([lot.strength_tests(TESTS).mean() for lot in lots]),
        true=np.array([lot.peak_stress_psi for lot in lots]),
        standard_error=RELATIVE_SCATTER / TESTS**0.5,
    )
    stated = {
        "benchmark": VERSION,
        "property": PROPERTY,
        "unit": UNIT,
        "standard_error": known.standard_error,
        "weights_sha256": committee.weights_sha256,
        "data_version": tiles.version,
    }
    return played(known), stated


def write_played(folder: Path, made: Played, stated: dict[str, Any]) -> None:
    """Write `plan_lots.json`."""
    content = {
        **stated,
        "offered": made.offered,
        "held": made.held,
        "sizes": made.sizes.tolist(),
        "errors": {way: each.round(DIGITS).tolist() for way, each in made.errors.items()},
        "forecasts": [
            {"forecast": list(each), "starts": values.round(DIGITS).tolist()}
            for each, values in made.forecasts.items()
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, allow_nan=False)
    (folder / FILE).write_text(text.replace(']], "', ']],\n"') + "\n", encoding="utf-8")


def read_played(folder: Path) -> tuple[Played, dict[str, Any]] | None:
    """What `write_played` wrote; None where it wrote nothing.

    Raises:
        OutputsError: The file is unreadable.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        made = Played(
            sizes=np.array(content.pop("sizes"), dtype=np.int64),
            errors={way: np.array(each) for way, each in content.pop("errors").items()},
            forecasts={
                tuple(each["forecast"]): np.array(each["starts"])
                for each in content.pop("forecasts")
            },
            offered=content.pop("offered"),
            held=content.pop("held"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputsError(
            f"{path} holds no plans: {error}; `lotwise-train plan lots --measure` writes it"
        ) from None
    return made, content
