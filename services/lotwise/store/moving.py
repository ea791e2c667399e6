"""A lot whose folder has moved."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from lotwise.core.errors import Contradiction, InvalidRequest
from lotwise.store.lots import MAX_PATH_BYTES, check_lot
from lotwise.store.rows import LotKey
from lotwise.store.schema import lots, tiles
from lotwise.store.store import Store

SAMPLE: Final = 20


def relocate(store: Store, lot: LotKey, folder: Path, *, sample: int = SAMPLE) -> LotKey:
    """Say that a lot's folder is now another one. Its tiles are relative to it, so they follow.

    Args:
        store: That holds the lot.
        lot: That has moved.
        folder: Where it is now; its whole path becomes the lot's source.
        sample: Tiles, at least one, whose content must be the same there.

    Raises:
        NotFound: LOT_UNKNOWN.
        InvalidRequest: LOT_MISSING or LOT_NAME_INVALID.
        Contradiction: LOT_DIFFERS: other files, or LOT_TWICE: the store has this lot there already.
        StoreError: As of `Store.open`.
    """
    if not folder.is_dir():
        raise InvalidRequest("LOT_MISSING", f"{folder} is no folder. Name where the lot is now.")
    source = str(folder.resolve())
    if len(source.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        raise InvalidRequest("LOT_NAME_INVALID", f"{source[:100]}... is too long a path.")
    for path, sha256 in _sample(store, lot, max(1, sample)):
        _check(folder / path, sha256)

    def work(connection: Connection) -> None:
        try:
            connection.execute(sa.update(lots).where(lots.c.id == lot.id).values(source=source))
        except exc.IntegrityError:
            raise Contradiction(
                "LOT_TWICE",
                f"The store has a lot {lot.name!r} from {source} already. It stays as it is.",
            ) from None

    store.database.writing(work)
    return LotKey(lot.id, lot.name, source)


def _sample(store: Store, lot: LotKey, size: int) -> list[tuple[str, str]]:
    """Paths and hashes of some tiles, the same ones each time."""
    query = (
        sa.select(tiles.c.path, tiles.c.sha256)
        .where(tiles.c.lot_id == lot.id)
        .order_by(tiles.c.sha256)  # as good as drawn at random
        .limit(size)
    )
    with store.database.reading() as connection:
        check_lot(connection, lot)
        found = connection.execute(query)
        return [(row.path, row.sha256) for row in found]


def _check(path: Path, sha256: str) -> None:
    try:
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        wrong = "" if same else "has other content"
    except OSError as error:
        wrong = f"cannot be read ({error.strerror})"
    if wrong:
        raise Contradiction(
            "LOT_DIFFERS",
            f"{path} {wrong}, so this is not the lot that was screened. Nothing was changed.",
        )
