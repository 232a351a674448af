"""What a run of a scenario would do: its cells, their phases, the arrivals in each, and the duration. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Final, Literal

from harness.rundir.phases import Phase, planned_phases
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.planned.load import Stream
from harness.rundir.planned.routes import PlannedRoute
from harness.rundir.planned.toxiproxy_network import is_loopback_literal
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.scenario.load import LoadedCell, LoadedScenario, dry_plan
from harness.scenario.planning.arrivals import expected_arrivals, scheduled_arrivals
from harness.upstreams.protocols import PROTOCOLS
from harness.upstreams.upstream_files import NO_INPUTS

EXCHANGES_LEAST: Final = 20
"""A recorded route with fewer exchanges shows no 99th percentile."""
WHOLE: Final = "whole"
LOOPBACK: Final = "127.0.0.1"
AROUND_MS: Final = 3_000.0
"""Assumed time for starting, stopping and judging."""


@dataclass(frozen=True, slots=True)
class PhasePreview:
    """`arrivals` is the expected number; the seed decides the actual one. None in the closed model. `stretches`: in how
    many parts the phase comes; there is a guard before each fault, for example. `length_ms` is the sum of all."""

    name: str
    length_ms: float
    arrivals: float | None
    stretches: int = 1
    by_stream: tuple[float, ...] = ()
    """The expected number in each stream of the cell; empty if there is only one, which has no name."""


@dataclass(frozen=True, slots=True)
class StreamPreview:
    """Requests that are planned by one schedule. `name`: of the request with a rate of its own; empty for those that
    share the rate of the load. `highest_per_s`: the peak, and `lowest_per_s` what is planned at least while it goes on.
    `ends_ms`: after this time nothing of it arrives, counted from the end of the warm-up; None: it lasts as long as the
    load."""

    name: str
    lowest_per_s: float
    highest_per_s: float
    ends_ms: float | None


@dataclass(frozen=True, slots=True)
class FaultPreview:
    """`share` is a share of requests or of connections, as `drawn` says. `at_ms`: the start of each window, from the
    end of the warm-up."""

    name: str
    text: str
    upstreams: tuple[str, ...]
    share: float
    drawn: Literal["request", "connection"]
    at_ms: tuple[float, ...]
    for_ms: float
    met: Literal["required", "optional"] = "required"
    route: str | None = None
    """Only calls for it are hit; None: for every route."""
    first: int | None = None
    """How many calls of each window are hit at most; None: there is no limit."""


@dataclass(frozen=True, slots=True)
class RoutePreview:
    """A route of a fake and its latency in health, None where it is that of the upstream.

    `p99_ms` is None as well for a recording with too few exchanges. `recorded`: the number of its exchanges.
    """

    upstream: str
    name: str
    p50_ms: float | None
    p99_ms: float | None
    recorded: int | None


@dataclass(frozen=True, slots=True)
class UpstreamPreview:
    """An upstream and what can be known of it.

    `origin`: what answers, for people. `protocol`: what its canary speaks. `records_calls`: each call is recorded, so
    faults can hit single calls and gates can judge them; otherwise faults act on connections, and only connections are
    seen. `bears`: the faults that are possible, for people. `calls_per_s`: of an origin outside this machine, the calls
    a second that it must expect at the peak if each request that asks it calls it once; None in the closed model, where
    that depends on how fast answers come.
    """

    name: str
    origin: str
    protocol: str
    records_calls: bool
    bears: str
    outside: bool = False
    calls_per_s: float | None = None
    base_path: str = ""
    """With which every route of an OpenAPI description begins; empty if there is none."""


@dataclass(frozen=True, slots=True)
class LoginPreview:
    """The sessions that sign in before the load. `every_ms`: how long after it began each is renewed; None: never."""

    request: str
    users: int
    every_ms: float | None


@dataclass(frozen=True, slots=True)
class CellPreview:
    """`name` is None where there is no matrix. `wall_ms` excludes the drain, which ends when no request is open."""

    name: str | None
    values: dict[str, Any]
    expected: tuple[str, ...]
    phases: tuple[PhasePreview, ...]
    faults: tuple[FaultPreview, ...]
    wall_ms: float
    routes: tuple[RoutePreview, ...] = ()
    upstreams: tuple[UpstreamPreview, ...] = ()
    streams: tuple[StreamPreview, ...] = ()
    """Empty if all requests share the rate of the load."""
    login: LoginPreview | None = None


def preview(loaded: LoadedScenario) -> list[CellPreview]:
    return [_cell(cell) for cell in loaded.cells]


def _cell(cell: LoadedCell) -> CellPreview:
    plan, _ = dry_plan(cell.loaded.checked)
    phases = tuple(
        PhasePreview(
            phase.name,
            phase.seconds * 1000,
            round(expected_arrivals(plan.load, phase), 3) if plan.load.streams else None,
            len(phase.intervals),
            _by_stream(plan, phase),
        )
        for phase in sorted(planned_phases(plan), key=_in_time)
        if phase.intervals
    )
    runs = cell.loaded.scenario.verdict.runs
    wall_ms = runs * (plan.load.warmup_ms + plan.load.duration_ms + AROUND_MS)
    faults = tuple(_fault(fault) for fault in plan.faults)
    upstreams = cell.loaded.checked.inputs.upstreams
    routes = tuple(_route(name, route) for name, inputs in upstreams.items() for route in inputs.routes)
    listed = tuple(
        replace(_upstream(planned, plan), base_path=upstreams.get(planned.name, NO_INPUTS).base_path)
        for planned in plan.upstreams
    )
    streams = tuple(_stream(stream, plan) for stream in plan.load.streams) if _has_own_rates(plan) else ()
    return CellPreview(
        cell.name, cell.values, cell.expected, phases, faults, wall_ms, routes, listed, streams, _login(plan)
    )


def _login(plan: Plan) -> LoginPreview | None:
    login = plan.load.login
    return None if login is None else LoginPreview(f"{login.method} {login.path}", login.users, login.every_ms)


def _has_own_rates(plan: Plan) -> bool:
    return any(stream.name for stream in plan.load.streams)


def _by_stream(plan: Plan, phase: Phase) -> tuple[float, ...]:
    if not _has_own_rates(plan):
        return ()
    return tuple(round(scheduled_arrivals(stream.schedule, phase), 3) for stream in plan.load.streams)


def _stream(stream: Stream, plan: Plan) -> StreamPreview:
    from scenarios.load import peak_rate_per_s

    stages = stream.schedule.stages
    ends_ms = stream.schedule.start_ms + sum(stage.duration_ms for stage in stages)
    return StreamPreview(
        name=stream.name,
        lowest_per_s=min((min(stage.start_per_s, stage.end_per_s) for stage in stages), default=0.0),
        highest_per_s=peak_rate_per_s(stream.schedule),
        ends_ms=round(ends_ms, 3) if stages and ends_ms < plan.load.duration_ms - 0.001 else None,
    )


def _in_time(phase: Phase) -> tuple[bool, float, float]:
    """Phases by their beginning, and the sum of them last."""
    return phase.name == WHOLE, phase.start_ms, phase.end_ms


def _upstream(planned: PlannedUpstream, plan: Plan) -> UpstreamPreview:
    origin, host = planned.origin.address, planned.origin.host
    if planned.fake is not None:
        origin, host = "a fake", LOOPBACK
    elif planned.command is not None:
        origin, host = f"{PurePath(planned.command.argv[0]).name}, which tailgate starts", LOOPBACK
    elif planned.forward is not None:
        origin, host = planned.forward.address, planned.forward.host
    elif planned.stream is not None:
        host = planned.stream.host
        origin = Endpoint(host=host, port=planned.stream.port).address
    elif planned.borrowed is not None:
        origin, host = f"the borrowed proxy {planned.borrowed}", LOOPBACK
    outside = not is_loopback_literal(host)
    return UpstreamPreview(
        name=planned.name,
        origin=origin,
        protocol=planned.protocol,
        records_calls=planned.records_calls,
        bears=_bears(planned, plan),
        outside=outside,
        calls_per_s=_calls_per_s(planned, plan) if outside else None,
    )


def _bears(planned: PlannedUpstream, plan: Plan) -> str:
    """`every fault on connections, kill, pause`."""
    has_own_port = planned.borrowed is None and plan.network.is_shared
    shown = PROTOCOLS[planned.protocol].shows
    process = ("kill", "pause") if planned.command is not None else ()
    if planned.records_calls:
        without = (*(() if has_own_port else ("blackhole",)), *(() if process else ("those on processes",)))
        return "every fault" + (f" but {' and '.join(without)}" if without else "")
    if shown:
        return ", ".join((*shown, *(("blackhole",) if has_own_port else ()), *process))
    return ", ".join(("every fault on connections" + ("" if has_own_port else " but blackhole"), *process))


def _calls_per_s(upstream: PlannedUpstream, plan: Plan) -> float | None:
    from scenarios.load import peak_rate_per_s

    if not plan.load.streams:
        return None
    asking = frozenset(place for place, asks in enumerate(upstream.asked_by(plan.load.requests)) if asks)
    streams = plan.load.streams
    return round(sum(peak_rate_per_s(stream.schedule) * stream.share(asking) for stream in streams), 6)


def _route(upstream: str, route: PlannedRoute) -> RoutePreview:
    if route.profile is None:
        return RoutePreview(upstream, route.name, None, None, route.recorded)
    from harness.upstreams.profiles import as_planned  # a late import, since most scenarios have no recorded route

    latency_ms = as_planned(route.profile).latency_ms
    shows_p99 = route.recorded is None or route.recorded >= EXCHANGES_LEAST
    p50_ms, p99_ms = (round(latency_ms(share), 6) for share in (0.5, 0.99))
    return RoutePreview(upstream, route.name, p50_ms, p99_ms if shows_p99 else None, route.recorded)


def _fault(fault: PlannedFault) -> FaultPreview:
    first = fault.windows[0]
    return FaultPreview(
        name=fault.name,
        text=fault.text,
        upstreams=fault.upstreams,
        share=fault.share,
        met=fault.met,
        drawn="connection" if fault.behaviour is None else "request",
        at_ms=tuple(window.apply_ms for window in fault.windows),
        for_ms=first.remove_ms - first.apply_ms,
        route=fault.route,
        first=fault.first,
    )
