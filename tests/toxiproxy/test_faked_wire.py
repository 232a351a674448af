"""The real fakes behind the real Toxiproxy: every fault of their own is seen while it stands, and only then."""

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
from harness.stack.injection.fake import FakeFaultHandle, still_applied
from harness.stack.processes import probe
from harness.toxiproxy.client import ToxiproxyClient
from tests.toxiproxy.pretender import Pretender
from tests.toxiproxy.wire import Seen, play
from tests.toxiproxy.world import fault as wire_fault
from tests.toxiproxy.world import latency, plan, upstream

pytestmark = pytest.mark.stack

KINDS: dict[str, dict[str, object]] = {
    "status": {"status": 503},
    "share": {"status": 429, "retry_after": "1s", "share": "1%"},
    "drip": {"drip": "5s"},
    "truncate": {"truncate": "50%"},
    "malformed": {"malformed": True},
    "wrong-schema": {"wrong_schema": True},
    "empty": {"empty": True},
    "huge": {"huge": "1MB"},
    "redirect-loop": {"redirect_loop": True},
    "cold-start": {"cold_start": "1200ms"},
    "ramp": {"ramp": "0ms → 1s over 1s"},
    "late": {"latency": "1s", "share": "1%"},
    "hang": {"hang": True, "share": "1%"},
}
MET = FaultContext(hold_ms=1_000, answer_bytes=200, answer_bytes_most=2_000)
WINDOW = FaultWindow(apply_ms=800, remove_ms=6_300)


def planned(name: str, **fields: object) -> PlannedFault:
    fault = parse_fault({"upstream": name, "for": "90s", **fields})
    effect = fault.compile(MET)
    return PlannedFault(
        name=name,
        kind=fault.KIND,
        text=fault.text,
        upstreams=(name,),
        windows=(WINDOW,),
        behaviour=effect.behaviour,
        held_ms=effect.held_ms,
        share=fault.share,
        proof=effect.proof,
    )


@contextlib.contextmanager
def fakes(the_plan: Plan, run_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Their process, ready."""
    the_plan.write(run_dir)
    process = subprocess.Popen([sys.executable, "-P", "-m", "fake_backends", str(run_dir)], env={**os.environ})
    try:

        async def ready() -> None:
            for each in the_plan.upstreams:
                await probe.until_answered(f"http://127.0.0.1:{each.origin.port}/-/ready", within_s=40)

        asyncio.run(ready())
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def seen(toxiproxy: ToxiproxyClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Every kind at once, each on an upstream of its own, and one beside a toxic."""
    run_dir = tmp_path_factory.mktemp("faked")
    names = [*KINDS, "both"]
    upstreams = tuple(upstream(name, number) for number, name in enumerate(names))
    both = planned("both", status=500)
    toxic = wire_fault(latency(1000), name="both-late", upstreams=("both",), windows=((800, 6_300),), proof=_LATE)
    the_plan = plan(*(planned(name, **fields) for name, fields in KINDS.items()), both, toxic, upstreams=upstreams)
    with fakes(the_plan, run_dir):
        yield asyncio.run(asyncio.wait_for(play(toxiproxy, the_plan, run_dir), 60))


_LATE = parse_fault({"upstream": "both", "for": "90s", "latency": "1s"}).compile(MET).proof


@pytest.mark.parametrize("kind", [*KINDS, "both"])
def test_a_fault_is_observed_while_it_stands_and_free_after_it(seen: Seen, kind: str) -> None:
    mine = [entry for entry in seen.journal if entry.fault == kind]
    at = {entry.event: entry.t_ns for entry in mine}
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
        assert not shows(canary, proof, 50.0)


def test_a_toxic_and_a_fault_of_the_fake_are_each_seen_on_one_backend(seen: Seen) -> None:
    observed = {entry.fault for entry in seen.at("both", "observed")}
    assert observed == {"both", "both-late"}


def test_nothing_was_in_the_way(seen: Seen) -> None:
    assert seen.trouble == []
    assert seen.free_again


# ---------------------------------------------------------------- fakes that are gone or lie


def test_a_fake_that_is_gone_holds_nothing_and_takes_nothing(tmp_path: Path) -> None:
    the_plan = plan(planned("azure", status=503), upstreams=(upstream("azure", 0),))
    hold = FakeFaultHandle.of(the_plan, the_plan.faults[0], 0, "azure")
    with pytest.raises(Exception, match="PUT /-/faults/0/0 of the fake backend azure: connection refused"):
        hold.apply(disabled_by_other=False)
    with pytest.raises(Exception, match="does not hold it any more"):
        hold.verify_active(disabled_by_other=False)
    hold.remove(disabled_by_other=False)
    hold.verify_removed(disabled_by_other=False)
    assert still_applied(the_plan) == []


def test_what_stands_is_told_until_it_is_lifted(tmp_path: Path) -> None:
    the_plan = plan(planned("azure", status=503), upstreams=(upstream("azure", 0),))
    hold = FakeFaultHandle.of(the_plan, the_plan.faults[0], 0, "azure")
    with fakes(the_plan, tmp_path):
        hold.apply(disabled_by_other=False)
        hold.verify_active(disabled_by_other=False)
        assert still_applied(the_plan) == ["azure"]
        with pytest.raises(Exception, match="still holds it"):
            hold.verify_removed(disabled_by_other=False)
        hold.remove(disabled_by_other=False)
        hold.verify_removed(disabled_by_other=False)
        assert still_applied(the_plan) == []


def test_something_else_on_its_port_is_told(tmp_path: Path) -> None:
    with Pretender() as stranger:
        port = int(stranger.url.rpartition(":")[2])
        the_plan = plan(planned("azure", status=503), upstreams=(upstream("azure", 0, backend_port=port),))
        hold = FakeFaultHandle.of(the_plan, the_plan.faults[0], 0, "azure")
        with pytest.raises(Exception, match="of the fake backend azure answered 501"):
            hold.apply(disabled_by_other=False)
