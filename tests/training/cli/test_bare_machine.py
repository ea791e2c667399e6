"""What works on a machine without the packages of serving, or without torch."""

import re
import subprocess
import sys

import pytest

from tests.support.triton import ROOT
from tests.training.commands import LOTS, write_grey_lots

SERVING = ("grpc", "tritonclient", "prometheus_client", "pydantic_settings", "pythonjsonlogger")
WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Absent())
from lotwise_training.cli.app import app
app(sys.argv[1:])
"""


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_trainings_import_nothing_that_only_serving_needs():
    # What the script looks for before it trains, in a process of its own: this one has them all.
    script = (ROOT / "scripts" / "train-on-gpu").read_text(encoding="utf-8").replace("\\\n", "")
    (imports,) = re.findall(r'-c "(import lotwise_training[^"]+)"', script)
    ended = run(f"import sys; sys.modules.update(dict.fromkeys({SERVING!r})); {imports}")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("command", [(), ("committee",), ("plan", "tiles"), ("export",)])
def test_help_needs_no_torch(command):
    ended = run(WITHOUT_TORCH, *command, "--help")
    assert ended.returncode == 0, ended.stderr
    assert "Usage" in ended.stdout


def test_lots_are_read_without_torch(tmp_path):
    folder = write_grey_lots(tmp_path / "lots")
    ended = run(WITHOUT_TORCH, "lots", folder, "--home", tmp_path / "home")
    assert ended.returncode == 0, ended.stderr
    assert all(lot in ended.stdout for lot in LOTS)


def test_a_training_names_the_extra_that_is_missing(tmp_path):
    ended = run(WITHOUT_TORCH, "committee", "--home", tmp_path)
    assert ended.returncode == 2
    assert "This command needs torch. Run `pip install 'lotwise[training]'`" in ended.stderr
    assert "Traceback" not in ended.stderr
