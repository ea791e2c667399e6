"""What docs/store.md shows works, and names all tables and commands."""

import re

from lotwise.cli.store import app
from lotwise.store import Store
from lotwise.store.schema import metadata
from tests.support.triton import ROOT

TEXT = (ROOT / "docs/store.md").read_text(encoding="utf-8")


def test_the_example_screens_a_lot(tmp_path, monkeypatch):
    (block,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # all of it may be done again
        exec(compile(block, "docs/store.md", "exec"), {})
    with Store.open(".lotwise/store.sqlite") as store:
        (screening,) = store.screenings()
        assert screening.outcome.verdict == "accept"
        assert store.progress(screening.key).pending == 0
        assert store.deliveries(undelivered=True) == []
        assert len(store.deliveries()) == 1


def test_every_table_and_every_command_has_its_row():
    rows = set(re.findall(r"^\| `([a-z ]+)", TEXT, re.MULTILINE))
    assert set(metadata.tables) <= rows
    verbs = {command.callback.__name__ for command in app.registered_commands}
    assert {f"lotwise store {verb}" for verb in verbs} <= {row.strip() for row in rows}
