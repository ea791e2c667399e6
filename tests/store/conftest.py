import itertools
import shutil

import pytest

from lotwise.store import Store
from tests.support import postgres
from tests.support.stores import Clock

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server():
    """A real PostgreSQL."""
    with postgres.running() as running:
        yield running


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory):
    """An empty store, to be copied: its migrations take longer than a test."""
    path = tmp_path_factory.mktemp("empty") / "store.sqlite"
    Store.open(path, create=True).close()
    return path


@pytest.fixture(scope="session")
def empty_database(server):
    """The same in PostgreSQL."""
    server.run("CREATE DATABASE empty")
    Store.open(server.url("empty"), create=True).close()
    return "empty"


@pytest.fixture
def new_address(tmp_path, request):
    """Makes addresses in SQLite or PostgreSQL, of empty stores or of none yet."""
    made = []

    def make(kind, *, ready=False):
        name = f"store_{next(_NUMBERS)}"
        if kind == "sqlite":
            path = tmp_path / f"{name}.sqlite"
            if ready:
                shutil.copy(request.getfixturevalue("empty_file"), path)
            return str(path)
        server = request.getfixturevalue("server")
        like = request.getfixturevalue("empty_database") if ready else "template0"
        server.run(f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY file_copy")
        made.append((server, name))
        return server.url(name)

    yield make
    for server, name in made:
        server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request):
    return request.param


@pytest.fixture
def address(new_address, kind):
    """Of an empty store."""
    return new_address(kind, ready=True)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(address, clock):
    with Store.open(address, clock=clock, busy_s=10) as opened:
        yield opened
