"""Checks deploy/kubernetes: strict schemas of every kind, and Checkov's policies.

    .venv/bin/python scripts/check_manifests.py [--policies] [FOLDER ...]

Each folder is rendered by kustomize. Every object must be valid, without unknown fields, for each
Kubernetes from 1.30 to the newest whose schemas are known; a kind without a schema fails, too.
`--policies` runs Checkov over the same objects and the Dockerfiles instead, in an environment of
its own (.lotwise/checkov): it brings a hundred packages.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from kubernetes_validate import utils
from pydantic import ValidationError

ROOT = Path(__file__).resolve().parents[1]
KUBERNETES = ROOT / "deploy/kubernetes"
OVERLAYS = sorted(path.parent for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))
OLDEST = 30
# Kinds of operators: models made from their definitions, KEDA 2.16 and Prometheus' operator 0.80.
OPERATORS = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}
CHECKOV = "checkov==3.3.30"
# Or it would read the definitions of a version anew for each object.
utils.schema_contents = functools.cache(utils.schema_contents)


class KubectlMissing(Exception):
    """There is no kubectl; the message names the remedy."""


def kubectl() -> str:
    """The machine's kubectl, or that of scripts/install-kubectl.

    Raises:
        KubectlMissing: There is neither.
    """
    found = shutil.which("kubectl") or shutil.which(ROOT / ".lotwise/bin/kubectl")
    if found is None:
        raise KubectlMissing("kubectl is missing. Run scripts/install-kubectl.")
    return found


def render(folder: Path) -> list[dict[str, Any]]:
    """The objects of an overlay, as `kubectl kustomize` makes them."""
    made = subprocess.run([kubectl(), "kustomize", folder], capture_output=True, text=True)
    if made.returncode:
        raise SystemExit(f"{folder}: {made.stderr}")
    return [each for each in yaml.safe_load_all(made.stdout) if each]


def versions() -> list[str]:
    """Every Kubernetes from 1.30 on whose schemas are known."""
    newest = int(kubernetes_validate.latest_version().split(".")[1])
    return [f"1.{minor}" for minor in range(OLDEST, newest + 1)]


def faults(thing: dict[str, Any]) -> Iterator[str]:
    """What is wrong with an object, for whichever version."""
    api, kind = thing["apiVersion"], thing["kind"]
    if api in OPERATORS:
        yield from _operator_faults(thing, getattr(importlib.import_module(OPERATORS[api]), kind))
        return
    for version in versions():
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            yield f"Kubernetes {version} knows no {api} {kind}"
        except kubernetes_validate.ValidationError as error:
            yield f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"


def _operator_faults(thing: dict[str, Any], model: Any) -> Iterator[str]:
    try:
        read = model.model_validate(thing)
    except ValidationError as error:
        yield str(error)
        return
    # Fields that the model does not know are lost on the way.
    back = read.model_dump(by_alias=True, exclude_unset=True, mode="json")
    yield from _lost(thing, back, thing["kind"])


def _lost(given: Any, back: Any, where: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(back, dict):
        for key, value in given.items():
            if key in back:
                yield from _lost(value, back[key], f"{where}.{key}")
            else:
                yield f"{where}.{key} is unknown"
    elif isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        for index, (one, other) in enumerate(zip(given, back, strict=True)):
            yield from _lost(one, other, f"{where}.{index}")
    elif given != back:
        yield f"{where}: {given!r} is read as {back!r}"


def check_policies(folders: list[Path]) -> int:
    """Run Checkov; its exit status."""
    home = ROOT / ".lotwise/checkov"
    program = home / "bin/checkov"
    if not program.is_file():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip = [home / "bin/pip", "install", "--quiet", "--no-compile"]
        subprocess.run([*pip, CHECKOV], check=True)
    options = ["--compact", "--quiet", "--skip-download"]
    status = 0
    with tempfile.TemporaryDirectory() as rendered:
        files = [Path(rendered, f"{folder.name}.yaml") for folder in folders]
        for folder, file in zip(folders, files, strict=True):
            file.write_text(yaml.safe_dump_all(render(folder)), encoding="utf-8")
        dockerfiles = [
            path
            for path in sorted((ROOT / "deploy/docker").glob("Dockerfile*"))
            if path.suffix != ".dockerignore"
        ]
        for framework, these in (("kubernetes", files), ("dockerfile", dockerfiles)):
            command = [program, "--framework", framework, *options, "--file", *these]
            status |= subprocess.run(command, env=os.environ | {"LOG_LEVEL": "ERROR"}).returncode
    return status


def main() -> None:
    """Check the overlays, or the folders that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", action="store_true", help="run Checkov instead")
    parser.add_argument("folders", nargs="*", type=Path)
    given = parser.parse_args()
    folders = given.folders or OVERLAYS
    count, wrong = 0, []
    try:
        if given.policies:
            sys.exit(check_policies(folders))
        for folder in folders:
            things = render(folder)
            count += len(things)
            for thing in things:
                name = f"{folder.name}: {thing['kind']} {thing['metadata']['name']}"
                wrong += [f"{name}: {fault}" for fault in faults(thing)]
    except KubectlMissing as missing:
        sys.exit(str(missing))
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{count} objects are valid for Kubernetes {versions()[0]} to {versions()[-1]}")  # noqa: T201


if __name__ == "__main__":
    main()
