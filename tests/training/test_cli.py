"""The command line: what goes wrong is said in a sentence."""

import pytest
from typer.testing import CliRunner

from lotwise_training.cli import app


@pytest.fixture
def run(tmp_path):
    def invoke(*arguments):
        return CliRunner().invoke(app, [*arguments, "--home", str(tmp_path)])

    return invoke


def test_a_profile_that_is_not_there_is_named(run):
    result = run("committee", "--profile", "tpu")
    assert result.exit_code == 1
    assert "no profile 'tpu'; there are cpu, gpu" in result.output


def test_a_slip_in_a_recipe_is_named(run, tmp_path):
    (tmp_path / "committee.toml").write_text("[cpu]\nmember = 4\n")
    result = run("committee", "--recipes", str(tmp_path))
    assert result.exit_code == 1
    assert "unknown key 'member'" in result.output
