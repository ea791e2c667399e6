"""lotwise store ..."""

import json
import subprocess
import sys
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lotwise.cli import app
from lotwise.cli.options import out
from lotwise.store import Store
from lotwise.store.store import now_utc
from tests.support.postgres import PASSWORD
from tests.support.stocked import ODD
from tests.support.stores import Clock, begin, fill, found, screened, work_off


@pytest.fixture
def address(new_address, kind):
    """Of a store with two lots of one name, and one that was screened in 2020."""
    address, clock = new_address(kind, ready=True), Clock()
    with Store.open(address) as store:
        screened(store, 4, "R01", "/monday", notify={"lims": {}})
        screening = begin(store, fill(store, 3, "R01", "/tuesday"))
        work_off(store, screening, decide=lambda tile: "refer")
        lot = store.register_lot("odd <b>[red]\n\udc80", "/odd", simulated=True)
        store.add_tiles(lot, [found(1, path=ODD)])
    clock.time = clock.time.replace(year=2020)
    with Store.open(address, clock=clock) as store:
        screened(store, 2, "old", "/old")
    return address


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setattr(out, "_width", 120)


def run(verb, *arguments, store, code=0):
    """In this process, as a new one takes a second to start."""
    words = ["store", *verb.split(), *map(str, arguments)]
    done = CliRunner().invoke(app, words, env={"LOTWISE_STORE": str(store)})
    assert done.exit_code == code, done.output
    assert PASSWORD not in done.output
    return done


def lines_of(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_info_tells_lots_apart_and_stays_plain(address, kind):
    said = (run("info", store=address)).stdout
    assert ("PostgreSQL" if kind == "postgresql" else "MiB") in said
    assert "R01 (/monday)" in said
    assert "R01 (/tuesday)" in said
    assert "odd <b>[red]\\n\\udc80 simulated" in said
    assert "ACCEPT" in said
    assert "Not delivered to lims after 0 attempts" in said
    (about,) = lines_of(run("info", "--json", store=address))
    assert about["schema"] == "0002"
    assert (about["size_bytes"] is None) == (kind == "postgresql")
    by = {(each["lot"], each["source"]): each for each in about["lots"]}
    assert by["R01", "/monday"]["screening"]["verdict"] == "accept"
    assert by["R01", "/tuesday"]["screening"]["finished"] is None
    assert by["R01", "/tuesday"]["screening"]["referred"] == 3
    assert by["odd <b>[red]\n\udc80", "/odd"]["screening"] is None
    assert [each["target"] for each in about["undelivered"]] == ["lims"]


def test_export(address, tmp_path):
    path = tmp_path / "r.parquet"
    assert "9 results" in (run("export", path, store=address)).stdout
    assert pq.read_table(path).num_rows == 9
    path = tmp_path / "r.txt"
    arguments = ("--format", "csv", "--lot", "R01", "--source", "/tuesday", "--json")
    (said,) = lines_of(run("export", path, *arguments, store=address))
    assert said == {"file": str(path), "rows": 3}
    refused = run("export", path, store=address, code=1)
    assert "--format" in refused.stderr
    refused = run("export", tmp_path / "x.csv", "--lot", "R01", store=address, code=1)
    assert "LOT_AMBIGUOUS" in refused.stderr
    refused = run("export", tmp_path / "no" / "x.csv", store=address, code=1)
    assert "OUTPUT_UNWRITABLE" in refused.stderr


def test_backup_and_restore(address, tmp_path):
    archive, copy = tmp_path / "b.zip", tmp_path / "new" / "store.sqlite"
    assert "4 lots with 10 tiles" in (run("backup", archive, store=address)).stdout
    assert "4 lots with 10 tiles" in (run("restore", archive, store=copy)).stdout
    refused = run("restore", archive, store=copy, code=1)
    assert "STORE_NOT_EMPTY" in refused.stderr
    archive.write_bytes(archive.read_bytes()[:-100])
    refused = run("restore", archive, store=tmp_path / "other.sqlite", code=1)
    assert "BACKUP_INVALID" in refused.stderr


def test_prune_says_what_goes_before_it_goes(address):
    dry = run("prune", "--older-than", 365, "--dry-run", store=address)
    assert "would go" in dry.stdout
    with Store.open(address) as store:
        assert len(store.lots()) == 4
    (said,) = lines_of(run("prune", "--before", "2021-01-01", "--json", store=address))
    assert (said["lot"], said["goes"], said["dry_run"]) == ("old", True, False)
    tomorrow = f"{now_utc() + timedelta(days=1):%Y-%m-%d}"
    stays = (run("prune", "--before", tomorrow, store=address)).stdout
    assert "stays: 1 notifications not delivered" in stays
    with Store.open(address) as store:
        assert {lot.key.source for lot in store.lots()} == {"/monday", "/tuesday", "/odd"}
    assert "No lot" in (run("prune", "--before", "2021-01-01", store=address)).stdout
    for arguments in ((), ("--older-than", 3, "--before", "2021-01-01")):
        assert "State either" in (run("prune", *arguments, store=address, code=1)).stderr


def test_relocate(address, tmp_path):
    refused = run("relocate", "old", tmp_path, store=address, code=1)
    assert "LOT_DIFFERS" in refused.stderr
    refused = run("relocate", "nobody", tmp_path, store=address, code=1)
    assert "LOT_UNKNOWN" in refused.stderr
    with Store.open(address) as store:
        store.register_lot("empty", "/nowhere")
    moved = run("relocate", "empty", tmp_path, "--json", store=address)
    assert lines_of(moved) == [{"lot": "empty", "was": "/nowhere", "source": str(tmp_path)}]


def test_migrate(address):
    assert "is up to date" in (run("migrate", store=address)).stdout


def test_a_store_that_is_not_there(tmp_path):
    for verb in ("info", "migrate", "backup x.zip"):
        refused = run(verb, store=tmp_path / "store.sqlite", code=1)
        assert "STORE_MISSING" in refused.stderr
    assert list(tmp_path.iterdir()) == []
    url = f"postgresql://me:{PASSWORD}@127.0.0.1:1/x"
    refused = run("info", store=url, code=1)
    assert "STORE_UNREACHABLE: The store postgresql://me:***@127.0.0.1:1/x" in refused.stderr


def test_without_the_packages_the_command_says_which_extra_is_missing(tmp_path):
    """The command line itself works without them, as where only the services are installed."""
    program = (
        "import sys\n"
        "for name in ('sqlalchemy', 'alembic', 'pyarrow', 'pg8000'): sys.modules[name] = None\n"
        "sys.argv = ['lotwise', *sys.argv[1:]]\n"
        "from lotwise.cli import main\n"
        "main()\n"
    )

    def run_without(*arguments):
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip

    assert run_without("--help").returncode == 0
    for arguments in (["info"], ["migrate"]):
        done = run_without("store", *arguments)
        assert done.returncode == 1
        assert "pip install 'lotwise[screening]'" in done.stderr


def test_every_verb_answers_in_json():
    for verb in ("info", "export", "backup", "restore", "prune", "relocate", "migrate"):
        told = CliRunner().invoke(app, ["store", verb, "--help"], env={"COLUMNS": "120"}).output
        assert "--json" in told, verb
        assert "LOTWISE_STORE" in told, verb
        assert ".lotwise/store.sqlite" in told, verb
