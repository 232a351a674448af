"""A run made by hand for stack tests: a plan over real fakes, Toxiproxy, nginx and Locust, and what is left of it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.rundir.manifest import Manifest, RunEnd
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import FaultWindow, PlannedFault, PlannedToxic, Proof
from harness.rundir.planned.load import PlannedLoad, PlannedRequest, Schedule, Stage
from harness.rundir.planned.service import PlannedGateway, PlannedService
from harness.rundir.planned.upstream import Endpoint, FakeSpec, PlannedUpstream
from harness.stack.client import StackClient
from harness.stack.events import Event, FaultChanged
from harness.stack.processes import orphans
from harness.stack.processes.ports import PortLease
from harness.toxiproxy.find import EngineChoice

STUB = Path(__file__).with_name("stub_service.py")
NGINX = shutil.which("nginx")
WARMUP_MS = 500.0


def make_plan(
    lease: PortLease,
    run_id: str,
    *,
    upstreams: int = 1,
    service: PlannedService | None = None,
    stub: tuple[str, ...] = (),
    gateway: str = "nginx",
    latency_ms: int = 0,
    duration_ms: float = 3_000,
    window: tuple[float, float] = (500, 60_000),
    rate_per_s: float = 20,
    toxiproxy_url: str | None = None,
    **load: Any,
) -> Plan:
    """`latency_ms` > 0 puts that fault on the first upstream from 0.5 s on."""
    names = ["azure", "gcp", "aws", "lambda"][:upstreams]
    planned = tuple(
        PlannedUpstream(
            name=name, index=index, kind="fake",
            listener=Endpoint(port=lease.take()), origin=Endpoint(port=lease.take()),
            fake=FakeSpec(p50_ms=5, p99_ms=20, rows=5, page=0, provider="generic"),
        )
        for index, name in enumerate(names)
    )  # fmt: skip
    port = lease.take()
    service = service or PlannedService(
        kind="command",
        argv=(sys.executable, str(STUB), str(port), *stub),
        env={"URLS": " ".join(upstream.url for upstream in planned)},
        url=f"http://127.0.0.1:{port}",
        port=port,
        ready_within_ms=8_000,
    )
    nginx_port = lease.take()
    front = (
        PlannedGateway(
            kind="nginx", timeout_ms=2_000, port=nginx_port, binary=NGINX, target=f"http://127.0.0.1:{nginx_port}"
        )
        if gateway == "nginx"
        else PlannedGateway(kind="none", timeout_ms=None, target=service.url)
    )
    fault = PlannedFault(
        name="azure-latency", kind="latency", text=f"latency {latency_ms}ms", upstreams=("azure",),
        windows=(FaultWindow(apply_ms=window[0], remove_ms=window[1]),),
        toxics=(PlannedToxic(type="latency", stream="downstream", attributes={"latency": latency_ms, "jitter": 0}),),
        held_ms=min(2_000, latency_ms), delay_ms=latency_ms,
        proof=Proof(kind="held", least_ms=min(latency_ms, 2_000)),
    )  # fmt: skip
    stage = Stage(start_per_s=rate_per_s, end_per_s=rate_per_s, duration_ms=WARMUP_MS + duration_ms)
    return Plan(
        run_id=run_id, name="stack-test", seed=1, scenario_file="scenario.yaml", scenario_sha256="0" * 64,
        upstreams=planned, service=service, gateway=front, guard_ms=500, gates=(),
        faults=(fault,) if latency_ms else (), toxiproxy_url=toxiproxy_url,
        load=PlannedLoad(**{
            "model": "open", "schedule": Schedule(start_ms=-WARMUP_MS, stages=(stage,)),
            "requests": (PlannedRequest(name="GET /offers", method="GET", path="/offers", asks=tuple(names)),),
            "warmup_ms": WARMUP_MS, "duration_ms": duration_ms, "drain_ms": 3_000, "client_cap_ms": 7_000,
            "max_in_flight": 200, "ok": ((200, 399),), "complete": "none", **load,
        }),
    )  # fmt: skip


@dataclass(slots=True)
class Scene:
    """One run of one test: where it lives and how it is flown."""

    run_dir: Path
    run_id: str
    lease: PortLease
    toxiproxy: EngineChoice

    def plan(self, **options: Any) -> Plan:
        """As `make_plan`, and written to the run directory."""
        plan = make_plan(self.lease, self.run_id, **options)
        plan.write(self.run_dir)
        return plan

    def up(self, plan: Plan, watch: Callable[[Event | None], None] = lambda _: None) -> None:
        """Bring it up and leave the context at once."""
        with StackClient(self.run_dir, plan, self.lease, self.toxiproxy) as stack:
            stack.up(watch)

    def fly(self, act: Callable[[StackClient], None], **options: Any) -> RunEnd:
        """Up, go, `act` as soon as the fault is applied, and on to the end; nothing is left afterwards."""
        plan = self.plan(**options)
        with StackClient(self.run_dir, plan, self.lease, self.toxiproxy) as stack:
            stack.up()
            stack.go()
            for event in until_done(stack):
                if isinstance(event, FaultChanged) and event.entry.event == "applied":
                    act(stack)
            ended = stack.down()
        assert_nothing_left(plan, self.run_dir)
        assert Manifest.read(self.run_dir).ended == ended
        return ended

    def pid_of(self, word: str) -> int:
        """The run's process whose command line holds the word."""
        for member in orphans.members(self.run_id):
            if word in " ".join(member.process.cmdline()):
                return member.process.pid
        raise AssertionError(f"no process of run {self.run_id} with {word}")

    def kill(self, word: str) -> None:
        os.kill(self.pid_of(word), signal.SIGKILL)


def until_done(stack: StackClient, within_s: float = 30) -> Iterator[Event]:
    """The load's events to its end, or to that of the stack."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        for event in stack.events(0.2):
            yield event
            if event.event in ("load_done", "down"):
                return
    raise AssertionError("the load never ended")


def listeners(plan: Plan) -> list[int]:
    """Which of the plan's ports somebody listens on."""
    ours = {up.listener.port for up in plan.upstreams} | {up.origin.port for up in plan.upstreams}
    ours |= {port for port in (plan.service.port, plan.gateway.port) if port}
    return sorted({c.laddr[1] for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr} & ours)


def assert_nothing_left(plan: Plan, run_dir: Path) -> None:
    left = orphans.members(plan.run_id)
    assert not left, [member.process.cmdline() for member in left]
    assert listeners(plan) == []
    assert not (run_dir / "control").exists()
