"""`lot.json` beside the tiles of a lot: what the image files do not say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lotwise.core.errors import InvalidRequest

SIDECAR: Final = "lot.json"
COMPLETE: Final = "COMPLETE"
"""Name of the empty file beside a lot's tiles that says that no more of them come."""
NOT_TILES: Final = frozenset(
    {".json", ".csv", ".txt", ".hdr", ".xml", ".ini", ".md", ".db", ".log"}
)
"""Endings of what instruments write beside the tiles. All else is tried: the content decides."""


class LotSidecar(BaseModel):
    """What `lot.json` may say. All of it is optional.

    Attributes:
        lot_id: Name of the lot.
        um_per_px: Edge length of a pixel in micrometres.
        simulated: Whether the lot is no real one.
        attributes: Of the material, by name, each 0 to 1 over the range that models were designed
            for, as experts score them; what to change can be searched from there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lot_id: str = ""
    um_per_px: float | None = Field(default=None, gt=0)
    simulated: bool = False
    attributes: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)


def read_lot_sidecar(folder: Path) -> LotSidecar:
    """What the `lot.json` of a lot's folder says; nothing where there is none.

    Raises:
        InvalidRequest: LOT_SIDECAR_INVALID; TILES_UNREADABLE where the folder may not be read.
    """
    path = folder / SIDECAR
    try:
        if not path.is_file():
            return LotSidecar()
        return LotSidecar.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidRequest(
            "TILES_UNREADABLE", f"{path} cannot be read: {error.strerror or error}."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        what = ": ".join([*map(str, first["loc"]), first["msg"]])
        raise InvalidRequest("LOT_SIDECAR_INVALID", f"{path}: {what}. Correct it.") from None
