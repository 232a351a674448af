"""From a checked scenario to a plan. Pure: ports come from a callable, and nothing is read or opened."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from harness.rundir.plan import LoadPlan, Plan, PlannedGate, PlannedVerdict, StackPlan
from harness.rundir.planned.load import PlannedLoad
from harness.rundir.planned.service import PlannedGateway, PlannedService
from harness.rundir.planned.toxiproxy_network import ToxiproxyNetwork
from harness.rundir.planned.upstream import PlannedUpstream
from harness.scenario.names.gate_names import LocatedGate
from harness.scenario.names.input_files import Inputs
from harness.scenario.planning.completeness import complete_of
from harness.scenario.planning.gateway_choice import ResolvedGateway
from harness.scenario.planning.placement import placed
from harness.scenario.planning.plan_faults import plan_faults
from harness.scenario.planning.sent_requests import planned_login, planned_requests
from harness.scenario.planning.timeline import Timeline, schedule_of
from harness.scenario.schema.locust_options import option_words
from harness.scenario.schema.scenario import JmesPath, Scenario
from harness.scenario.schema.templates import CA_TEMPLATE, fill
from harness.scenario.source.diagnostics import Diagnostic
from harness.units import duration_literal
from harness.upstreams.upstream_files import NO_INPUTS, ProxyAddresses

CA_FILE: Final = "tls/ca.pem"
"""Where the certificate authority of a run is, in the run directory of the stack's first run."""
HEADROOM: Final = 1.25
"""Factor on the slots that the peak rate and the client cap can fill, because arrivals come in bursts."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckedScenario:
    """A scenario and what its checks found, ready to be planned. Equal only to itself."""

    scenario: Scenario
    timeline: Timeline
    gates: tuple[LocatedGate, ...]
    inputs: Inputs
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RunningToxiproxy:
    """A server that runs already, and what it said of the borrowed proxies, by the names of their upstreams."""

    url: str
    proxies: Mapping[str, ProxyAddresses]


def compile_plan(
    checked: CheckedScenario,
    *,
    run_id: str,
    seed: int,
    ports: Callable[[], int],
    gateway: ResolvedGateway,
    workers: int = 1,
    cell: str | None = None,
    ca_file: str = CA_FILE,
    toxiproxy: RunningToxiproxy | None = None,
) -> tuple[Plan, list[Diagnostic]]:
    """A stack and one load on it, and a diagnostic for each fault that nothing could prove. With any of these the plan
    must not be run."""
    stack = compile_stack(checked, stack_id=run_id, ports=ports, gateway=gateway, ca_file=ca_file, toxiproxy=toxiproxy)
    load, findings = _compile_load(checked, stack, run_id=run_id, seed=seed, workers=workers, cell=cell)
    return Plan.of(with_room_for(stack, [load]), load), findings


def compile_stack(
    checked: CheckedScenario,
    *,
    stack_id: str,
    ports: Callable[[], int],
    gateway: ResolvedGateway,
    ca_file: str = CA_FILE,
    toxiproxy: RunningToxiproxy | None = None,
) -> StackPlan:
    """What is started once, as far as it does not depend on the loads: see `with_room_for`.

    `ca_file`: the absolute path where the certificate authority of the run will be, if any upstream terminates TLS.
    `toxiproxy`: the server that the run uses, if it runs already; None: the plan is for the one of the scenario, of
    which nothing is known.
    """
    scenario = checked.scenario
    url = toxiproxy.url if toxiproxy else scenario.toxiproxy.url
    network = scenario.toxiproxy.network(url)
    inputs = _with_proxies(checked.inputs, toxiproxy.proxies if toxiproxy else {})
    endpoints = _Endpoints.take(scenario, inputs, ports, gateway, ca_file, network=network)
    return StackPlan(
        stack_id=stack_id,
        upstreams=endpoints.upstreams,
        service=_service(scenario, checked.inputs, endpoints),
        gateway=endpoints.gateway,
        toxiproxy_url=url,
        network=network,
        ca_file=endpoints.ca_file,
    )


def _with_proxies(inputs: Inputs, proxies: Mapping[str, ProxyAddresses]) -> Inputs:
    of_upstreams = dict(inputs.upstreams)
    for name, proxy in proxies.items():
        of_upstreams[name] = replace(of_upstreams.get(name, NO_INPUTS), proxy=proxy)
    return replace(inputs, upstreams=of_upstreams)


def with_room_for(stack: StackPlan, loads: Sequence[LoadPlan]) -> StackPlan:
    """The stack, fit for each of these loads: what its gateway does and Toxiproxy's log are set when it starts."""
    return stack.model_copy(
        update={
            "gateway": stack.gateway.model_copy(update={"buffers": not any(each.times_first_byte for each in loads)}),
            "most_in_flight": max(each.load.max_in_flight for each in loads),
            "logs_clients": any(
                fault.may_keep_calls_from(stack.upstream(name))
                for each in loads
                for fault in each.faults
                if not fault.on_service
                for name in fault.upstreams
            ),
        }
    )


def _compile_load(
    checked: CheckedScenario, stack: StackPlan, *, run_id: str, seed: int, workers: int, cell: str | None
) -> tuple[LoadPlan, list[Diagnostic]]:
    scenario, timeline = checked.scenario, checked.timeline
    faults, findings = plan_faults(scenario, checked.inputs.upstreams, timeline, seed)
    values = _template_values(stack.upstreams, stack.gateway, stack.service.port, stack.ca_file)
    load = LoadPlan(
        run_id=run_id,
        name=scenario.name,
        cell=cell,
        seed=seed,
        scenario_file=checked.file,
        scenario_sha256=checked.sha256,
        load=_load(checked, workers, values),
        guard_ms=timeline.guard_ms,
        faults=faults,
        gates=tuple(
            PlannedGate(id=f"g{number}", text=named.gate.text, line=named.line)
            for number, named in enumerate(checked.gates, 1)
        ),
        metrics=tuple(dict.fromkeys(s.text for named in checked.gates if (s := named.gate.series) is not None)),
        times_first_byte=any(named.gate.uses_first_byte for named in checked.gates),
        abort_if=scenario.load.abort_if,
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
    """Where everything listens. `root` is the service's own base URL, `values` what templates are filled with."""

    upstreams: tuple[PlannedUpstream, ...]
    service_port: int | None
    root: str
    gateway: PlannedGateway
    ca_file: str | None
    values: dict[str, str]

    @classmethod
    def take(
        cls,
        scenario: Scenario,
        inputs: Inputs,
        ports: Callable[[], int],
        resolved: ResolvedGateway,
        ca_file: str,
        *,
        network: ToxiproxyNetwork,
    ) -> _Endpoints:
        upstreams = tuple(
            placed(_with_port(upstream.plan(name, index, ports, inputs.upstreams.get(name, NO_INPUTS))), network)
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
        ca = ca_file if any(upstream.terminates_tls for upstream in upstreams) else None
        values = _template_values(upstreams, gateway, service_port, ca)
        return cls(upstreams, service_port, root, gateway, ca, values)


def _with_port(planned: PlannedUpstream) -> PlannedUpstream:
    """The upstream with its port filled in in its command, if tailgate starts it."""
    command = planned.command
    if command is None:
        return planned
    values = {"port": str(command.port)}
    argv = tuple(fill(word, values) for word in command.argv)
    env = {name: fill(value, values) for name, value in command.env.items()}
    return planned.model_copy(update={"command": command.model_copy(update={"argv": argv, "env": env})})


def _template_values(
    upstreams: tuple[PlannedUpstream, ...], gateway: PlannedGateway, port: int | None, ca_file: str | None
) -> dict[str, str]:
    values = {"gateway.url": gateway.target}
    if gateway.timeout_ms is not None:
        values["gateway.timeout"] = duration_literal(gateway.timeout_ms)
    if port is not None:
        values["port"] = str(port)
    if ca_file is not None:
        values[CA_TEMPLATE] = ca_file
    for upstream in upstreams:
        values[f"{upstream.name}.url"] = upstream.url
        values[f"{upstream.name}.host"] = upstream.listener.host
        values[f"{upstream.name}.port"] = str(upstream.listener.port)
        values[f"{upstream.name}.address"] = upstream.listener.address
    return values


def _service(scenario: Scenario, inputs: Inputs, endpoints: _Endpoints) -> PlannedService:
    service = scenario.service
    method, path, within_ms = service.ready_parts
    alerts_path, alerts_metric = service.alerts_parts or (None, None)
    env = {name: fill(value, endpoints.values) for name, value in service.env.items()}
    argv: tuple[str, ...] | None = None
    kind: Literal["rung", "command", "url"] = "url"
    if service.rung is not None:
        kind = "rung"
        without = [word for policy in service.without for word in ("--without", policy)]
        also = [word for policy in service.also for word in ("--with", policy)]
        client = ("--client", service.client) if service.client else ()
        rung = ("--rung", service.rung, *without, *also, *client)
        argv = (sys.executable, "-P", "-m", "aggregator", *rung, "--port", str(endpoints.service_port))
        env = {**_aggregator_env(endpoints), **env}
    elif service.command is not None:
        kind = "command"
        argv = tuple(fill(word, endpoints.values) for word in service.command)
    return PlannedService(
        kind=kind,
        rung=service.rung,
        argv=argv,
        env=env,
        cwd=inputs.cwd,
        url=endpoints.root,
        port=endpoints.service_port,
        ready_method=method,
        ready_path=path,
        ready_headers={name: fill(value, endpoints.values) for name, value in service.headers.items()},
        ready_within_ms=within_ms,
        alerts_path=alerts_path,
        alerts_metric=alerts_metric,
        metrics_path=service.metrics_path,
    )


def _aggregator_env(endpoints: _Endpoints) -> dict[str, str]:
    env = {"AGGREGATOR_BACKENDS": ",".join(f"{upstream.name}={upstream.url}" for upstream in endpoints.upstreams)}
    if endpoints.gateway.timeout_ms is not None:
        env["AGGREGATOR_GATEWAY_TIMEOUT_MS"] = f"{endpoints.gateway.timeout_ms:.15g}"
    return env


# ---------------------------------------------------------------- load


def _load(checked: CheckedScenario, workers: int, values: dict[str, str]) -> PlannedLoad:
    scenario, timeline = checked.scenario, checked.timeline
    load = scenario.load
    complete = complete_of(scenario, checked.inputs.upstreams)
    planned = PlannedLoad(
        model="open" if load.users is None else "closed",
        schedule=schedule_of(load, timeline, checked.inputs.replay_ms),
        users=load.users,
        workers=workers,
        requests=planned_requests(scenario, timeline, values),
        locustfile=checked.inputs.locustfile,
        locust_options=option_words(load.locust_options),
        max_users=load.max_users,
        locustfile_asks=load.asks,
        login=planned_login(scenario, checked.inputs.columns, values),
        data=checked.inputs.data,
        warmup_ms=timeline.warmup_ms,
        duration_ms=timeline.duration_ms,
        drain_ms=timeline.drain_ms,
        client_cap_ms=timeline.client_cap_ms,
        max_in_flight=load.max_in_flight or 1,
        ok=load.ok,
        complete="jmespath" if isinstance(complete, JmesPath) else complete,
        complete_jmespath=complete.jmespath if isinstance(complete, JmesPath) else None,
    )
    return planned if load.max_in_flight else planned.model_copy(update={"max_in_flight": _slots(planned)})


def _slots(load: PlannedLoad) -> int:
    """How many requests may be open at once: all that arrive, at the highest rate of each stream, within the client
    cap."""
    from scenarios.load import planned_peak_per_s

    if load.model == "closed":
        return load.users or 1
    return max(1, math.ceil(round(planned_peak_per_s(load) * load.client_cap_ms / 1000 * HEADROOM, 6)))
