"""The component `monitoring`: what is scraped bears the labels that rules go by."""

import re

import yaml

from scripts import generate_manifests
from tests.support.manifests import KUBERNETES, PRODUCTION, containers, pods, rendered, selects
from tests.support.triton import ROOT

METRIC = re.compile(r"(?<![:\w])(?:nv|lotwise)_[a-z0-9_]+")
# Not on a machine without a GPU: from Triton's documentation of its metrics.
GPU_METRICS = {"nv_gpu_utilization", "nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes"}


def scraped() -> dict[str, dict[str, str]]:
    """Labels of each pod's series, by its name, as the PodMonitors relabel them."""
    made = {}
    monitors = [each["spec"] for each in rendered(PRODUCTION) if each["kind"] == "PodMonitor"]
    for name, pod in pods(PRODUCTION).items():
        labels = pod["metadata"]["labels"]
        ports = {port["name"] for each in containers(pod) for port in each.get("ports", [])}
        for monitor in monitors:
            for endpoint in monitor["podMetricsEndpoints"]:
                if selects(monitor["selector"], labels) and endpoint["port"] in ports:
                    assert name not in made, f"{name} is scraped twice"
                    made[name] = _relabelled(endpoint["relabelings"], labels)
    return made


def _relabelled(rules: list[dict[str, object]], labels: dict[str, str]) -> dict[str, str]:
    known = {
        f"__meta_kubernetes_pod_label_{re.sub('[^a-zA-Z0-9_]', '_', key)}": value
        for key, value in labels.items()
    }
    made = {}
    for rule in rules:
        value = ";".join(known.get(name, "") for name in rule.get("sourceLabels", []))
        if match := re.fullmatch(str(rule.get("regex", "(.*)")), value):
            made[rule["targetLabel"]] = match.expand(rule["replacement"].replace("$", "\\"))
    return made


def test_series_bear_the_labels_that_rules_go_by() -> None:
    services = ("predict", "uncertainty", "referral", "explain")
    assert scraped() == {
        "lotwise-triton": {"job": "triton", "service": "triton", "gpu": "expected"},
        **{f"lotwise-{name}": {"job": "lotwise", "service": name} for name in services},
    }


def test_labels_are_those_of_a_single_machine() -> None:
    file = generate_manifests.MONITORING / "prometheus.yaml"
    configured = yaml.safe_load(file.read_text(encoding="utf-8"))["scrape_configs"]
    expected = {
        (each["job_name"], target["labels"]["service"])
        for each in configured
        for target in each["static_configs"]
    }
    assert {(each["job"], each["service"]) for each in scraped().values()} == expected


def test_rules_and_dashboards_are_those_of_deploy_monitoring() -> None:
    for path, text in generate_manifests.generated().items():
        assert path.read_text(encoding="utf-8") == text, "run scripts/generate_manifests.py"


def test_rules_ask_for_metrics_that_there_are() -> None:
    component = KUBERNETES / "components/monitoring/rules.yaml"
    asked = set()
    for each in yaml.safe_load_all(component.read_text(encoding="utf-8")):
        for group in each["spec"]["groups"]:
            for rule in group["rules"]:
                asked |= set(METRIC.findall(rule["expr"]))
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "services").rglob("*.py"))
    made = set(re.findall(r'"(lotwise_[a-z0-9_]+)"', code))
    made |= {
        f"{name}_{end}" for name in made for end in ("total", "bucket", "count", "sum", "info")
    }
    ours = {name for name in asked if name.startswith("lotwise_")}
    assert ours
    assert ours <= made
    # Triton's counters and sums are checked with a real one; what a GPU gives cannot be here.
    gpu = {name for name in asked if name.startswith("nv_gpu_")}
    assert gpu <= GPU_METRICS
