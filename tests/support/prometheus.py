"""The real Prometheus that tests start, and its promtool."""

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.ports import free_port
from tests.support.triton import ROOT

MONITORING = ROOT / "deploy" / "monitoring"
RULES = sorted((MONITORING / "rules").glob("*.yaml"))
SCRAPE_INTERVAL_S = 2
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))


def program(name: str) -> str:
    """`prometheus` or `promtool`. Absent, its tests skip for a user and fail in CI."""
    found = shutil.which(name)
    if found is None:
        message = f"No {name}: LOTWISE_WITH_PROMETHEUS=1 make system installs it."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert rule by its name."""
    return {
        rule["alert"]: rule
        for path in RULES
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def configuration(targets: dict[str, str], *more: dict[str, Any]) -> dict[str, Any]:
    """The committed configuration with other addresses and a scrape every other second.

    Args:
        targets: Address by service, instead of those of `lotwise up`.
        more: Further scrape configurations.
    """
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text(encoding="utf-8"))
    every = f"{SCRAPE_INTERVAL_S}s"
    config["global"] = {"scrape_interval": every, "evaluation_interval": every}
    config["rule_files"] = [str(MONITORING / pattern) for pattern in config["rule_files"]]
    for scraped in config["scrape_configs"]:
        for group in scraped["static_configs"]:
            group["targets"] = [targets[group["labels"]["service"]]]
    config["scrape_configs"] += more
    return config


class Prometheus:
    """A running Prometheus.

    Args:
        url: Where it answers.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **arguments: str) -> Any:
        """`data` of an answer of its API; an error of Prometheus fails the test with its text."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{arguments}: {json.load(error)['error']}") from None

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series of an instant query."""
        result = self.get("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in result]

    def wait_for(self, expression: str, timeout_s: float = 60.0) -> None:
        """Returns once the query has an answer."""
        deadline = time.monotonic() + timeout_s
        while not self.query(expression):
            assert time.monotonic() < deadline, f"no answer within {timeout_s} s: {expression}"
            time.sleep(0.2)


@contextlib.contextmanager
def prometheus(config: dict[str, Any], folder: Path) -> Iterator[Prometheus]:
    """Start one on a free port, with its data in `folder`; stop it in the end."""
    binary = program("prometheus")
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(binary, f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}"),
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        started = Prometheus(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{started.url}/-/ready", timeout=2).close()
                break
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield started
    finally:
        process.terminate()
        process.wait(30)
