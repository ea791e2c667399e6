"""The README's examples run, and say what the README says they say."""

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lotwise_simulator.demo import write_demo_lots
from tests.support.triton import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.removeprefix("$ ")
    for language, block in BLOCKS
    if language == "console"
    for line in block.splitlines()
    if line.startswith("$ ")
]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def platform(repository, tmp_path_factory):
    """`lotwise up`, as the README says, on its documented ports, after `make demo`."""
    if not (ROOT / ".lotwise" / "demo" / "known").is_dir():
        write_demo_lots(ROOT / ".lotwise" / "demo", 16)
    process = subprocess.Popen(
        [BIN / "lotwise", "up", "--json", "--state", tmp_path_factory.mktemp("up")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def test_it_opens_with_the_two_commands():
    assert COMMANDS[:2] == ["make demo", "make test"]


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [command.split()[1] for command in COMMANDS if command.startswith("make ")]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_linked_file_exists():
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize(
    "command",
    [c for c in COMMANDS if c.startswith(("lotwise ", "python -m ")) and c != "lotwise up"],
)
def test_command(platform, command):
    name, *arguments = shlex.split(command)
    done = subprocess.run(
        [BIN / name, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "code",
    [block for language, block in BLOCKS if language == "python"],
    ids=lambda code: code[:40],
)
def test_python(platform, code):
    done = subprocess.run(
        [BIN / "python", "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
