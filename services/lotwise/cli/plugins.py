"""Verbs that come from elsewhere: `lotwise simulate` is the simulator's, which nothing here knows.

An entry point of the group `lotwise.commands` names a function that typer can make a verb of. It
is imported only when its verb or the list of all verbs is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import typer
from typer.core import TyperGroup

from lotwise.cli.options import fail

GROUP: Final = "lotwise.commands"


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


class Commands(TyperGroup):
    """The verbs of this package, then those of the entry points."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, our own first."""
        own = super().list_commands(ctx)
        return [*own, *(name for name in sorted(_entry_points()) if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb of this name; None where there is none."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        point = _entry_points().get(cmd_name)
        return None if point is None else _command(point)


def _command(point: EntryPoint) -> Any:
    verb = typer.Typer(add_completion=False)
    try:
        verb.command(point.name)(point.load())
    except ImportError as missing:
        anything = {"allow_extra_args": True, "ignore_unknown_options": True}
        verb.command(point.name, context_settings=anything)(_absent(point, missing))
    return typer.main.get_command(verb)


def _absent(point: EntryPoint, missing: ImportError) -> Callable[..., None]:
    """What stands for a verb whose packages are not installed."""
    extra = f"lotwise[{point.extras[0]}]" if point.extras else point.module.split(".")[0]

    def absent() -> None:
        fail(
            f"`lotwise {point.name}` needs more packages ({missing}). Run `pip install '{extra}'`."
        )

    absent.__doc__ = f"Needs more packages: pip install '{extra}'."
    return absent
