"""Brings a store's tables into being and up to date."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from lotwise.core.errors import NotFound
from lotwise.store.database import Database
from lotwise.store.failures import StoreError, invalid
from lotwise.store.schema import metadata

VERSION_TABLE: Final = "lotwise_schema"
"""Not alembic's own name: a database may hold more than a store."""
_SCRIPTS: Final = Path(__file__).with_name("migrations")
# Any number; all that create or migrate a store in one database take turns on it.
_ADVISORY_LOCK: Final = 0x10_7715E
_CREATION_TRIES: Final = 50


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The newest version of the schema that this Lotwise knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None
    return found


def known_versions() -> frozenset[str]:
    """All versions of the schema that this Lotwise can read or bring up to date."""
    return frozenset(
        each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions()
    )


def version_of(connection: Connection, shown: str) -> str | None:
    """The schema's version; None where there are no tables yet.

    Args:
        connection: To the store.
        shown: Its address, for messages.

    Raises:
        StoreError: STORE_INVALID or STORE_NEWER.
    """
    present = set(sa.inspect(connection).get_table_names())
    if VERSION_TABLE in present:
        version = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
        if version is None:
            raise invalid(shown, "it does not say which version of the schema it has")
        check_known(str(version), shown)
        return str(version)
    # A file holds a store alone; a server's database may hold more, if no table is named alike.
    foreign = present if connection.dialect.name == "sqlite" else present & set(metadata.tables)
    if foreign:
        raise invalid(
            shown, f"it holds tables of something else ({', '.join(sorted(foreign)[:5])})"
        )
    return None


def check_known(version: str, shown: str) -> None:
    """Refuse a schema that this Lotwise does not know.

    Args:
        version: Of the schema.
        shown: What has it, for the message.

    Raises:
        StoreError: STORE_NEWER.
    """
    if version not in known_versions():
        raise StoreError(
            "STORE_NEWER",
            f"{shown} was written by a newer Lotwise (schema {version}; this one knows {head()} "
            "and older). Update Lotwise here.",
        )


def prepare(database: Database, *, create: bool, to: str = "head") -> None:
    """See that the store has the tables of this version.

    Args:
        database: Of the store.
        create: Whether to create them where there are none, and to bring older ones up to date.
        to: Version to stop at.

    Raises:
        NotFound: STORE_MISSING.
        StoreError: STORE_OLDER, STORE_NEWER, STORE_INVALID, ...
    """
    file = database.address.file
    if file is not None:
        _check_file(file, create=create)
    with database.reading() as connection:
        version = version_of(connection, database.shown)
    if version == head():
        return
    if not create:
        _refuse(version, database.shown)
    if version is None and database.is_sqlite:
        _set_up_file(database)
    if version is None and not database.is_sqlite:
        _check_encoding(database)
    database.writing(lambda connection: _upgrade(connection, database.shown, to))


def found_version(database: Database) -> str:
    """The version of a store that is there.

    Args:
        database: Of the store.

    Raises:
        NotFound: STORE_MISSING.
        StoreError: As of `prepare`.
    """
    if database.address.file is not None:
        _check_file(database.address.file, create=False)
    with database.reading() as connection:
        version = version_of(connection, database.shown)
    if version is None:
        raise _empty(database.shown)
    return version


def _empty(shown: str) -> NotFound:
    return NotFound("STORE_MISSING", f"{shown} is empty. Name a store, or create it first.")


def _check_file(file: Path, *, create: bool) -> None:
    # SQLite itself would create the file, and says nothing useful of a missing folder.
    if file.is_dir():
        raise invalid(str(file), "it is a folder; name a file in it")
    if file.exists():
        return
    if not create:
        raise NotFound(
            "STORE_MISSING", f"There is no store at {file}. Name one, or create it first."
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            "STORE_UNREACHABLE", f"The store's folder cannot be made: {error}. Name another."
        ) from error


def _refuse(version: str | None, shown: str) -> None:
    if version is None:
        raise _empty(shown)
    raise StoreError(
        "STORE_OLDER",
        f"{shown} was written by an older Lotwise (schema {version}). Make a copy and run "
        "`lotwise store migrate`.",
    )


def _set_up_file(database: Database) -> None:
    """Settings that live in the file."""
    for attempt in range(1, _CREATION_TRIES + 1):
        try:
            with database.outside_transactions() as connection:
                connection.exec_driver_sql("PRAGMA auto_vacuum = INCREMENTAL")
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except StoreError as error:
            # Another program creates the store at this moment. SQLite does not wait here.
            if error.reason != "STORE_BUSY" or attempt == _CREATION_TRIES:
                raise
            time.sleep(0.1)


def _check_encoding(database: Database) -> None:
    with database.reading() as connection:
        encoding = connection.execute(sa.text("SHOW server_encoding")).scalar()
    if encoding != "UTF8":
        raise invalid(database.shown, f"its encoding is {encoding}; create a database with UTF8")


def _upgrade(connection: Connection, shown: str, to: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    # Again, now that nobody else can change it.
    version_of(connection, shown)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
