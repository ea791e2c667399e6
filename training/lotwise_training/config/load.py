"""Reads recipes: a TOML file each.

The file lists every key with its reason, and a key that is unknown or missing raises, so a misspelt
hyper-parameter cannot be ignored. The files lie in training/configs/, a folder a profile: `cpu` for
two cores, `paper` for a GPU.
"""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args, get_origin, get_type_hints

RECIPES: Final = Path(__file__).resolve().parents[2] / "configs"
"""Where the recipes lie in a source tree; an installed package is given its own."""

Recipe = TypeVar("Recipe")


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message names the file, the table and the key."""


def load_recipe(kind: type[Recipe], path: Path) -> Recipe:
    """Read a recipe file.

    Args:
        kind: A recipe dataclass.
        path: TOML file.

    Raises:
        RecipeError: The file cannot be read, or a key is unknown, missing, of the wrong type or out
            of range.
    """
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from None
    return _build(kind, document, f"{path.parent.name}/{path.name}")


def _build(kind: type[Recipe], table: Any, where: str) -> Recipe:
    if not isinstance(table, dict):
        raise RecipeError(f"{where}: must be a table")
    hints = get_type_hints(kind)
    unknown = sorted(table.keys() - hints.keys())
    if unknown:
        raise RecipeError(f"{where}: unknown key '{unknown[0]}'; keys are {', '.join(hints)}")
    defaults = {
        f.name for f in dataclasses.fields(cast(Any, kind)) if f.default is not dataclasses.MISSING
    }
    missing = [name for name in hints if name not in table and name not in defaults]
    if missing:
        raise RecipeError(f"{where}: missing key '{missing[0]}'")
    values = {n: _convert(hints[n], value, f"{where} {n}") for n, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise RecipeError(f"{where}: {error}") from None


def _convert(hint: Any, value: Any, where: str) -> Any:
    """A TOML value as the type that a field asks for; nothing is coerced but int to float."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise RecipeError(f"{where}: must be a list, not {value!r}")
        inner = get_args(hint)
        if inner[-1] is Ellipsis:
            inner = (inner[0],) * len(value)
        if len(inner) != len(value):
            raise RecipeError(f"{where}: must have {len(inner)} entries, not {value!r}")
        return tuple(_convert(item, entry, where) for item, entry in zip(inner, value, strict=True))
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise RecipeError(f"{where}: must be {hint.__name__}, not {value!r}")
    return value
