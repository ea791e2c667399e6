"""Rules: valid, tested one by one with promtool, and each alert with a runbook."""

import re
import subprocess

import pytest
import yaml

from tests.support.prometheus import MONITORING, RULES, alerts, program
from tests.support.triton import ROOT

UNIT_TESTS = sorted((MONITORING / "rules" / "tests").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks.md"


def promtool(*arguments):
    done = subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_configuration_and_its_rules():
    promtool("check", "config", MONITORING / "prometheus.yaml")


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path):
    promtool("test", "rules", path)


def test_every_alert_is_tested_both_ways():
    fires, quiet = set(), set()
    for path in UNIT_TESTS:
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for test in case.get("promql_expr_test", ()):
                fires |= set(re.findall(r'alertname="(\w+)"', test["expr"]))
            for test in case.get("alert_rule_test", ()):
                (fires if test.get("exp_alerts") else quiet).add(test["alertname"])
    assert fires == quiet == set(alerts())


def test_files_of_rules_can_stand_in_a_prometheusrule():
    for path in RULES:
        assert list(yaml.safe_load(path.read_text(encoding="utf-8"))) == ["groups"]


def test_every_alert_says_how_bad_it_is_and_what_to_do():
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    sections = re.split(r"^### ", RUNBOOKS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    titles = [section.partition("\n")[0] for section in sections]
    assert sorted(titles) == sorted(alerts())
    for title, section in zip(titles, sections, strict=True):
        for part in ("**Means.**", "**Look.**", "**Do.**"):
            assert part in section, f"{title} lacks {part}"


QUERY = re.compile(r"```promql\n(.+?)```", re.DOTALL)


async def test_prometheus_understands_every_query_of_the_runbooks(scraped):
    queries = QUERY.findall(RUNBOOKS.read_text(encoding="utf-8"))
    assert queries
    for query in queries:
        scraped.query(query)
