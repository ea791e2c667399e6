"""Commands that work in a workspace: the options that they share, stated once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_type_hints

from lotwise_training.cli.options import (
    HOME,
    Changes,
    Home,
    Profile,
    Recipes,
    RunName,
    explained,
)
from lotwise_training.config.load import RECIPES

SHARED: Final = {
    "profile": (Profile, "cpu"),
    "recipes": (Recipes, RECIPES),
    "changes": (Changes, None),
    "home": (Home, HOME),
    "run": (RunName, ""),
}


def in_workspace(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose first argument, a `Workspace`, becomes the options that make one.

    Args:
        function: Takes a workspace, then options of its own. Its errors are explained.
    """

    @functools.wraps(function)
    def command(
        *,
        profile: str = "cpu",
        recipes: Path = RECIPES,
        changes: list[str] | None = None,
        home: Path = HOME,
        run: str = "",
        **own: Any,
    ) -> None:
        with explained():
            # Here, because no other command should wait for the simulator.
            from lotwise_training.pipelines.workspace import Workspace

            function(Workspace(home, recipes, profile, tuple(changes or ()), run), **own)

    own = list(inspect.signature(function).parameters.values())[1:]
    hints = get_type_hints(function, localns={"Workspace": object}, include_extras=True)
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in SHARED.items()
    ]
    parameters = [
        each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for each in own
    ]
    # What typer reads; positional arguments are told by their annotations.
    command.__signature__ = inspect.Signature([*parameters, *shared])  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in [*parameters, *shared]}
    return command
