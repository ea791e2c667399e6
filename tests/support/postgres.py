"""A real PostgreSQL that tests start, as a user that may run it, and stop."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pg8000.dbapi
import pytest

from tests.support.ports import free_port

USER, PASSWORD = "lotwise", "s3cret-of-tests"
PROGRAMS = ("initdb", "postgres")


@dataclass(frozen=True)
class Postgres:
    port: int
    process: subprocess.Popen

    def url(self, database="postgres", password=PASSWORD, user=USER):
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def run(self, *statements, database="postgres"):
        """Statements outside of transactions, as whoever runs the server."""
        connection = pg8000.dbapi.connect(
            USER, host="127.0.0.1", port=self.port, password=PASSWORD, database=database
        )
        try:
            connection.autocommit = True
            for statement in statements:
                connection.cursor().execute(statement)
        finally:
            connection.close()


def _programs():
    """Where initdb and postgres are; Debian keeps them out of PATH."""
    places = [Path(folder) for folder in os.environ.get("PATH", "").split(":") if folder]
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    places = [*sorted(debian, key=lambda path: int(path.parent.name), reverse=True), *places]
    for place in places:
        if all(os.access(place / program, os.X_OK) for program in PROGRAMS):
            return place
    return None


def _without(what):
    """Skips for a user and fails in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"CI needs {what}")
    pytest.skip(f"no {what}")


def _user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    return _without("user to run PostgreSQL as")


def _started(programs, folder, who, options):
    port = free_port()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [
                programs / "postgres", "-D", folder / "data", "-k", folder,
                "-h", "127.0.0.1", "-p", str(port), *options,
            ],
            cwd=folder, stdout=log, stderr=log, **who,
        )  # fmt: skip
    server = Postgres(port, process)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            server.run("SELECT 1")
        except (pg8000.dbapi.Error, OSError):
            time.sleep(0.1)
        else:
            return server
    stop(process)
    raise AssertionError((folder / "log").read_text(errors="replace"))


def stop(process):
    """End this server and no other: SIGINT is its fast shutdown."""
    if process.poll() is None:
        process.send_signal(2)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running():
    """A server of its own in a temporary folder."""
    programs = _programs()
    if programs is None:
        _without("PostgreSQL: scripts/install-system, with LOTWISE_WITH_POSTGRESQL=1, brings it")
    who = _user()
    folder = Path(tempfile.mkdtemp(prefix="lotwise-postgres-"))
    try:
        if who:
            os.chown(folder, who["user"], who["group"])
        password = folder / "password"
        password.write_text(PASSWORD)
        if who:
            os.chown(password, who["user"], who["group"])
        made = subprocess.run(
            [
                programs / "initdb", "-D", folder / "data", "-U", USER, "-E", "UTF8",
                "--locale", "C.UTF-8", "--auth", "scram-sha-256", "--pwfile", password, "--no-sync",
            ],
            cwd=folder, capture_output=True, text=True, check=False, **who,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        # Its own crashes are not what is tested here.
        options = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=50"]
        server = _started(programs, folder, who, options)
        try:
            yield server
        finally:
            stop(server.process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
