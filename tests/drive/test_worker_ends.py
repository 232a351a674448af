"""How a worker ends when things do not go to plan: never with a good code and a bad file."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.rundir.ndjson import replace_file
from harness.rundir.rows import SAMPLES, Outcome, read_rows
from tests.drive.drive_world import LIMIT_S, Answer, StubServer, Worker, a_plan
from tests.has_ended import has_ended

pytestmark = pytest.mark.stack

MS = 1_000_000


def test_sigterm_closes_the_file_with_every_arrival_that_was_due(tmp_path: Path) -> None:
    with StubServer(lambda asked: Answer(hold_s=30.0 if asked.seq == 3 else 0.0)) as stub:
        plan = a_plan(stub.url, rate_per_s=50, duration_ms=30_000.0, client_cap_ms=60_000.0)
        with Worker(plan, tmp_path) as worker:
            worker.await_ready()
            worker.start()
            worker.wait_for(lambda: len(stub.asked) > 20, "to send twenty requests")
            worker.process.send_signal(signal.SIGTERM)
            worker.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert worker.finish() == 0
            assert time.monotonic() - began < 20, "the load of 30 s was not waited for"
    rows = worker.rows()
    assert sorted(map(int, rows["seq"])) == list(range(len(rows)))
    assert 3 in rows["seq"][rows["outcome"] == Outcome.UNFINISHED]


def test_sigterm_before_the_start_leaves_an_empty_file_that_is_whole(tmp_path: Path) -> None:
    with StubServer() as stub, Worker(a_plan(stub.url), tmp_path) as worker:
        worker.await_ready()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.finish() == 0
    assert len(worker.rows()) == 0


@pytest.mark.parametrize("started", [True, False])
def test_a_worker_whose_parent_is_gone_leaves_and_keeps_its_rows(tmp_path: Path, started: bool) -> None:
    parent_code = (
        "import subprocess, sys, time\n"
        "from pathlib import Path\n"
        "from scenarios.drive.command import worker_argv\n"
        "run_dir = Path(sys.argv[1])\n"
        "worker = subprocess.Popen(worker_argv(run_dir, 0), cwd=run_dir, start_new_session=True)\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with StubServer() as stub:
        plan = a_plan(stub.url, rate_per_s=50, duration_ms=60_000.0)
        plan.write(tmp_path)
        with subprocess.Popen(
            [sys.executable, "-c", parent_code, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as parent:
            assert parent.stdout is not None
            worker = psutil.Process(int(parent.stdout.readline()))
            try:
                ready = tmp_path / "control" / "ready-0"
                _wait_for(ready.exists)
                if started:
                    t0_ns = time.monotonic_ns() + 100 * MS
                    replace_file(tmp_path / "control" / "start.json", f'{{"start_ns": {t0_ns}, "t0_ns": {t0_ns}}}')
                    _wait_for(lambda: len(stub.asked) > 10)
                parent.kill()
                parent.wait(LIMIT_S)
                _wait_for(lambda: has_ended(worker))
            finally:
                parent.kill()
                if not has_ended(worker):
                    worker.kill()
    assert len(read_rows(tmp_path / "samples-0.bin", SAMPLES)) >= (10 if started else 0)


def test_a_disk_that_takes_no_more_ends_the_worker_and_keeps_what_was_written(tmp_path: Path) -> None:
    with StubServer() as stub:
        plan = a_plan(stub.url, rate_per_s=100, duration_ms=30_000.0)
        with Worker(plan, tmp_path) as worker:
            worker.await_ready()
            limit = 64 * 150 + 10
            resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
            worker.start()
            assert worker.finish() == 4
    last = worker.stderr.strip().splitlines()[-1]
    assert last.startswith("error: samples-0.bin takes no more rows: ")
    assert os.strerror(27) in last
    kept = read_rows(tmp_path / "samples-0.bin", SAMPLES, verify=False)
    assert 0 < len(kept) <= 150
    assert set(kept["outcome"]) == {Outcome.OK}
    assert (tmp_path / "samples-0.bin").stat().st_size % SAMPLES.size == 0
    assert not (tmp_path / "samples-0.bin.end").exists()


def test_rows_are_on_disk_while_the_load_is_on(tmp_path: Path) -> None:
    with StubServer() as stub:
        plan = a_plan(stub.url, rate_per_s=50, duration_ms=30_000.0)
        with Worker(plan, tmp_path) as worker:
            worker.await_ready()
            worker.start()
            file = tmp_path / "samples-0.bin"
            began = time.monotonic()
            worker.wait_for(lambda: file.stat().st_size >= 10 * SAMPLES.size, "to write rows")
            assert time.monotonic() - began < 15, "half of the load is left"


def _wait_for(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)
