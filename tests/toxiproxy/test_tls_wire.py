"""Fakes in TLS behind the real Toxiproxy: every fault is compiled, proven while it stands, and free after it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.faults import FaultContext, parse_fault
from harness.rundir.canaries import shows
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import FaultWindow, PlannedFault
from harness.rundir.planned.upstream import PlannedUpstream
from harness.scenario.planning.plan_faults import (
    HANDSHAKE_ANSWER_BYTES,
    HANDSHAKE_FLIGHTS,
    HANDSHAKE_REQUEST_BYTES,
)
from harness.stack.processes import probe
from harness.stack.processes.own_tls import client_context
from harness.toxiproxy.client import ToxiproxyClient
from harness.upstreams.upstream import CANARY_REQUEST_BYTES
from tests.toxiproxy.wire import Seen, play
from tests.toxiproxy.world import plan, upstream

pytestmark = pytest.mark.stack

ROWS = 20
ANSWER_BYTES = 2_000
"""A fake with so many rows answers with more."""
MET = FaultContext(
    hold_ms=5_000,
    answer_bytes=ANSWER_BYTES + HANDSHAKE_ANSWER_BYTES,
    request_bytes=CANARY_REQUEST_BYTES + HANDSHAKE_REQUEST_BYTES,
    flights=HANDSHAKE_FLIGHTS,
)
KINDS: dict[str, dict[str, object]] = {
    "latency": {"latency": "60s"},
    "latency-upstream": {"latency": "60s", "stream": "upstream"},
    "latency-small": {"latency": "700ms"},
    "bandwidth": {"bandwidth": "1kB/s"},
    "bandwidth-upstream": {"bandwidth": "1kB/s", "stream": "upstream"},
    "hang": {"hang": True},
    "reset": {"reset": "0s"},
    "slow-close": {"slow_close": "60s"},
    "slicer": {"slicer": {"size": "100B", "delay": "1s"}},
    # the handshake passes whole, and the answer behind it is cut
    "limit-data": {"limit_data": "2600B"},
    # the handshake is cut
    "limit-data-small": {"limit_data": "500B"},
    "limit-data-upstream": {"limit_data": "290B", "stream": "upstream"},
    "raw": {"toxic": {"type": "timeout", "attributes": {"timeout": 100}}},
    "down": {"down": True},
    "status": {"status": 503},
    "truncate": {"truncate": "50%"},
}
WINDOW = FaultWindow(apply_ms=1_200, remove_ms=7_000)


def planned(name: str, **fields: object) -> PlannedFault:
    fault = parse_fault({"upstream": name, "for": "90s", **fields})
    effect = fault.compile(MET)
    return PlannedFault(
        name=name,
        kind=fault.KIND,
        text=fault.text,
        upstreams=(name,),
        windows=(WINDOW,),
        toxics=effect.toxics,
        disables_proxy=effect.disables_proxy,
        behaviour=effect.behaviour,
        held_ms=effect.held_ms,
        share=fault.share,
        proof=effect.proof,
    )


def in_tls(name: str, index: int) -> PlannedUpstream:
    plain = upstream(name, index)
    assert plain.fake
    fake = plain.fake.model_copy(update={"rows": ROWS})
    return plain.model_copy(update={"terminates_tls": True, "fake": fake})


@contextlib.contextmanager
def fakes(the_plan: Plan, run_dir: Path) -> Iterator[None]:
    """Their process, ready."""
    the_plan.write(run_dir)
    process = subprocess.Popen([sys.executable, "-P", "-m", "fake_backends", str(run_dir)], env={**os.environ})
    try:

        async def ready() -> None:
            for each in the_plan.upstreams:
                url = f"https://{each.origin.address}/-/ready"
                await probe.until_answered(url, within_s=20, context=client_context(each))

        asyncio.run(ready())
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def seen(toxiproxy: ToxiproxyClient, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Every kind at once, each on an upstream of its own."""
    run_dir = tmp_path_factory.mktemp("tls")
    upstreams = tuple(in_tls(name, number) for number, name in enumerate(KINDS))
    faults = (planned(name, **fields) for name, fields in KINDS.items())
    the_plan = plan(*faults, upstreams=upstreams).model_copy(update={"ca_file": str(run_dir / "tls" / "ca.pem")})
    with fakes(the_plan, run_dir):
        return asyncio.run(asyncio.wait_for(play(toxiproxy, the_plan, run_dir), 60))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_observed_while_it_stands_and_free_after_it(seen: Seen, kind: str) -> None:
    at = {entry.event: entry.t_ns for entry in seen.journal if entry.fault == kind}
    assert at["requested"] < at["applied"] < at["observed"] < at["removed"] < at["verified"]
    (freed,) = [line for line in seen.freed if line.fault == kind]
    assert at["removed"] < freed.t_ns


@pytest.mark.parametrize("kind", KINDS)
def test_before_the_fault_every_canary_is_well_and_shows_nothing_of_it(seen: Seen, kind: str) -> None:
    (requested,) = seen.at(kind, "requested")
    proof = next(fault.proof for fault in seen.plan.faults if fault.name == kind)
    before = [canary for canary in seen.canaries if canary.upstream == kind and canary.done_ns < requested.t_ns]
    assert before
    for canary in before:
        assert (canary.outcome, canary.status, canary.looks) == ("ok", 200, "offers")
        assert canary.bytes > ANSWER_BYTES
        assert not shows(canary, proof, 50.0)


def test_nothing_was_in_the_way(seen: Seen) -> None:
    assert seen.trouble == []
    assert seen.free_again
