"""The pure parts of what a worker does about a locustfile."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from harness.errors import RigError
from harness.rundir.locustfile.notes import FATAL, LocustfileNote, read_locustfile_notes
from harness.rundir.rows import Outcome
from scenarios.drive.answer import how_answered
from scenarios.drive.arrival import Arrival, RequestEnd
from scenarios.drive.command import shares_of, worker_argv, worker_id_of
from scenarios.drive.user_code.position import Positions, missing_file_hint
from scenarios.drive.user_code.target_guard import TargetGuard
from scenarios.drive.user_code.watcher import LocustfileWatcher
from tests.drive.drive_world import a_plan

MS = 1_000_000


class Refused(Exception):
    pass


def refuse(host: str) -> NoReturn:
    raise Refused(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "db.example.test", "203.0.113.9"])
def test_loopback_and_allowed_hosts_may_be_asked(host: str) -> None:
    TargetGuard(("db.example.test", "203.0.113.9"), refuse).check(host)


@pytest.mark.parametrize("host", ["192.0.2.7", "203.0.113.10", "2001:db8::1", "example.invalid", "0.0.0.0"])
def test_every_other_host_is_refused_each_time(host: str) -> None:
    guard = TargetGuard(("db.example.test", "203.0.113.9"), refuse)
    for _ in range(2):
        with pytest.raises(Refused, match=host):
            guard.check(host)


def test_the_address_of_an_allowed_name_may_be_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if name != "db.example.test":
            raise OSError(name)
        return [(2, 1, 6, "", ("203.0.113.9", 0))]

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    guard = TargetGuard(("db.example.test", "gone.example.test"), refuse)
    guard.check("203.0.113.9")
    with pytest.raises(Refused):
        guard.check("203.0.113.10")


def test_the_innermost_line_of_the_locustfiles_folder_is_named(tmp_path: Path) -> None:
    """A module beside the file counts; a library, even one in a folder below, does not."""
    library = tmp_path / ".venv" / "lib" / "site-packages" / "lib_of_theirs.py"
    library.parent.mkdir(parents=True)
    library.write_text("def fails(): raise KeyError('x')\n")
    (tmp_path / "helper_of_theirs.py").write_text("import lib_of_theirs\n\ndef call(): lib_of_theirs.fails()\n")
    sys.path[:0] = [str(tmp_path), str(library.parent)]
    try:
        import helper_of_theirs  # type: ignore[import-not-found]

        with pytest.raises(KeyError) as caught:
            helper_of_theirs.call()
    finally:
        del sys.path[:2]
    positions = Positions(tmp_path / "users.py")
    assert positions.of_error(caught.value) == "helper_of_theirs.py:3"
    assert positions.of_caller() == ""


@pytest.mark.parametrize(
    ("most", "weights", "expected"),
    [
        (3, (1000,), (3,)),
        (4, (1000, 1000), (2, 2)),
        (5, (3000, 1000), (3, 2)),
        (10, (3000, 1000), (7, 3)),
        (2, (9000, 1), (1, 1)),
    ],
)
def test_users_are_shared_by_weight_and_each_class_has_one(
    most: int, weights: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert shares_of(most, weights) == expected
    assert sum(shares_of(most, weights)) == most


def test_fewer_users_than_classes_are_refused() -> None:
    with pytest.raises(RigError, match="2 users, but the locustfile has 3 user classes"):
        shares_of(2, (1, 1, 1))


def test_repeated_notes_are_one_line_and_a_count(tmp_path: Path) -> None:
    watcher = LocustfileWatcher(tmp_path, 0, tmp_path / "users.py", lambda text: text.replace("hunter2secret", "***"))
    for _ in range(5):
        watcher.note("stopped", "runner.quit(hunter2secret)", "users.py:3")
    watcher.note("ignored", "wait_time of A is ignored")
    for _ in range(3):
        watcher.note("bad_answer", '`buy`: the locustfile said "no price"', "users.py:5")
    watcher.close()
    assert [(note.kind, note.text, note.n) for note in read_locustfile_notes(tmp_path, 0)] == [
        ("stopped", "runner.quit(***)", 1),
        ("ignored", "wait_time of A is ignored", 1),
        ("bad_answer", '`buy`: the locustfile said "no price"', 1),
        ("stopped", "runner.quit(***)", 4),
        ("bad_answer", '`buy`: the locustfile said "no price"', 2),
    ]


def test_an_on_start_that_fails_before_the_load_says_what_the_service_had_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scenarios.drive.user_code.watcher.die", refuse)
    watcher = LocustfileWatcher(tmp_path, 0, tmp_path / "users.py", lambda text: text.replace("hunter2secret", "***"))
    code = compile("answer = {}\nanswer['data']\n", str(tmp_path / "users.py"), "exec")
    with pytest.raises(KeyError) as caught:
        exec(code)
    answer = SimpleNamespace(status_code=401, content=b'{"detail": "hunter2secret is no user"}')
    with pytest.raises(Refused, match="on_start"):
        watcher.start_failed(caught.value, how_answered("POST login", answer, None))
    (note,) = read_locustfile_notes(tmp_path, 0)
    assert note.said() == (
        "the locustfile's on_start raised at users.py:2: KeyError: 'data', after POST login was answered 401: "
        '{"detail": "*** is no user"}'
    )


def test_a_relative_path_that_is_not_found_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as missing:
        Path("skus.csv").read_text()
    assert missing_file_hint(missing.value) == f" (looked for in {tmp_path}, where tailgate was started)"
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "skus.csv").read_text()
    assert missing_file_hint(missing.value) == ""
    assert missing_file_hint(KeyError("skus.csv")) == ""


def test_a_locustfile_runs_where_it_was_started_and_a_scenario_needs_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for locustfile, folder in ((str(tmp_path / "users.py"), tmp_path / "elsewhere"), (None, None)):
        a_plan("http://127.0.0.1:9", locustfile=locustfile).write(tmp_path)
        words = worker_argv(tmp_path, 0)
        assert worker_id_of(words[words.index("-f") :]).folder == folder


def test_how_a_request_ended_is_one_clause() -> None:
    assert how_answered("GET /", SimpleNamespace(status_code=200, content=b""), None) == "GET / was answered 200"
    lost = SimpleNamespace(status_code=0, content=None)
    assert how_answered("GET /", lost, OSError("refused")) == "GET / got no answer (OSError: refused)"
    assert how_answered("send line", None, None) == "send line got no answer"
    long = how_answered("GET /", SimpleNamespace(status_code=500, content=b"x" * 10_000), None)
    assert len(long) < 200


@pytest.mark.parametrize("kind", FATAL)
def test_every_fatal_note_is_a_sentence_about_the_locustfile(kind: str) -> None:
    note = LocustfileNote.model_validate({"kind": kind, "text": "something", "where": "users.py:7", "n": 3, "of": 9})
    assert "locustfile" in note.said()
    assert "users.py:7" in note.said()
    assert note.is_fatal


def test_the_time_from_an_arrivals_turn_to_its_first_request_is_its_wait() -> None:
    arrival = Arrival(1, 100 * MS, began_ns=101 * MS)
    for sent_ns, done_ns in ((151 * MS, 160 * MS), (170 * MS, 180 * MS)):
        exchange = arrival.begin(sent_ns)
        exchange.done_ns, exchange.ending = done_ns, RequestEnd(Outcome.OK, 200)
    assert [row[9] for row in arrival.rows(200 * MS, RequestEnd(Outcome.OK))] == [50_000, 0]


def test_an_arrival_that_sent_at_once_did_not_wait() -> None:
    arrival = Arrival(1, 100 * MS, began_ns=130 * MS)
    arrival.begin(130 * MS + 900_000).ending = RequestEnd(Outcome.OK, 200)
    assert arrival.rows(200 * MS, RequestEnd(Outcome.OK))[0][9] == 0, "the 30 ms before its turn are lag"


def test_an_arrival_that_sent_nothing_was_not_late() -> None:
    (row,) = Arrival(1, 100 * MS, began_ns=101 * MS).rows(900 * MS, RequestEnd(Outcome.NO_REQUEST))
    assert (row[2], row[4], row[9], row[10]) == (100 * MS, 900 * MS, 0, Outcome.NO_REQUEST)
