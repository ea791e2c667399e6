"""Where the commands of `lotwise-train` find recipes and tiles, and leave their runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from rich.console import Console

from lotwise.core.signature import TileGeometry
from lotwise_training.config.load import RecipeError, load_recipe
from lotwise_training.config.schema import (
    CommitteeRecipe,
    EditorRecipe,
    PlanRecipe,
    RegressorRecipe,
)
from lotwise_training.data.benchmark import GEOMETRY, REFERENCE, SHIFTED, benchmark_set
from lotwise_training.data.calibration_sets import CALIBRATION, FRESH, FreshTiles, fresh_tiles
from lotwise_training.data.folder import read_lot_folder, show_lot_folder
from lotwise_training.data.images import geometry_of
from lotwise_training.data.property_lots import (
    STRENGTH_GEOMETRY,
    meter_tiles,
    new_lot_tiles,
    strength_tiles,
)
from lotwise_training.data.tiles import DatasetError, TileDataset, write_remarks
from lotwise_training.training.tasks.ensemble import adapted_recipe

Recipe = TypeVar("Recipe", CommitteeRecipe, RegressorRecipe, EditorRecipe, PlanRecipe)

RENDERED: Final = ("strength", "meter", REFERENCE, CALIBRATION, "shifted", "new", FRESH)
"""What `Workspace.render` makes, in the order in which trainings that run side by side want it."""
RUN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MODELS: Final = ("committee", "regressor", "editor", "plan")
"""Folders of runs without a name."""
NEW_LOTS: Final = 200
NEW_LOT_TILES: Final = 10
"""Of each new lot: lots, not tiles, make an error bar narrow."""


@dataclass(frozen=True)
class Workspace:
    """Where a command finds its recipes and leaves its results.

    Attributes:
        home: Holds `data` and `runs`.
        recipes: Folder of the recipes' files.
        profile: Folder within it.
        changes: Of recipes, "key=value" each.
        run_name: Keeps runs apart; "" for the runs in `home`/runs itself.
    """

    home: Path
    recipes: Path
    profile: str
    changes: tuple[str, ...] = ()
    run_name: str = ""

    def __post_init__(self) -> None:
        """Raises RecipeError: the run cannot have this name."""
        name = self.run_name
        if name and (not RUN_NAME.fullmatch(name) or name in MODELS):
            raise RecipeError(
                f"--run {name}: a name has letters, digits, '.', '_' and '-', begins with a letter "
                f"or a digit, and is none of {', '.join(MODELS)}"
            )

    @property
    def cache(self) -> Path:
        """Rendered data."""
        return self.home / "data"

    @property
    def runs(self) -> Path:
        """Folder of all runs."""
        return self.home / "runs" / self.run_name

    def run(self, name: str) -> Path:
        """Folder of a model's run."""
        return self.runs / name

    def committee(self, own_lots: Path | None) -> tuple[CommitteeRecipe, TileDataset]:
        """Recipe and lots of a committee: those of a folder, or benchmark v1's."""
        recipe = self.recipe(CommitteeRecipe, "committee")
        if own_lots is None:
            _check_field(recipe.field_um)
            tiles = benchmark_set(REFERENCE, self.cache)
        else:
            tiles = self._read_lots(own_lots, geometry_of(GEOMETRY.px, recipe.field_um))
        return adapted_recipe(tiles, recipe), tiles

    def strength_tiles(self, own_lots: Path | None) -> TileDataset:
        """The lots whose property the regressor learns: those of a folder, or simulated ones.

        Lots of a folder without a value are left out.
        """
        recipe = self.recipe(RegressorRecipe, "regressor")
        if own_lots is None:
            _check_field(recipe.field_um)
            return strength_tiles(recipe.data, self.cache)
        geometry = geometry_of(STRENGTH_GEOMETRY.px, recipe.field_um)
        return self._read_lots(own_lots, geometry).tested()

    def _read_lots(self, folder: Path, geometry: TileGeometry) -> TileDataset:
        read = read_lot_folder(folder, geometry, cache=self.cache)
        show_lot_folder(read, Console(stderr=True))
        return read.dataset

    def report_remarks(self, run: str, remarks: Sequence[str]) -> None:
        """Say what a training does otherwise because of its lots, and leave it for its card."""
        for remark in remarks:
            Console(stderr=True).print(remark, markup=False, highlight=False, soft_wrap=True)
        write_remarks(remarks, self.run(run))

    def new_lots(self) -> TileDataset:
        """Tiles of the benchmark's new lots, on which the property is measured."""
        return new_lot_tiles(NEW_LOTS, NEW_LOT_TILES, self.cache)

    def fresh_tiles(self, name: str) -> FreshTiles:
        """Fresh tiles of the reference lots; `name` is CALIBRATION or FRESH."""
        recipe = self.recipe(CommitteeRecipe, "committee").calibration
        each = recipe.tiles if name == CALIBRATION else recipe.fresh_tiles
        return fresh_tiles(name, each, self.cache)

    def render(self, name: str) -> int:
        """Make the tiles of simulated lots that are not there yet; how many there are.

        Args:
            name: One of `RENDERED`.
        """
        if name == "strength":
            return len(self.strength_tiles(None))
        if name == "meter":
            return len(meter_tiles(self.recipe(EditorRecipe, "editor").meter, self.cache))
        if name == "new":
            return len(self.new_lots())
        if name in (CALIBRATION, FRESH):
            return len(self.fresh_tiles(name))
        names = SHIFTED if name == "shifted" else (name,)
        return sum(len(benchmark_set(each, self.cache)) for each in names)

    def recipe(self, kind: type[Recipe], name: str) -> Recipe:
        """A model's recipe."""
        return load_recipe(kind, self.recipes, self.profile, name, self.changes)


def _check_field(field_um: float) -> None:
    """Refuse simulated lots of another field than benchmark v1's."""
    if field_um != GEOMETRY.field_of_view_um:
        raise DatasetError(
            "FIELD_WITHOUT_LOTS",
            f"Simulated lots have tiles of {GEOMETRY.field_of_view_um:g} um, and the recipe wants "
            f"{field_um:g} um. Name a folder of your own lots with --lots.",
        )
