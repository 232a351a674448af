"""What tests of users' own locustfiles share: a file written, planned, driven, and what was noted of it."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.locustfile.notes import LocustfileNote, read_locustfile_notes
from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from tests.drive.drive_world import Worker, a_plan

MS = 1_000_000
HEAD = """
import itertools, os, queue, sys, time
import gevent
from locust import FastHttpUser, HttpUser, LoadTestShape, TaskSet, User, constant, events, tag, task
from locust.exception import InterruptTaskSet, RescheduleTask, StopTest, StopUser
"""


def write(directory: Path, text: str) -> str:
    folder = directory / "theirs"
    folder.mkdir(exist_ok=True)
    (folder / "users.py").write_text(HEAD + textwrap.dedent(text))
    return str(folder / "users.py")


def planned(directory: Path, url: str, text: str, **load: Any) -> Plan:
    return a_plan(url, locustfile=write(directory, text), **load)


def closed(directory: Path, url: str, text: str, **load: Any) -> Plan:
    return planned(
        directory, url, text, **{"model": "closed", "schedule": None, "users": 1, "duration_ms": 500.0, **load}
    )


def refused(plan: Plan, run_dir: Path) -> tuple[LocustfileNote, Worker]:
    """The note for which the worker ended."""
    with Worker(plan, run_dir) as worker:
        try:
            worker.await_ready()
            worker.start()
        except AssertionError:  # it ended before
            worker.stderr = ""
        else:
            assert worker.finish() == 4, worker.stderr
    (note,) = [note for note in read_locustfile_notes(run_dir, 0) if note.is_fatal]
    return note, worker


def line_of(run_dir: Path, text: str) -> str:
    lines = (run_dir / "theirs" / "users.py").read_text().splitlines()
    return f"users.py:{next(number for number, line in enumerate(lines, 1) if text in line)}"


def outcomes(rows: Any) -> Counter[Outcome]:
    return Counter(map(Outcome, rows["outcome"]))


def notes(run_dir: Path) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in read_locustfile_notes(run_dir, 0)]


NIGHTLY = pytest.mark.nightly
"""Variants of a test, of which the others stand for it by day."""
