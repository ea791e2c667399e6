"""The one way in which this package compiles its inner loops."""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a loop over arrays with numba, and keep the result on disk beside the module.

    Single-threaded, so that callers may use a process a core. Without ``fastmath``: sums keep their
    order, and a seed its tiles. numba ships no types; the cast says once what holds everywhere.
    """
    return cast(Function, njit(cache=True)(function))
