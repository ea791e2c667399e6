"""What tests share: simulated tiles, services over the committed models, a real Triton."""

# Before anything loads BLAS or OpenMP.
import tests.support.one_thread  # noqa: F401

# isort: split
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from filelock import FileLock

from lotwise.core.policy import ReferralPolicy
from lotwise.explain import __main__ as explain
from lotwise.explain.settings import ExplainSettings
from lotwise.platform.launcher import Platform
from lotwise.platform.ports import PlatformPorts
from lotwise.predict import __main__ as predict
from lotwise.predict.settings import PredictSettings
from lotwise.referral import __main__ as referral
from lotwise.referral.settings import ReferralSettings
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.server import RunningService
from lotwise.runtime.triton.supervisor import TritonServer
from lotwise.uncertainty import __main__ as uncertainty
from lotwise.uncertainty.settings import UncertaintySettings
from lotwise.v1 import tile_pb2
from lotwise_simulator import mosaic
from lotwise_simulator.benchmark import reference_lots
from tests.support.stubs import Stubs
from tests.support.tiles import png
from tests.support.triton import ROOT, triton_home

TEST_REGION = 2_000  # a patch of every lot that neither the benchmark nor a demo reaches

STANDARD_PORTS = ("tests/platform", "tests/test_readme.py", "tests/test_tutorial.py")
"""Tests that start a platform where users do, on the standard ports and in `.lotwise`."""
GROUPS = {
    "standard-ports": STANDARD_PORTS,
    "monitoring": ("tests/monitoring",),  # one platform and one Prometheus
    "triton": ("tests/contract", "tests/integration/test_platform_on_triton.py"),  # one Triton
}
LONGEST = (
    *STANDARD_PORTS,
    "tests/screening",
    "tests/integration",
    "tests/contract",
    "tests/monitoring",
    "tests/training/cli",
    "tests/training/export",
    "tests/store",
    "tests/training",
    "tests/simulator",
)
"""Run first, in this order, so that no worker is left alone with them at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One group a module, for its fixtures; one for all that share what is slow to start."""
    if not config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return

    def rank(item: pytest.Item) -> int:
        return next((n for n, path in enumerate(LONGEST) if item.nodeid.startswith(path)), 99)

    for item in items:
        module = item.nodeid.split("::")[0]
        group = next((g for g, paths in GROUPS.items() if module.startswith(paths)), module)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=rank)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed model repository, its parts put together by one worker at a time."""
    path = ROOT / "model_repository"
    with FileLock(_run_folder(tmp_path_factory) / "repository.lock"):
        assemble_repository(path)
    return path


def _run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder of the whole run, which its workers share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def policy(repository: Path) -> ReferralPolicy:
    return ReferralPolicy.read(repository / "committee" / "referral_policy.json")


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """Simulated tiles of reference lot R01, uint8 [256, 256] at 1 um/px."""
    return [tile.image for tile in mosaic(reference_lots()[0], 8, region=TEST_REGION)]


@pytest.fixture(scope="session")
def make_tile(pictures: list[np.ndarray]) -> Callable[..., tile_pb2.Tile]:
    """Builds a good tile; keyword arguments replace its fields."""

    def make(index: int = 0, **changes: Any) -> tile_pb2.Tile:
        fields = {
            "tile_id": f"tile-{index}",
            "lot_id": "R01",
            "file": png(pictures[index % len(pictures)]),
            "um_per_px": 1.0,
        }
        if "raw" in changes:
            del fields["file"]
        return tile_pb2.Tile(**{**fields, **changes})

    return make


@pytest_asyncio.fixture(scope="session")
async def services(repository: Path) -> AsyncIterator[dict[str, RunningService]]:
    """The four services in this process, over the in-process engine."""
    engine = {"engine": "onnxruntime", "model_repository": repository, "drain_s": 1.0}
    built = {}
    for name, module, settings in (
        ("predict", predict, PredictSettings(**engine)),
        ("uncertainty", uncertainty, UncertaintySettings(**engine)),
    ):
        built[name] = RunningService(module.build(settings), settings)
        await built[name].start()
    address = f"127.0.0.1:{built['uncertainty'].port}"
    settings = ExplainSettings(**engine, min_familiarity=0.01)
    built["explain"] = RunningService(explain.build(settings), settings)
    await built["explain"].start()
    policy_file = repository / "committee" / "referral_policy.json"
    settings = ReferralSettings(uncertainty_address=address, drain_s=1.0, policy_file=policy_file)
    found = referral.rulings(settings)
    built["referral"] = RunningService(referral.build(settings, *found), settings)
    await built["referral"].start()
    yield built
    for running in reversed(built.values()):
        await running.stop()


@pytest_asyncio.fixture(scope="session")
async def stubs(services: dict[str, RunningService]) -> AsyncIterator[Stubs]:
    made = Stubs({name: f"127.0.0.1:{running.port}" for name, running in services.items()})
    yield made
    await made.close()


@pytest.fixture(scope="session")
def platform(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """All parts, each its own process, on a real Triton over the committed models."""
    state = tmp_path_factory.mktemp("platform")
    with Platform(repository, state, PlatformPorts.free(), triton_home(), "triton") as running:
        yield running


@pytest.fixture(scope="session")
def triton(platform: Platform) -> TritonServer:
    """The platform's."""
    assert platform.triton is not None
    return platform.triton
