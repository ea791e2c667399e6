"""Where a store is: a path of a SQLite file, or the URL of a database."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, exc, make_url

from lotwise.store.failures import invalid, unreachable

_TLS: Final = ("disable", "require", "verify-ca", "verify-full")


@dataclass(frozen=True)
class Address:
    """A parsed address.

    Attributes:
        url: For SQLAlchemy, with its driver.
        connect_args: For the driver.
        file: Of SQLite; None where the store is no file.
        shown: For messages: without the password.
    """

    url: URL
    connect_args: dict[str, Any]
    file: Path | None
    shown: str

    @classmethod
    def parse(cls, given: str | Path) -> Address:
        """Understand a path, `sqlite:///path` or `postgresql://user:password@host/database`.

        Args:
            given: What the user named. PostgreSQL's may end with ?sslmode=... and
                &sslrootcert=..., as libpq's do.

        Raises:
            StoreError: STORE_INVALID or STORE_UNREACHABLE.
        """
        text = str(given)
        if "://" not in text:
            return cls._of_file(Path(text))
        try:
            url = make_url(text)
        except (exc.ArgumentError, ValueError):
            # The message of SQLAlchemy may hold the password.
            raise invalid(text.split("://")[0] + "://...", "the URL cannot be read") from None
        if url.get_backend_name() == "sqlite":
            if not url.database or url.database == ":memory:":
                raise invalid(str(text), "it would be lost when the program ends; name a file")
            return cls._of_file(Path(url.database))
        if url.get_backend_name() in ("postgresql", "postgres"):
            return cls._of_server(url)
        raise invalid(
            url.get_backend_name() + "://...", "only SQLite and PostgreSQL can hold a store"
        )

    @classmethod
    def _of_file(cls, file: Path) -> Address:
        url = URL.create("sqlite+pysqlite", database=str(file))
        return cls(url, {}, file, str(file))

    @classmethod
    def _of_server(cls, url: URL) -> Address:
        shown = url.set(query={}).render_as_string(hide_password=True)
        query = dict(url.query)
        mode, root = str(query.pop("sslmode", "")), str(query.pop("sslrootcert", ""))
        if mode and mode not in _TLS:
            raise unreachable(shown, f"sslmode={mode} is none of {', '.join(_TLS)}")
        if query:
            raise unreachable(shown, f"{', '.join(sorted(query))} cannot be stated in the URL")
        args: dict[str, Any] = {}
        if mode in _TLS[1:]:
            try:
                args["ssl_context"] = _tls(mode, root)
            except OSError as error:
                raise unreachable(shown, f"sslrootcert: {error}") from None
        return cls(url.set(drivername="postgresql+pg8000", query={}), args, None, shown)


def _tls(mode: str, root: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=root or None)
    context.check_hostname = mode == "verify-full"
    if mode == "require" and not root:  # as libpq: encrypted, to whoever answers
        context.verify_mode = ssl.CERT_NONE
    return context
