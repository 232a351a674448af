"""The search's own faults: planned as those of a scenario are, and refused where an upstream cannot have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.searches.frontier import FrontierKind
from harness.scenario.load import dry_plan
from harness.search.frontier.kinds import KINDS, level_text, parse_level, scale_of
from harness.search.frontier.upstream_faults import FrontierTarget, planned_fault, searched_cell
from tests.search.frontier.scenarios import cell_of

REAL = "{db: 'postgres://app@localhost:5432/app', api: {url: 'http://127.0.0.1:9', observe: false}, raw: 'tcp://h:1'}"


def planned(
    folder: Path, upstream: str, kind: FrontierKind, level: float, upstreams: str = "{azure: {}}"
) -> PlannedFault:
    faults = "" if upstreams == REAL else "{upstream: azure, latency: 60s, for: 90s}"
    sets = ("service.rung=null", "service.url=http://127.0.0.1:1") if upstreams == REAL else ()
    cell = cell_of(folder, "p99 < 2s", *sets, upstreams=upstreams, faults=faults)
    return planned_fault(cell.loaded.checked, FrontierTarget(upstream, kind), level)


@pytest.mark.parametrize(
    ("kind", "level", "text", "proof"),
    [
        ("latency", 900.0, "latency 900ms", "held"),
        ("errors", 0.05, "status 503", "answered"),
        ("hang", 0.125, "hang", "held"),
        ("outage", 40_000.0, "hang", "held"),
    ],
)
def test_each_kind_is_a_fault_that_canaries_prove(
    tmp_path: Path, kind: FrontierKind, level: float, text: str, proof: str
) -> None:
    fault = planned(tmp_path, "azure", kind, level)
    assert (fault.name, fault.text, fault.proof.kind) == (f"azure-{kind}", text, proof)
    assert fault.share == (level if KINDS[kind].unit == "share" else 1)
    assert fault.met == "optional", "at a small share no call may meet it; the search looks"


def test_a_share_breaks_single_calls_of_a_fake_and_the_rest_acts_on_connections(tmp_path: Path) -> None:
    assert planned(tmp_path, "azure", "hang", 0.5).behaviour == behaviours.Hang()
    assert planned(tmp_path, "azure", "outage", 9_000).behaviour is None


@pytest.mark.parametrize("kind", ["errors", "hang"])
def test_a_share_of_calls_that_nothing_sees_is_refused_with_what_can_be_searched(
    tmp_path: Path, kind: FrontierKind
) -> None:
    with pytest.raises(UsageError, match="nothing of ours sees its calls one by one") as refused:
        planned(tmp_path, "db", kind, 0.1, REAL)
    assert "--kind outage" in refused.value.fix
    with pytest.raises(UsageError) as refused:
        planned(tmp_path, "api", kind, 0.1, REAL)
    assert refused.value.fix.startswith("remove `observe: false`")


def test_a_real_server_can_be_slow_and_gone(tmp_path: Path) -> None:
    assert planned(tmp_path, "db", "latency", 300, REAL).toxics
    assert planned(tmp_path, "db", "outage", 9_000, REAL).toxics
    with pytest.raises(UsageError, match="acts on bytes, and a canary may carry none"):
        planned(tmp_path, "raw", "latency", 300, REAL)


def test_an_upstream_that_there_is_not_or_that_no_request_asks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no upstream gcp") as refused:
        planned(tmp_path, "gcp", "latency", 300)
    assert "azure" in refused.value.fix
    asked = cell_of(tmp_path, "p99 < 2s", "load.request={request: GET /a, asks: [azure]}")
    with pytest.raises(UsageError, match="no request asks `gcp`"):
        planned_fault(asked.loaded.checked, FrontierTarget("gcp", "latency"), 300)


def test_the_stack_is_planned_for_the_faults_of_the_search(tmp_path: Path) -> None:
    targets = (FrontierTarget("azure", "latency"), FrontierTarget("gcp", "outage"))
    cell = searched_cell(cell_of(tmp_path, "p99 < 2s"), targets)
    plan, findings = dry_plan(cell.loaded.checked)
    assert [fault.name for fault in plan.faults] == ["azure-latency", "gcp-outage"]
    assert not findings


@pytest.mark.parametrize(
    ("kind", "first", "most", "says"),
    [
        ("latency", 1.0, None, "--from 1 ms is too little"),
        ("outage", None, 1_000.0, "--to 1 s is too little"),
        ("latency", 9_000.0, 500.0, "--from 9 s is above --to 500 ms"),
        ("errors", None, 1.5, "more than every call"),
    ],
)
def test_levels_that_make_no_scale_are_refused(
    kind: FrontierKind, first: float | None, most: float | None, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        scale_of(kind, first, most)


def test_levels_are_written_as_they_are_read() -> None:
    assert (level_text("latency", 900), level_text("outage", 75_000), level_text("errors", 0.05)) == (
        "900 ms",
        "75 s",
        "5.00 %",
    )
    assert (parse_level("outage", "75s"), parse_level("hang", "5%")) == (75_000, 0.05)
    for traits in KINDS.values():
        assert traits.scale.least <= traits.scale.first <= (traits.scale.most or 0)
