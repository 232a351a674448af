"""What a worker delivers of a locustfile, and what the run says when the file was at fault."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.errors import RigError
from harness.rundir.locustfile.notes import LocustfileNote, notes_file
from harness.rundir.locustfile.request_names import RequestNameBook, names_file
from harness.stack.load.local_workers import died
from harness.stack.load.transport import MASTER
from harness.stack.processes.process import ChildProcess
from harness.worker.load_process import LoadProcess
from tests.rundir.recording import make_plan

RAISED = LocustfileNote(kind="raised", text="KeyError: 'id'", where="users.py:12", of=4, fix="look at users.py")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[LoadProcess]:
    """Worker 1, whose Locust process has failed."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "locust.log").write_text("error: the end\n", encoding="utf-8")
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"], env=dict(os.environ)) as ended:
        ended.wait(timeout=20)
        yield LoadProcess(tmp_path, 1, ended, None)


def test_names_are_delivered_as_they_grow_and_all_at_the_end(tmp_path: Path, process: LoadProcess) -> None:
    def grown() -> list[str]:
        return [file.name for file in process.of_locustfile(only_grown=True)]

    assert grown() == []
    book = RequestNameBook(tmp_path, 1)
    book.number("/offers")
    assert grown() == ["names-1.ndjson"]
    assert grown() == []
    book.number("/héllo")
    (file,) = process.of_locustfile(only_grown=True)
    assert file.data == names_file(tmp_path, 1).read_bytes()
    notes_file(tmp_path, 1).write_text(RAISED.model_dump_json() + "\n", encoding="utf-8")
    assert grown() == ["locustfile-1.ndjson"]
    assert {file.name for file in process.files(())} == {"names-1.ndjson", "locustfile-1.ndjson", "locust.log"}


def test_what_a_load_process_used_is_known_while_it_runs(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        running = LoadProcess(tmp_path, 0, busy, None)
        try:
            end_s = time.monotonic() + 20
            while not (used_s := running.cpu_s()) and time.monotonic() < end_s:
                time.sleep(0.01)
            assert used_s
        finally:
            busy.kill()
    assert running.cpu_s() is None


def test_a_worker_ends_with_what_its_locustfile_did(tmp_path: Path, process: LoadProcess) -> None:
    with pytest.raises(RigError, match="its Locust process ended with exit code 1: error: the end"):
        process.check()
    notes_file(tmp_path, 1).write_text(RAISED.model_dump_json() + "\n", encoding="utf-8")
    with pytest.raises(RigError) as raised:
        process.check()
    assert (raised.value.message, raised.value.fix) == (RAISED.said(), RAISED.remedy)


def test_the_run_says_what_the_locustfile_of_a_worker_elsewhere_did(tmp_path: Path) -> None:
    plan = make_plan()
    plan.model_copy(update={"load": plan.load.model_copy(update={"workers": 3})}).write(tmp_path)
    line = "error: worker 2 (far) failed: it ended"
    master = cast(
        "ChildProcess",
        SimpleNamespace(
            name=MASTER,
            spec=SimpleNamespace(cwd=tmp_path),
            code=SimpleNamespace(result=lambda: 1),
            log_tail=lambda _: [line],
            log_place="logs/locust-master.log",
        ),
    )
    assert died(master).message == "worker 2 (far) failed: it ended"
    notes_file(tmp_path, 2).write_text(RAISED.model_dump_json() + "\n", encoding="utf-8")
    fault: Any = died(master)
    assert (fault.message, fault.fix, fault.part) == (RAISED.said(), RAISED.remedy, "locustfile")
