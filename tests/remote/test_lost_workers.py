"""A worker, a master or a machine that goes: the run is a rig failure that names it, and nothing is left anywhere.

By day a cell of the kill matrix tries one of them, a Locust process that is killed (`tests/run/test_kill_matrix.py`).
`make nightly` tries them all.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from harness.stack.processes.orphans import members
from harness.stack.processes.ports import PortLease
from tests.remote.remote_world import Site, TrueServer, a_site
from tests.run.real_runs import GONE_WITHIN_S, Ran, Running, assert_nothing_left

pytestmark = [pytest.mark.stack, pytest.mark.nightly]

SCENARIO = """\
name: near
service: {{url: "http://127.0.0.1:{port}", ready: GET / within 10s}}
gateway: {{kind: none}}
load: {{rate: 40/s, request: GET /offers, warmup: 1s, duration: 40s, timeout: 2s}}
verdict: {{clump: 20ms}}
gates: [p90 < 300ms]
"""


@dataclass(frozen=True)
class Near:
    """A run with two workers on this machine, whose rows arrive."""

    site: Site
    running: Running
    run_dir: Path

    def locust_of(self, worker: int) -> psutil.Process:
        (process,) = psutil.Process(self.site.workers[worker].process.pid).children()
        return process

    def end(self, within_s: float = 60.0) -> Ran:
        ran = self.running.end(within_s)
        assert_nothing_left(self.run_dir)
        return ran

    def assert_workers_gone(self, *, except_for: tuple[int, ...] = ()) -> list[int]:
        """Within `GONE_WITHIN_S`, with nothing left; their exit codes."""
        end_s = time.monotonic() + GONE_WITHIN_S
        others = [worker for number, worker in enumerate(self.site.workers) if number not in except_for]
        codes = [worker.end(max(0.1, end_s - time.monotonic())) for worker in others]
        while left := [each.process for each in members(self.run_dir.name)]:
            assert time.monotonic() < end_s, left
            time.sleep(0.1)
        return codes


@contextmanager
def near(folder: Path, *, prefix: tuple[str, ...] = (), scenario: str = SCENARIO) -> Iterator[Near]:
    """`prefix`: what starts the second worker."""
    with a_site(folder) as site, PortLease() as lease, TrueServer() as server:
        address = f"127.0.0.1:{lease.take()}"
        site.worker(address)
        site.worker(address, prefix=prefix)
        words = ("--expect-workers", "2", "--listen", address, "--token-file", str(site.token))
        running = Running(folder, scenario.format(port=server.port), *words)
        try:
            yield Near(site, running, running.wait_for(_has_rows, 60))
        finally:
            if running.process.poll() is None:
                running.process.terminate()
                running.process.communicate(timeout=60)


def _has_rows(run_dir: Path) -> bool:
    files = [run_dir / f"samples-{index}.bin" for index in (0, 1)]
    return any(file.exists() and file.stat().st_size for file in files)


def _reason(ran: Ran) -> str:
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    reason = ran.results["reason"]
    assert isinstance(reason, str)
    return reason


def test_a_locust_process_that_is_killed_is_named_and_the_others_end(tmp_path: Path) -> None:
    with near(tmp_path) as run:
        run.locust_of(0).kill()
        reason = _reason(run.end())
        assert "failed: its Locust process ended with signal 9" in reason
        assert run.assert_workers_gone() == [4, 4]
        assert run.site.left() == []


def test_a_worker_that_is_killed_is_lost_and_its_locust_process_ends_by_itself(tmp_path: Path) -> None:
    with near(tmp_path) as run:
        run.site.workers[1].process.kill()
        assert "was lost: nothing came from it for 10 s" in _reason(run.end())
        assert run.assert_workers_gone() == [4, -9]


@pytest.mark.parametrize("which", ["locust", "worker"])
def test_a_worker_that_hangs_is_lost(tmp_path: Path, which: str) -> None:
    """Either of its two processes may hang. The one that lives ends the other, or itself."""
    with near(tmp_path) as run:
        worker, locust = psutil.Process(run.site.workers[1].process.pid), run.locust_of(1)
        (locust if which == "locust" else worker).send_signal(signal.SIGSTOP)
        reason = _reason(run.end())
        if which == "locust":
            assert "failed: its Locust process hangs: it gave no sign of life for 10 s" in reason
            assert run.assert_workers_gone() == [4, 4]
            return
        assert "was lost: nothing came from it for 10 s" in reason
        assert run.assert_workers_gone(except_for=(1,)) == [4]  # its Locust process is gone too
        worker.send_signal(signal.SIGCONT)
        assert run.site.workers[1].end() == 4


def _kill_master(run: Near) -> None:
    run.running.child("scenarios.drive.remote.master").kill()


def _kill_everything_here(run: Near) -> None:
    for process in (run.running.child("harness.stack.supervisor.supervisor"), _master(run)):
        process.kill()
    run.running.process.kill()


def _master(run: Near) -> psutil.Process:
    return run.running.child("scenarios.drive.remote.master")


@pytest.mark.parametrize("kill", [_kill_master, _kill_everything_here])
def test_workers_whose_master_is_gone_end_by_themselves(tmp_path: Path, kill: Callable[[Near], None]) -> None:
    with near(tmp_path) as run:
        kill(run)
        assert run.assert_workers_gone() == [4, 4]
        assert all("nothing came from 127.0.0.1:" in worker.stderr for worker in run.site.workers)
        assert run.site.left() == []
        if kill is _kill_master:
            assert "locust-master ended with signal 9" in _reason(run.end())
        else:
            run.running.process.communicate(timeout=30)


def test_a_full_disk_on_a_workers_side_is_named(tmp_path: Path) -> None:
    """Its files may have 12 kB: the plan fits in, and the rows of five seconds do not."""
    with near(tmp_path, prefix=("sh", "-c", 'ulimit -f 24; exec "$0" "$@"')) as run:
        ran = run.end()
        reason = _reason(ran)
        assert "takes no more rows: [Errno 27] File too large" in reason
        assert {check["check"] for check in ran.results["validity"] if not check["ok"]} >= {"files"}
        assert run.assert_workers_gone() == [4, 4]


def test_ctrl_c_on_a_worker_ends_the_load_everywhere(tmp_path: Path) -> None:
    with near(tmp_path) as run:
        run.site.workers[0].process.send_signal(signal.SIGINT)
        assert "stopped; the run has no verdict without this worker" in _reason(run.end())
        assert sorted(run.assert_workers_gone()) == [4, 130]


def test_ctrl_c_on_the_run_keeps_what_was_measured(tmp_path: Path) -> None:
    with near(tmp_path) as run:
        time.sleep(3)
        run.running.process.send_signal(signal.SIGINT)
        ran = run.end()
        assert (ran.code, ran.verdict) == (130, "INCONCLUSIVE")
        assert all(check["ok"] for check in ran.results["validity"])
        assert run.assert_workers_gone() == [0, 0]


OWN_SERVICE = SCENARIO.replace(
    'service: {{url: "http://127.0.0.1:{port}", ready: GET / within 10s}}',
    "service: {{command: [python3, -m, http.server, '{{port}}', --bind, 127.0.0.1], ready: GET / within 10s}}",
).replace("GET /offers", "GET /")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_service_that_ends_is_still_the_services_fault(tmp_path: Path, number: signal.Signals) -> None:
    """Killed, it leaves no request open. Stopped, it leaves some, and their rows must come all the same."""
    with near(tmp_path, scenario=OWN_SERVICE) as run:
        time.sleep(3)
        run.running.child("http.server").send_signal(number)
        ran = run.end()
        assert (ran.code, ran.verdict) == (1, "FAIL"), ran.stdout + ran.stderr
        assert all(check["ok"] for check in ran.results["validity"])
        assert run.assert_workers_gone() == [0, 0]
