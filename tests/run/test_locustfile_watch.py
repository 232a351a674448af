"""What is said of a locustfile while its load runs."""

from __future__ import annotations

from pathlib import Path

from harness.run.locustfile_watch import LocustfileWatch
from harness.rundir.locustfile.notes import LocustfileNote, notes_file
from harness.rundir.locustfile.request_names import RequestNameBook
from harness.units import NS_PER_S
from tests.rundir.recording import T0_NS, make_plan
from tests.verdict.test_locustfile_rows import locustfile_plan

START_NS = T0_NS - 2 * NS_PER_S
"""The plan has a warm-up of 2 s."""


def at(seconds: float) -> int:
    return START_NS + round(seconds * NS_PER_S)


def test_a_gate_on_a_name_that_does_not_come_is_told_once_within_seconds(tmp_path: Path) -> None:
    watch = LocustfileWatch(locustfile_plan("p99 for nonexisting < 1s", "errors for look < 1%"), tmp_path)
    RequestNameBook(tmp_path, 0).number("look")
    assert watch.news(None, at(5)) == ()
    assert watch.news(T0_NS, at(2.9)) == ()
    assert watch.news(T0_NS, at(4)) == (
        "warning: so far `p99 for nonexisting < 1s` has nothing to judge: the locustfile sent no request called "
        "`nonexisting`; it sent `look`",
    )
    assert watch.news(T0_NS, at(6)) == ()


def test_a_name_that_only_on_start_sends_is_told_as_that_and_is_no_note(tmp_path: Path) -> None:
    watch = LocustfileWatch(locustfile_plan("errors for login < 1%"), tmp_path)
    RequestNameBook(tmp_path, 0).number("look")
    note = LocustfileNote(kind="in_on_start", text="login", where="users.py:9")
    notes_file(tmp_path, 0).write_text(f"{note.model_dump_json()}\n")
    assert watch.news(T0_NS, at(4)) == (
        "warning: so far `errors for login < 1%` has nothing to judge: the locustfile sends `login` in on_start at "
        "users.py:9, whose requests no gate counts",
    )


def test_a_load_that_has_sent_nothing_yet_gets_longer(tmp_path: Path) -> None:
    watch = LocustfileWatch(locustfile_plan("p99 for look < 1s"), tmp_path)
    assert watch.news(T0_NS, at(10)) == ()
    (said,) = watch.news(T0_NS, at(16))
    assert said.endswith("sent no request called `look`, nor any other")


def test_notes_are_said_once_and_fatal_ones_are_left_to_the_verdict(tmp_path: Path) -> None:
    watch = LocustfileWatch(locustfile_plan("errors < 1%", workers=2), tmp_path)
    ignored = LocustfileNote(kind="ignored", text="wait_time of A is ignored").model_dump_json()
    for worker in range(2):
        notes_file(tmp_path, worker).write_text(f"{ignored}\n")
    assert watch.news(T0_NS, at(1)) == ("note: the locustfile's wait_time of A is ignored",)
    with notes_file(tmp_path, 1).open("a") as file:
        file.write(LocustfileNote(kind="exit").model_dump_json() + "\n")
    assert watch.news(T0_NS, at(2)) == ()


def test_without_a_locustfile_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert LocustfileWatch(make_plan(gates=["p99 for x < 1s"]), tmp_path).news(T0_NS, at(20)) == ()
