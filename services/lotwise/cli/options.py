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
        help="Where `lotwise up` runs; host:port for a service elsewhere; several with commas.",
        envvar="LOTWISE_HOST",
    ),
]
UmPerPx = Annotated[
    float | None, typer.Option(help="Pixel size in um where the files do not say it.")
]
Policy = Annotated[
    str,
    typer.Option(help="Version of the policy, full or cascade; default: the service's own."),
]
Lot = Annotated[str, typer.Option(help="The lot's name; default: what lot.json says.")]
Tiles = Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")]

Attributes = Annotated[
    list[str],
    typer.Option(
        "--attribute",
        help="name=value of the lot, 0 to 1 over the model's design range; again for each. "
        "Not needed where the lot is one that the models know.",
    ),
]
Immutable = Annotated[list[str], typer.Option(help="An attribute that must stay; again for each.")]
Allow = Annotated[
    list[str],
    typer.Option(help="name=minimum:maximum, where an attribute may go; again for each."),
]
Cost = Annotated[
    list[str], typer.Option(help="name=cost of changing an attribute, 1 where none is stated.")
]
AllowUnfamiliar = Annotated[
    bool,
    typer.Option(
        help="Explain what looks like nothing that the models know, too. Do not act on it."
    ),
]
Starts = Annotated[
    int, typer.Option(help="Searches from different places; 0 for the service's default.")
]

Plot = Annotated[
    Path | None, typer.Option(help="Draw a figure of the answer into this .png or .svg file.")
]

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


def parsed_numbers(
    given: list[str], option: str = "--attribute", example: str = "size=0.5"
) -> dict[str, float]:
    """name=value of each; fails with what is wrong."""
    attributes = {}
    for each in given:
        name, _, value = each.partition("=")
        try:
            attributes[name] = float(value)
        except ValueError:
            fail(f"{option} {each}: state it as name=value, such as {example}.")
    return attributes


def parsed_ranges(given: list[str]) -> dict[str, tuple[float, float]]:
    """name=minimum:maximum of each; fails with what is wrong."""
    ranges = {}
    for each in given:
        name, _, ends = each.partition("=")
        minimum, _, maximum = ends.partition(":")
        try:
            ranges[name] = (float(minimum), float(maximum))
        except ValueError:
            fail(f"--allow {each}: state it as name=minimum:maximum, such as size=0.2:0.8.")
    return ranges


def parsed_pair(given: str, option: str = "--pair") -> tuple[str, str]:
    """Two names; fails with what is wrong."""
    first, comma, second = (part.strip() for part in given.partition(","))
    if not (first and comma and second) or "," in second:
        fail(f"{option} {given}: name two attributes, such as size,porosity.")
    return first, second
