"""Dashboards: laid out without overlap, and every query answered by a real Prometheus."""

import json
import math
import re
from itertools import combinations

import pytest

from tests.support.prometheus import DASHBOARDS

# What a test cannot have is served from files, and the panels say what they need.
NEEDS = {"Needs a GPU.": "nv_gpu_", "Needs Kubernetes.": "kube"}


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def panels(path):
    return [panel for panel in load(path)["panels"] if panel["type"] != "row"]


def filled(expression):
    """The query as Grafana would send it with "All" chosen everywhere.

    Rates are over all that the test has done, so that its speed does not matter.
    """
    return re.sub(r"\$(\w+)", ".*", expression.replace("$__rate_interval", "15m"))


QUERIES = [
    pytest.param(target["expr"], id=f"{path.stem}: {panel['title']} {target['refId']}")
    for path in DASHBOARDS
    for panel in panels(path)
    for target in panel["targets"]
]


@pytest.mark.parametrize("expression", QUERIES)
async def test_every_query_has_an_answer(scraped, expression):
    values = [value for _, value in scraped.query(filled(expression))]
    assert values, "no series"
    assert any(math.isfinite(value) for value in values), f"only {values}"


async def test_the_variables_find_something_to_choose(scraped):
    for path in DASHBOARDS:
        for variable in load(path)["templating"]["list"]:
            if variable["type"] != "query" or variable["name"] == "namespace":
                continue  # there is no namespace outside of a cluster
            series, label = re.fullmatch(
                r"label_values\((.+), (\w+)\)", variable["definition"]
            ).groups()
            assert {labels[label] for labels, _ in scraped.query(series)}, variable["name"]


async def test_no_alert_of_a_healthy_platform_is_critical(scraped):
    # How fast it answers is the machine's business.
    told = scraped.query('ALERTS{severity="critical", objective!="latency"}')
    assert [labels["alertname"] for labels, _ in told] == []


async def test_no_rule_fails(scraped):
    groups = scraped.get("rules")["groups"]
    assert {
        rule["name"]: rule["lastError"]
        for g in groups
        for rule in g["rules"]
        if rule.get("lastError")
    } == {}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
class TestLayout:
    def test_no_two_panels_overlap(self, path):
        placed = [(panel["title"], panel["gridPos"]) for panel in load(path)["panels"]]
        for (first, a), (second, b) in combinations(placed, 2):
            beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
            apart = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
            assert beside or apart, f"{first} and {second}"
        assert all(at["x"] >= 0 and at["x"] + at["w"] <= 24 for _, at in placed)

    def test_ids_and_titles_are_unique(self, path):
        found = load(path)["panels"]
        assert len({panel["id"] for panel in found}) == len(found)
        assert len({panel["title"] for panel in found}) == len(found)

    def test_every_panel_says_what_it_shows_in_which_unit_from_the_chosen_source(self, path):
        for panel in panels(path):
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            for asked in (panel, *panel["targets"]):
                assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}

    def test_every_variable_that_a_query_uses_is_declared(self, path):
        declared = {variable["name"] for variable in load(path)["templating"]["list"]}
        asked = " ".join(t["expr"] for panel in panels(path) for t in panel["targets"])
        used = set(re.findall(r"\$(\w+)", asked)) - {"__rate_interval"}
        assert used == declared - {"datasource"}

    def test_what_needs_a_gpu_or_a_cluster_says_so_and_nothing_else_does(self, path):
        for panel in panels(path):
            asked = " ".join(target["expr"] for target in panel["targets"])
            for sentence, prefix in NEEDS.items():
                needed = re.search(rf"\b{prefix}", asked) is not None
                assert (sentence in panel["description"]) == needed, panel["title"]
