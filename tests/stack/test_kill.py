"""tailgate killed in mid-fault, by every means: within 15 s no process, listener, toxic or lock of it is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.manifest import Ended, Manifest
from harness.plan import Plan
from harness.stack import leftovers
from harness.stack.ports import PortLease
from harness.toxiproxy.client import ToxiproxyClient, ToxiproxyError
from harness.toxiproxy.find import EngineChoice
from harness.toxiproxy.serve import server_argv
from tests.stack.stack_scene import Scene, assert_nothing_left, listeners

pytestmark = pytest.mark.stack

FAULT = ("latency_ms=2000", "duration_ms=60000")
WITHIN_S = 15.0


@pytest.fixture
def others(toxiproxy: EngineChoice, tmp_path: Path) -> Iterator[ToxiproxyClient]:
    """A Toxiproxy that is not tailgate's, with a proxy and a toxic of somebody else on it."""
    assert toxiproxy.path is not None
    with PortLease(tmp_path / "others-locks") as lease:
        port = lease.take()
        process = subprocess.Popen(server_argv(toxiproxy.path, "127.0.0.1", port), stdout=subprocess.DEVNULL)
        try:
            client = ToxiproxyClient(f"http://127.0.0.1:{port}")
            _until(lambda: _answers(client), 5)
            client.create_proxy("theirs", f"127.0.0.1:{lease.take()}", "127.0.0.1:9")
            yield client
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(5)


@contextlib.contextmanager
def _driver(folder: Path, run_id: str, engine: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """tailgate's side of a run whose directory is `folder`/run."""
    (folder / "run").mkdir()
    argv = [sys.executable, "-m", "tests.stack.stack_driver", str(folder / "run"), str(folder / "locks"), run_id]
    process = subprocess.Popen(
        [*argv, engine, *options], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        leftovers.kill_run(run_id, grace_s=0)


def _await_line(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"the driver ended without saying {word}")


def _until(holds: Callable[[], bool], within_s: float) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def _answers(client: ToxiproxyClient) -> bool:
    try:
        return bool(client.version())
    except ToxiproxyError:
        return False


def _assert_clean_within(folder: Path, run_id: str, within_s: float = WITHIN_S) -> Ended:
    """Processes, listeners, control files and locks gone, the manifest finished."""
    plan = Plan.read(folder / "run")
    _until(lambda: not leftovers.members(run_id), within_s)
    assert_nothing_left(plan, folder / "run")
    assert not (folder / "locks").exists()
    ended = Manifest.read(folder / "run").ended
    assert ended is not None
    return ended


def _supervisor(run_id: str) -> psutil.Process:
    (found,) = [member.process for member in leftovers.members(run_id) if member.is_supervisor]
    return found


def _own(toxiproxy: EngineChoice) -> str:
    assert toxiproxy.path is not None
    return str(toxiproxy.path)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_tailgate_ended_by_a_signal(tmp_path: Path, run_id: str, toxiproxy: EngineChoice, sig: signal.Signals) -> None:
    with _driver(tmp_path, run_id, _own(toxiproxy), *FAULT, 'stub=["grandchild"]') as driver:
        _await_line(driver, "applied")
        driver.send_signal(sig)
        ended = _assert_clean_within(tmp_path, run_id) if sig != signal.SIGINT else None
        if ended is None:  # Python turns it into an exception: the context cleans up before the process ends
            driver.wait(WITHIN_S)
            ended = _assert_clean_within(tmp_path, run_id, 0.1)
    assert ended.reason == "interrupted"
    assert ended.rollback_verified is True


def test_killed_with_a_toxiproxy_of_others(tmp_path: Path, run_id: str, others: ToxiproxyClient) -> None:
    with _driver(tmp_path, run_id, others.url, *FAULT) as driver:
        _await_line(driver, "applied")
        assert len(others.proxies()) == 2
        driver.kill()
        assert _assert_clean_within(tmp_path, run_id).rollback_verified is True
    assert list(others.proxies()) == ["theirs"]


def test_the_supervisor_killed_with_a_toxiproxy_of_others(tmp_path: Path, run_id: str, others: ToxiproxyClient) -> None:
    with _driver(tmp_path, run_id, others.url, *FAULT) as driver:
        _await_line(driver, "applied")
        _supervisor(run_id).kill()
        assert driver.wait(WITHIN_S) == 4
        assert driver.stdout is not None and "the supervisor vanished" in driver.stdout.read()
        assert _assert_clean_within(tmp_path, run_id, 0.1).reason == "rig"
    assert list(others.proxies()) == ["theirs"]


def test_killed_while_our_toxiproxy_hangs(tmp_path: Path, run_id: str, toxiproxy: EngineChoice) -> None:
    with _driver(tmp_path, run_id, _own(toxiproxy), *FAULT) as driver:
        _await_line(driver, "applied")
        (server,) = [m.process for m in leftovers.members(run_id) if "-port" in m.process.cmdline()]
        server.suspend()
        driver.kill()
        ended = _assert_clean_within(tmp_path, run_id)
    assert ended.reason == "interrupted"
    assert ended.rollback_verified is False


def test_killed_while_a_toxiproxy_of_others_hangs(tmp_path: Path, run_id: str, others: ToxiproxyClient) -> None:
    port = int(others.url.rpartition(":")[2])
    (server,) = [p for p in psutil.Process().children() if str(port) in p.cmdline()]
    with _driver(tmp_path, run_id, others.url, *FAULT) as driver:
        _await_line(driver, "applied")
        server.suspend()
        driver.kill()
        _until(lambda: not leftovers.members(run_id), WITHIN_S)
        ended = Manifest.read(tmp_path / "run").ended
    assert ended is not None and ended.rollback_verified is False
    assert any(fault.check == "rollback" and f"sweep --url {others.url}" in fault.fix for fault in ended.rig)
    assert not (tmp_path / "locks").exists()


def test_killed_while_it_comes_up(tmp_path: Path, run_id: str, toxiproxy: EngineChoice) -> None:
    with _driver(tmp_path, run_id, _own(toxiproxy), 'stub=["mute"]') as driver:
        _until(lambda: any("stub_service" in " ".join(m.process.cmdline()) for m in leftovers.members(run_id)), 10)
        driver.kill()
        assert _assert_clean_within(tmp_path, run_id).reason == "interrupted"


def test_killed_with_its_supervisor_a_sweep_finds_the_rest(
    tmp_path: Path, run_id: str, toxiproxy: EngineChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _driver(tmp_path, run_id, _own(toxiproxy), *FAULT) as driver:
        _await_line(driver, "applied")
        supervisor = _supervisor(run_id)
        driver.kill()
        supervisor.kill()
        _until(lambda: not psutil.pid_exists(supervisor.pid) or supervisor.status() == psutil.STATUS_ZOMBIE, 5)
        plan = Plan.read(tmp_path / "run")
        assert listeners(plan)
        everybody = leftovers.members
        monkeypatch.setattr(leftovers, "members", lambda _=None: everybody(run_id))  # not what others run just now
        _until(lambda: leftovers.dead_runs() == [run_id], 5)
        swept = leftovers.sweep(tmp_path / "locks")
        assert len(swept.processes) >= 4
        assert swept.lock_files
        assert listeners(plan) == []
        assert not (tmp_path / "locks").exists()


def test_a_disk_that_takes_no_more(tmp_path: Path, run_id: str, toxiproxy: EngineChoice) -> None:
    # 16 kB hold 256 rows of 64 bytes, and plan and locks with room to spare
    options = ("limit_bytes=16384", "rate_per_s=100", "duration_ms=60000", "latency_ms=100")
    with _driver(tmp_path, run_id, _own(toxiproxy), *options) as driver:
        out, _ = driver.communicate(timeout=45)
        ended = Ended.model_validate_json(out.splitlines()[-1])
        assert ended.reason == "rig"
        assert any("File too large" in fault.message for fault in ended.rig), ended.rig
        assert all(fault.fix for fault in ended.rig)
        _assert_clean_within(tmp_path, run_id, 0.1)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["ended"]["reason"] == "rig"
    assert (tmp_path / "run" / "samples-0.bin").stat().st_size % 64 == 0


HANGING = """
import sys, time
from harness.stack import supervisor, teardown
teardown.URGENT_LONGEST_S = 1.0
async def take_down(*_, **__):
    time.sleep(60)  # the event loop itself is stuck
teardown.take_down = take_down
supervisor.main()
"""


def test_an_end_that_hangs_is_ended_by_the_watchdog(scene: Scene) -> None:
    scene.plan()
    environ = {**os.environ, leftovers.RUN_VARIABLE: scene.run_id}
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environ)
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(scene.run_dir)],
        env=environ, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.communicate(timeout=10)
        assert process.returncode == 1
        assert left.wait(5) == -signal.SIGKILL
    finally:
        left.kill()
        process.kill()
