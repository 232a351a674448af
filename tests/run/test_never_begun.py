"""A run whose stack could not be started is judged like every other: a verdict, a reason, and what to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.errors import RigError
from harness.run import run
from harness.run.head_start import HeadStart
from harness.run.progress import NullDisplay
from harness.stack.processes.ports import PortLease
from harness.toxiproxy.find import NONE
from tests.rundir.recording import make_plan


class Refusing:
    """A stack that finds a port taken before it starts anything."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Refusing:
        return self

    def __exit__(self, *_: object) -> None: ...

    def up(self, _watch: object) -> None:
        raise RigError("port 20001 is in use by python (pid 4711)", "give the scenario another port")


def test_a_run_that_could_not_begin_is_a_rig_failure_with_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "StackClient", Refusing)
    plan = make_plan()
    run.create_run_dir(tmp_path / "run", plan, "name: x\n", None)
    stopper = cast("Any", SimpleNamespace(check=lambda: None, asked=False))
    session = run.Session(run.Options(tmp_path), NullDisplay(), stopper, HeadStart())
    run._run_stack(session, plan, tmp_path / "run", PortLease(tmp_path / "ports", range(20_000, 20_010)), NONE)
    results = run.judge_and_report(tmp_path / "run").results
    assert results is not None
    assert (results.verdict, results.exit_code) == ("rig_failure", 4)
    assert results.reason == "port 20001 is in use by python (pid 4711)"
    assert results.next == "Give the scenario another port."
    assert (tmp_path / "run" / "report.html").exists()
