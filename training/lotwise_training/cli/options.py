"""Options of `lotwise-train`, and how its commands speak."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console

from lotwise.core.errors import LotwiseError
from lotwise_training.config.load import RecipeError
from lotwise_training.data.tiles import (
    DatasetError,
)
from lotwise_training.pipelines.workspace import RENDERED
from lotwise_training.store.arrays import ResultsError
from lotwise_training.store.checkpoint import CheckpointError
from lotwise_training.training.distributed import ProcessesError
from lotwise_training.training.parallel import TrainingFailed

# Wide tables, also where they go into a file.
out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)

Profile = Annotated[str, typer.Option(help="Folder of the recipe files: cpu or paper.")]
Recipes = Annotated[Path, typer.Option(help="Folder of the recipe files.")]
Home = Annotated[Path, typer.Option(help="Folder of rendered data and of runs.")]
MaxSeconds = Annotated[
    float | None, typer.Option(help="Time for the training; default: the recipe's.")
]
OwnLots = Annotated[
    Path | None,
    typer.Option("--lots", help="Folder with lots.csv; default: the 30 lots of benchmark v1."),
]
OnlyServed = Annotated[
    bool, typer.Option("--only-served", help="Only the members, nothing to compare them with.")
]
Sets = Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(RENDERED)}; default: all.")]
Folder = Annotated[Path, typer.Argument(help="Folder with lots.csv and a folder of images a lot.")]
FieldUm = Annotated[float, typer.Option(help="Field of view, um; in recipes: field_um.", min=1e-3)]
Results = Annotated[Path, typer.Option(help="Folder of the committee's stored answers.")]
Only = Annotated[
    list[str] | None, typer.Option(help="Only this: committee, regressor or editor; repeatable.")
]
OnlyMeasured = Annotated[
    list[str] | None, typer.Option("--only", help="Only this: regressor or editor; repeatable.")
]
Fresh = Annotated[
    bool, typer.Option(help="Render and ask 51,000 fresh tiles, too; else `judge` does it later.")
]
TorchScript = Annotated[
    Path | None, typer.Option(help="Write committee and regressor as TorchScript, too.")
]
Repository = Annotated[Path, typer.Option(help="The model repository to write.")]

HOME: Final = Path(".lotwise")
MODELS: Final = Path("model_repository")
RESULTS: Final = Path("training/results")


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error that a person can mend into a sentence and exit code 1."""
    try:
        yield
    except (
        RecipeError,
        CheckpointError,
        DatasetError,
        ResultsError,
        ProcessesError,
        TrainingFailed,
        LotwiseError,
    ) as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Say what is wrong, and end with exit code 1."""
    # Unwrapped: paths and commands stay whole.
    err.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)
