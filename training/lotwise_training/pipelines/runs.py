"""What a run was: its recipe, command, commit and environment, kept beside its networks."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.table import Table

from lotwise_training.store.checkpoint import load_checkpoint
from lotwise_training.store.device import best_device
from lotwise_training.training import distributed

FILE: Final = "run.json"
PACKAGES: Final = ("lotwise", "torch", "numpy", "onnxruntime")


class RunRecord(BaseModel):
    """One training command.

    Attributes:
        model: What was trained, such as "committee".
        command: Command line.
        recipe: As it was resolved from base, profile and --set.
        data_version: Hash of the tiles.
        max_seconds: Time limit that overrode the recipe's steps.
        commit: Of the source tree, with "-dirty" where it was changed; None outside a checkout.
        environment: Python, packages, processor, device, threads and processes.
        started, ended: UTC; no end while it runs, or where it was broken off.
        resumed: How often it was broken off and begun again.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    command: list[str]
    recipe: dict[str, Any]
    data_version: str
    max_seconds: float | None
    commit: str | None
    environment: dict[str, str | int]
    started: datetime
    ended: datetime | None = None
    resumed: int = 0

    def write(self, folder: Path) -> None:
        """Write it into the folder of the run's networks."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def end(self, folder: Path) -> None:
        """State that it has come to its end."""
        self.model_copy(update={"ended": now()}).write(folder)


def begin_run(
    folder: Path,
    model: str,
    recipe: Any,
    data_version: str,
    *,
    parallel: int,
    max_seconds: float | None,
) -> RunRecord:
    """Put down what is about to be trained, or that it goes on; the first process writes.

    Args:
        folder: Of the run's networks.
        model: What is trained.
        recipe: A class of config/schema.py.
        data_version: Hash of the tiles.
        parallel: Networks at once; several have a thread each.
        max_seconds: Time limit; None for none.
    """
    record = RunRecord(
        model=model,
        command=["lotwise-train", *sys.argv[1:]],
        recipe=json.loads(json.dumps(asdict(recipe))),
        data_version=data_version,
        max_seconds=max_seconds,
        commit=source_commit(),
        environment=describe_environment(1 if parallel > 1 else torch.get_num_threads()),
        started=now(),
    )
    before = read_run(folder)
    if before is not None and (before.recipe, before.data_version) == (
        record.recipe,
        record.data_version,
    ):
        # Once a clock decided, the weights are its work.
        limit = max_seconds or before.max_seconds
        change = {"ended": None, "resumed": before.resumed + 1, "max_seconds": limit}
        record = before.model_copy(update=change)
    if distributed.is_first():
        record.write(folder)
    return record


def read_run(folder: Path) -> RunRecord | None:
    """The record of a run's folder; None where there is none that can be read."""
    try:
        return RunRecord.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def list_runs(runs: Path) -> list[tuple[str, RunRecord, list[dict[str, Any]]]]:
    """All runs in a folder: name, record, and the states of the networks, the latest run last.

    Returns:
        A state holds "name", "step", "steps", "finished" and "line".
    """
    found = []
    for path in sorted(runs.glob(f"**/{FILE}")):
        record = read_run(path.parent)
        if record is None:
            continue
        networks = []
        for checkpoint in sorted(path.parent.glob("*.pt")):
            state = load_checkpoint(checkpoint)
            if state is not None:
                kept = {key: state.get(key) for key in ("step", "steps", "finished", "line")}
                networks.append({"name": checkpoint.stem, **kept})
        name = path.parent.parent.relative_to(runs).as_posix()
        found.append(("" if name == "." else name, record, networks))
    return sorted(found, key=lambda each: each[1].started)


def source_commit() -> str | None:
    """Commit of the source tree that this package lies in; None where git does not know it."""
    here = Path(__file__).resolve()

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # An installed package may lie in the checkout of something else.
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*") or None
    except (OSError, subprocess.CalledProcessError):
        return None


def describe_environment(threads: int) -> dict[str, str | int]:
    """Versions and machine; `threads` of each process."""
    stated: dict[str, str | int] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            stated[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        **stated,
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "device": best_device().type,
        "threads": threads,
        "processes": distributed.count(),
    }


def _processor() -> str:
    """Its model, on Linux; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def now() -> datetime:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def show_runs(runs: list[tuple[str, RunRecord, list[dict[str, Any]]]], out: Console) -> None:
    """Print runs as a table, a row each."""
    table = Table("run", "model", "state", "networks", "steps", "validation", "started", "commit")
    for column in (3, 4):
        table.columns[column].justify = "right"
    for name, record, networks in runs:
        finished = sum(bool(each["finished"]) for each in networks)
        state = "finished" if record.ended else "unfinished"
        step = sum(each["step"] or 0 for each in networks)
        steps = sum(each["steps"] or each["step"] or 0 for each in networks)
        table.add_row(
            name or "(default)",
            record.model,
            state,
            f"{finished} of {len(networks)}",
            f"{step:,} of {steps:,}",
            str(networks[0]["line"]) if networks else "",
            f"{record.started:%Y-%m-%d %H:%M}",
            record.commit or "",
        )
    out.print(table)
