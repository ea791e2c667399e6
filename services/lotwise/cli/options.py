"""Options that several verbs have, and how a verb speaks."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console

out = Console()
err = Console(stderr=True)

Models = Annotated[Path, typer.Option(help="The model repository.", envvar="LOTWISE_MODELS")]
State = Annotated[Path, typer.Option(help="Folder for logs.")]
TritonHome = Annotated[
    Path, typer.Option(help="Triton's own environment.", envvar="LOTWISE_TRITON")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs, a line each.")]
WhichEngine = Annotated[
    str | None,
    typer.Option(help="triton or onnxruntime (in-process); default: Triton where installed."),
]
Start = Annotated[
    bool, typer.Option("--start", help="Start a platform for this command, stop it after.")
]
Host = Annotated[
    str,
    typer.Option(
        help="Where `lotwise up` runs; host:port for a service elsewhere.", envvar="LOTWISE_HOST"
    ),
]
UmPerPx = Annotated[
    float | None, typer.Option(help="Pixel size in um where the files do not say it.")
]
Lot = Annotated[str, typer.Option(help="The lot's name; default: what lot.json says.")]
Tiles = Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")]

MODELS: Final = Path("model_repository")
STATE: Final = Path(".lotwise/platform")
TRITON: Final = Path(".triton")


class PressureUnit(StrEnum):
    """Units that a property can be shown in."""

    PSI = "psi"
    MPA = "MPa"


Unit = Annotated[
    PressureUnit | None,
    typer.Option(help="Unit of the property; default: the model's.", case_sensitive=False),
]


def fail(message: str) -> NoReturn:
    """Say what is wrong and end with status 1."""
    # Unwrapped: paths and commands stay whole.
    err.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)
