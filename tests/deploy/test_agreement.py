"""What the manifests say agrees with the code: ports, probes, settings, files, metrics, times."""

import importlib
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings
from typer.main import get_command

from lotwise.cli import app
from lotwise.platform.ports import SERVICES, PlatformPorts
from lotwise.runtime import release
from lotwise.runtime.release import read_accelerations
from lotwise.runtime.server import LIVE
from lotwise.runtime.triton.installation import find_installation
from lotwise.runtime.triton.supervisor import TritonServer
from tests.support.manifests import (
    KUBERNETES,
    LOCAL,
    PRODUCTION,
    environment,
    find,
    pods,
    rendered,
)
from tests.support.triton import ROOT, triton_home

every_service = pytest.mark.parametrize("service", SERVICES)
every_overlay = pytest.mark.parametrize("overlay", [LOCAL, PRODUCTION], ids=lambda path: path.name)
HEALTH_PORTS = {name: 9201 + i for i, name in enumerate(SERVICES)}
METRIC = re.compile(r"\b(?:nv|lotwise)_[a-z0-9_]+")


def container_of(overlay: Path, name: str) -> dict[str, Any]:
    (container,) = pods(overlay)[name]["spec"]["containers"]
    return container


def settings_of(
    overlay: Path, service: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> BaseSettings:
    """The service's settings, read from the environment that its container gets."""
    given = environment(container_of(overlay, f"lotwise-{service}"), release="r")
    for name, value in given.items():
        monkeypatch.setenv(name, value.replace("/models/r", str(repository)))
    kind = getattr(
        importlib.import_module(f"lotwise.{service}.settings"), f"{service.title()}Settings"
    )
    prefix = kind.model_config["env_prefix"]
    fields = {f"{prefix}{field.upper()}" for field in kind.model_fields}
    assert {name for name in given if name.startswith("LOTWISE_")} <= fields
    return kind()


@every_overlay
@every_service
def test_ports_and_probes(
    overlay: Path, service: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Any = settings_of(overlay, service, repository, monkeypatch)
    container, standard = container_of(overlay, f"lotwise-{service}"), PlatformPorts.standard()
    assert container["args"] == [f"lotwise.{service}"]
    assert importlib.import_module(f"lotwise.{service}.__main__")
    assert settings.host == "0.0.0.0"
    assert settings.port == standard.grpc[service]
    assert settings.metrics_port == standard.metrics[service]
    assert settings.health_port == HEALTH_PORTS[service]
    assert {each["name"]: each["containerPort"] for each in container["ports"]} == {
        "grpc": settings.port,
        "metrics": settings.metrics_port,
        "health": settings.health_port,
    }
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["grpc"] == {"port": settings.health_port, "service": LIVE}
    assert container["readinessProbe"]["grpc"] == {"port": settings.health_port}
    endpoint = find(overlay, "Service", f"lotwise-{service}")["spec"]
    assert endpoint["clusterIP"] == "None"
    assert [(each["port"], each["targetPort"]) for each in endpoint["ports"]] == [
        (settings.port, "grpc")
    ]


@every_service
def test_a_service_ends_before_it_is_killed(
    service: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Any = settings_of(PRODUCTION, service, repository, monkeypatch)
    grace = pods(PRODUCTION)[f"lotwise-{service}"]["spec"]["terminationGracePeriodSeconds"]
    assert settings.drain_delay_s + settings.drain_s < grace
    assert settings.max_connection_age_s is not None, "new replicas would never be found"


@every_service
def test_whom_a_service_asks_and_what_it_reads_is_there(
    service: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Any = settings_of(PRODUCTION, service, repository, monkeypatch)
    addresses = [value for name, value in settings if name.endswith("_address")]
    assert addresses
    for address in addresses:
        name, port = re.fullmatch(r"dns:///([a-z-]+):(\d+)", address).groups()
        assert int(port) in {
            each["port"] for each in find(PRODUCTION, "Service", name)["spec"]["ports"]
        }
    # Stated, or the default, relative to nowhere, would be read; explain's are in the repository.
    paths = {name: value for name, value in settings if isinstance(value, Path)}
    assert paths
    for name, path in paths.items():
        assert path.is_absolute(), name
        assert path.exists(), name


@every_overlay
def test_tritons_arguments_are_known_and_its_ports_are_its_own(overlay: Path) -> None:
    installation = find_installation(triton_home())
    told = subprocess.run(
        [installation.binary, "--help"],
        env=installation.environment(),
        capture_output=True,
        text=True,
    )
    known = set(re.findall(r"--[a-z-]+", told.stdout + told.stderr))
    container = container_of(overlay, "lotwise-triton")
    given = {argument.partition("=")[0] for argument in container["args"]}
    assert len(known) > 50
    assert given <= known
    assert not given & {"--http-port", "--grpc-port", "--metrics-port"}
    standard = PlatformPorts.standard().triton
    assert {each["name"]: each["containerPort"] for each in container["ports"]} == {
        "http": standard.http,
        "grpc": standard.grpc,
        "metrics": standard.metrics,
    }


@every_overlay
def test_triton_ends_before_it_is_killed(overlay: Path) -> None:
    container = container_of(overlay, "lotwise-triton")
    (timeout,) = (
        int(each.partition("=")[2])
        for each in container["args"]
        if each.startswith("--exit-timeout-secs=")
    )
    grace = pods(overlay)["lotwise-triton"]["spec"]["terminationGracePeriodSeconds"]
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] + timeout < grace


def test_a_release_is_made_and_awaited_as_the_program_takes_it(tmp_path: Path) -> None:
    job = container_of(PRODUCTION, "lotwise-release")
    assert job["args"][:2] == ["lotwise.runtime.release", "make"]
    (settings,) = (each.partition("=")[2] for each in job["args"] if "--acceleration" in each)
    assert settings == "/settings/acceleration.json"
    for name in ("lotwise-triton", *(f"lotwise-{service}" for service in SERVICES)):
        (waiting,) = (
            each
            for each in pods(PRODUCTION)[name]["spec"]["initContainers"]
            if each["name"] == "release"
        )
        module, *arguments = waiting["args"]
        assert f"{module}.main" == f"{release.main.__module__}.main"
        target = [each.replace("/models/$(MODEL_RELEASE)", str(tmp_path)) for each in arguments]
        with pytest.raises(SystemExit, match="There is no release"):
            release.main([*target, "--timeout-s=0"])


def test_settings_of_tensorrt_are_for_models_that_there_are(repository: Path) -> None:
    settings = read_accelerations(KUBERNETES / "components/tensorrt/acceleration.json")
    models = {path.parent.name for path in repository.glob("*/config.pbtxt")}
    assert set(settings) <= models
    mounts = container_of(PRODUCTION, "lotwise-triton")["volumeMounts"]
    assert release.ENGINE_CACHE in {each["mountPath"] for each in mounts}
    # What is calibrated rests on the numbers of its model; FP16 has others.
    calibrated = {"regressor", "regressor_folds", *(m for m in models if "committee" in m)}
    assert {
        name for name, each in settings.items() if each.precision == "FP16"
    } & calibrated == set()


def test_the_screener_is_told_what_it_takes() -> None:
    command = get_command(app).commands["screen"]
    known = {option for parameter in command.params for option in parameter.opts}
    container = container_of(PRODUCTION, "lotwise-screening")
    assert container["command"] == ["lotwise", "screen"]
    given = dict(each.split("=", 1) for each in container["args"] if "=" in each)
    flags = {each for each in container["args"] if each.startswith("--") and "=" not in each}
    assert given.keys() | flags <= known
    for service in ("predict", "uncertainty", "referral"):
        port = PlatformPorts.standard().grpc[service]
        assert given[f"--{service}"] == f"dns:///lotwise-{service}:{port}"


def metric_names() -> set[str]:
    """All that autoscaling asks Prometheus for."""
    queries = [
        trigger["metadata"]["query"]
        for each in rendered(PRODUCTION)
        if each["kind"] == "ScaledObject"
        for trigger in each["spec"]["triggers"]
    ]
    return {name for query in queries for name in METRIC.findall(query)}


def test_metrics_are_those_of_triton(triton: TritonServer) -> None:
    url = f"http://127.0.0.1:{triton.ports.metrics}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        exported = set(METRIC.findall(answer.read().decode()))
    assert metric_names() == {
        "nv_inference_queue_duration_us",
        "nv_inference_compute_infer_duration_us",
    }
    assert metric_names() <= exported


def test_scaling_counts_waiting_and_knows_idle_from_unknown(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        missing = "promtool is missing: it is in Debian's package prometheus"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    scaled = find(PRODUCTION, "ScaledObject", "lotwise-triton")["spec"]
    (trigger,) = scaled["triggers"]
    asked = trigger["metadata"]
    assert trigger["metricType"] == "AverageValue", "KEDA falls back for no other"
    assert asked["ignoreNullValues"] == "false", "a lost Prometheus would be an idle Triton"
    assert scaled["fallback"]["replicas"] == scaled["maxReplicaCount"]

    def series(metric: str, **rates: int) -> list[dict[str, str]]:
        return [
            {
                "series": f'nv_inference_{metric}_duration_us{{namespace="lotwise",pod="{pod}"}}',
                "values": f"0+{rate}x20",
            }
            for pod, rate in rates.items()
        ]

    def case(name: str, given: list[dict[str, str]], expected: float | None) -> dict[str, Any]:
        samples = [] if expected is None else [{"labels": "{}", "value": expected}]
        question = {"expr": asked["query"], "eval_time": "5m", "exp_samples": samples}
        return {
            "name": name,
            "interval": "15s",
            "input_series": given,
            "promql_expr_test": [question],
        }

    cases = [
        case("unknown", [], None),
        case("idle", series("queue", a=0, b=0) + series("compute_infer", a=0, b=0), 0),
        # Pods of 3 and 1: KEDA divides by two pods, and 2 is above the threshold of 1.
        case("busy", series("queue", a=300, b=50) + series("compute_infer", a=100, b=50), 4),
        case("one idle", series("queue", a=200, b=0) + series("compute_infer", a=100, b=0), 2),
    ]
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"tests": cases}))
    ended = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "tests.yaml"], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_secrets_are_documented() -> None:
    told = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    dumped = "\n".join(str(each) for each in rendered(PRODUCTION))
    references = re.findall(r"'secretKeyRef': ({[^}]*})", dumped)
    needed = {yaml.safe_load(each)["name"] for each in references}
    needed |= set(re.findall(r"'secretName': '([^']+)'", dumped))
    assert needed == {"lotwise-store", "lotwise-object-storage", "lotwise-postgres"}
    for each in references:
        reference = yaml.safe_load(each)
        assert f"`{reference['key']}`" in told, reference
    for name in needed:
        assert f"`{name}`" in told
