"""/metrics: whole and true whatever state the service is in, and documented."""

import asyncio
import re
import urllib.request

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from lotwise.core.errors import Contradiction, InvalidTile
from lotwise.predict import __main__ as predict
from lotwise.predict.settings import PredictSettings
from lotwise.runtime.metrics import RpcMetrics
from lotwise.runtime.server import RunningService
from lotwise.uncertainty import __main__ as uncertainty
from lotwise.uncertainty.settings import UncertaintySettings
from lotwise.v1 import predict_pb2, referral_pb2
from tests.support.prometheus import MONITORING, RULES
from tests.support.triton import ROOT

NOBODY = "127.0.0.1:1"  # where no Triton ever listens
TABLE = re.compile(r"^\| `((?:lotwise|process)_\w+)(?:\{([\w, ]*)\})?` \|", re.MULTILINE)
ADDED_BY_PROMETHEUS = {"service", "instance", "job", "namespace", "le", "gpu"}


async def scrape(running: RunningService, kind: str = "text/plain") -> str:
    def read():
        request = urllib.request.Request(
            f"http://127.0.0.1:{running.metrics_port}/metrics", headers={"Accept": kind}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    return await asyncio.to_thread(read)


def samples(text: str) -> dict[tuple[str, tuple], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_service_whose_triton_never_comes_says_so_in_health_and_metrics(repository):
    settings = PredictSettings(triton_address=NOBODY, drain_s=0, health_interval_s=0.01)
    async with RunningService(predict.build(settings), settings) as running:
        found = samples(await scrape(running))
        assert found["lotwise_ready", ()] == 0
        async with asyncio.timeout(20):
            while ("lotwise_dependency_up", (("dependency", "triton"),)) not in found:
                found = samples(await scrape(running))
        assert found["lotwise_dependency_up", (("dependency", "triton"),)] == 0
        assert found["lotwise_ready", ()] == 0
        assert not [name for name, _ in found if name == "lotwise_model_info"]
        assert found["lotwise_tiles_total", (("outcome", "failed"),)] == 0
        assert len([name for name, _ in found if name == "lotwise_build_info"]) == 1
        parsed = list(openmetrics_families(await scrape(running, "application/openmetrics-text")))
        assert {family.name for family in parsed} >= {"lotwise_ready", "lotwise_tiles"}


async def test_a_service_without_a_part_is_ready_and_says_what_it_lacks(repository, tmp_path):
    settings = UncertaintySettings(
        engine="onnxruntime",
        model_repository=repository,
        intervals_file=tmp_path / "none.json",
        drain_s=0,
        health_interval_s=0.01,
    )
    async with RunningService(uncertainty.build(settings), settings) as running:
        found = {}
        async with asyncio.timeout(60):
            while found.get(("lotwise_ready", ())) != 1:
                found = samples(await scrape(running))
        assert found["lotwise_part_available", (("part", "intervals"),)] == 0
        # Drift is unknown before the first tiles: NaN, and no comparison with it is true.
        (drift,) = [v for (name, _), v in found.items() if name.endswith("score_drift_psi")]
        assert drift != drift


async def test_what_is_served_is_shown(services, stubs, make_tile, repository):
    answer = await stubs.predict.Predict(predict_pb2.PredictRequest(tile=make_tile()))
    (model,) = answer.provenance.models
    shown = [
        dict(labels)
        for name, labels in samples(await scrape(services["predict"]))
        if name == "lotwise_model_info"
    ]
    assert {
        "model": model.name,
        "version": model.version,
        "weights": model.weights_sha256[:12],
        "engine": "onnxruntime",
        "trained_on": "simulated",
    } in shown
    decided = await stubs.referral.Decide(referral_pb2.DecideRequest(tile=make_tile()))
    policies = [
        dict(labels)
        for name, labels in samples(await scrape(services["referral"]))
        if name == "lotwise_referral_policy_info"
    ]
    default = [each["policy"] for each in policies if each["default"] == "true"]
    assert default == [decided.provenance.policy_version]


async def test_a_tile_is_counted_once_however_it_is_sent(services, stubs, make_tile):
    async def counted():
        found = samples(await scrape(services["predict"]))
        return [found["lotwise_tiles_total", (("outcome", each),)] for each in OUTCOMES]

    tiles = [make_tile(0), make_tile(1, file=b"")]
    before = await counted()
    await stubs.predict.Predict(predict_pb2.PredictRequest(tile=tiles[0]))
    requests = [predict_pb2.PredictRequest(tile=tile) for tile in tiles]
    call = stubs.predict.PredictStream(
        iter([predict_pb2.PredictStreamRequest(request=request) for request in requests])
    )
    assert len([answer async for answer in call]) == 2
    after = await counted()
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1, 0]


OUTCOMES = ("answered", "refused", "failed")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "answered"),
        (InvalidTile("TILE_EMPTY", "Empty."), "refused"),
        (Contradiction("CALIBRATION_MISMATCH", "Other weights."), "failed"),
    ],
)
def test_a_wrong_installation_is_not_the_callers_fault(error, outcome):
    registry = CollectorRegistry()
    RpcMetrics(registry).count_tile(error)
    told = {
        each: registry.get_sample_value("lotwise_tiles_total", {"outcome": each})
        for each in OUTCOMES
    }
    assert told == {each: float(each == outcome) for each in OUTCOMES}


async def exposed(scraped) -> dict[str, set[str]]:
    """Metrics that the services give, with their labels; a histogram counts as one."""
    found: dict[str, set[str]] = {}
    for labels in scraped.get("series", **{"match[]": '{job="lotwise"}'}):
        name = labels.pop("__name__")
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        if re.match(r"(lotwise|process)_", name) and not name.endswith("_created"):
            found.setdefault(base, set()).update(labels.keys() - ADDED_BY_PROMETHEUS)
    return found


async def test_the_table_of_metrics_lists_what_services_give_and_nothing_else(scraped):
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    listed = {
        name: set(labels.replace(" ", "").split(",")) - {""} for name, labels in TABLE.findall(text)
    }
    assert listed == await exposed(scraped)


async def test_rules_and_dashboards_ask_only_for_metrics_that_there_are(scraped):
    known = set(await exposed(scraped))
    files = [*RULES, *(MONITORING / "dashboards").glob("*.json")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    asked = set(re.findall(r"(?<![:\w])((?:lotwise|process)_\w+)(?=[{\[ )])", text))
    asked = {re.sub(r"_(bucket|count)$", "", name) for name in asked}
    assert asked - known == set()
