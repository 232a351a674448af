"""SIGSTOP to anyone of a run: noticed within seconds, undone, told by its name, and never waited for."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from harness.errors import RigError
from harness.rundir.manifest import Manifest, RunEnd
from harness.stack.client import StackClient
from harness.stack.events import ChildReady, Event, FaultChanged
from harness.stack.supervisor.heartbeat import SILENCE_S
from harness.toxiproxy.find import EngineChoice
from tests.stack.driven import WITHIN_S, assert_clean_within, await_line, driver
from tests.stack.stack_scene import Scene, assert_nothing_left, until_done

pytestmark = pytest.mark.stack

FAULT = ("latency_ms=2000", "duration_ms=60000")


# ---------------------------------------------------------------- tailgate


def test_a_stopped_tailgate_has_its_faults_undone_and_learns_of_it(
    tmp_path: Path, run_id: str, toxiproxy: EngineChoice
) -> None:
    assert toxiproxy.path is not None
    with driver(tmp_path, run_id, str(toxiproxy.path), *FAULT) as tailgate:
        await_line(tailgate, "applied")
        tailgate.send_signal(signal.SIGSTOP)
        ended = assert_clean_within(tmp_path, run_id)
        assert tailgate.poll() is None, "it is stopped, not gone"
        tailgate.send_signal(signal.SIGCONT)
        out, _ = tailgate.communicate(timeout=30)
    assert (ended.reason, ended.rollback_verified) == ("rig", True)
    assert [fault.message.partition(" (")[0] for fault in ended.rig] == ["tailgate gave no sign of life for 5 s"]
    assert RunEnd.model_validate_json(out.splitlines()[-1]) == ended


@pytest.mark.nightly  # by day it is stopped in mid run
def test_a_tailgate_stopped_while_it_comes_up(tmp_path: Path, run_id: str, toxiproxy: EngineChoice) -> None:
    assert toxiproxy.path is not None
    with driver(tmp_path, run_id, str(toxiproxy.path), 'stub=["mute"]') as tailgate:
        end = time.monotonic() + 30
        while not (tmp_path / "run" / "manifest.json").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        tailgate.send_signal(signal.SIGSTOP)
        ended = assert_clean_within(tmp_path, run_id)
        tailgate.send_signal(signal.SIGCONT)
        out, _ = tailgate.communicate(timeout=30)
    assert ended.reason == "rig"
    assert tailgate.returncode == RigError.exit_code
    assert "tailgate gave no sign of life" in out


def test_a_tailgate_that_is_busy_is_not_given_up(scene: Scene) -> None:
    plan = scene.plan(duration_ms=(SILENCE_S + 3) * 1000)
    with StackClient(scene.run_dir, plan, scene.lease, scene.toxiproxy) as stack:
        stack.up()
        stack.go()
        end = time.monotonic() + SILENCE_S + 2
        while time.monotonic() < end:  # holds the interpreter, asks for no events
            sum(range(100_000))
        events = [event.event for event in until_done(stack)]
        assert events[-1] == "load_done"
        assert "beat" not in events, "signs of life are nobody's business"
        assert stack.down() == RunEnd(reason="done")
        assert stack.stood_still_s == 0


# ---------------------------------------------------------------- the supervisor


def _stop_supervisor(scene: Scene) -> None:
    psutil.Process(scene.pid_of("harness.stack.supervisor.supervisor")).suspend()


def _given_up(scene: Scene, error: RigError) -> None:
    assert "the supervisor was stopped by a signal (SIGSTOP)" in error.message
    assert error.fix
    ended = Manifest.read(scene.run_dir).ended
    assert ended is not None and ended.reason == "rig"


def test_a_supervisor_stopped_in_mid_run(scene: Scene) -> None:
    plan = scene.plan(latency_ms=500, duration_ms=60_000)
    with StackClient(scene.run_dir, plan, scene.lease, scene.toxiproxy) as stack:
        stack.up()
        stack.go()
        begin = 0.0
        with pytest.raises(RigError) as caught:
            for event in until_done(stack):
                if isinstance(event, FaultChanged) and event.entry.event == "applied":
                    begin = time.monotonic()
                    _stop_supervisor(scene)
        assert time.monotonic() - begin < WITHIN_S
        assert_nothing_left(plan, scene.run_dir)
    _given_up(scene, caught.value)


@pytest.mark.nightly  # by day it is stopped in mid run and at the end
def test_a_supervisor_stopped_while_it_starts_the_rest(scene: Scene) -> None:
    plan = scene.plan(stub=("mute",))

    def stop(event: Event | None) -> None:
        if isinstance(event, ChildReady) and event.child == "backends":
            _stop_supervisor(scene)

    begin = time.monotonic()
    with pytest.raises(RigError) as caught:
        scene.up(plan, stop)
    assert time.monotonic() - begin < WITHIN_S
    assert_nothing_left(plan, scene.run_dir)
    _given_up(scene, caught.value)


def test_a_supervisor_stopped_at_the_end(scene: Scene) -> None:
    plan = scene.plan()
    with StackClient(scene.run_dir, plan, scene.lease, scene.toxiproxy) as stack:
        stack.up()
        _stop_supervisor(scene)
        with pytest.raises(RigError) as caught:
            stack.down()
        assert_nothing_left(plan, scene.run_dir)
    _given_up(scene, caught.value)


# ---------------------------------------------------------------- children


@pytest.mark.parametrize(
    ("word", "child", "check"),
    [
        pytest.param("-port", "toxiproxy", "faults", marks=pytest.mark.nightly),
        ("fake_backends", "backends", "workers"),
        pytest.param("nginx.conf", "gateway", "workers", marks=pytest.mark.nightly),
        pytest.param("locust", "locust-0", "workers", marks=pytest.mark.nightly),
    ],
)
def test_a_stopped_child_is_the_rigs_fault(scene: Scene, word: str, child: str, check: str) -> None:
    """By day Toxiproxy and Locust are stopped in tests/run/test_kill_matrix.py."""
    begin = 0.0

    def stop(_: StackClient) -> None:
        nonlocal begin
        begin = time.monotonic()
        psutil.Process(scene.pid_of(word)).suspend()

    ended = scene.fly(stop, latency_ms=500, duration_ms=60_000)
    assert time.monotonic() - begin < WITHIN_S
    assert ended.reason == "rig"
    told = [fault for fault in ended.rig if fault.check == check]
    assert f"{child} was stopped by a signal (SIGSTOP) during the run" in [fault.message for fault in told]
    assert ended.deaths == ()


@pytest.mark.parametrize(("word", "stub"), [("stub_service", ()), ("time.sleep(120)", ("grandchild",))])
def test_a_stopped_service_is_a_finding(scene: Scene, word: str, stub: tuple[str, ...]) -> None:
    """Also where it is one of its workers that stands still."""
    begin = 0.0

    def stop(_: StackClient) -> None:
        nonlocal begin
        begin = time.monotonic()
        psutil.Process(scene.pid_of(word)).suspend()

    ended = scene.fly(stop, stub=stub, latency_ms=500, duration_ms=60_000)
    assert time.monotonic() - begin < WITHIN_S
    assert (ended.reason, ended.rig, ended.rollback_verified) == ("service_gone", (), True)
    (death,) = ended.deaths
    assert (death.child, death.stopped, death.how) == ("sut", True, "was stopped by a signal (SIGSTOP)")
    assert ended.stop_at_ns == death.t_ns


def test_a_child_that_was_stopped_for_a_moment_is_not_mentioned(scene: Scene) -> None:
    def pause(_: StackClient) -> None:
        worker = psutil.Process(scene.pid_of("nginx.conf"))
        worker.suspend()
        threading.Timer(0.3, worker.resume).start()

    ended = scene.fly(pause, latency_ms=200, duration_ms=4_000, window=(500, 1_500))
    assert ended == RunEnd(reason="done", rollback_verified=True)
