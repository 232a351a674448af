"""Plans for the fakes: what they read of one, and the least that a plan must hold besides."""

from __future__ import annotations

from typing import Any

from harness.rundir.plan import Plan
from harness.rundir.planned.load import PlannedLoad, PlannedRequest
from harness.rundir.planned.service import PlannedGateway, PlannedService
from harness.rundir.planned.upstream import Endpoint, FakeSpec, PlannedUpstream

SEED = 7


def fake(**fields: Any) -> FakeSpec:
    values = {"p50_ms": 60.0, "p99_ms": 140.0, "rows": 40, "page": 0, "provider": "generic"}
    return FakeSpec(**(values | fields))


def upstream(name: str = "azure", index: int = 0, *, port: int = 0, **fields: Any) -> PlannedUpstream:
    """`port`: the fake's own, 9000 and up by default. `fields`: of the fake."""
    listener, origin = Endpoint(port=1), Endpoint(port=port or 9000 + index)
    return PlannedUpstream(name=name, index=index, kind="fake", listener=listener, origin=origin, fake=fake(**fields))


def plan(*upstreams: PlannedUpstream) -> Plan:
    nowhere = "http://127.0.0.1:1"
    return Plan(
        run_id="20260101-000000-abcd",
        name="fakes",
        seed=SEED,
        scenario_file="scenario.yaml",
        scenario_sha256="",
        upstreams=upstreams,
        service=PlannedService(kind="url", url=nowhere),
        gateway=PlannedGateway(kind="none", timeout_ms=None, target=nowhere),
        load=PlannedLoad(
            model="open",
            requests=(PlannedRequest(name="GET /", method="GET", path="/", asks=()),),
            warmup_ms=0,
            duration_ms=1000,
            drain_ms=1000,
            client_cap_ms=1000,
            max_in_flight=100,
            ok=((200, 399),),
            complete="none",
        ),
        guard_ms=0,
        gates=(),
    )
