import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.support.command import LOTWISE, ask, lines_of
from tests.support.tiles import png
from tests.support.triton import ROOT


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


@pytest.fixture
def simulated_lot(lot):
    (lot / "lot.json").write_text('{"lot_id": "R01", "um_per_px": 1.0, "simulated": true}')
    return lot


QUESTIONS = [("predict", "predict"), ("uncertainty", "uncertainty"), ("refer", "referral")]


@pytest.mark.parametrize(("verb", "service"), QUESTIONS)
async def test_a_question_about_files_and_folders(services, simulated_lot, tmp_path, verb, service):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    done = await ask(verb, simulated_lot, broken, service=service, services=services)
    assert done.returncode == 1  # one tile has no answer, the others have
    for name in ("0.png", "1.png", "2.png"):
        assert name in done.stdout
    assert done.stdout.count("R01 simulated") == 3
    assert f"{broken}: TILE_UNSUPPORTED_FORMAT" in done.stdout
    assert "trained on simulated lots" in done.stdout
    assert "without Triton" in done.stdout


@pytest.mark.parametrize(("verb", "service"), QUESTIONS)
async def test_a_question_in_json_has_a_line_for_each_tile(
    services, simulated_lot, tmp_path, verb, service
):
    gone = tmp_path / "gone.png"
    done = await ask(verb, simulated_lot, gone, "--json", service=service, services=services)
    assert done.returncode == 1
    *answers, failure = lines_of(done)
    assert [Path(answer["file"]).name for answer in answers] == ["0.png", "1.png", "2.png"]
    assert failure["error"]["reason"] == "TILE_EMPTY"
    for answer in answers:
        assert answer["simulated"]
        assert answer["trained_on_simulated_lots"]
        assert answer["provenance"]["models"][0]["weights_sha256"]
        assert answer["reading"]["um_per_px"] == 1.0


async def test_the_unit_is_the_readers_choice(services, simulated_lot):
    file = simulated_lot / "0.png"

    async def value(*unit):
        done = await ask("predict", file, "--json", *unit, service="predict", services=services)
        assert done.returncode == 0, done.stderr
        return lines_of(done)[0]

    plain, psi, mpa = await value(), await value("--unit", "PSI"), await value("--unit", "MPa")
    assert plain["value"] == psi["value"]
    assert (plain["unit"], psi["unit"], mpa["unit"]) == ("psi", "psi", "MPa")
    assert mpa["value"] == pytest.approx(psi["value"] * 0.006894757293168361)
    table = await ask("predict", file, "--unit", "mpa", service="predict", services=services)
    assert f"{mpa['value']:.4g}" in table.stdout
    assert "MPa" in table.stdout


async def test_a_stated_scale_goes_before_lot_json(services, simulated_lot):
    done = await ask(
        "predict", simulated_lot, "--um-per-px", 0.2, "--json", service="predict", services=services
    )
    assert {line["error"]["reason"] for line in lines_of(done)} == {"WRONG_MAGNIFICATION"}


@pytest.mark.parametrize("verb", ["predict", "uncertainty", "refer"])
def test_a_platform_that_is_not_there_is_said_with_what_to_do(lot, verb):
    done = lotwise(verb, lot, "--host", "127.0.0.1:1")
    assert done.returncode == 1
    assert "`lotwise up`" in done.stderr
    assert "127.0.0.1:1" in done.stderr


def test_models_that_are_not_there_are_said_with_how_to_name_them(lot, tmp_path):
    for done in (
        lotwise("predict", lot, "--start", "--models", tmp_path / "none"),
        lotwise("predict", lot, "--start", env=os.environ | {"LOTWISE_MODELS": "none"}),
    ):
        assert done.returncode == 1
        assert "LOTWISE_MODELS" in done.stderr


async def test_inspect_shows_where_a_scale_comes_from(lot, tmp_path, pictures):
    Image.fromarray(pictures[0]).save(tmp_path / "scaled.png", dpi=(50_800, 50_800))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")

    async def told(*arguments):
        done = await ask("inspect", *arguments, "--json")
        return {Path(line["file"]).name: line for line in lines_of(done)}, done.returncode

    files = [lot / "0.png", tmp_path / "scaled.png"]
    found, status = await told(*files, broken)
    assert status == 1
    assert found["broken.png"]["error"]["reason"] == "TILE_UNSUPPORTED_FORMAT"
    assert (found["0.png"]["width"], found["0.png"]["um_per_px"]) == (256, None)
    assert found["scaled.png"]["um_per_px"] == pytest.approx(0.5, rel=1e-3)
    assert found["scaled.png"]["scale_source"]

    table = await ask("inspect", *files)
    assert table.returncode == 0
    assert "256 x 256" in table.stdout
    assert "state it: --um-per-px" in table.stdout

    (lot / "lot.json").write_text('{"um_per_px": 2.0}')
    found, _ = await told(lot)
    assert (found["1.png"]["um_per_px"], found["1.png"]["scale_source"]) == (2.0, "lot.json")
    found, _ = await told(lot, "--um-per-px", 3)
    assert (found["1.png"]["um_per_px"], found["1.png"]["scale_source"]) == (3.0, "--um-per-px")


async def test_a_verb_whose_packages_are_missing_says_which_extra_brings_them(tmp_path):
    """As after an installation without the simulator's packages."""
    (tmp_path / "numba.py").write_text("raise ModuleNotFoundError('numba', name='numba')")
    done = await ask("simulate", "out", "--lot", "R01", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "pip install 'lotwise[simulator]'" in done.stderr
    listed = await ask("--help", PYTHONPATH=str(tmp_path))
    assert listed.returncode == 0
    assert "simulate" in listed.stdout


async def test_help_lists_every_verb_with_the_simulators():
    done = await ask("--help")
    for verb in ("up", "doctor", "screen", "predict", "uncertainty", "refer", "interval", "inspect",
                 "explain", "simulate"):  # fmt: skip
        assert f" {verb} " in done.stdout
