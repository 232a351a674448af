"""Upstreams whose calls nothing records: which faults a canary of each protocol can show; gates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from harness.errors import Problem
from harness.model.registry import Registry
from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.scenario.load import dry_plan
from harness.scenario.preview import preview
from harness.upstreams import kinds
from harness.upstreams.protocols import canary_size
from harness.upstreams.upstream import Upstream
from harness.upstreams.upstream_files import NO_INPUTS, UpstreamInputs
from tests.scenario.world import changed, load, plan_of, problems


class Spoken(Upstream):
    """A server that speaks a protocol, for these tests."""

    KIND: ClassVar = "spoken"

    speaks: ProtocolName

    @property
    def protocol(self) -> ProtocolName:
        return self.speaks

    def plan(
        self, name: str, index: int, ports: Callable[[], int], inputs: UpstreamInputs = NO_INPUTS
    ) -> PlannedUpstream:
        return PlannedUpstream(
            name=name,
            index=index,
            kind=self.KIND,
            protocol=self.speaks,
            listener=Endpoint(port=ports()),
            origin=Endpoint(port=1),
            canary_bytes=self.answer_bytes()[0],
        )

    def answer_bytes(self, inputs: UpstreamInputs = NO_INPUTS) -> tuple[int, int]:
        size = canary_size(self.speaks)
        return size.least, size.most


@pytest.fixture(autouse=True)
def _spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "UPSTREAMS", Registry({"speaks": f"{__name__}:Spoken", **kinds.UPSTREAMS.places}))


def scenario(protocol: str, fault: str = "latency: 60s", gates: str = "p99 < gateway.timeout during db-fault") -> str:
    return changed(
        ("  gcp: {}", f"  gcp: {{}}\n  db: {{speaks: {protocol}}}"),
        ("{upstream: azure, latency: 60s, for: 90s}", f"{{name: db-fault, upstream: db, {fault}, for: 90s}}"),
        ("  - p99 < gateway.timeout during azure-latency\n", f"  - {gates}\n"),
        ("during azure-latency", "during db-fault"),
    )


SHOWN: dict[str, tuple[str, ...]] = {
    "latency: 60s": ("http", "https", "grpc", "postgres", "mysql", "redis", "kafka", "amqp", "tls"),
    "latency: 60s, stream: upstream": ("http", "grpc", "postgres", "mysql", "redis", "kafka", "amqp", "tls"),
    "hang: true": ("http", "grpc", "postgres", "mysql", "redis", "kafka", "amqp", "tls"),
    "reset: 0s": ("http", "grpc", "postgres", "mysql", "redis", "kafka", "amqp", "tls"),
    "slow_close: 5s": ("http", "grpc", "postgres", "mysql", "redis", "kafka", "amqp", "tls", "tcp"),
    "down: true": ("http", "grpc", "postgres", "mysql", "redis", "kafka", "amqp", "tls", "tcp"),
    "bandwidth: 10kB/s": ("postgres", "redis", "tls"),
    "limit_data: 50B": ("postgres", "mysql", "redis", "kafka", "tls"),
    "limit_data: 5B": ("http", "grpc", "postgres", "mysql", "redis", "kafka", "amqp", "tls"),
    "slicer: {size: 10B, delay: 10ms}": ("postgres", "mysql", "redis", "kafka", "amqp", "tls"),
}  # fmt: skip
PROTOCOLS = ("http", "grpc", "postgres", "mysql", "redis", "kafka", "amqp", "tls", "tcp")


@pytest.mark.parametrize("fault", SHOWN)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_fault_is_taken_if_a_canary_of_the_protocol_can_show_it(tmp_path: Path, fault: str, protocol: str) -> None:
    found = problems(tmp_path, scenario(protocol, fault))
    if protocol in SHOWN[fault]:
        assert found == ()
        return
    (problem,) = found
    assert problem.path == f"faults[0].{fault.split(':', maxsplit=1)[0]}"
    assert problem.fix


def test_what_is_too_small_to_be_seen_is_said_with_the_protocol_and_the_size(tmp_path: Path) -> None:
    assert only(problems(tmp_path, scenario("grpc", "limit_data: 9B"))) == (
        "a whole canary (9 bytes) fits into 9 bytes, so nothing would be cut"
        " (db: gRPC; the answer to a canary has 9 bytes at least)"
    )
    assert only(problems(tmp_path, scenario("tcp", "limit_data: 9B"))) == (
        "`limit_data` acts on bytes, and a canary may carry none here (db: TCP)"
    )
    assert only(problems(tmp_path, scenario("tcp", "latency: 60s"))) == (
        "`latency` acts on bytes, and a canary may carry none here (db: TCP)"
    )


def test_a_fault_that_only_a_fake_can_do_is_refused(tmp_path: Path) -> None:
    assert only(problems(tmp_path, scenario("postgres", "status: 503"))) == (
        "`status` breaks single answers, and those of db pass unseen"
    )


@pytest.mark.parametrize(
    ("gate", "message", "fix"),
    [
        (
            "calls to db < 2",
            "`calls to db < 2` counts calls, and those to db are not recorded:"
            " of PostgreSQL over a bare connection only connections are seen",
            "judge what the callers of the service see: p99, errors, timeouts",
        ),
        (
            "calls < 9",
            "`calls < 9` counts calls, and those to db are not recorded:"
            " of PostgreSQL over a bare connection only connections are seen",
            "name an upstream whose calls are recorded: azure, gcp",
        ),
        (
            "p99 of db < 1s during db-fault",
            "`p99 of db < 1s during db-fault` counts calls, and those to db are not recorded:"
            " of PostgreSQL over a bare connection only connections are seen",
            "judge what the callers of the service see: p99, errors, timeouts",
        ),
    ],
)
def test_a_gate_that_counts_calls_which_nothing_records_is_refused(
    tmp_path: Path, gate: str, message: str, fix: str
) -> None:
    (problem,) = problems(tmp_path, scenario("postgres", gates=gate))
    assert (problem.message, problem.fix, problem.path) == (message, fix, "gates[0]")


UNSEEN = {
    "{url: 'http://localhost:9', observe: false}": "remove `observe: false`",
    "{url: 'https://localhost:9', tls: passthrough}": "remove `tls: passthrough`",
    "{url: 'https://localhost:9', tls: passthrough, observe: false}": "remove `observe: false` and `tls: passthrough`",
    "{command: 'true {port}', observe: false}": "remove `observe: false`",
    "{command: 'true {port}', protocol: redis}": "",
    "{proxy: old}": "",
    "'postgres://localhost/app'": "",
}


@pytest.mark.parametrize("upstream", UNSEEN)
def test_where_the_forwarder_could_see_the_calls_the_way_out_names_what_keeps_it_away(
    tmp_path: Path, upstream: str
) -> None:
    named = ("{speaks: http}", upstream)
    served = ("{rung: timeout}", "{command: 'true {port}', env: {ALL: '{azure.url} {gcp.url} {db.url}'}}")
    lent = ("gateway:", "toxiproxy: {url: 'http://127.0.0.1:8474'}\ngateway:")
    (gate,) = problems(tmp_path, changed(named, served, lent, text=scenario("http", gates="calls to db < 2")))
    (fault,) = problems(tmp_path, changed(named, served, lent, text=scenario("http", "status: 503")))
    assert "not recorded" in gate.message and "breaks single answers" in fault.message
    for problem in (gate, fault):
        if UNSEEN[upstream]:
            assert problem.fix.startswith(f"{UNSEEN[upstream]}, so that")
        else:
            assert "observe" not in problem.fix and "passthrough" not in problem.fix


@pytest.mark.parametrize("gate", ["calls to azure < 2", "p99 of gcp < 5s", "p99 < 5s"])
def test_a_gate_on_others_stands(tmp_path: Path, gate: str) -> None:
    assert problems(tmp_path, scenario("postgres", gates=gate)) == ()


def test_a_small_share_needs_more_time_where_canaries_come_seldom(tmp_path: Path) -> None:
    few = only(problems(tmp_path, scenario("redis", "latency: 60s, share: 10%")))
    assert few.startswith("with one canary in 2 s, perhaps none is affected by a fault of 10.0 %")
    assert problems(tmp_path, scenario("redis", "latency: 60s, share: 20%")) == ()


def test_the_plan_says_how_the_canary_asks(tmp_path: Path) -> None:
    planned = dry_plan(load(tmp_path, scenario("kafka")).checked)[0].upstream("db")
    assert (planned.protocol, planned.records_calls) == ("kafka", False)


def only(found: tuple[Problem, ...]) -> str:
    (problem,) = found
    return problem.message


BY_REQUESTS = (
    ("azure: {p50: 60ms, p99: 140ms}", "azure: 'UPSTREAM'"),
    ("request: GET /v1/offers", "requests: [{request: GET /a, asks: [gcp], weight: 3}, {request: GET /b, asks: ASKS}]"),
)


@pytest.mark.parametrize(
    ("upstream", "is_refused"),
    [("postgres://localhost/app", False), ("tcp://localhost:7", False), ("http://localhost:8", True)],
)
def test_only_an_upstream_whose_calls_are_recorded_must_be_asked(
    tmp_path: Path, upstream: str, is_refused: bool
) -> None:
    """Nothing ties what a database is sent to a request, so no `asks` need name it."""
    text = changed(
        *BY_REQUESTS, ("UPSTREAM", upstream), ("ASKS", "[gcp]"), ("latency: 60s", "down: true, name: azure-latency")
    )
    messages = [problem.message for problem in problems(tmp_path, text)]
    assert messages == (["no request asks `azure`, so this fault would affect none"] if is_refused else [])


@pytest.mark.parametrize(
    ("asks", "asked_by", "calls_per_s"),
    [("[gcp]", (True, True), 40.0), ("[azure]", (False, True), 10.0), ("null", (False, True), 10.0)],
)
def test_every_request_may_use_a_database_that_none_names(
    tmp_path: Path, asks: str, asked_by: tuple[bool, ...], calls_per_s: float
) -> None:
    sets = ("upstreams.azure=postgres://db.example/app",)
    loaded = load(tmp_path, changed(*BY_REQUESTS, ("UPSTREAM", "tcp://localhost:7"), ("ASKS", asks)), *sets)
    plan = plan_of(loaded)
    assert plan.upstream("azure").asked_by(plan.load.requests) == asked_by
    assert plan.upstream("gcp").asked_by(plan.load.requests)[0]
    (cell,) = preview(loaded)
    assert [upstream.calls_per_s for upstream in cell.upstreams] == [calls_per_s, None]


def test_a_recorded_upstream_that_no_request_names_is_asked_by_none(tmp_path: Path) -> None:
    text = changed(
        *BY_REQUESTS, ("'UPSTREAM'", "{}"), ("ASKS", "[gcp]"), ("upstream: azure", "name: azure-latency, upstream: gcp")
    )
    plan = plan_of(load(tmp_path, text))
    assert plan.upstream("azure").asked_by(plan.load.requests) == (False, False)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_validate_lists_the_faults_that_a_canary_of_the_protocol_can_show(tmp_path: Path, protocol: str) -> None:
    listed = {one.name: one for one in preview(load(tmp_path, scenario(protocol, "down: true")))[0].upstreams}
    bears = listed["db"].bears
    shown = {fault.partition(":")[0] for fault, protocols in SHOWN.items() if protocol in protocols}
    if bears == "every fault on connections":
        assert {"latency", "hang", "reset", "slow_close", "down", "limit_data", "slicer"} <= shown
    else:
        assert set(bears.split(", ")) == {*shown, "blackhole"}
    assert listed["azure"].bears == "every fault but those on processes"


COMMANDS = (
    "  gcp: {}",
    "  gcp: {}\n  cache: {command: 'true {port}', protocol: redis}\n  rates: {command: 'true {port}'}\n"
    "  pay: http://localhost:9400\n  old: {proxy: old, protocol: tcp}",
)


@pytest.mark.parametrize(
    ("toxiproxy", "bears"),
    [
        (
            "{url: 'http://127.0.0.1:8474'}",
            {
                "cache": "every fault on connections, kill, pause",
                "rates": "every fault",
                "pay": "every fault but those on processes",
                "old": "down, slow_close",
            },
        ),
        (
            "{url: 'http://tox:8474', listen: 0.0.0.0, reach: tox, origin_host: 10.0.0.5}",
            {
                "cache": "every fault on connections but blackhole, kill, pause",
                "rates": "every fault but blackhole",
                "pay": "every fault but blackhole and those on processes",
                "old": "down, slow_close",
            },
        ),
    ],
)
def test_faults_on_processes_and_blackhole_are_listed_where_they_are_possible(
    tmp_path: Path, toxiproxy: str, bears: dict[str, str]
) -> None:
    text = changed(COMMANDS, ("gateway:", f"toxiproxy: {toxiproxy}\ngateway:"), ("{rung: timeout}", SERVICE))
    listed = {one.name: one.bears for one in preview(load(tmp_path, text))[0].upstreams}
    assert {name: listed[name] for name in bears} == bears


SERVICE = "{command: 'true {port}', env: {ALL: '{azure.url} {gcp.url} {cache.url} {rates.url} {pay.url} {old.url}'}}"
