"""How the clients reach a service, and what they say where they do not."""

import json
import shutil
import subprocess

import grpc
import pytest

from lotwise import AsyncClient, Client
from lotwise.client import EngineUnavailable, InvalidTile, LotwiseError
from tests.client.fake import FakePredict, Serving

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
DOWN = "127.0.0.1:1"


@pytest.mark.parametrize("method", ["predict", "refer", "uncertainty"])
async def test_a_service_that_is_down_is_named_with_its_address_and_what_to_do(make_asker, method):
    asker = make_asker(predict=DOWN, referral=DOWN, uncertainty=DOWN, retries=0)
    with pytest.raises(EngineUnavailable) as refused:
        await asker.ask(method, b"x")
    assert refused.value.reason == "ENGINE_UNAVAILABLE"
    assert DOWN in refused.value.message
    assert "`lotwise up`" in refused.value.message
    assert refused.value.__notes__  # what gRPC itself said


async def test_a_stream_to_a_service_that_is_down_raises_the_same(make_asker):
    asker = make_asker(predict=DOWN, retries=0)
    with pytest.raises(EngineUnavailable, match="`lotwise up`"):
        await asker.ask_many("predict_many", [b"x", b"y"])


async def test_a_lot_for_a_service_that_is_down_raises_the_same(make_asker):
    asker = make_asker(referral=DOWN, retries=0)
    with pytest.raises(EngineUnavailable, match="referral service.*`lotwise up`"):
        await asker.ask("screen_lot", [b"x"], lot_id="A")


async def test_unavailable_calls_are_repeated(make_asker):
    with Serving(FakePredict([UNAVAILABLE] * 2)) as serving:
        answer = await make_asker(predict=serving.address).ask("predict", b"12345")
    assert answer.value == 5.0
    assert serving.fake.calls == 3


async def test_repeats_end(make_asker):
    with Serving(FakePredict([UNAVAILABLE] * 9)) as serving, pytest.raises(EngineUnavailable):
        await make_asker(predict=serving.address, retries=1).ask("predict", b"x")
    assert serving.fake.calls == 2


@pytest.mark.parametrize("retries", [0, 2])
async def test_a_call_whose_service_goes_away_in_the_middle_is_made_again(make_asker, retries):
    """After the first headers, from when on gRPC itself repeats nothing."""
    with Serving(FakePredict([UNAVAILABLE] * 2, headers=True)) as serving:
        asker = make_asker(predict=serving.address, retries=retries)
        if retries:
            assert (await asker.ask("predict", b"12345")).value == 5.0
        else:
            with pytest.raises(EngineUnavailable):
                await asker.ask("predict", b"12345")
    assert serving.fake.calls == retries + 1


async def test_replicas_are_asked_in_turn_and_one_that_is_down_is_passed_by(make_asker):
    with Serving(FakePredict()) as one, Serving(FakePredict()) as other:
        asker = make_asker(predict=f"{one.address},{DOWN},{other.address}", retries=0)
        for _ in range(8):
            assert (await asker.ask("predict", b"123")).value == 3.0
    assert one.fake.calls
    assert other.fake.calls


@pytest.mark.parametrize("wrong", ["127.0.0.1", "127.0.0.1:1,", "http://127.0.0.1:1"])
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(ValueError, match="is no address"):
        Client(predict=wrong)


def test_several_servers_with_tls_need_a_name():
    with pytest.raises(ValueError, match="dns:///name:port"):
        Client("gpu-a,gpu-b", tls=True)


async def test_large_tiles_are_repeated_too(make_asker):
    with Serving(FakePredict([UNAVAILABLE])) as serving:
        answer = await make_asker(predict=serving.address).ask("predict", bytes(3 * 2**20))
    assert answer.value == 3 * 2**20


@pytest.mark.parametrize(
    "status", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNKNOWN, UNAVAILABLE]
)
async def test_other_failures_are_not_repeated_and_none_without_retries(make_asker, status):
    retries = 0 if status == UNAVAILABLE else 3
    with Serving(FakePredict([status])) as serving, pytest.raises(LotwiseError):
        await make_asker(predict=serving.address, retries=retries).ask("predict", b"x")
    assert serving.fake.calls == 1


async def test_a_tile_above_the_message_limit_is_not_sent(make_asker, tmp_path):
    path = tmp_path / "large.tif"
    path.write_bytes(bytes(2**20))
    with Serving(FakePredict()) as serving:
        asker = make_asker(predict=serving.address, max_message_bytes=2**20)
        for large in (path, path.read_bytes()):
            with pytest.raises(InvalidTile) as refused:
                await asker.ask("predict", large)
            assert refused.value.reason == "TILE_TOO_LARGE"
    assert serving.fake.calls == 0


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    "wrong", [{"timeout": 0}, {"retries": 5}, {"retries": -1}, {"max_message_bytes": 1}]
)
def test_settings_out_of_range_are_refused(kind, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        kind(**wrong)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("gpu-node", "gpu-node:50051"),
        ("gpu-a,gpu-b", "gpu-a:50051,gpu-b:50051"),
        ("::1", "[::1]:50051"),
        ("[::1]", "[::1]:50051"),
    ],
)
def test_a_host_has_the_standard_ports(host, address):
    with Client(host, explain="else:1") as client:
        assert client._connection.addresses["predict"] == address
        assert client._connection.addresses["explain"] == "else:1"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of its own making for 127.0.0.1, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate of this test, and is not there")
    folder = tmp_path_factory.mktemp("tls")
    key, pem = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=lotwise", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", pem],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return key, pem


async def test_tls_with_a_root_certificate_from_a_file(make_asker, certificate):
    key, pem = certificate
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), pem.read_bytes())])
    with Serving(FakePredict(), credentials) as serving:
        serving.fake.release.set()
        asker = make_asker(predict=serving.address, tls=pem, retries=0)
        assert (await asker.ask("predict", b"123")).value == 3.0
        assert len(await asker.ask_many("predict_many", [b"1", b"2"])) == 2
        for tls in (False, True):  # plain, and roots that do not know the certificate
            with pytest.raises(EngineUnavailable):
                await make_asker(predict=serving.address, tls=tls, retries=0).ask("predict", b"1")


def test_a_file_of_certificates_that_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        Client(tls=tmp_path / "roots.pem")


def test_grpc_begins_no_stream_of_a_lot_anew():
    """It may lose a tile; only where each tile has its answer is that missed."""
    with Client() as client:
        options = dict(client._connection.channel("referral")[1])
    (said,) = json.loads(options["grpc.service_config"])["methodConfig"]
    methods = {each["method"] for each in said["name"]}
    assert {"Predict", "PredictStream", "Decide", "DecideStream", "Assess", "Edit"} <= methods
    assert not methods & {"DecideLot", "LotInterval", "ForwardLot", "BackwardLot"}
