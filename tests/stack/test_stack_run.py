"""A whole run with real processes: one that ends well, and every death in mid-fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.errors import RigError
from harness.evidence import Evidence
from harness.rundir.manifest import Manifest, RunEnd
from harness.rundir.planned.service import PlannedService
from harness.rundir.rows import CALLS, SAMPLES, read_rows
from harness.stack.client import StackClient
from harness.stack.events import ChildReady, Event, FaultChanged, LoadDone, LoadStarted
from harness.toxiproxy.find import NONE
from harness.units import NS_PER_S
from tests.stack.stack_scene import STUB, Scene, assert_nothing_left, until_done

pytestmark = pytest.mark.stack


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_run_ends_well_and_leaves_only_its_evidence(scene: Scene) -> None:
    plan = scene.plan(upstreams=2, latency_ms=300, window=(500, 2_500))
    ready: list[str] = []

    def watch(event: Event | None) -> None:
        if isinstance(event, ChildReady):
            ready.append(event.child)

    with StackClient(scene.run_dir, plan, scene.lease, scene.toxiproxy) as stack:
        stack.up(watch)
        assert sorted(ready) == ["backends", "gateway", "locust-0", "sut", "toxiproxy"]
        stack.go()
        events = list(until_done(stack))
        ended = stack.down()
        assert stack.down() == ended
    assert_nothing_left(plan, scene.run_dir)
    assert isinstance(events[0], LoadStarted)
    assert isinstance(events[-1], LoadDone)
    steps = [event.entry.event for event in events if isinstance(event, FaultChanged)]
    assert steps == ["requested", "applied", "observed", "removing", "removed", "verified"]
    assert ended == RunEnd(reason="done", rollback_verified=True)
    manifest = Manifest.read(scene.run_dir)
    assert (manifest.ended, manifest.t0_ns) == (ended, events[0].t0_ns)
    assert manifest.engine.version and manifest.host["nginx"][0].isdigit()


def test_what_it_leaves_can_be_read(scene: Scene) -> None:
    run_dir = scene.run_dir
    scene.fly(lambda _: None, upstreams=2, latency_ms=300, window=(500, 1_000), duration_ms=2_000)
    samples, calls = read_rows(run_dir / "samples-0.bin", SAMPLES), read_rows(run_dir / "calls-0.bin", CALLS)
    assert len(samples) > 30
    assert set(samples["outcome"]) == {0}
    assert set(calls["upstream"]) == {0, 1}
    assert {"sut", "backends", "toxiproxy", "gateway", "locust-0"} <= {
        line["child"] for line in _lines(run_dir / "resources.ndjson")
    }
    through_gateway = [line for line in _lines(run_dir / "gateway.ndjson") if line["seq"]]
    assert sorted(int(str(line["seq"])) for line in through_gateway) == sorted(samples["seq"])
    logs = sorted(path.name for path in (run_dir / "logs").iterdir())
    assert logs == ["backends.log", "gateway.log", "locust-0.log", "sut.log", "toxiproxy.log"]


def test_a_service_that_runs_already_is_left_running(scene: Scene) -> None:
    port = scene.lease.take()
    process = subprocess.Popen([sys.executable, str(STUB), str(port)], stdout=subprocess.DEVNULL)
    try:
        service = PlannedService(kind="url", url=f"http://localhost:{port}")
        ended = scene.fly(lambda _: None, service=service, latency_ms=100, duration_ms=1_500, window=(500, 1_000))
        assert ended.reason == "done"
        assert set(read_rows(scene.run_dir / "samples-0.bin", SAMPLES)["outcome"]) == {0}
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_service_without_upstreams_needs_no_toxiproxy(scene: Scene) -> None:
    scene.toxiproxy = NONE
    ended = scene.fly(lambda _: None, upstreams=0, gateway="none", duration_ms=1_000)
    assert ended == RunEnd(reason="done")
    assert Manifest.read(scene.run_dir).engine.kind == "none"
    assert len(read_rows(scene.run_dir / "samples-0.bin", SAMPLES))


def test_stopping_early_keeps_what_came_before(scene: Scene) -> None:
    at_ns = 0

    def stop(stack: StackClient) -> None:
        nonlocal at_ns
        at_ns = time.monotonic_ns()
        stack.stop(at_ns, "fail_fast")

    begin = time.monotonic()
    ended = scene.fly(stop, latency_ms=2_000, duration_ms=60_000)
    assert time.monotonic() - begin < 45, "the load of a minute was not waited for"
    assert ended == RunEnd(reason="fail_fast", stop_at_ns=at_ns, rollback_verified=True)
    # a worker goes on until it has seen the stop, and the evidence leaves out what it sent meanwhile
    assert 0 < Evidence.load(scene.run_dir).samples["intended_ns"].max() < at_ns
    assert read_rows(scene.run_dir / "samples-0.bin", SAMPLES)["intended_ns"].max() < at_ns + 20 * NS_PER_S


def test_the_service_dying_is_a_finding(scene: Scene) -> None:
    ended = scene.fly(lambda _: scene.kill("stub_service"), latency_ms=500, duration_ms=60_000)
    assert ended.reason == "service_gone"
    assert ended.rig == ()
    assert [(death.child, death.code) for death in ended.deaths] == [("sut", -9)]
    assert ended.stop_at_ns == ended.deaths[0].t_ns
    assert ended.rollback_verified


@pytest.mark.parametrize(
    ("word", "child", "check"),
    [
        ("-port", "toxiproxy", "faults"),
        ("fake_backends", "backends", "workers"),
        ("nginx.conf", "gateway", "workers"),
        ("locust", "locust-0", "workers"),
    ],
)
def test_anyone_else_dying_is_the_rigs_fault(scene: Scene, word: str, child: str, check: str) -> None:
    begin = time.monotonic()
    ended = scene.fly(lambda _: scene.kill(word), latency_ms=500, duration_ms=60_000)
    assert time.monotonic() - begin < 45, "the load of a minute was not waited for"
    assert ended.reason == "rig"
    assert (child, -9) in [(death.child, death.code) for death in ended.deaths]
    assert any(fault.check == check and child in fault.message for fault in ended.rig), ended.rig


def test_grandchildren_of_the_service_end_with_it(scene: Scene) -> None:
    seen: list[int] = []
    scene.fly(
        lambda _: seen.append(scene.pid_of("time.sleep(120)")), stub=("grandchild",), latency_ms=100, duration_ms=1_500
    )
    assert seen


def test_the_service_gone_between_up_and_go(scene: Scene) -> None:
    plan = scene.plan()
    with StackClient(scene.run_dir, plan, scene.lease, scene.toxiproxy) as stack:
        stack.up()
        scene.kill("stub_service")
        assert next(event.event for event in stack.events(20)) == "child_died"
        stack.go()
        assert list(until_done(stack))[-1].event == "down"
        assert stack.down().reason == "service_gone"
    assert_nothing_left(plan, scene.run_dir)


def test_a_signal_to_the_supervisor_undoes_everything(scene: Scene) -> None:
    ended = scene.fly(
        lambda _: os.kill(scene.pid_of("harness.stack.supervisor.supervisor"), signal.SIGTERM),
        latency_ms=500,
        duration_ms=60_000,
    )
    assert ended.reason == "interrupted"
    assert ended.rollback_verified is True
    assert len(read_rows(scene.run_dir / "samples-0.bin", SAMPLES))


def test_a_supervisor_that_was_killed_is_stood_in_for(scene: Scene) -> None:
    plan = scene.plan(latency_ms=500, duration_ms=60_000)
    begin = time.monotonic()
    with StackClient(scene.run_dir, plan, scene.lease, scene.toxiproxy) as stack:
        stack.up()
        stack.go()
        with pytest.raises(RigError, match="the supervisor vanished") as caught:
            for event in until_done(stack):
                if isinstance(event, FaultChanged) and event.entry.event == "applied":
                    scene.kill("harness.stack.supervisor.supervisor")
        assert_nothing_left(plan, scene.run_dir)
    assert time.monotonic() - begin < 45, "the load of a minute was not waited for"
    assert caught.value.exit_code == 4
    ended = Manifest.read(scene.run_dir).ended
    assert ended is not None and ended.reason == "rig"


def test_a_supervisor_that_hangs_is_ended_and_stood_in_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.stack.client.DOWN_S", 1.0)
    plan = scene.plan()
    with StackClient(scene.run_dir, plan, scene.lease, scene.toxiproxy) as stack:
        stack.up()
        psutil.Process(scene.pid_of("harness.stack.supervisor.supervisor")).suspend()
        with pytest.raises(RigError, match="the supervisor hangs"):
            stack.down()
        assert_nothing_left(plan, scene.run_dir)
