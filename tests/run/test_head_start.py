"""The supervisor that `tailgate run` starts before it reads its scenario belongs to the first run, and to no other."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.run import yardstick
from harness.run.head_start import HeadStart


@dataclass
class Supervisor:
    run_id: str = "20250102-030405-abcd"
    abandoned: list[bool] = field(default_factory=list)

    def abandon(self) -> None:
        self.abandoned.append(True)


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardstick, "measure_ms", lambda: 199.0)


def head_start(supervisor: Any) -> HeadStart:
    return HeadStart(123.0, supervisor)


def test_the_first_run_gets_the_supervisor_and_the_yardstick_from_before_it() -> None:
    supervisor = Supervisor()
    start = head_start(supervisor)
    first, second = start.new_run_id(), start.new_run_id()
    assert first == supervisor.run_id
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", second)
    assert start.take(first) is supervisor  # type: ignore[comparison-overlap]
    assert start.take(second) is None
    assert (start.before_ms(first), start.before_ms(second)) == (123.0, 199.0)


def test_without_a_head_start_each_run_starts_its_own() -> None:
    start = HeadStart()
    assert start.new_run_id() != start.new_run_id()
    assert start.take(start.new_run_id()) is None
    assert start.before_ms(start.new_run_id()) == 199.0


def test_a_supervisor_without_a_run_does_not_stay() -> None:
    supervisor = Supervisor()
    with pytest.raises(ValueError), head_start(supervisor):
        raise ValueError
    assert supervisor.abandoned == [True]
