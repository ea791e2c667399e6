"""Reads recipes: a base with every number and its reason, and what a profile says instead.

The base lies in training/configs/base/<name>.toml, the overlays beside it, a folder a profile:
`cpu` for two cores (the base itself), `gpu` for minutes of one GPU, `paper` for as long as the
papers took. A folder of recipes without a base holds whole recipes. A key that is unknown or
missing raises, so a misspelt hyper-parameter cannot be ignored.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from lotwise_training.config.errors import TrainingError

RECIPES: Final = Path(__file__).resolve().parents[2] / "configs"
"""Where the recipes lie in a source tree; an installed package is given its own."""
BASE: Final = "base"

Recipe = TypeVar("Recipe")
Table = dict[str, Any]


class RecipeError(TrainingError, ValueError):
    """A recipe that cannot be followed; the message names the file, the table and the key."""


def load_recipe(
    kind: type[Recipe], folder: Path, profile: str, name: str, changes: Sequence[str] = ()
) -> Recipe:
    """Read a recipe.

    Args:
        kind: A class of config/schema.py.
        folder: Of the recipes.
        profile: Folder within it.
        name: Of the file, such as "committee".
        changes: "key=value" each, the key dotted, the value in TOML; they override the files.

    Raises:
        RecipeError: There is no such profile, a file cannot be read, or a key is unknown, missing,
            of the wrong type or out of range.
    """
    if not (folder / profile).is_dir():
        profiles = ", ".join(sorted(each.name for each in folder.glob("*/") if each.name != BASE))
        raise RecipeError(f"no profile '{profile}' in {folder}; there are {profiles}")
    files = [folder / part / f"{name}.toml" for part in (BASE, profile)]
    files = [file for file in files if file.exists()] or files[1:]
    sources = [(f"{file.parent.name}/{file.name}", _read(file)) for file in files]
    sources += [(f"--set {change}", _parse_change(change)) for change in changes]
    document: Table = {}
    for _, table in sources:
        _overlay(document, table)
    try:
        return TypeAdapter(kind).validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise RecipeError(_describe(error, document, sources)) from None


def _read(path: Path) -> Table:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from None


def _parse_change(change: str) -> Table:
    key, equals, value = change.partition("=")
    if not key.strip() or not equals:
        raise RecipeError(f"--set {change}: write key=value, such as network.steps=500")
    try:
        return tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:
        try:  # a bare word is meant as text
            return tomllib.loads(f"{key} = {json.dumps(value.strip())}")
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"--set {change}: {error}") from None


def _overlay(below: Table, above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _overlay(below[key], value)
        else:
            below[key] = json.loads(json.dumps(value, default=str))  # a copy


def _describe(error: ValidationError, document: Table, sources: Sequence[tuple[str, Table]]) -> str:
    """The first fault, with the file that states the key last, the table and the key."""
    # A key that is unknown is often the one that is missing, misspelt.
    faults = sorted(error.errors(), key=lambda fault: fault["type"] == "missing")
    first = faults[0]
    keys = [str(part) for part in first["loc"] if not isinstance(part, int)]
    stated = [name for name, table in sources if _holds(table, keys)]
    where = ": ".join([(stated or [name for name, _ in sources])[-1], *keys[-2:-1]])
    key = keys[-1] if keys else ""
    match first["type"]:
        case "missing":
            what = f"missing key '{key}'"
        case "unexpected_keyword_argument":
            what = f"unknown key '{key}'"
        case "value_error":
            said = str(first["ctx"]["error"])
            if isinstance(first["ctx"]["error"], ValidationError):
                inner = first["ctx"]["error"].errors()[0]
                said = ": ".join([*map(str, inner["loc"]), inner["msg"]])
            what = said.replace("Value error, ", "")
            where = ": ".join([(stated or [name for name, _ in sources])[-1], *keys[-1:]])
        case _:
            what = f"{key}: {first['msg'].lower()}, not {first['input']!r}"
    return f"{where}: {what}"


def _holds(table: Mapping[str, Any], keys: Sequence[str]) -> bool:
    for key in keys:
        if not isinstance(table, Mapping) or key not in table:
            return False
        table = table[key]
    return True
