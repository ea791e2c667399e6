"""Writes components/monitoring from deploy/monitoring: kustomize reads no file from elsewhere.

    .venv/bin/python scripts/generate_manifests.py [--check]

Rules become PrometheusRules, dashboards ConfigMaps with the label that Grafana's sidecar looks for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml

ROOT = Path(__file__).resolve().parents[1]
MONITORING = ROOT / "deploy/monitoring"
COMPONENT = ROOT / "deploy/kubernetes/components/monitoring"
HEADER: Final = "# Written by scripts/generate_manifests.py from deploy/monitoring; do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, to be read and compared."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _metadata(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "namespace": "lotwise", "labels": labels}


def rules() -> list[dict[str, Any]]:
    """A PrometheusRule for each file of rules."""
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": _metadata(f"lotwise-{path.stem}", {"app.kubernetes.io/part-of": "lotwise"}),
            "spec": yaml.safe_load(path.read_text(encoding="utf-8")),
        }
        for path in sorted(MONITORING.glob("rules/*.yaml"))
    ]


def dashboards() -> list[dict[str, Any]]:
    """A ConfigMap for each dashboard."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(
                f"lotwise-dashboard-{path.stem}",
                {"app.kubernetes.io/part-of": "lotwise", "grafana_dashboard": "1"},
            ),
            "data": {
                f"lotwise-{path.name}": json.dumps(
                    json.loads(path.read_text(encoding="utf-8")), indent=1, ensure_ascii=False
                )
                + "\n"
            },
        }
        for path in sorted(MONITORING.glob("dashboards/*.json"))
    ]


def generated() -> dict[Path, str]:
    """What the files of the component must hold."""
    return {
        COMPONENT / name: HEADER
        + yaml.dump_all(things, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
        for name, things in (("rules.yaml", rules()), ("dashboards.yaml", dashboards()))
    }


def main() -> None:
    """Write the files, or say which are not what they must be."""
    if sys.argv[1:] == ["--check"]:
        stale = [
            path.name
            for path, text in generated().items()
            if not path.is_file() or path.read_text(encoding="utf-8") != text
        ]
        if stale:
            sys.exit(f"{', '.join(stale)}: run scripts/generate_manifests.py")
        return
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
