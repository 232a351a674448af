"""`route` and `first` of a fault: what is planned, what `validate` shows, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.rundir.planned.behaviours import Hang, Late, Status
from harness.scenario.preview import preview
from tests.scenario.test_scenario_cli import tailgate
from tests.scenario.world import changed, load, only_problem, plan_of, problems, write

FAULT = "{upstream: azure, latency: 60s, for: 90s}"
UPSTREAMS = "  azure: {p50: 60ms, p99: 140ms}\n  gcp: {}\n"
OWN = """\
  azure:
    routes: {GET /v2/search: {json: {}}, "GET /v2/airports/{code}": {json: {}}}
  gcp: {command: 'python3 {port}'}
  cache: {command: 'python3 {port}', protocol: redis}
"""


def of(fault: str) -> str:
    return changed(
        ("service: {rung: timeout}", 'service: {command: "python3 -m app {port} {azure.url}"}'),
        (UPSTREAMS, OWN),
        (FAULT, fault),
        ("  - p99 < gateway.timeout during azure-latency\n", ""),
        ("errors < 1% during azure-latency", "errors < 50%"),
    )


@pytest.mark.parametrize(
    ("spelled", "behaviour"),
    [("status: 503", Status), ("latency: 3s", Late), ("hang: true", Hang)],
)
def test_a_route_makes_it_a_fault_of_single_calls(tmp_path: Path, spelled: str, behaviour: type) -> None:
    text = of(f"{{upstream: azure, {spelled}, for: 90s, route: GET /v2/search, first: 3}}")
    (fault,) = plan_of(load(tmp_path, text)).faults
    assert isinstance(fault.behaviour, behaviour)
    assert (fault.route, fault.first, fault.toxics) == ("GET /v2/search", 3, ())
    assert fault.text.endswith(", only GET /v2/search, only the first 3 calls")


def test_a_command_upstream_may_have_any_route(tmp_path: Path) -> None:
    text = of("{upstream: gcp, status: 503, for: 90s, route: 'GET /items/{id}'}")
    assert plan_of(load(tmp_path, text)).faults[0].route == "GET /items/{id}"


def test_validate_shows_which_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = of("{upstream: azure, status: 503, for: 90s, route: GET /v2/search, first: 1}")
    (cell,) = preview(load(tmp_path, text))
    assert (cell.faults[0].route, cell.faults[0].first) == ("GET /v2/search", 1)
    assert tailgate("validate", str(write(tmp_path, text))) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "status 503, only GET /v2/search, only the first call on azure" in shown


# (the fault, part of the message, part of the fix); each is the only problem of its scenario
WRONG = [
    ("{upstream: azure, status: 503, for: 90s, route: GET /v2/serch}", "azure has no route", "`GET /v2/search`?"),
    ("{upstream: azure, status: 503, for: 90s, route: /v2/search}", "has no method", "write GET /v2/search"),
    ("{upstream: azure, status: 503, for: 90s, route: 'GET  /v2/search'}", "not spelled", "write GET /v2/search"),
    (
        "{upstream: gcp, status: 503, for: 90s, route: 'GET /a?b=1'}",
        "a route is written without a query",
        "write GET /a",
    ),
    ("{upstream: gcp, status: 503, for: 90s, route: 'GET /{a}b'}", "is not a parameter", "write {name}"),
    ("{upstream: gcp, status: 503, for: 90s, first: 0}", "0 is too small", "at least 1"),
    ("{upstream: azure, down: true, for: 90s, route: GET /v2/search}", "does not act call by call", "remove `route`"),
    ("{upstream: azure, reset: 0s, for: 90s, first: 2}", "does not act call by call", "remove `first`"),
    ("{upstream: azure, capacity: 2, for: 90s, first: 2}", "all calls at once", "remove `first`"),
    ("{upstream: azure, hang: true, for: 90s, first: 2, stream: upstream}", "delaying requests", "remove `first`"),
    ("{upstream: cache, latency: 3s, for: 90s, first: 2}", "the calls to cache are not seen", "remove `first`"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong[0] for wrong in WRONG])
def test_a_wrong_choice_of_calls_is_told(tmp_path: Path, wrong: tuple[str, str, str]) -> None:
    fault, message, fix = wrong
    problem = only_problem(tmp_path, of(fault))
    assert message in problem.message
    assert fix in problem.fix


@pytest.mark.parametrize(("second", "refused"), [("'GET /v2/airports/{code}'", False), ("GET /v2/search", True)])
def test_answers_on_different_routes_may_each_be_replaced(tmp_path: Path, second: str, refused: bool) -> None:
    two = (
        "{name: one, upstream: azure, status: 503, at: 40s, for: 90s, route: GET /v2/search}\n"
        f"  - {{name: two, upstream: azure, empty: true, at: 40s, for: 90s, route: {second}}}"
    )
    found = [problem.message for problem in problems(tmp_path, of(two))]
    assert bool(found) == refused
    assert all("replace the same backend's answers" in message for message in found)
