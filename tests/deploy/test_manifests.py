"""What the manifests ask of Kubernetes: valid, confined, and as docs/kubernetes.md says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts import check_manifests
from tests.support.manifests import (
    KUBERNETES,
    LOCAL,
    PRODUCTION,
    Network,
    containers,
    every_container,
    find,
    pods,
    rendered,
)
from tests.support.triton import ROOT

OVERLAYS = [LOCAL, PRODUCTION]
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
SERVICES = ("predict", "uncertainty", "referral", "explain")
OTHER = {"kubernetes.io/metadata.name": "elsewhere"}


def test_every_overlay_is_tested() -> None:
    assert check_manifests.OVERLAYS == OVERLAYS


@every_overlay
def test_every_object_is_valid_for_every_version(overlay: Path) -> None:
    wrong = [fault for each in rendered(overlay) for fault in check_manifests.faults(each)]
    assert wrong == []
    assert check_manifests.versions()[0] == "1.30"


@pytest.mark.parametrize(
    ("thing", "fault"),
    [
        ({"apiVersion": "lotwise/v1", "kind": "Tile"}, "knows no lotwise/v1 Tile"),
        ({"apiVersion": "v1", "kind": "Service", "spec": {"port": 1}}, "'port' was unexpected"),
        (
            {
                "apiVersion": "keda.sh/v1alpha1",
                "kind": "ScaledObject",
                "spec": {"scaleTargetRef": {"nome": "x", "name": "x"}, "triggers": []},
            },
            "ScaledObject.spec.scaleTargetRef.nome is unknown",
        ),
        (
            {"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "spec": {}},
            "selector\n  Field required",
        ),
    ],
)
def test_faults_are_found(thing: dict[str, object], fault: str) -> None:
    assert any(fault in found for found in check_manifests.faults(thing))


def test_the_check_ends_with_1_on_a_fault(tmp_path: Path) -> None:
    rendered(LOCAL)  # skips without kubectl
    kustomization = {"resources": ["tile.yaml"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    tile = {"apiVersion": "lotwise/v1", "kind": "Tile", "metadata": {"name": "R01"}}
    (tmp_path / "tile.yaml").write_text(yaml.safe_dump(tile))
    script = [sys.executable, ROOT / "scripts/check_manifests.py", tmp_path]
    ended = subprocess.run(script, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "Tile R01: Kubernetes 1.30 knows no lotwise/v1 Tile" in ended.stderr


def test_every_component_is_used(tmp_path: Path) -> None:
    used = yaml.safe_load((PRODUCTION / "kustomization.yaml").read_text())["components"]
    components = {path.name for path in (KUBERNETES / "components").iterdir()}
    assert components == {Path(each).name for each in used} | {"gpu-mig"}
    # The other way to have a GPU: a slice of one.
    relative = os.path.relpath(KUBERNETES, tmp_path.resolve())
    kustomization = {
        "resources": [f"{relative}/base"],
        "components": [f"{relative}/components/gpu-mig"],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    sliced = rendered(tmp_path)
    assert [fault for each in sliced for fault in check_manifests.faults(each)] == []
    for container in containers(pods(tmp_path)["lotwise-triton"]):
        limits = container["resources"]["limits"]
        assert "nvidia.com/gpu" not in limits
        assert ("nvidia.com/mig-1g.10gb" in limits) == (container["name"] in ("gpu", "triton"))


@every_overlay
def test_pods_meet_the_restricted_standard(overlay: Path) -> None:
    namespace = find(overlay, "Namespace", "lotwise")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod, container in every_container(overlay):
        spec, confined = pod["spec"], container["securityContext"]
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert confined["allowPrivilegeEscalation"] is False, name
        assert confined["capabilities"] == {"drop": ["ALL"]}, name
        assert confined["readOnlyRootFilesystem"], name
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
        assert kinds <= {"persistentVolumeClaim", "emptyDir", "configMap", "secret"}, name
        # Variables that Kubernetes makes of Services would be taken for settings.
        assert spec["enableServiceLinks"] is False, name
        assert spec["automountServiceAccountToken"] is False, name


@every_overlay
def test_images_are_pinned_and_agree(overlay: Path) -> None:
    tags: dict[str, set[str]] = {}
    for _, _, container in every_container(overlay):
        image, _, digest = container["image"].partition("@")
        name, _, tag = image.rpartition(":")
        assert name, f"{container['image']} has no tag"
        assert tag != "latest"
        tags.setdefault(name, set()).add(f"{tag}@{digest}")
        if not name.endswith(("lotwise", "lotwise-screening", "tritonserver")):
            assert digest.startswith("sha256:"), container["image"]
    assert [name for name, found in tags.items() if len(found) > 1] == []


def test_only_the_release_job_writes_models() -> None:
    for name, pod, container in every_container(PRODUCTION):
        mounts = {each["name"]: each for each in container.get("volumeMounts", [])}
        if "models" in mounts and name != "lotwise-release":
            assert mounts["models"].get("readOnly"), name
            (volume,) = (each for each in pod["spec"]["volumes"] if each["name"] == "models")
            assert volume["persistentVolumeClaim"]["readOnly"], name


def test_another_release_is_another_job() -> None:
    assert find(LOCAL, "Job", "lotwise-release-shipped-0.1.0")
    assert find(PRODUCTION, "Job", "lotwise-release-2026-11")


def test_triton_is_where_a_gpu_is() -> None:
    spec = pods(PRODUCTION)["lotwise-triton"]["spec"]
    first, triton = spec["initContainers"][0], spec["containers"][0]
    assert first["name"] == "gpu", "a pod without a GPU says so before all else"
    assert first["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert triton["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {each["key"] for each in spec["tolerations"]} == {"nvidia.com/gpu"}
    assert spec["affinity"]["nodeAffinity"]
    (shm,) = (each for each in spec["volumes"] if each["name"] == "shm")
    assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "512Mi"}
    probe = triton["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 1800, "engines take long to build"


def test_a_pod_without_a_gpu_says_so(tmp_path: Path) -> None:
    gpu = pods(PRODUCTION)["lotwise-triton"]["spec"]["initContainers"][0]
    program = tmp_path / "nvidia-smi"
    for answer, status in (("echo 'GPU 0: NVIDIA'", 0), ("true", 1), ("exit 9", 1)):
        program.write_text(f"#!/bin/sh\n{answer}\n")
        program.chmod(0o755)
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        ended = subprocess.run(
            [*gpu["command"], *gpu["args"]], env=path, capture_output=True, text=True
        )
        assert ended.returncode == status
        assert ("This pod has no GPU." in ended.stderr) == bool(status)


@every_overlay
def test_replicas_are_spread_and_kept(overlay: Path) -> None:
    for name in (*(f"lotwise-{each}" for each in SERVICES), "lotwise-triton"):
        labels = pods(overlay)[name]["metadata"]["labels"]
        budget = find(overlay, "PodDisruptionBudget", name)["spec"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"]["matchLabels"].items() <= labels.items()
        spreads = pods(overlay)[name]["spec"]["topologySpreadConstraints"]
        assert [each["topologyKey"] for each in spreads] == [
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        ]
        for each in spreads:
            assert each["labelSelector"]["matchLabels"].items() <= labels.items()


def test_scaled_deployments_state_no_number() -> None:
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in rendered(PRODUCTION)
        if each["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
    }
    assert scaled == {f"lotwise-{name}" for name in (*SERVICES, "triton")}
    for name in scaled:
        assert "replicas" not in find(PRODUCTION, "Deployment", name)["spec"]


@pytest.mark.parametrize(
    ("sender", "receiver", "port"),
    [
        ("lotwise-predict", "lotwise-triton", 8001),
        ("lotwise-uncertainty", "lotwise-triton", 8001),
        ("lotwise-explain", "lotwise-triton", 8001),
        ("lotwise-referral", "lotwise-uncertainty", 50052),
        ("lotwise-screening", "lotwise-predict", 50051),
        ("lotwise-screening", "lotwise-uncertainty", 50052),
        ("lotwise-screening", "lotwise-referral", 50053),
        ("lotwise-screening", "lotwise-postgres", 5432),
        ({"pod": {"lotwise-client": "true"}, "namespace": {}}, "lotwise-explain", 50054),
        ({"pod": {}, "namespace": {"lotwise-client": "true"}}, "lotwise-referral", 50053),
        ("lotwise-release", {"pod": {}, "namespace": OTHER}, 443),
    ],
)
def test_what_must_talk_may(sender: object, receiver: object, port: int) -> None:
    network = Network(PRODUCTION)
    if isinstance(sender, dict) and "lotwise-client" in sender["pod"]:
        sender = {**sender, "namespace": {"kubernetes.io/metadata.name": "lotwise"}}
    assert network.lets(sender, receiver, port)


@pytest.mark.parametrize("port", [9101, 8002])
def test_prometheus_may_scrape(port: int) -> None:
    receiver = "lotwise-triton" if port == 8002 else "lotwise-predict"
    prometheus = {"pod": {}, "namespace": {"kubernetes.io/metadata.name": "monitoring"}}
    assert Network(PRODUCTION).lets(prometheus, receiver, port)
    assert not Network(PRODUCTION).lets({"pod": {}, "namespace": OTHER}, receiver, port)


@pytest.mark.parametrize(
    ("sender", "receiver", "port"),
    [
        ({"pod": {}, "namespace": OTHER}, "lotwise-predict", 50051),
        ({"pod": {"lotwise-client": "true"}, "namespace": OTHER}, "lotwise-predict", 50051),
        ({"pod": {}, "namespace": {"lotwise-client": "true"}}, "lotwise-triton", 8001),
        ("lotwise-referral", "lotwise-triton", 8001),
        ("lotwise-predict", "lotwise-triton", 8000),
        ("lotwise-predict", "lotwise-postgres", 5432),
        ("lotwise-postgres", {"pod": {}, "namespace": OTHER}, 443),
        ("lotwise-triton", {"pod": {}, "namespace": OTHER}, 443),
        ("lotwise-predict", "lotwise-referral", 50053),
    ],
)
def test_nothing_else_may(sender: object, receiver: object, port: int) -> None:
    assert not Network(PRODUCTION).lets(sender, receiver, port)
