"""A recorded API for each test, and the verbs that ask it."""

import pytest
from kubernetes.config import kube_config
from typer.testing import CliRunner

from lotwise.cli import cluster as verbs
from tests.support.recorded_kubernetes import kubeconfig, recorded_api


@pytest.fixture
def api(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with recorded_api() as playing:
        file = tmp_path / "kubeconfig"
        file.write_text(kubeconfig(playing.url))
        monkeypatch.setenv("KUBECONFIG", str(file))
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(file))
        yield playing
        assert playing.unexpected == []


@pytest.fixture
def said():
    """A verb's exit code, what it prints and what it says on standard error."""

    def run(*arguments):
        ended = CliRunner().invoke(verbs.app, [str(each) for each in arguments])
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, ended.stdout, " ".join(ended.stderr.split())

    return run
