"""Several loads on one stack: each with records of its own, on the same processes, and nothing left in the end."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from harness.errors import RigError
from harness.evidence import Evidence
from harness.rundir.manifest import Manifest, RunEnd
from harness.rundir.plan import Plan, PlannedGate
from harness.rundir.planned.command import PlannedCommand
from harness.rundir.planned.fault import FaultWindow, PlannedFault, Proof
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.rundir.rows import NO_SEQ
from harness.stack.client import StackClient
from harness.stack.events import FaultChanged
from harness.stack.processes import orphans
from harness.stack.standby.pool import WORKER
from harness.verdict import judge
from tests.stack.stack_scene import Scene, assert_nothing_left, make_plan, until_done

pytestmark = pytest.mark.stack
GATE = PlannedGate(id="g1", text="p50 < 1s", line=0)


@dataclasses.dataclass
class Loads:
    """A stack and the plans of its loads; the first is the scene's own run."""

    scene: Scene
    first: Plan

    def plan(self, number: int, **options: Any) -> Plan:
        """Load `number` on the stack of the first."""
        run_id = f"{self.scene.run_id[:-4]}{number:04x}"
        own = make_plan(self.scene.lease, run_id, **{"duration_ms": 1_500, **options})
        load = own.load.model_copy(update={"first_seq": number * 10_000})
        stack = self.first.stack.model_dump()
        plan = Plan.model_validate({**own.model_dump(), **stack, "load": load.model_dump(), "gates": (GATE,)})
        self.folder(number).mkdir()
        plan.write(self.folder(number))
        return plan

    def folder(self, number: int) -> Path:
        return self.scene.run_dir.parent / f"load-{number}" if number else self.scene.run_dir

    def open(self) -> StackClient:
        return StackClient(self.scene.run_dir, self.first, self.scene.lease, self.scene.toxiproxy)


@pytest.fixture
def loads(scene: Scene) -> Loads:
    first = make_plan(scene.lease, scene.run_id, duration_ms=1_500).model_copy(update={"gates": (GATE,)})
    first.write(scene.run_dir)
    return Loads(scene, first)


def _fly(stack: StackClient) -> list[str]:
    """Go and wait until the load is done; what happened to faults."""
    stack.go()
    return [event.entry.event for event in until_done(stack) if isinstance(event, FaultChanged)]


def _pids(loads: Loads) -> dict[str, int]:
    words = {"sut": "stub_service", "toxiproxy": "toxiproxy", "fakes": "fake_backends", "nginx": "nginx"}
    return {name: loads.scene.pid_of(word) for name, word in words.items()}


def _on_standby(loads: Loads) -> set[int]:
    members = [member.process for member in orphans.members(loads.first.run_id)]
    return {each.pid for each in members if {"harness.stack.standby.child", WORKER} <= set(each.cmdline())}


def _gateway_seqs(folder: Path) -> list[int]:
    lines = (folder / "gateway.ndjson").read_text().splitlines()
    return [int(seq) for line in lines if (seq := json.loads(line)["seq"])]


def test_three_loads_each_with_their_own_records(loads: Loads) -> None:
    ends: list[RunEnd] = []
    with loads.open() as stack:
        stack.up()
        pids = _pids(loads)
        assert _fly(stack) == []
        ends.append(stack.end_load())
        for number, latency_ms in ((1, 300), (2, 0)):
            waiting = _on_standby(loads)
            stack.load(loads.plan(number, latency_ms=latency_ms, window=(300, 900)), loads.folder(number))
            assert _pids(loads) == pids, "the stack stays"
            assert len(waiting) == number - 1, "a later load has a worker on standby for the one after it"
            assert all(psutil.pid_exists(pid) for pid in waiting), "which is that load's worker now"
            happened = _fly(stack)
            assert ("applied" in happened) == ("verified" in happened) == (latency_ms > 0)
            ends.append(stack.end_load())
        stack.down()
    assert [end.reason for end in ends] == ["done"] * 3
    assert [end.rollback_verified for end in ends] == [None, True, None]
    assert [end.rig for end in ends] == [()] * 3
    assert_nothing_left(loads.first, loads.folder(0))
    for number, end in enumerate(ends):
        folder = loads.folder(number)
        assert Manifest.read(folder).ended == end
        assert not (folder / "control").exists()
        evidence = Evidence.load(folder)
        assert evidence.broken == ()
        results = judge(evidence)
        assert results.verdict == "pass", results.reason
        assert 20 <= len(evidence.samples) <= 60
        assert set(evidence.samples["outcome"]) == {0}
        seqs = evidence.calls["seq"]
        own = seqs[seqs != NO_SEQ]
        assert set(np.unique(own)) == set(np.unique(evidence.samples["seq"])), "each call is of a request of its load"
        first = number * 10_000
        at_gateway = _gateway_seqs(folder)
        assert set(at_gateway) == {first + int(seq) for seq in evidence.samples["seq"]}
        assert (folder / "resources.ndjson").read_text().count('"child": "sut"') >= 1
        assert (folder / "logs" / "sut.log").read_text().startswith("starting with")


def test_a_call_for_a_request_of_an_earlier_load_is_of_no_request(loads: Loads) -> None:
    """The service may still work for a load that is over; its numbers must not pass for those of the next."""
    import urllib.request

    with loads.open() as stack:
        stack.up()
        _fly(stack)
        stack.end_load()
        stack.load(loads.plan(1), loads.folder(1))
        late = urllib.request.Request(f"{loads.first.upstreams[0].url}/offers", headers={"X-Tailgate-Seq": "3"})
        with urllib.request.urlopen(late, timeout=5) as answer:
            assert answer.status == 200
        _fly(stack)
        stack.down()
    evidence = Evidence.load(loads.folder(1))
    asked_for_3 = evidence.calls["seq"] == 3
    assert np.count_nonzero(asked_for_3) == 1
    assert np.count_nonzero(evidence.calls["seq"] == NO_SEQ) == 1


def test_a_service_that_died_between_two_loads_makes_the_next_impossible(loads: Loads) -> None:
    with loads.open() as stack:
        stack.up()
        _fly(stack)
        stack.end_load()
        loads.scene.kill("stub_service")
        with pytest.raises(RigError, match="the service ended by signal 9 before it was ready"):
            stack.load(loads.plan(1), loads.folder(1))
    assert_nothing_left(loads.first, loads.folder(0))
    assert not (loads.folder(1) / "control").exists()
    ended = Manifest.read(loads.folder(1)).ended
    assert ended is not None and ended.reason == "never_ready"
    assert Manifest.read(loads.folder(0)).ended == RunEnd(reason="done"), "the load that was over stays as it was"


def test_a_supervisor_killed_in_the_second_load_leaves_nothing(loads: Loads) -> None:
    with loads.open() as stack:
        stack.up()
        _fly(stack)
        stack.end_load()
        stack.load(loads.plan(1, latency_ms=300, duration_ms=10_000), loads.folder(1))
        stack.go()
        with pytest.raises(RigError, match="supervisor vanished"):
            for event in until_done(stack):
                if isinstance(event, FaultChanged) and event.entry.event == "applied":
                    supervisors = [m.process.pid for m in orphans.members(loads.scene.run_id) if m.is_supervisor]
                    os.kill(supervisors[0], signal.SIGKILL)
    assert_nothing_left(loads.first, loads.folder(0))
    assert not (loads.folder(1) / "control").exists()
    ended = Manifest.read(loads.folder(1)).ended
    assert ended is not None and ended.reason == "rig"


def test_a_plan_for_another_stack_is_refused(loads: Loads) -> None:
    with loads.open() as stack:
        stack.up()
        other = loads.plan(1)
        moved = other.model_copy(update={"service": other.service.model_copy(update={"port": 1})})
        with pytest.raises(ValueError, match="for this stack"):
            stack.load(moved, loads.folder(1))
        with pytest.raises(ValueError, match="run id of its own"):
            stack.load(loads.first, loads.folder(1))
    assert_nothing_left(loads.first, loads.folder(0))


# ---------------------------------------------------------------- an upstream that a fault of the load before has ended

SLOW_SERVER = """\
import pathlib, socket, sys, time
begun = pathlib.Path(sys.argv[2])
if begun.exists():
    time.sleep(float(sys.argv[3]))
begun.touch()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
open_ones = []
while True:
    open_ones.append(listener.accept()[0])
"""


def with_killed_cache(loads: Loads, slow_s: float, ready_within_ms: float) -> Plan:
    """The first load's plan with a bare server besides, which a fault kills until the load's end.

    Started again, it takes `slow_s` to listen.
    """
    lease, port = loads.scene.lease, loads.scene.lease.take()
    begun = loads.scene.run_dir.parent / "begun"
    cache = PlannedUpstream(
        name="cache",
        index=1,
        kind="command",
        protocol="tcp",
        listener=Endpoint(port=lease.take()),
        origin=Endpoint(port=port),
        command=PlannedCommand(
            argv=(sys.executable, "-c", SLOW_SERVER, str(port), str(begun), str(slow_s)),
            port=port,
            ready_within_ms=ready_within_ms,
        ),
    )
    gone = PlannedFault(
        name="gone",
        kind="kill",
        text="kill",
        upstreams=("cache",),
        windows=(FaultWindow(apply_ms=500, remove_ms=1_400),),
        process="kill",
        disables_proxy=True,
        held_ms=0,
        proof=Proof(kind="process"),
    )
    first = loads.first.model_copy(update={"upstreams": (*loads.first.upstreams, cache), "faults": (gone,)})
    first.write(loads.scene.run_dir)
    return first


def test_the_next_load_waits_for_an_upstream_that_was_killed(loads: Loads) -> None:
    loads.first = with_killed_cache(loads, slow_s=4.0, ready_within_ms=20_000)
    with loads.open() as stack:
        stack.up()
        assert "applied" in _fly(stack)
        stack.end_load()
        stack.load(loads.plan(1), loads.folder(1))
        with socket.create_connection(("127.0.0.1", loads.first.upstream("cache").origin.port), timeout=5):
            pass
        _fly(stack)
        stack.down()


@pytest.mark.nightly  # by day the test before waits for one
def test_one_that_is_not_ready_again_in_time_is_named(loads: Loads) -> None:
    loads.first = with_killed_cache(loads, slow_s=600.0, ready_within_ms=1_500)
    with loads.open() as stack:
        stack.up()
        _fly(stack)
        stack.end_load()
        with pytest.raises(RigError, match=r"the upstream `cache` was not ready within 1.5s: a TCP connection"):
            stack.load(loads.plan(1), loads.folder(1))
    assert_nothing_left(loads.first, loads.folder(0))
