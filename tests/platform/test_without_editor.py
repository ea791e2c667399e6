"""A repository without an editor of the regressor's field: all is served but explanations."""

import pytest

from lotwise.platform.doctor import EDITOR_MODELS, MODELS, examine
from lotwise.platform.launcher import Platform
from lotwise.platform.ports import SERVICES, PlatformPorts


@pytest.fixture
def models(tmp_path, repository):
    """Links to the shipped regressor and committee."""
    for name in MODELS:
        (tmp_path / name).symlink_to(repository / name)
    return tmp_path


def services(models):
    ports = PlatformPorts.standard()
    return Platform(models, models / "state", ports, models, "onnxruntime").services


def test_explain_is_started_where_there_is_a_gradient_alone(models, repository):
    assert services(repository) == [(name, 0) for name in SERVICES]
    assert services(models) == [(name, 0) for name in SERVICES if name != "explain"]


def test_the_doctor_says_what_is_limited(models):
    found = {finding.subject: finding for finding in examine(models, models, PlatformPorts.free())}
    assert found["models"].state == "ok"
    assert found["editor"].state == "limited"
    assert all(name in found["editor"].detail for name in EDITOR_MODELS)
    assert "explain is not started" in found["editor"].detail
