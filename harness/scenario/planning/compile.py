"""From a scenario that is right in itself to a plan. Pure: ports come from a callable, nothing is read or opened."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from harness.rundir.plan import (
    LoadPlan,
    Plan,
    PlannedGate,
    PlannedGateway,
    PlannedLoad,
    PlannedRequest,
    PlannedService,
    PlannedUpstream,
    PlannedVerdict,
    StackPlan,
)
from harness.scenario.names.gate_names import LocatedGate
from harness.scenario.names.input_files import Inputs
from harness.scenario.planning.gateway_choice import ResolvedGateway
from harness.scenario.planning.plan_faults import plan_faults
from harness.scenario.planning.timeline import Timeline, schedule_of
from harness.scenario.schema.scenario import JmesPath, Request, Scenario
from harness.scenario.schema.templates import fill
from harness.scenario.source.diagnostics import Diagnostic
from harness.units import duration_literal

HEADROOM: Final = 1.25
"""Slots beyond what the peak rate and the client cap can fill: arrivals come in bursts."""


@dataclass(frozen=True, slots=True)
class CheckedScenario:
    """What a scenario's examination found out, ready to be planned."""

    scenario: Scenario
    timeline: Timeline
    gates: tuple[LocatedGate, ...]
    inputs: Inputs
    file: str
    sha256: str


def compile_plan(
    made: CheckedScenario,
    *,
    run_id: str,
    seed: int,
    ports: Callable[[], int],
    gateway: ResolvedGateway,
    workers: int = 1,
    cell: str | None = None,
) -> tuple[Plan, list[Diagnostic]]:
    """A stack and one load on it. Also the faults that nothing could prove: with any, the plan is not fit to run."""
    stack = compile_stack(made, stack_id=run_id, ports=ports, gateway=gateway)
    load, findings = compile_load(made, stack, run_id=run_id, seed=seed, workers=workers, cell=cell)
    return Plan.of(with_room_for(stack, [load]), load), findings


def compile_stack(
    made: CheckedScenario, *, stack_id: str, ports: Callable[[], int], gateway: ResolvedGateway
) -> StackPlan:
    """What is started once, as far as it depends on no load: see `with_room_for`."""
    scenario = made.scenario
    stand = _Endpoints.take(scenario, made.inputs, ports, gateway)
    return StackPlan(
        stack_id=stack_id,
        upstreams=stand.upstreams,
        service=_service(scenario, made.inputs, stand),
        gateway=stand.gateway,
        toxiproxy_url=scenario.toxiproxy.url,
    )


def with_room_for(stack: StackPlan, loads: Sequence[LoadPlan]) -> StackPlan:
    """The stack, fit for each of these loads: the gateway's connections and Toxiproxy's log are set at its start."""
    return stack.model_copy(
        update={
            "most_in_flight": max(each.load.max_in_flight for each in loads),
            "logs_clients": any(fault.acts_on_requests for each in loads for fault in each.faults),
        }
    )


def compile_load(
    made: CheckedScenario,
    stack: StackPlan,
    *,
    run_id: str,
    seed: int,
    workers: int = 1,
    cell: str | None = None,
    first_seq: int = 0,
) -> tuple[LoadPlan, list[Diagnostic]]:
    """One load for this stack. `made` may differ from the stack's scenario in load, faults and gates only.

    `first_seq` is larger than any number that an earlier load on the stack has sent.
    """
    scenario, timeline = made.scenario, made.timeline
    faults, findings = plan_faults(scenario, timeline, seed)
    values = _template_values(stack.upstreams, stack.gateway, stack.service.port)
    load = LoadPlan(
        run_id=run_id,
        name=scenario.name,
        cell=cell,
        seed=seed,
        scenario_file=made.file,
        scenario_sha256=made.sha256,
        load=_load(made, workers, values).model_copy(update={"first_seq": first_seq}),
        guard_ms=timeline.guard_ms,
        faults=faults,
        gates=tuple(
            PlannedGate(id=f"g{number}", text=named.gate.text, line=named.line)
            for number, named in enumerate(made.gates, 1)
        ),
        default_gates=scenario.gates is None,
        verdict=PlannedVerdict(
            confidence=scenario.verdict.confidence,
            clump_ms=scenario.verdict.clump_ms,
            inconclusive=scenario.verdict.inconclusive,
        ),
    )
    return load, findings


# ---------------------------------------------------------------- service and gateway


@dataclass(frozen=True, slots=True)
class _Endpoints:
    """Who listens where. `root` is the service's own address, `values` what templates stand for."""

    upstreams: tuple[PlannedUpstream, ...]
    service_port: int | None
    root: str
    gateway: PlannedGateway
    values: dict[str, str]

    @classmethod
    def take(
        cls, scenario: Scenario, inputs: Inputs, ports: Callable[[], int], resolved: ResolvedGateway
    ) -> _Endpoints:
        upstreams = tuple(
            upstream.plan(name, index, ports, inputs.latencies.get(name, ()))
            for index, (name, upstream) in enumerate(scenario.upstreams.items())
        )
        service_port = ports() if scenario.service.url is None else None
        root = scenario.service.url or f"http://127.0.0.1:{service_port}"
        gateway_port = ports() if resolved.kind == "nginx" else None
        gateway = PlannedGateway(
            kind=resolved.kind,
            timeout_ms=scenario.gateway.deadline_ms,
            port=gateway_port,
            binary=resolved.binary,
            target=f"http://127.0.0.1:{gateway_port}" if gateway_port is not None else root,
        )
        return cls(upstreams, service_port, root, gateway, _template_values(upstreams, gateway, service_port))


def _template_values(
    upstreams: tuple[PlannedUpstream, ...], gateway: PlannedGateway, port: int | None
) -> dict[str, str]:
    values = {"gateway.url": gateway.target}
    if gateway.timeout_ms is not None:
        values["gateway.timeout"] = duration_literal(gateway.timeout_ms)
    if port is not None:
        values["port"] = str(port)
    for upstream in upstreams:
        values[f"{upstream.name}.url"] = upstream.url
        values[f"{upstream.name}.host"] = upstream.listener.host
        values[f"{upstream.name}.port"] = str(upstream.listener.port)
        values[f"{upstream.name}.address"] = upstream.listener.address
    return values


def _service(scenario: Scenario, inputs: Inputs, stand: _Endpoints) -> PlannedService:
    service = scenario.service
    method, path, within_ms = service.ready_parts
    alerts_path, alerts_metric = service.alerts_parts or (None, None)
    env = {name: fill(value, stand.values) for name, value in service.env.items()}
    argv: tuple[str, ...] | None = None
    kind: Literal["rung", "command", "url"] = "url"
    if service.rung is not None:
        kind = "rung"
        without = [word for policy in service.without for word in ("--without", policy)]
        also = [word for policy in service.also for word in ("--with", policy)]
        client = ("--client", service.client) if service.client else ()
        rung = ("--rung", service.rung, *without, *also, *client)
        argv = (sys.executable, "-P", "-m", "aggregator", *rung, "--port", str(stand.service_port))
        env = {**_aggregator_env(stand), **env}
    elif service.command is not None:
        kind = "command"
        argv = tuple(fill(word, stand.values) for word in service.command)
    return PlannedService(
        kind=kind,
        rung=service.rung,
        argv=argv,
        env=env,
        cwd=inputs.cwd,
        url=stand.root,
        port=stand.service_port,
        ready_method=method,
        ready_path=path,
        ready_headers={name: fill(value, stand.values) for name, value in service.headers.items()},
        ready_within_ms=within_ms,
        alerts_path=alerts_path,
        alerts_metric=alerts_metric,
    )


def _aggregator_env(stand: _Endpoints) -> dict[str, str]:
    env = {"AGGREGATOR_BACKENDS": ",".join(f"{upstream.name}={upstream.url}" for upstream in stand.upstreams)}
    if stand.gateway.timeout_ms is not None:
        env["AGGREGATOR_GATEWAY_TIMEOUT_MS"] = f"{stand.gateway.timeout_ms:.15g}"
    return env


# ---------------------------------------------------------------- load


def _load(made: CheckedScenario, workers: int, values: dict[str, str]) -> PlannedLoad:
    from scenarios.load import peak_rate_per_s

    scenario, timeline = made.scenario, made.timeline
    load = scenario.load
    schedule = schedule_of(load, timeline, made.inputs.replay_ms)
    if schedule is None:
        in_flight = load.users or 1
    else:
        in_flight = math.ceil(round(peak_rate_per_s(schedule) * timeline.client_cap_ms / 1000 * HEADROOM, 6))
    complete = load.complete or "auto"
    if complete == "auto" and not scenario.upstreams:
        complete = "none"
    return PlannedLoad(
        model="closed" if schedule is None else "open",
        schedule=schedule,
        users=load.users,
        workers=workers,
        requests=_requests(scenario, values),
        locustfile=made.inputs.locustfile,
        data=made.inputs.data,
        warmup_ms=timeline.warmup_ms,
        duration_ms=timeline.duration_ms,
        drain_ms=timeline.drain_ms,
        client_cap_ms=timeline.client_cap_ms,
        max_in_flight=load.max_in_flight or max(1, in_flight),
        ok=load.ok,
        complete="jmespath" if isinstance(complete, JmesPath) else complete,
        complete_jmespath=complete.jmespath if isinstance(complete, JmesPath) else None,
    )


def _requests(scenario: Scenario, values: dict[str, str]) -> tuple[PlannedRequest, ...]:
    """A locustfile's requests are one to the plan: what they are is the user's code, and they ask every upstream."""
    if scenario.load.locustfile is not None:
        return (PlannedRequest(name="locustfile", method="GET", path="/", asks=tuple(scenario.upstreams)),)
    return tuple(_request(scenario, request, values) for request in scenario.load.written_requests)


def _request(scenario: Scenario, request: Request, values: dict[str, str]) -> PlannedRequest:
    method, path = request.request.split(" ", 1)
    headers = {**scenario.service.headers, **scenario.load.headers, **request.headers}
    body = request.body
    if request.json_body is not None:
        body = json.dumps(request.json_body, ensure_ascii=False)
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
    columns = scenario.load.data is not None
    return PlannedRequest(
        name=request.name,
        method=method,
        path=path,
        headers={name: fill(value, values, keep_unknown=columns) for name, value in headers.items()},
        body=body,
        weight=request.weight,
        asks=request.asks if request.asks is not None else tuple(scenario.upstreams),
        expect_status=request.expect.status if request.expect else None,
        expect_contains=request.expect.contains if request.expect else None,
    )
