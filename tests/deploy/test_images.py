"""Images: Dockerfiles without complaints, one install script, a bill of materials."""

import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.triton import ROOT

DOCKER = ROOT / "deploy/docker"
DOCKERFILES = [DOCKER / "Dockerfile", DOCKER / "Dockerfile.training"]
every_dockerfile = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)


def instructions(dockerfile: Path) -> list[str]:
    """Its lines, continued ones in one."""
    text = dockerfile.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_hadolint_has_no_complaint(tmp_path: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    clean = subprocess.run([hadolint, *DOCKERFILES], capture_output=True, text=True)
    assert clean.returncode == 0, clean.stdout
    sloppy = tmp_path / "Dockerfile"
    sloppy.write_text("FROM debian\nRUN apt-get install curl\n")
    assert subprocess.run([hadolint, sloppy], capture_output=True).returncode == 1


@every_dockerfile
def test_images_are_pinned_and_run_as_nobody(dockerfile: Path) -> None:
    lines = instructions(dockerfile)
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", bases[0])
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
    last = max(index for index, line in enumerate(lines) if line.startswith("FROM "))
    assert not [line for line in lines[last:] if line.startswith(("RUN ", "ADD "))]


@every_dockerfile
def test_the_proven_script_is_all_that_an_image_runs(dockerfile: Path) -> None:
    (run,) = (line for line in instructions(dockerfile) if line.startswith("RUN "))
    command = run.removeprefix("RUN ").split()
    assert command[:2] == ["deploy/docker/install-lotwise", "/opt/lotwise"]
    assert "/source/deploy/docker/install-lotwise /opt/lotwise" in (
        ROOT / "scripts/prove-image"
    ).read_text(encoding="utf-8")
    assert (ROOT / command[0]).stat().st_mode & 0o111


@every_dockerfile
def test_the_context_is_what_the_build_needs(dockerfile: Path) -> None:
    ignored = dockerfile.with_name(f"{dockerfile.name}.dockerignore").read_text(encoding="utf-8")
    let_in = re.findall(r"^!([^*\n]+)$", ignored, re.MULTILINE)
    assert "\n*\n" in ignored, "nothing that is not named"
    for path in let_in:
        assert (ROOT / path).exists() or path == "wheels", path
    copied = [line.split()[1] for line in instructions(dockerfile) if line.startswith("COPY ")]
    for path in copied:
        assert path in (".", "--from=build") or path in let_in, path


def test_bill_of_materials_names_all_that_the_serving_extra_brings(tmp_path: Path) -> None:
    file = tmp_path / "lotwise.cdx.json"
    made = subprocess.run(
        [ROOT / "scripts/sbom", ROOT / ".venv", file], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    bill = json.loads(file.read_text(encoding="utf-8"))
    named = {canonicalize_name(each["name"]): each["version"] for each in bill["components"]}
    for name in _brought_by("lotwise", frozenset({"serving"})):
        assert named[name] == distribution(name).version
    assert all(
        each["purl"].startswith("pkg:pypi/") for each in bill["components"] if "purl" in each
    )
    # Its addresses, thousands of them, take half a minute to check.
    for each in bill["components"]:
        each.pop("externalReferences", None)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    bill["components"][0]["type"] = "crystal"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is not None


def _brought_by(package: str, extras: frozenset[str]) -> set[str]:
    """Canonical names of all that an extra brings, itself left out."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(package, extras)]
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in ("", *wanted)
            ):
                waiting.append((canonicalize_name(needed.name), frozenset(needed.extras)))
    return {name for name, _ in seen} - {package}
