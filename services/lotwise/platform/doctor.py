"""What this machine lacks for Lotwise, and the command that brings it."""

from __future__ import annotations

import importlib.metadata
import platform as machine
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lotwise.core.calibration import read_calibration
from lotwise.core.errors import Contradiction
from lotwise.core.intervals import IntervalCalibration
from lotwise.core.policy import ReferralPolicy
from lotwise.platform.ports import PlatformPorts
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.members import AssemblyError
from lotwise.runtime.model_config import read_pbtxt
from lotwise.runtime.triton.installation import TritonMissing, find_installation

MODELS: Final = ("regressor", "committee")
EDITOR_MODELS: Final = ("editor_encoder", "editor_decoder", "edit_gradient")
"""Without them nothing is explained; all else is served."""
_SERVING_PACKAGES: Final = ("grpcio", "onnxruntime", "tritonclient", "pillow")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        state: "ok", "limited" (works, with less) or "missing".
        detail: What was found.
        remedy: The command that helps; empty where nothing needs help.
    """

    subject: str
    state: str
    detail: str
    remedy: str = ""


def examine(repository: Path, triton_home: Path, ports: PlatformPorts) -> Iterator[Finding]:
    """Look at everything that `lotwise up` needs, in the order in which it needs it."""
    yield _python()
    yield from _packages()
    yield _triton(triton_home)
    yield from _models(repository)
    yield _policy(repository)
    yield _intervals(repository)
    taken = ports.taken()
    yield Finding(
        "ports",
        "limited" if taken else "ok",
        f"in use: {', '.join(map(str, taken))}" if taken else "free",
        "Stop what listens there, unless it is a running platform." if taken else "",
    )


def _python() -> Finding:
    found = f"Python {machine.python_version()} on {machine.system()} {machine.machine()}"
    if (sys.platform, machine.machine()) != ("linux", "x86_64"):
        return Finding("machine", "limited", found, "Triton's wheel is for Linux x86_64 alone.")
    return Finding("machine", "ok", found)


def _packages() -> Iterator[Finding]:
    missing = []
    for name in _SERVING_PACKAGES:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Finding(
            "packages", "missing", ", ".join(missing), "Run `pip install 'lotwise[serving]'`."
        )
    else:
        yield Finding("packages", "ok", "serving extra complete")


def _triton(home: Path) -> Finding:
    try:
        installation = find_installation(home)
    except TritonMissing as missing:
        return Finding(
            "Triton",
            "limited",
            f"{missing.what}; the in-process engine serves instead",
            missing.remedy,
        )
    if shutil.disk_usage("/dev/shm").free < 64 * 2**20:
        return Finding(
            "Triton",
            "limited",
            "less than 64 MiB free in /dev/shm",
            "Give the container more shared memory (--shm-size=256m).",
        )
    return Finding("Triton", "ok", str(installation.binary))


def _models(repository: Path) -> Iterator[Finding]:
    absent = _absent(repository, MODELS)
    if absent:
        yield Finding(
            "models",
            "missing",
            f"{', '.join(absent)} not in {repository}",
            "Name the repository with --models, or run `lotwise-train export`.",
        )
        return
    try:
        assemble_repository(repository)
        simulated = read_pbtxt(
            repository / MODELS[0] / "config.pbtxt"
        ).metadata.trained_on_simulated_lots
    except (AssemblyError, Contradiction) as error:
        yield Finding("models", "missing", str(error), "Run `lotwise-train export`.")
        return
    kind = "trained on simulated lots" if simulated else "trained on measured lots"
    editing = _absent(repository, EDITOR_MODELS)
    if editing:
        yield Finding("models", "ok", f"{len(MODELS)} models, {kind}")
        yield Finding(
            "editor",
            "limited",
            f"{', '.join(editing)} not in {repository}; explain is not started",
            "Explanations need an editor that sees the regressor's field of view.",
        )
    else:
        yield Finding("models", "ok", f"{len(MODELS) + len(EDITOR_MODELS)} models, {kind}")


def _absent(repository: Path, names: Sequence[str]) -> list[str]:
    return [name for name in names if not (repository / name / "config.pbtxt").is_file()]


def _policy(repository: Path) -> Finding:
    path = repository / "committee" / "referral_policy.json"
    try:
        policy = ReferralPolicy.read(path)
        calibration = read_calibration(path.parent).calibration
        served = read_pbtxt(repository / "committee" / "config.pbtxt").metadata.weights_sha256
    except Contradiction as error:
        return Finding("policy", "missing", error.message, "Run `lotwise calibrate`.")
    if {policy.weights_sha256, calibration.weights_sha256} != {served}:
        return Finding("policy", "missing", "fitted for other weights", "Run `lotwise calibrate`.")
    if policy.calibration_version != calibration.calibration_version:
        return Finding(
            "policy", "missing", "fitted with another calibration", "Run `lotwise calibrate`."
        )
    return Finding("policy", "ok", policy.policy_version)


def _intervals(repository: Path) -> Finding:
    remedy = "Run `lotwise-train regressor` and `lotwise-train export`."
    folder = repository / "regressor_folds"
    try:
        calibration = IntervalCalibration.read(folder / "intervals.json")
        served = read_pbtxt(folder / "config.pbtxt").metadata.weights_sha256
    except Contradiction as error:
        # All else is served without intervals, but not what is there and cannot be used.
        state = "limited" if error.reason == "INTERVALS_MISSING" else "missing"
        return Finding("intervals", state, error.message, remedy)
    if calibration.weights_sha256 != served:
        return Finding("intervals", "missing", "calibrated for other weights", remedy)
    lots = f"{len(calibration.lots):,} lots of {calibration.recipes:,} recipes"
    return Finding("intervals", "ok", f"calibrated with {lots}")
