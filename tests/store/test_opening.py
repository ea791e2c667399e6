"""Opening: new stores, older and newer ones, and what is no store at all."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from lotwise.core.errors import NotFound
from lotwise.store import Store, StoreError
from lotwise.store.address import Address
from lotwise.store.database import Database
from lotwise.store.migrating import VERSION_TABLE, head, prepare
from lotwise.store.schema import metadata
from tests.support.postgres import PASSWORD
from tests.support.stores import fill, found, screened


def reason_of_opening(address, **options):
    with pytest.raises((StoreError, NotFound)) as refused:
        Store.open(address, **options)
    assert PASSWORD not in refused.value.message
    return refused.value.reason


def run(address, *statements):
    """Statements beside the store."""
    database = Database(Address.parse(address), 5)
    for statement in statements:
        database.writing(lambda connection, s=statement: connection.execute(sa.text(s)))
    database.close()


def test_a_store_is_created_once_and_found_again(new_address, kind):
    address = new_address(kind)
    assert reason_of_opening(address) == "STORE_MISSING"
    with Store.open(address, create=True) as store:
        assert store.schema == head()
        fill(store, 3)
    for create in (False, True):
        with Store.open(address, create=create) as store:
            assert store.lots()[0].tiles == 3


def test_a_missing_store_is_not_made_by_looking(tmp_path):
    path = tmp_path / "folder" / "store.sqlite"
    assert reason_of_opening(path) == "STORE_MISSING"
    assert list(tmp_path.iterdir()) == []
    Store.open(path, create=True).close()
    assert path.exists()


def test_an_empty_file_is_no_store_yet(tmp_path):
    path = tmp_path / "store.sqlite"
    path.touch()
    assert reason_of_opening(path) == "STORE_MISSING"
    Store.open(path, create=True).close()


def test_migrations_make_the_tables_that_the_code_knows(new_address, kind):
    with (
        Store.open(new_address(kind), create=True) as store,
        store.database.reading() as connection,
    ):
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        checks = sa.inspect(connection).get_check_constraints("results")
        assert len(checks) == 1


def test_an_older_store_is_brought_up_to_date_with_all_it_holds(new_address, kind):
    address = new_address(kind)
    database = Database(Address.parse(address), 5)
    prepare(database, create=True, to="0001")
    database.close()
    times = "'2026-11-01 12:00:00.000000'"
    insert = (
        f"INSERT INTO lots (name, source, simulated, first_seen) VALUES ('R01', '/', {{}}, {times})"
    )
    run(address, insert.format("false" if kind == "postgresql" else "0"))
    assert reason_of_opening(address) == "STORE_OLDER"
    assert Store.migrate(address) == ("0001", head())
    assert Store.migrate(address) == (head(), head())
    with Store.open(address) as store:
        assert store.lots()[0].key.name == "R01"
        screened(store, name="R02", notify={"lims": {}})
        assert len(store.deliveries()) == 1


def test_what_creates_also_brings_up_to_date(new_address, kind):
    address = new_address(kind)
    database = Database(Address.parse(address), 5)
    prepare(database, create=True, to="0001")
    database.close()
    with Store.open(address, create=True) as store:
        assert store.deliveries() == []


def test_a_missing_store_is_not_migrated(new_address, kind):
    with pytest.raises(NotFound) as missing:
        Store.migrate(new_address(kind))
    assert missing.value.reason == "STORE_MISSING"


def test_a_newer_store_is_left_alone(address):
    run(address, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for options in ({}, {"create": True}):
        assert reason_of_opening(address, **options) == "STORE_NEWER"
    with pytest.raises(StoreError) as refused:
        Store.migrate(address)
    assert refused.value.reason == "STORE_NEWER"
    assert "9999" in refused.value.message


@pytest.mark.parametrize("create", [True, False])
def test_other_files_are_refused_and_left_as_they_are(tmp_path, create):
    text = tmp_path / "notes.sqlite"
    text.write_text("These are notes, and no database at all. " * 100)
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE customers (name TEXT)")
    connection.commit()
    connection.close()
    for path in (text, other):
        before = path.read_bytes()
        assert reason_of_opening(path, create=create) == "STORE_INVALID"
        assert path.read_bytes() == before
    assert reason_of_opening(tmp_path, create=create) == "STORE_INVALID"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["notes.sqlite", "other.sqlite"]


def test_a_damaged_file_is_said_to_be(address, kind):
    if kind == "postgresql":
        pytest.skip("of files alone")
    with Store.open(address) as store:
        fill(store, 2000)
    content = bytearray(Path(address).read_bytes())
    content[8192:-8192] = b"\xa5" * (len(content) - 16384)
    Path(address).write_bytes(content)
    with pytest.raises(StoreError) as refused, Store.open(address) as store:
        store.add_tiles(store.lots()[0].key, [found(at) for at in range(3000)])
    assert refused.value.reason == "STORE_INVALID"


def test_a_version_table_without_a_version_is_no_store(address):
    run(address, f"DELETE FROM {VERSION_TABLE}")
    assert reason_of_opening(address, create=True) == "STORE_INVALID"


def test_a_database_with_tables_of_another_program(new_address):
    address = new_address("postgresql")
    run(address, "CREATE TABLE customers (name TEXT)")
    Store.open(address, create=True).close()
    address = new_address("postgresql")
    run(address, "CREATE TABLE lots (name TEXT)")
    assert reason_of_opening(address, create=True) == "STORE_INVALID"


def test_servers_that_do_not_let_us_in(server, new_address):
    address = new_address("postgresql")
    name = address.rsplit("/", 1)[-1]
    wrong = [
        server.url(name, password="wrong"),
        server.url("no_such_database"),
        server.url(name, user="nobody"),
        address.replace(f":{server.port}/", ":1/"),
        address + "?sslmode=require",  # this server has no TLS
        address + "?sslmode=perhaps",
        address + "?colour=red",
        address + "?sslmode=verify-full&sslrootcert=/no/such/file",
    ]
    assert [reason_of_opening(each, create=True) for each in wrong] == ["STORE_UNREACHABLE"] * 8
    Store.open(address + "?sslmode=disable", create=True).close()


def test_a_database_of_another_encoding_is_refused(server):
    server.run(
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    assert reason_of_opening(server.url("latin"), create=True) == "STORE_INVALID"


@pytest.mark.parametrize(
    "address", ["mysql://user:secret@host/x", "sqlite://", "postgresql://user:secret@host:port/x"]
)
def test_addresses_that_name_no_store(address):
    with pytest.raises(StoreError) as refused:
        Store.open(address, create=True)
    assert refused.value.reason == "STORE_INVALID"
    assert "secret" not in refused.value.message


def test_a_url_and_a_path_name_the_same_file(tmp_path):
    path = tmp_path / "store.sqlite"
    Store.open(f"sqlite:///{path}", create=True).close()
    with Store.open(path) as store:
        assert store.shown == str(path)


def test_a_password_is_not_shown(address, kind):
    with Store.open(address) as store:
        assert PASSWORD not in store.shown
        assert (":***@" in store.shown) == (kind == "postgresql")


def test_a_store_that_another_program_holds_is_waited_for(address, kind):
    holder = Database(Address.parse(address), 5)
    with Store.open(address, busy_s=0.2) as store, holder.engine.connect() as holding:
        holding = holding.execution_options(lotwise_writes=True)
        with holding.begin() as transaction:
            if kind == "postgresql":
                holding.execute(sa.text("LOCK TABLE lots IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(StoreError) as busy:
                store.register_lot("R01", "/lots/R01")
            assert busy.value.reason == "STORE_BUSY"
            transaction.rollback()
        store.register_lot("R01", "/lots/R01")
    holder.close()


def test_results_survive_a_loss_of_power(address, kind):
    """By what the database is asked for; the loss itself cannot be tried here."""
    with Store.open(address) as store, store.database.reading() as connection:
        if kind == "sqlite":
            asked = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
            assert asked == ["wal", 2, 1]
        else:
            assert connection.execute(sa.text("SHOW synchronous_commit")).scalar() == "on"


def test_a_server_that_was_restarted_is_found_again(server, new_address):
    with Store.open(new_address("postgresql", ready=True)) as store:
        fill(store, 3)
        name = store.database.address.url.database
        server.run(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        assert store.lots()[0].tiles == 3


def test_a_connection_that_breaks_within_a_call_is_an_error_and_nothing_is_kept(
    server, new_address
):
    with Store.open(new_address("postgresql", ready=True)) as store:
        fill(store, 3)
        name = store.database.address.url.database

        def work(connection):
            connection.execute(sa.text("DELETE FROM tiles"))
            server.run(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )
            connection.execute(sa.text("DELETE FROM lots"))

        with pytest.raises(StoreError) as broken:
            store.database.writing(work)
        assert broken.value.reason == "STORE_UNREACHABLE"
        assert store.lots()[0].tiles == 3
