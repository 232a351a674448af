"""Who is asked for its run, and when again: by made-up processes. Real ones are in test_resources.py."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from harness.stack.names import FAR_VARIABLE, RUN_VARIABLE
from harness.stack.processes import detached
from harness.stack.processes.detached import Detached

OURS, OTHER = "20250101-000000-0001", "20250101-000000-0002"


@dataclass(frozen=True)
class Made:
    pid: int
    began: float = 1.0
    parent: int | None = None
    is_far: bool = False

    def environ(self) -> dict[str, str]:
        return {FAR_VARIABLE: "1"} if self.is_far else {}

    def parents(self) -> list[Made]:
        return [] if self.parent is None else [Made(self.parent)]


class Host:
    """A system whose processes tell what `tells` says, and are counted when asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tells: dict[Made, str | None] = {}
        self.asked: Counter[Made] = Counter()
        self.watch = Detached()
        monkeypatch.setattr(psutil, "pids", lambda: [made.pid for made in self.tells])
        monkeypatch.setattr(psutil, "Process", lambda pid: next(made for made in self.tells if made.pid == pid))
        monkeypatch.setattr(detached, "run_of", self._run_of)
        monkeypatch.setattr(os, "getsid", lambda pid: pid)

    def look(self, *others: int) -> list[int]:
        """`others`: pids of the run's other children."""
        service: Any = SimpleNamespace(spec=SimpleNamespace(env={RUN_VARIABLE: OURS}))
        children: list[Any] = [SimpleNamespace(pid=pid) for pid in others]
        return [made.pid for made in self.watch.of(service, [], children)]

    def _run_of(self, made: Made) -> str | None:
        self.asked[made] += 1
        return self.tells[made]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def test_one_that_tells_its_run_is_asked_once(host: Host) -> None:
    host.tells = {Made(1001): OURS, Made(1002): OTHER}
    assert [host.look() for _ in range(4)] == [[1001]] * 4
    assert host.asked == {Made(1001): 1, Made(1002): 1}


@pytest.mark.parametrize("at_first", ["", None])
def test_one_that_was_in_its_exec_is_asked_again(at_first: str | None, host: Host) -> None:
    host.tells = {Made(1001): at_first}
    assert host.look() == []
    host.tells = {Made(1001): OURS}
    assert host.look() == [1001]


def test_strangers_are_not_asked_for_ever(host: Host) -> None:
    host.tells = {Made(1001): ""}
    for _ in range(5):
        assert host.look() == []
    assert host.asked == {Made(1001): 2}


@pytest.mark.parametrize(("before", "now", "found"), [(OURS, "", []), ("", OURS, [1001])])
def test_a_pid_that_another_process_has_now_is_asked_anew(before: str, now: str, found: list[int], host: Host) -> None:
    host.tells = {Made(1001, began=1.0): before}
    for _ in range(3):
        host.look()
    host.tells = {Made(1001, began=9.0): now}
    assert host.look() == found


def test_what_another_child_has_started_in_a_session_of_its_own_is_not_the_services(host: Host) -> None:
    host.tells = {Made(1001, parent=900): OURS, Made(1002, parent=800): OURS}
    assert host.look(900) == [1002]


def test_a_load_generator_that_tailgate_worker_has_started_here_is_not_the_services(host: Host) -> None:
    """It has the run in its environment too, and another session."""
    host.tells = {Made(1001): OURS, Made(1002, is_far=True): OURS}
    assert host.look() == [1001]
