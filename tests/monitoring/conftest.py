"""One platform on a real Triton, asked by callers and scraped by a real Prometheus."""

import asyncio
import functools
import http.server
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from lotwise.platform.launcher import Platform
from lotwise.platform.ports import SERVICES, PlatformPorts
from lotwise.v1 import (
    explain_pb2,
    interval_pb2,
    predict_pb2,
    referral_pb2,
    uncertainty_pb2,
)
from tests.support.prometheus import (
    SCRAPE_INTERVAL_S,
    Prometheus,
    configuration,
    program,
    prometheus,
)
from tests.support.stubs import Stubs
from tests.support.tiles import bad_tiles, png, stripes
from tests.support.triton import triton_home

DOCUMENTED = Path(__file__).parent / "documented"
DRIFT_WINDOW = 100  # the least that is allowed; the usual one needs 1,000 tiles


@pytest.fixture(scope="session")
def platform(repository, tmp_path_factory) -> Iterator[Platform]:
    program("prometheus")  # without it there is nothing to start the others for
    state = tmp_path_factory.mktemp("monitored")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LOTWISE_UNCERTAINTY_DRIFT_WINDOW", str(DRIFT_WINDOW))
        ports = PlatformPorts.free()
        with Platform(repository, state, ports, triton_home(), "triton") as running:
            yield running


@pytest.fixture(scope="session")
def documented() -> Iterator[str]:
    """Address at which what a GPU and a cluster would say is served, from files."""
    handler = functools.partial(_Quiet, directory=str(DOCUMENTED))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest_asyncio.fixture(scope="session")
async def scraped(
    platform, documented, make_tile, pictures, tmp_path_factory
) -> AsyncIterator[Prometheus]:
    """A Prometheus that has seen the platform before and after every kind of question."""
    targets = {name: f"127.0.0.1:{platform.ports.metrics[name]}" for name in SERVICES}
    targets["triton"] = f"127.0.0.1:{platform.ports.triton.metrics}"
    files = [
        {
            "job_name": path.stem,
            "metrics_path": f"/{path.name}",
            "honor_labels": True,
            "static_configs": [{"targets": [documented]}],
        }
        for path in sorted(DOCUMENTED.iterdir())
    ]
    stubs = Stubs({name: platform.ports.address(name) for name in SERVICES})
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(configuration(targets, *files), folder) as running:
        # Twice, with scrapes between: a rate of a new series is 0, and quantiles of it are NaN.
        for often in (DRIFT_WINDOW // len(pictures) + 1, 1):
            await ask_everything(stubs, make_tile, pictures, often)
            await asyncio.to_thread(running.wait_for, "up == 1")
            await asyncio.sleep(2 * SCRAPE_INTERVAL_S)
        yield running
    await stubs.close()


async def ask_everything(stubs: Stubs, make_tile, pictures, often: int) -> None:
    """Every kind of question, with tiles that are accepted, referred, refused and strange.

    Args:
        stubs: Of the services.
        make_tile, pictures: As the fixtures.
        often: How often the whole of `pictures` goes through the cascade.
    """
    good = [make_tile(index) for index in range(len(pictures))]
    bad = [make_tile(**fields) for fields in bad_tiles(pictures[0]).values()]
    white = pictures[1].copy()
    white[:, :100] = 255  # answered, but called poor
    strange = [make_tile(file=png(stripes())), make_tile(file=png(white))]

    async def stream(method, messages):
        return [answer async for answer in method(iter(messages))]

    for tile in (good[0], strange[1]):
        await stubs.predict.Predict(predict_pb2.PredictRequest(tile=tile))
    with pytest.raises(grpc.aio.AioRpcError):
        await stubs.predict.Predict(predict_pb2.PredictRequest(tile=bad[0]))
    await stubs.uncertainty.Assess(uncertainty_pb2.AssessRequest(tile=good[0]))
    await stubs.uncertainty.Interval(interval_pb2.IntervalRequest(tile=good[0]))
    await stubs.referral.Decide(referral_pb2.DecideRequest(tile=good[0]))
    asked = [predict_pb2.PredictRequest(tile=tile) for tile in good + bad]
    await stream(
        stubs.predict.PredictStream, [predict_pb2.PredictStreamRequest(request=a) for a in asked]
    )
    tiles = good * often + bad + strange
    asked = [referral_pb2.DecideRequest(tile=tile, policy="cascade") for tile in tiles]
    await stream(
        stubs.referral.DecideStream, [referral_pb2.DecideStreamRequest(request=a) for a in asked]
    )
    lot = [referral_pb2.DecideLotRequest(tile=tile, policy="cascade") for tile in good[:2]]
    await stream(stubs.referral.DecideLot, lot)
    swept = await stubs.explain.Forward(
        explain_pb2.ForwardRequest(tile=good[0], vary="porosity", steps=2)
    )
    await stubs.explain.Backward(
        explain_pb2.BackwardRequest(tile=good[0], target=swept.original * 1.01, max_evaluations=4)
    )
