import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.tiles import png
from tests.support.triton import ROOT

LOTWISE = Path(sys.executable).with_name("lotwise")


def lotwise(*arguments, **options):
    return subprocess.run(
        [LOTWISE, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
        **options,
    )


def children_of(parent):
    """Process ids of the services that a command has started."""
    found = subprocess.run(
        ["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


@pytest.fixture
def lot(tmp_path, pictures):
    folder = tmp_path / "lot"
    folder.mkdir()
    for index, picture in enumerate(pictures[:3]):
        (folder / f"{index}.png").write_bytes(png(picture))
    return folder


def test_screen_starts_a_platform_for_itself(lot, tmp_path, repository):
    done = lotwise(
        "screen", lot, "--start", "--um-per-px", 1, "--engine", "onnxruntime", "--json",
        "--state", tmp_path / "state",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["lot_id"] == "lot"
    assert int(report["verdict"]["tiles"]) == 3
    assert report["engine"] == "onnxruntime"


def test_screen_stops_its_platform_when_it_is_ended(lot, tmp_path, repository):
    state = tmp_path / "state"
    process = subprocess.Popen(
        [LOTWISE, "screen", lot, "--start", "--um-per-px", "1", "--engine", "onnxruntime",
         "--state", state],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not children_of(process.pid):
        assert process.poll() is None
        time.sleep(0.05)
    started = children_of(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_screen_says_how_to_reach_a_platform_that_is_not_there(lot):
    done = lotwise("screen", lot, "--predict", "127.0.0.1:1", "--referral", "127.0.0.1:1")
    assert done.returncode == 1
    assert "ENGINE_UNAVAILABLE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("screen", "nowhere"), "LOT_MISSING"),
        (("screen", "docs/img", "--start", "--engine", "tensorrt"), "no engine 'tensorrt'"),
    ],
)
def test_mistakes_end_with_a_sentence(arguments, reason):
    done = lotwise(*arguments)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_finds_a_complete_installation(repository):
    done = lotwise("doctor", "--json")
    assert done.returncode == 0, done.stdout
    found = {finding["subject"]: finding["state"] for finding in json.loads(done.stdout)}
    assert found["models"] == found["policy"] == found["packages"] == "ok"


def test_doctor_names_what_is_missing_and_the_command(tmp_path):
    done = lotwise("doctor", "--json", "--models", tmp_path, "--triton", tmp_path)
    assert done.returncode == 1
    found = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    assert found["Triton"]["state"] == "limited"
    assert found["Triton"]["remedy"] == "Run `make triton`."
    assert found["models"]["state"] == "missing"
    assert found["policy"]["state"] == "missing"


def test_up_serves_until_sigterm(tmp_path, repository):
    process = subprocess.Popen(
        [LOTWISE, "up", "--json", "--engine", "onnxruntime", "--state", tmp_path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        addresses = json.loads(process.stdout.readline())
        assert addresses["engine"] == "onnxruntime"
        pids = [service["pid"] for service in addresses["services"].values()]
        for pid in pids:
            os.kill(pid, 0)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
