"""tailgate killed in mid-fault, by every means: within 15 s no process, listener, toxic or lock of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.rundir.manifest import Manifest, RunEnd
from harness.rundir.plan import Plan
from harness.stack.names import RUN_VARIABLE
from harness.stack.processes import orphans
from harness.toxiproxy.client import ToxiproxyClient, ToxiproxyError
from harness.toxiproxy.find import EngineChoice
from harness.toxiproxy.serve import server_argv
from tests.has_ended import has_ended
from tests.own_ports import own_lease
from tests.stack.driven import WITHIN_S, assert_clean_within, await_line, driver, supervisor, until
from tests.stack.stack_scene import Scene, listeners

pytestmark = pytest.mark.stack

FAULT = ("latency_ms=2000", "duration_ms=60000")


@pytest.fixture
def others(toxiproxy: EngineChoice, tmp_path: Path) -> Iterator[ToxiproxyClient]:
    """A Toxiproxy that is not tailgate's, with a proxy and a toxic of somebody else on it."""
    assert toxiproxy.path is not None
    with own_lease(tmp_path / "others-locks") as lease:
        port = lease.take()
        process = subprocess.Popen(server_argv(toxiproxy.path, "127.0.0.1", port), stdout=subprocess.DEVNULL)
        try:
            client = ToxiproxyClient(f"http://127.0.0.1:{port}")
            until(lambda: _answers(client), 20)
            client.create_proxy("theirs", f"127.0.0.1:{lease.take()}", "127.0.0.1:9")
            yield client
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(5)


def _answers(client: ToxiproxyClient) -> bool:
    try:
        return bool(client.version())
    except ToxiproxyError:
        return False


def _own(toxiproxy: EngineChoice) -> str:
    assert toxiproxy.path is not None
    return str(toxiproxy.path)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_tailgate_ended_by_a_signal(tmp_path: Path, run_id: str, toxiproxy: EngineChoice, sig: signal.Signals) -> None:
    with driver(tmp_path, run_id, _own(toxiproxy), *FAULT, 'stub=["grandchild"]') as tailgate:
        await_line(tailgate, "applied")
        tailgate.send_signal(sig)
        ended = assert_clean_within(tmp_path, run_id) if sig != signal.SIGINT else None
        if ended is None:  # Python turns it into an exception: the context cleans up before the process ends
            tailgate.wait(WITHIN_S)
            ended = assert_clean_within(tmp_path, run_id, 0.1)
    assert ended.reason == "interrupted"
    assert ended.rollback_verified is True


def test_killed_with_a_toxiproxy_of_others(tmp_path: Path, run_id: str, others: ToxiproxyClient) -> None:
    with driver(tmp_path, run_id, others.url, *FAULT) as tailgate:
        await_line(tailgate, "applied")
        assert len(others.proxies()) == 2
        tailgate.kill()
        assert assert_clean_within(tmp_path, run_id).rollback_verified is True
    assert list(others.proxies()) == ["theirs"]


def test_the_supervisor_killed_with_a_toxiproxy_of_others(tmp_path: Path, run_id: str, others: ToxiproxyClient) -> None:
    with driver(tmp_path, run_id, others.url, *FAULT) as tailgate:
        await_line(tailgate, "applied")
        supervisor(run_id).kill()
        assert tailgate.wait(WITHIN_S) == 4
        assert tailgate.stdout is not None and "the supervisor vanished" in tailgate.stdout.read()
        assert assert_clean_within(tmp_path, run_id, 0.1).reason == "rig"
    assert list(others.proxies()) == ["theirs"]


def test_killed_while_our_toxiproxy_hangs(tmp_path: Path, run_id: str, toxiproxy: EngineChoice) -> None:
    with driver(tmp_path, run_id, _own(toxiproxy), *FAULT) as tailgate:
        await_line(tailgate, "applied")
        (server,) = [m.process for m in orphans.members(run_id) if "-port" in m.process.cmdline()]
        server.suspend()
        tailgate.kill()
        ended = assert_clean_within(tmp_path, run_id)
    assert ended.reason == "interrupted"
    assert ended.rollback_verified is False


@pytest.mark.nightly  # by day our own hangs, in the test before
def test_killed_while_a_toxiproxy_of_others_hangs(tmp_path: Path, run_id: str, others: ToxiproxyClient) -> None:
    port = int(others.url.rpartition(":")[2])
    (server,) = [p for p in psutil.Process().children() if str(port) in p.cmdline()]
    with driver(tmp_path, run_id, others.url, *FAULT) as tailgate:
        await_line(tailgate, "applied")
        server.suspend()
        tailgate.kill()
        until(lambda: not orphans.members(run_id), WITHIN_S)
        ended = Manifest.read(tmp_path / "run").ended
    assert ended is not None and ended.rollback_verified is False
    assert any(fault.check == "rollback" and f"sweep --url {others.url}" in fault.fix for fault in ended.rig)
    assert not (tmp_path / "locks").exists()


def test_killed_while_it_comes_up(tmp_path: Path, run_id: str, toxiproxy: EngineChoice) -> None:
    with driver(tmp_path, run_id, _own(toxiproxy), 'stub=["mute"]') as tailgate:
        until(lambda: any("stub_service" in " ".join(m.process.cmdline()) for m in orphans.members(run_id)), 30)
        tailgate.kill()
        assert assert_clean_within(tmp_path, run_id).reason == "interrupted"


@pytest.mark.alone
def test_killed_with_its_supervisor_a_sweep_finds_the_rest(
    tmp_path: Path, run_id: str, toxiproxy: EngineChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, since any other stack that starts meanwhile would sweep the rest first."""
    with driver(tmp_path, run_id, _own(toxiproxy), *FAULT) as tailgate:
        await_line(tailgate, "applied")
        parent = supervisor(run_id)
        tailgate.kill()
        parent.kill()
        until(lambda: has_ended(parent), 15)
        plan = Plan.read(tmp_path / "run")
        assert listeners(plan)
        everybody = orphans.members
        monkeypatch.setattr(orphans, "members", lambda _=None: everybody(run_id))  # not what others run just now
        until(lambda: orphans.dead_runs() == [run_id], 15)
        swept = orphans.sweep(tmp_path / "locks")
        assert len(swept.processes) >= 4
        assert swept.lock_files
        assert listeners(plan) == []
        assert not (tmp_path / "locks").exists()


def test_a_disk_that_takes_no_more(tmp_path: Path, run_id: str, toxiproxy: EngineChoice) -> None:
    # 16 kB hold 256 rows of 64 bytes, and plan and locks with room to spare
    options = ("limit_bytes=16384", "rate_per_s=100", "duration_ms=60000", "latency_ms=100")
    with driver(tmp_path, run_id, _own(toxiproxy), *options) as tailgate:
        out, _ = tailgate.communicate(timeout=45)
        ended = RunEnd.model_validate_json(out.splitlines()[-1])
        assert ended.reason == "rig"
        assert any("File too large" in fault.message for fault in ended.rig), ended.rig
        assert all(fault.fix for fault in ended.rig)
        assert_clean_within(tmp_path, run_id, 0.1)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["ended"]["reason"] == "rig"
    assert (tmp_path / "run" / "samples-0.bin").stat().st_size % 64 == 0


HANGING = """
import sys, time
from pathlib import Path
from harness.stack.standby.pool import StandbyPool
from harness.stack.supervisor import lifetime, teardown
teardown.URGENT_LONGEST_S = 1.0
async def take_down(*_, **__):
    time.sleep(60)  # the event loop itself is stuck
teardown.take_down = take_down
lifetime.supervise(Path(sys.argv[1]), StandbyPool())
"""


def test_an_end_that_hangs_is_ended_by_the_watchdog(scene: Scene) -> None:
    scene.plan()
    environ = {**os.environ, RUN_VARIABLE: scene.run_id}
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environ)
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(scene.run_dir)],
        env=environ, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.communicate(timeout=30)
        assert process.returncode == 1
        assert left.wait(10) == -signal.SIGKILL
    finally:
        left.kill()
        process.kill()
