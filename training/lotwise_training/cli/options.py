"""Options of `lotwise-train`, and how its commands report errors. Imports no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console

from lotwise.core.errors import LotwiseError
from lotwise_training.config.errors import TrainingError

# Wide tables, also where they go into a file.
out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)

EXTRA: Final = frozenset(
    {"torch", "onnxscript", "sklearn", "matplotlib", "jinja2", "filelock", "tensorboard"}
)
"""Packages of the extra `training`, by the names of their modules."""

Profile = Annotated[str, typer.Option(help="Folder of the recipes: cpu, gpu or paper.")]
Recipes = Annotated[Path, typer.Option(help="Folder of the recipes of all profiles.")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Override a key of the recipe, such as network.steps=500; repeatable."
    ),
]
RunName = Annotated[
    str, typer.Option("--run", help="Name of the run, which keeps it apart from others.")
]
Home = Annotated[Path, typer.Option(help="Folder of rendered tiles and of runs.")]
MaxSeconds = Annotated[
    float | None,
    typer.Option(
        min=1.0, help="Time limit that overrides the recipe's steps; the model card states it."
    ),
]
OwnLots = Annotated[
    Path | None,
    typer.Option("--lots", help="Folder with lots.csv; default: the 30 lots of benchmark v1."),
]
Pretrained = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Fine-tune: begin with the trunks of this model repository, or folder of runs.",
    ),
]
OnlyServed = Annotated[
    bool, typer.Option("--only-served", help="Only the members, nothing to compare them with.")
]
Sets = Annotated[list[str] | None, typer.Argument(help="Names of tile sets; default: all.")]
Folder = Annotated[Path, typer.Argument(help="Folder with lots.csv and a folder of images a lot.")]
FieldUm = Annotated[float, typer.Option(help="Field of view, um; in recipes: field_um.", min=1e-3)]
Results = Annotated[Path, typer.Option(help="Folder of stored predictions.")]
Only = Annotated[
    list[str] | None, typer.Option(help="Only this: committee, regressor or editor; repeatable.")
]
OnlyMeasured = Annotated[
    list[str] | None, typer.Option("--only", help="Only this: regressor or editor; repeatable.")
]
Fresh = Annotated[
    bool, typer.Option(help="Also render and predict 51,000 fresh tiles; else `calibrate` does.")
]
TorchScript = Annotated[
    Path | None, typer.Option(help="Also write committee and regressor as TorchScript.")
]
Repository = Annotated[Path, typer.Option(help="The model repository to write.")]
Models = Annotated[
    Path, typer.Option("--repository", help="The model repository whose committee predicts.")
]

HOME: Final = Path(".lotwise")
MODELS: Final = Path("model_repository")
RESULTS: Final = Path("training/results")


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error that a person can mend into a sentence and an exit code.

    1 for most; 2 where packages are missing; 3 where a training diverged.
    """
    try:
        yield
    except TrainingError as error:
        fail(str(error), error.exit_code)
    except LotwiseError as error:
        fail(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in EXTRA:
            raise
        fail(
            f"This command needs {error.name}. Run `pip install 'lotwise[training]'`; the README "
            "says how to get a CPU or a CUDA build of torch.",
            2,
        )


def fail(message: str, exit_code: int = 1) -> NoReturn:
    """Print what is wrong, and exit."""
    # Unwrapped: paths and commands stay whole.
    err.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(exit_code)
