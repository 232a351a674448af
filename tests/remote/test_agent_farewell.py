"""What a worker says when its load is over: also whether the run ended it before its time."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.remote.messages import Done, EndNow, Start, Stop, ToWorker
from harness.rundir import handshake
from harness.units import NS_PER_S
from harness.worker.agent import _Agent
from tests.rundir.recording import make_plan

PLAN = make_plan(duration_ms=60_000)


@pytest.mark.parametrize(
    ("before", "begun_s_ago", "said"),
    [
        ((), 0.0, "the load is over, and every row has arrived"),
        ((EndNow(),), 100.0, "the load is over, and every row has arrived"),
        ((EndNow(),), 20.0, "the run ended the load early, and every row has arrived"),
        ((Stop(at_ns=1),), 20.0, "the run ended the load early, and every row has arrived"),
    ],
)
def test_a_load_that_the_run_cut_is_not_over(
    before: tuple[ToWorker, ...], begun_s_ago: float, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.monotonic_ns()
    clock = SimpleNamespace(monotonic=time.monotonic, monotonic_ns=lambda: now_ns)
    monkeypatch.setattr("harness.worker.agent.time", clock)
    PLAN.write(tmp_path)
    handshake.prepare(tmp_path)
    reports: list[str] = []
    nobody = cast("Any", SimpleNamespace())
    agent = _Agent(nobody, nobody, tmp_path, ExitStack(), environ={}, report=reports.append, is_stopped=lambda: False)
    agent._process = cast("Any", SimpleNamespace(end_now=lambda: None))
    agent._begin(Start(start_ns=now_ns, t0_ns=now_ns))
    now_ns += round(begun_s_ago * NS_PER_S)
    for message in (*before, Done()):
        agent._take(message, nobody)
    assert reports == ["the load begins", said]
