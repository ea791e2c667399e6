"""Lotwise: property, uncertainty, referral and explanation of materials lots from SEM tiles.

from lotwise import Client

with Client() as lotwise:
    print(lotwise.predict("tile.tif").mpa)

The names below come from `lotwise.client` when they are first asked for, so that importing a part
of Lotwise does not bring gRPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lotwise.client import AsyncClient, Client, LotwiseError, Tile, TileFailure

__all__ = ["AsyncClient", "Client", "LotwiseError", "Tile", "TileFailure"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lotwise' has no attribute '{name}'")
    from lotwise import client

    return getattr(client, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
