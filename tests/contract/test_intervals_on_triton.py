"""Intervals are the same whether Triton or the in-process engine runs the fold networks."""

import grpc
import pytest

from lotwise.platform.ports import PlatformPorts
from lotwise.runtime.server import RunningService
from lotwise.runtime.triton.installation import find_installation
from lotwise.runtime.triton.supervisor import TritonServer
from lotwise.uncertainty.__main__ import build
from lotwise.uncertainty.settings import UncertaintySettings
from lotwise.v1 import interval_pb2, uncertainty_pb2_grpc
from tests.support import folds
from tests.support.triton import triton_home


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    repository = tmp_path_factory.mktemp("models")
    folds.add_committee(repository)
    folds.add_folds(repository)
    state = tmp_path_factory.mktemp("triton")
    installation = find_installation(triton_home())
    with TritonServer(installation, repository, state, PlatformPorts.free().triton) as running:
        yield running


async def asked(settings, tiles):
    """A tile's and a lot's interval, and the engine that gave them."""

    async def messages():
        for tile in tiles:
            yield interval_pb2.LotIntervalRequest(tile=tile)

    async with (
        RunningService(build(settings), settings) as running,
        grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        stub = uncertainty_pb2_grpc.UncertaintyServiceStub(channel)
        tile = await stub.Interval(interval_pb2.IntervalRequest(tile=tiles[0]))
        lot = await stub.LotInterval(messages())
    return (tile.interval, lot.interval), {tile.provenance.engine, lot.provenance.engine}


async def test_both_engines_give_the_same_intervals(server, make_tile):
    common = {
        "intervals_file": server.repository / "regressor_folds" / "intervals.json",
        "model_repository": server.repository,
        "drain_s": 0.0,
    }
    tiles = [make_tile(index) for index in range(6)]
    address = f"127.0.0.1:{server.ports.grpc}"
    on_triton, engine = await asked(UncertaintySettings(triton_address=address, **common), tiles)
    assert engine == {"triton"}
    in_process, engine = await asked(UncertaintySettings(engine="onnxruntime", **common), tiles)
    assert engine == {"onnxruntime"}
    for one, other in zip(on_triton, in_process, strict=True):
        for end in ("lower", "point", "upper"):
            assert getattr(one, end) == pytest.approx(getattr(other, end), rel=1e-5)
