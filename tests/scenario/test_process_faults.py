"""Faults on processes and on connecting: what they are compiled to, and what is told of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.faults import Effect, FaultContext, parse_fault
from harness.rundir.planned.fault import PlannedFault
from tests.scenario.world import changed, load, only_problem, plan_of, problems

CONTEXT = FaultContext(hold_ms=5000, answer_bytes=80_000)
FORWARDED = FaultContext(hold_ms=5000, answer_bytes=80_000, forwarded=True)
FAULT = "{upstream: azure, latency: 60s, for: 90s}"
SERVICE = ("{rung: timeout}", "{command: [python3, -m, serve, '{port}', '{gcp.url}']}")


def of(fault: str, *more: tuple[str, str]) -> str:
    """The good scenario with this fault, a `command` upstream gcp, and gates that hold for any fault."""
    return changed(
        (FAULT, fault),
        SERVICE,
        ("gcp: {}", "gcp: {command: 'python3 {port}'}"),
        ("  - p99 < gateway.timeout during azure-latency\n", ""),
        ("errors < 1% during azure-latency", "errors < 50%"),
        *more,
    )


def compiled(context: FaultContext, **fields: Any) -> Effect:
    return parse_fault({"for": "90s", **fields}).compile(context)


def planned(folder: Path, text: str) -> PlannedFault:
    (fault,) = plan_of(load(folder, text)).faults
    return fault


def test_a_killed_upstream_refuses_connections() -> None:
    effect = compiled(FORWARDED, upstream="gcp", kill=True)
    assert (effect.process, effect.disables_proxy, effect.held_ms, effect.proof.kind) == ("kill", True, 0, "failed")


def test_a_paused_upstream_is_seen_by_canaries_unless_the_forwarder_answers_them() -> None:
    bare = compiled(CONTEXT, upstream="gcp", pause=True)
    assert (bare.process, bare.disables_proxy, bare.proof.kind, bare.proof.least_ms) == ("pause", False, "held", 2000)
    assert compiled(FORWARDED, upstream="gcp", pause=True).proof.kind == "process"


@pytest.mark.parametrize("kind", ["kill", "pause", "restart"])
def test_a_fault_on_the_service_is_seen_in_proc_and_holds_nothing(kind: str) -> None:
    effect = compiled(CONTEXT, upstream="service", **{kind: True})
    assert (effect.process, effect.disables_proxy, effect.held_ms, effect.proof.kind) == (kind, False, 0, "process")


def test_a_blackhole_holds_whoever_connects() -> None:
    effect = compiled(CONTEXT, upstream="azure", blackhole=True)
    assert (effect.disables_proxy, effect.drops_connections, effect.held_ms) == (True, True, 5000)
    assert (effect.proof.kind, effect.proof.least_ms) == ("held", 2000)


def test_the_service_is_planned_in_place_of_upstreams(tmp_path: Path) -> None:
    fault = planned(tmp_path, of("{upstream: service, restart: true, for: 90s}"))
    assert (fault.name, fault.upstreams, fault.on_service) == ("service-restart", ("service",), True)
    assert not planned(tmp_path, of("{upstream: gcp, kill: true, for: 90s}")).on_service


# (the fault, part of the message, part of the fix); each is the only problem of its scenario
WRONG = [
    ("{upstream: azure, kill: true, for: 90s}", "does not start azure", "use `down` or `hang`"),
    ("{upstream: all, pause: true, for: 90s}", "does not start azure", "command: …"),
    ("{upstream: gcp, restart: true, for: 90s}", "`restart` is for the service", "`upstream: service`"),
    ("{upstream: service, latency: 3s, for: 90s}", "`latency` breaks an upstream", "kill, pause or restart"),
    ("{upstream: service, blackhole: true, for: 90s}", "`blackhole` breaks an upstream", "name an upstream"),
    ("{upstream: [service, gcp], kill: true, for: 90s}", "cannot be in one fault", "a fault of its own"),
    ("{upstream: gcp, kill: true, for: 90s, share: 10%}", "acts on a process", "remove `share`"),
    ("{upstream: gcp, pause: true, for: 90s, stream: upstream}", "acts on a process", "remove `stream`"),
    ("{upstream: gcp, kill: true, for: 90s, route: GET /}", "does not act call by call", "remove `route`"),
    ("{upstream: service, restart: true, for: 90s, first: 3}", "does not act call by call", "remove `first`"),
    ("{upstream: gcp, kill: false, for: 90s}", "expected true", "remove the fault"),
    ("{upstream: gcp, blackhole: true, for: 90s, share: 10%}", "every connection", "use `hang`"),
    ("{upstream: gcp, blackhole: true, for: 90s, stream: upstream}", "both directions", "remove `stream`"),
    ("{upstream: gcp, blackhole: true, for: 90s, first: 2}", "does not act call by call", "remove `first`"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong[0] for wrong in WRONG])
def test_a_wrong_fault_is_told(tmp_path: Path, wrong: tuple[str, str, str]) -> None:
    fault, message, fix = wrong
    problem = only_problem(tmp_path, of(fault))
    assert message in problem.message
    assert fix in problem.fix
    assert problem.line == 11


def test_a_service_that_runs_already_cannot_be_restarted(tmp_path: Path) -> None:
    text = of("{upstream: service, restart: true, for: 90s}").replace(SERVICE[1], "{url: 'http://127.0.0.1:8000'}")
    problem = only_problem(tmp_path, text)
    assert "does not start the service at `url`" in problem.message


@pytest.mark.parametrize(
    ("server", "refused"),
    [
        ("url: 'http://toxiproxy.example:8474', listen: 0.0.0.0, origin_host: load.example", True),
        ("url: 'http://127.0.0.1:8474'", False),
    ],
)
def test_a_blackhole_needs_the_port_of_the_listener(tmp_path: Path, server: str, refused: bool) -> None:
    text = of("{upstream: gcp, blackhole: true, for: 90s}") + f"toxiproxy: {{{server}}}\n"
    assert [each.message for each in problems(tmp_path, text) if "another machine" in each.message] == (
        ["`blackhole` takes the listener's port, and the Toxiproxy at `toxiproxy.url` is on another machine"]
        if refused
        else []
    )


TWO = "{upstream: %s, at: 40s, for: 90s}\n  - {upstream: %s, at: 60s, for: 90s}"


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("service, kill: true", "azure, latency: 60s", "`service-kill` acts on a process"),
        ("azure, latency: 60s", "service, pause: true", "`service-pause` acts on a process"),
        ("gcp, kill: true", "gcp, hang: true", "`gcp-kill` acts on a process"),
        ("gcp, kill: true", "gcp, pause: true", "`gcp-kill` acts on a process"),
        ("gcp, kill: true", "azure, hang: true", ""),
        ("gcp, blackhole: true", "gcp, hang: true", "while `gcp-blackhole` is on, no canary could see `gcp-hang`"),
    ],
)
def test_what_could_not_be_seen_meanwhile_is_kept_apart(tmp_path: Path, first: str, second: str, said: str) -> None:
    found = [problem.message for problem in problems(tmp_path, of(TWO % (first, second)))]
    if said:
        assert len(found) == 1 and said in found[0], found
    else:
        assert found == []


@pytest.mark.parametrize("kind", ["kill", "pause", "restart"])
def test_no_upstream_could_be_cleared_after_a_fault_on_the_service(tmp_path: Path, kind: str) -> None:
    cleared = ("errors < 50%", f"cleared within 30s after service-{kind}")
    problem = only_problem(tmp_path, of(f"{{upstream: service, {kind}: true, for: 90s}}", cleared))
    assert "a fault on the service itself" in problem.message
    assert problem.path == "gates[0]"
    written = problem.fix.split("`")[1]
    again = of(f"{{upstream: service, {kind}: true, for: 90s}}", ("errors < 50%", written))
    assert problems(tmp_path, again) == ()


def test_an_upstream_that_was_killed_can_be_cleared(tmp_path: Path) -> None:
    cleared = ("errors < 50%", "cleared within 30s after gcp-kill")
    assert problems(tmp_path, of("{upstream: gcp, kill: true, for: 90s}", cleared)) == ()
