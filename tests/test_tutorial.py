"""The tutorial is run as it stands, in an empty folder; so are the programs of docs/client.md.

How a page is written so that it can be run:

- ```console: lines that begin with "$ " are commands, run in one shell in the page's order. Each
  must end with status 0. What follows is what it must print: each line, in this order, with others
  allowed between. `lotwise up` is started in a second shell, as the page says.
- ```python: a program of its own, run in the same folder. A ```text block right after it is what it
  must print.
- In expected lines a figure stands for any figure, spaces for any spaces, "..." for anything.
"""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.triton import ROOT

BIN = Path(sys.executable).parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
UP = "lotwise up"
READY = "Press Ctrl-C to stop."
MARK = "-- status of the command:"
RULES = re.compile(r"[─━┏┓┗┛┡┩└┘╇┳┴┃│]+")
FIGURE = re.compile(r"[+-]?\d[\d,.]*")


@dataclass(frozen=True)
class Step:
    """A command or a program, and the lines that it must print."""

    language: str
    code: str
    expected: tuple[str, ...]


def steps_of(page):
    steps = []
    for language, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "console":
            assert body.startswith("$ "), body
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, *expected = part.splitlines()
                steps.append(Step("console", command, tuple(expected)))
        elif language == "python":
            steps.append(Step("python", body, ()))
        elif language == "text":
            assert steps[-1].language == "python", body
            steps[-1] = Step("python", steps[-1].code, tuple(body.splitlines()))
        else:
            pytest.fail(f"{page.name} has a block of another kind: {language}")
    return steps


def plain(line):
    return " ".join(FIGURE.sub("0", RULES.sub(" ", line)).split())


def missing_line(expected, printed):
    """The first expected line that was not printed after those before it; None where all were."""
    lines = iter([plain(line) for line in printed.splitlines()])
    for wanted in expected:
        pattern = re.escape(plain(wanted)).replace(r"\.\.\.", ".*")
        if not any(re.fullmatch(pattern, line) for line in lines):
            return wanted
    return None


class Shell:
    """A terminal: commands share its variables and its folder."""

    def __init__(self, folder, home):
        kept = ("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "CI")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {"HOME": str(home), "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"}
        self.process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def send(self, command):
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def read_until(self, *marks):
        """What is printed before a line that begins with one of the marks, and that line."""
        printed = ""
        for line in self.process.stdout:
            if line.startswith(marks):
                return printed, line.strip()
            printed += line
        pytest.fail(f"the shell ended too early:\n{printed}")

    def run(self, command):
        self.send(f'{{ {command}\n}} </dev/null\necho "{MARK} $?"')
        printed, status = self.read_until(MARK)
        assert status == f"{MARK} 0", f"$ {command}\n{printed}"
        return printed

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.communicate(timeout=60)


class Reader:
    """Follows a page."""

    def __init__(self, folder, home):
        self.folder, self.home = folder, home
        self.shell = Shell(folder, home)
        self.second = None
        self.preparation = []

    def follow(self, step):
        if step.language == "python":
            printed = self.run_python(step.code)
        elif step.code == UP:
            printed = self.start_platform()
        else:
            if step.code.startswith(("source ", "export ")):
                self.preparation.append(step.code)
            printed = self.shell.run(step.code)
        missing = missing_line(step.expected, printed)
        assert missing is None, f"{step.code}\nwas to print\n{missing}\nand printed\n{printed}"

    def run_python(self, code):
        (self.folder / ".program.py").write_text(code, encoding="utf-8")
        return self.shell.run(f"{BIN / 'python'} -W error .program.py")

    def start_platform(self):
        self.second = Shell(self.folder, self.home)
        for line in self.preparation:
            self.second.run(line)
        self.second.send(f'{UP}\necho "{MARK} $?"')
        printed, last = self.second.read_until(READY, MARK)
        assert last == READY, f"$ {UP}\n{printed}"
        return printed + last

    def stop(self):
        for shell in (self.second, self.shell):
            if shell is not None:
                shell.stop()


@pytest.fixture(scope="module")
def reader(tmp_path_factory, repository):
    """Someone with Lotwise in ~/lotwise, in an empty folder."""
    home = tmp_path_factory.mktemp("home")
    (home / "lotwise").symlink_to(ROOT)
    made = Reader(tmp_path_factory.mktemp("lots"), home)
    yield made
    made.stop()


TUTORIAL = steps_of(DOCS / "tutorial-your-own-lots.md")
CLIENT = steps_of(DOCS / "client.md")


def test_the_tutorial_has_its_commands_and_programs():
    commands = " ".join(step.code for step in TUTORIAL if step.language == "console")
    verbs = ("simulate", "inspect", "up", "predict", "uncertainty", "refer", "explain", "screen")
    assert [verb for verb in verbs if f"lotwise {verb}" not in commands] == []
    assert sum(step.language == "python" for step in TUTORIAL) >= 4


def test_expected_lines_are_compared_with_what_is_printed():
    printed = " a │ 1,234 ± 5\n b    12.5%   REFER\n"
    assert missing_line(["a 99 ± 1", "b 1% REFER"], printed) is None
    assert missing_line(["b 1% ..."], printed) is None
    assert missing_line(["b 1% ACCEPT"], printed) == "b 1% ACCEPT"
    assert missing_line(["b 1% REFER", "a 99 ± 1"], printed) == "a 99 ± 1"


# In this order: a step stands on those before it.
@pytest.mark.parametrize(
    "step",
    [*TUTORIAL, *CLIENT],
    ids=lambda step: re.sub(r"\W+", "-", step.code)[:50],
)
def test_step(reader, step):
    reader.follow(step)
