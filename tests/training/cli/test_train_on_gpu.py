"""The script that trains everything on one GPU machine, with a stand-in for Python."""

import os
import subprocess

import pytest
from typer.main import get_command

from lotwise_training.cli.app import app
from lotwise_training.pipelines.workspace import RENDERED
from tests.support.triton import ROOT

STAND_IN = """#!/usr/bin/env bash
echo "$*" >> "$CALLS"
case "$*" in *"{failing}"*) echo "no GPU"; exit 1 ;; esac
case "$*" in *committee*) sleep {seconds} ;; esac
"""


@pytest.fixture
def trained(tmp_path):
    def run(*committee, failing="nothing", seconds=0):
        scripts = tmp_path / "scripts"
        scripts.mkdir()
        script = scripts / "train-on-gpu"
        script.write_bytes((ROOT / "scripts" / "train-on-gpu").read_bytes())
        script.chmod(0o755)
        python = tmp_path / "python"
        python.write_text(STAND_IN.format(failing=failing, seconds=seconds))
        python.chmod(0o755)
        calls = tmp_path / "calls"
        ended = subprocess.run(
            [script, "500", *committee],
            env={**os.environ, "PYTHON": str(python), "CALLS": str(calls)},
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,  # it ends its whole group
            timeout=60,
        )
        return ended, calls.read_text().splitlines()

    return run


def test_tiles_are_made_before_they_are_learned_from(trained):
    ended, calls = trained()
    assert ended.returncode == 0, ended.stderr
    assert calls[0].startswith("-c import lotwise_training.pipelines.train")
    commands = [each.split()[2:] for each in calls[1:]]
    for verb, *options in commands:
        # As the command line reads them: a stand-in takes everything.
        get_command(app).commands[verb].make_context(verb, [*options])
        assert options[-2:] == ["--profile", "gpu"]
    verbs = [each[:-2] for each in commands]
    assert verbs[0] == ["data", "strength"]
    rendered = [name for verb in verbs if verb[0] == "data" for name in verb[1:]]
    assert sorted(rendered) == sorted({*RENDERED} - {"fresh"})
    place = {verb[0]: number for number, verb in enumerate(verbs)}
    assert place["committee"] > verbs.index(["data", "meter", "reference"])
    assert max(place["regressor"], place["editor"]) < place["evaluate"]
    assert place["committee"] < place["policy"] < place["predict"]
    assert ["regressor", "--max-seconds", "250"] in verbs


def test_the_committee_can_be_given_a_time_of_its_own(trained):
    _, calls = trained("900")
    assert any(" committee --max-seconds 900 " in each for each in calls)


@pytest.mark.parametrize("failing", ["-c import", "data strength", "meter reference"])
def test_nothing_is_trained_where_tiles_or_packages_are_missing(trained, failing):
    ended, calls = trained(failing=failing, seconds=30)
    assert ended.returncode != 0
    assert "committee" not in "".join(calls)


def test_a_training_that_fails_leaves_the_others_be(trained):
    ended, calls = trained(failing="training regressor")
    assert ended.returncode != 0
    assert "failed: regressor" in ended.stderr
    assert "no GPU" in ended.stderr
    assert any(" predict " in each for each in calls)
