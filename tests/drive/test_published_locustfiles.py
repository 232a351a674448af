"""Locustfiles of the kinds that people publish run unchanged: in the open model, with users, and as under Locust.

They are in `locustfiles`, as texts, since they are nobody's code here: without types, and with what people write.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.locustfile.notes import read_locustfile_notes
from harness.rundir.locustfile.request_names import read_names
from harness.rundir.rows import Outcome
from tests.drive.drive_world import Answer, Asked, StubServer, a_plan, run

pytestmark = [pytest.mark.stack, pytest.mark.beside]

FILES = Path(__file__).with_name("locustfiles")
OFFERS = b'{"offers": [{"name": "a-1", "price": 1.5}], "token": "t-1"}'


@dataclass(frozen=True)
class Expected:
    """What one of them sends within a second. `ends`: outcomes other than ok, by name; None: nothing was sent."""

    names: tuple[str, ...]
    ends: Mapping[str | None, Outcome] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    """How the notes on what has no meaning in the open model begin."""
    options: tuple[str, ...] = ()
    silent: bool = False
    """Some tasks send nothing."""


PUBLISHED = {
    "login": Expected(("/offers",), ignored=("wait_time of Customer",)),
    "sequential": Expected(("/offers", "/reserve", "/pay"), ignored=("wait_time of Visitor",), silent=True),
    "weights": Expected(("/search", "/detail", "/list", "/create")),
    "csv_feeder": Expected(("/offers?gpu=[gpu]",)),
    "catch_response": Expected(("/offers", "/missing", "/wrong"), {"/wrong": Outcome.BAD_ANSWER}),
    "custom_client": Expected(("line",), ignored=("wait_time of Sender",)),
    "fast_http": Expected(("/offers", "/offers/[id]")),
    "shape": Expected(("/offers",), ignored=("shape Stages", "wait_time of Visitor")),
    "event_hooks": Expected(("/offers",), options=("--team=ours",)),
    "throughput": Expected(("/thread", "/home"), ignored=("wait_time of Member",), silent=True),
    "tags": Expected(("/look", "/page"), options=("--tags", "read", "--exclude-tags", "slow")),
    "several_classes": Expected(
        ("/report", "/offers"),
        ignored=("wait_time of Admin", "fixed_count of Admin", "wait_time of Visitor"),
    ),
}


def answer(asked: Asked) -> Answer:
    if asked.path == "/missing":
        return Answer(status=404)
    return Answer(body=b'{"offers": null}' if asked.path == "/wrong" else OFFERS)


def published(name: str, folder: Path) -> str:
    theirs = folder / "theirs"
    theirs.mkdir()
    shutil.copy(FILES / "gpus.csv", theirs)
    return str(shutil.copy(FILES / f"{name}.py.txt", theirs / f"{name}.py"))


def ends_by_name(rows: Any, run_dir: Path) -> dict[str | None, set[Outcome]]:
    (names,) = read_names(run_dir, 1)
    found: dict[str | None, set[Outcome]] = {}
    for row in rows:
        name = names[int(row["request"]) - 1] if row["request"] else None
        found.setdefault(name, set()).add(Outcome(row["outcome"]))
    return found


def assert_checks(rows: Any, run_dir: Path, expected: Expected) -> None:
    found = ends_by_name(rows, run_dir)
    found.pop(None, None)
    assert set(found) <= set(expected.names)
    for name, ends in found.items():
        assert ends <= {expected.ends.get(name, Outcome.OK), Outcome.UNFINISHED}, name


BY_DAY = ("login", "sequential", "custom_client", "event_hooks", "several_classes")
"""What the others do is in `test_locustfile_traps` and `test_user_locustfile` too."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in BY_DAY else pytest.mark.nightly) for name in PUBLISHED]
)
def test_in_the_open_model_each_arrival_is_a_task(tmp_path: Path, name: str) -> None:
    """By day five stand for all: a login, steps, a client without HTTP, listeners, several classes."""
    expected = PUBLISHED[name]
    with StubServer(answer) as stub:
        plan = a_plan(
            stub.url,
            locustfile=published(name, tmp_path),
            locust_options=expected.options,
            rate_per_s=60,
            duration_ms=700.0,
            client_cap_ms=10_000.0,
            drain_ms=10_000.0,
        )
        rows, worker = run(plan, tmp_path)
    found = ends_by_name(rows, tmp_path)
    silent = found.pop(None, set())
    assert silent == ({Outcome.NO_REQUEST} if expected.silent else set())
    assert found == {name: {expected.ends.get(name, Outcome.OK)} for name in expected.names}, worker.stderr
    first = rows[rows["part"] == 0]
    assert sorted(first["seq"]) == list(range(42))
    notes = read_locustfile_notes(tmp_path, 0)
    said = [note.text for note in notes if note.kind == "ignored"]
    assert [text[: len(begin)] for text, begin in zip(said, expected.ignored, strict=True)] == list(expected.ignored)
    assert {note.kind for note in notes} <= {"ignored", "exit_code", "in_on_start", "bad_answer", "waited"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("sequential", "several_classes", "tags") else pytest.mark.nightly)
        for name in PUBLISHED
    ],
)
def test_with_users_they_do_what_they_do_under_locust(tmp_path: Path, name: str) -> None:
    """By day three stand for all: steps and interruptions, classes and their numbers, tags."""
    expected = PUBLISHED[name]
    with StubServer(answer) as stub:
        plan = a_plan(
            stub.url,
            model="closed",
            schedule=None,
            users=3,
            locustfile=published(name, tmp_path),
            locust_options=expected.options,
            duration_ms=1500.0,
        )
        rows, _ = run(plan, tmp_path)
    assert len(rows)
    assert_checks(rows, tmp_path, expected)
    if name == "several_classes":
        by_class = {asked.headers["x-class"] for asked in stub.asked}
        assert by_class == {"Admin", "Visitor"}
        assert sum(asked.path == "/report" for asked in stub.asked) <= 45, "fixed_count: one of three users"
    if name == "sequential":
        paths = [asked.path for asked in stub.asked]
        assert abs(paths.count("/offers") - paths.count("/pay")) <= 3
    assert [note.kind for note in read_locustfile_notes(tmp_path, 0) if note.kind == "ignored"] == (
        ["ignored"] if name == "shape" else []
    )


@pytest.mark.nightly
@pytest.mark.parametrize("name", PUBLISHED)
def test_stock_locust_sends_the_same_requests(tmp_path: Path, name: str) -> None:
    """The requests of the open model, by method and path, are those that Locust itself sends for the file."""
    expected, file = PUBLISHED[name], published(name, tmp_path)
    with StubServer(answer) as stub:
        argv = [
            sys.executable,
            "-P",
            "-m",
            "locust",
            "--headless",
            "-f",
            file,
            "--host",
            stub.url,
            "-u",
            "4",
            "-r",
            "9",
        ]
        subprocess.run(
            [*argv, "-t", "8s", *expected.options], cwd=tmp_path, capture_output=True, timeout=60, check=False
        )
        theirs = {(asked.method, asked.path) for asked in stub.asked}
    with StubServer(answer) as stub:
        plan = a_plan(
            stub.url,
            locustfile=file,
            locust_options=expected.options,
            rate_per_s=60,
            duration_ms=2000.0,
            client_cap_ms=10_000.0,
            drain_ms=10_000.0,
        )
        run(plan, tmp_path)
        ours = {(asked.method, asked.path) for asked in stub.asked}
    assert ours == theirs
