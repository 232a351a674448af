"""The alert rules and the dashboard: they load, speak of metrics that exist, and fire when they should."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from aggregator.monitoring import Metrics
from tests.aggregator.promtool import ROOT, promtool

ALERTS = ROOT / "aggregator/alerts"
RULES_FILE = ALERTS / "aggregator.rules.yml"
TESTS_FILE = ROOT / "tests/aggregator/alerts.test.yml"


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


RULES: list[dict[str, Any]] = read(RULES_FILE)["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((ALERTS / "dashboard.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]


def targets() -> Iterator[tuple[str, str, str]]:
    """Title, expression and legend of everything that the dashboard draws."""
    for panel in PANELS:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]


def queries() -> list[str]:
    """Every expression of the rules, the dashboard, its variables and its annotations."""
    variables = [it["query"]["query"] for it in DASHBOARD["templating"]["list"] if it["type"] == "query"]
    annotations = [it["expr"] for it in DASHBOARD["annotations"]["list"]]
    return [*(rule["expr"] for rule in RULES), *(expr for _, expr, _ in targets()), *variables, *annotations]


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """The labels of each sample that the service shows."""
    metrics = Metrics(["azure"])
    metrics.errors.labels("azure", "connection")
    metrics.requests.labels("200")
    samples: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", metrics.text().decode(), re.MULTILINE):
        samples[name] = set(re.findall(r'(\w+)="', labels))
    return samples


OF_PROMETHEUS = {"job", "instance"}


def test_every_metric_and_label_that_is_asked_for_exists(exposed: dict[str, set[str]]) -> None:
    asked = set()
    for expr in queries():
        names = re.findall(r"\baggregator_\w+", expr)
        assert names, expr
        asked |= set(names)
        known = set.union(OF_PROMETHEUS, *(exposed[name] for name in names))
        in_braces = {
            label for braces in re.findall(r"\{(.*?)\}", expr) for label in re.findall(r"(\w+)\s*[=!]", braces)
        }
        grouped = {label for group in re.findall(r"by \((.*?)\)", expr) for label in group.split(", ")}
        assert in_braces | grouped <= known, expr
    assert len(asked) >= 10


def test_every_metric_is_on_the_dashboard(exposed: dict[str, set[str]]) -> None:
    drawn = {name for _, expr, _ in targets() for name in re.findall(r"\baggregator_\w+", expr)}
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in exposed}
    families = {name.removesuffix("_total") for name in families}
    assert families == {re.sub(r"_(bucket|total)$", "", name) for name in drawn}


def test_a_legend_names_only_what_its_expression_keeps() -> None:
    for title, expr, legend in targets():
        kept = {label for group in re.findall(r"by \((.*?)\)", expr) for label in group.split(", ")} or OF_PROMETHEUS
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= kept, title


def test_the_dashboard_has_a_place_for_each_panel() -> None:
    ids = Counter(panel["id"] for panel in PANELS)
    titles = Counter(panel["title"] for panel in PANELS)
    assert max(ids.values()) == max(titles.values()) == 1
    places = [panel["gridPos"] for panel in PANELS]
    for place in places:
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_every_panel_of_a_backend_can_be_narrowed_to_some() -> None:
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert names == {"datasource", "job", "backend"}
    for title, expr, _ in targets():
        assert 'job=~"$job"' in expr, title
        assert ('backend=~"$backend"' in expr) == ("aggregator_backend_" in expr), title


def test_a_panel_that_a_runbook_names_exists() -> None:
    titles = {panel["title"] for panel in PANELS}
    named = {name for rule in RULES for name in re.findall(r'"([A-Z][\w ]+)"', rule["annotations"]["runbook"])}
    assert named
    assert named <= titles


def test_every_alert_tells_whoever_is_woken_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
        if "backend" in rule["expr"]:
            assert "{{ $labels.backend }}" in rule["annotations"]["summary"], rule["alert"]


def test_each_alert_is_seen_to_fire_and_not_to_fire() -> None:
    seen = {
        (it["alertname"], bool(it["exp_alerts"]))
        for test in read(TESTS_FILE)["tests"]
        for it in test["alert_rule_test"]
    }
    assert seen == {(rule["alert"], fires) for rule in RULES for fires in (True, False)}


@pytest.mark.stack
def test_prometheus_takes_the_rules_and_their_tests_pass() -> None:
    checked = promtool("check", "rules", RULES_FILE)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout
    tested = promtool("test", "rules", TESTS_FILE)
    assert tested.returncode == 0, tested.stdout + tested.stderr


MUTANTS = (
    ("AggregatorBackendDegraded", "[1m]", "[5m]"),
    ("AggregatorBackendDegraded", "max_over_time", "min_over_time"),
    ("AggregatorBackendBreakerOpen", "> 0", "> 1"),
    ("AggregatorBackendBreakerOpen", "for: 30s", "for: 0s"),
    ("AggregatorBackendTimeouts", 'outcome!="refused"', 'outcome!=""'),
    ("AggregatorBackendTimeouts", "> 0.05", "> 0.01"),
    ("AggregatorBackendTimeouts", "by (job, backend)", "by (job)"),
    ("AggregatorServingStale", "for: 5m", "for: 0m"),
    ("AggregatorServingStale", "> 0.1", "> 0.6"),
    ("AggregatorDeadlineLeftLow", "[1h]", "[5m] offset 3m"),
    ("AggregatorDeadlineLeftLow", "0.05, sum", "0.5, sum"),
    ("AggregatorDeadlineLeftLow", "< 0.5 *", "< 2 *"),
    ("AggregatorRequestErrors", "5..", "[45].."),
    ("AggregatorRequestErrors", "> 0.01", "> 0.001"),
    ("AggregatorInFlightGrowth", "[2m]", "[20m]"),
    ("AggregatorInFlightGrowth", "3 * (", "0 * ("),
    ("AggregatorInFlightGrowth", " + 5)", ")"),
)
"""Likely mistakes, each in the text of one rule."""


@pytest.mark.stack
@pytest.mark.parametrize(("alert", "right", "wrong"), MUTANTS)
def test_a_mistake_in_a_rule_is_found(alert: str, right: str, wrong: str, tmp_path: Path) -> None:
    before, name, rest = RULES_FILE.read_text(encoding="utf-8").partition(f"alert: {alert}\n")
    body, end, after = rest.partition("labels:\n")
    assert right in body
    (tmp_path / "rules.yml").write_text(before + name + body.replace(right, wrong) + end + after, encoding="utf-8")
    tests = re.sub(r"^rule_files: .*$", "rule_files: [rules.yml]", TESTS_FILE.read_text(encoding="utf-8"), flags=re.M)
    (tmp_path / "tests.yml").write_text(tests, encoding="utf-8")
    assert promtool("check", "rules", tmp_path / "rules.yml").returncode == 0
    tested = promtool("test", "rules", tmp_path / "tests.yml")
    assert tested.returncode == 1
    assert alert in tested.stdout + tested.stderr
