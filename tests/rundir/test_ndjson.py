"""Files of a JSON document a line: what is damage, what is a last line cut short, and what each reader does then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.evidence.files import read_resources
from harness.rundir.canaries import Refused, read_canaries
from harness.rundir.detections import Mention, read_detections
from harness.rundir.incomplete import IncompleteAnswer, index_name, read_incomplete
from harness.rundir.journal import Entry, read_journal
from harness.rundir.ndjson import DamagedLine, append_line, read_ndjson, readable_lines
from harness.rundir.unmatched import Unmatched, read_unmatched

DAMAGE = (
    b"nonsense",
    b'{"n": 1',
    b"[1]",
    b"null",
    b'{"n": "1", "also": 2}',
    b" ",
    b"\r",
    b"\x00" * 40,
    b"\xff\xfe",
    b"[" * 100_000,
)


def number(line: bytes) -> int:
    document = json.loads(line)
    if not isinstance(document, dict) or not isinstance(document.get("n"), int):
        raise ValueError("no number")
    found: int = document["n"]
    return found


def line(of: int) -> bytes:
    return json.dumps({"n": of}).encode()


def written(folder: Path, content: bytes) -> Path:
    path = folder / "numbers.ndjson"
    path.write_bytes(content)
    return path


def test_lines_come_in_order_and_empty_ones_count_for_their_number_only(tmp_path: Path) -> None:
    path = written(tmp_path, line(1) + b"\n\n" + line(2) + b"\r\n" + line(3))
    assert list(read_ndjson(path, number, "a number")) == [1, 2, 3]
    path = written(tmp_path, line(1) + b"\n\nnonsense\n")
    with pytest.raises(DamagedLine, match=r"^numbers\.ndjson:3: not a number$"):
        list(read_ndjson(path, number, "a number"))


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: repr(damage[:12]))
def test_damage_is_an_error_except_at_the_end_of_a_file_that_was_cut_short(tmp_path: Path, damage: bytes) -> None:
    cut_short = written(tmp_path, line(1) + b"\n" + damage)
    assert list(read_ndjson(cut_short, number, "a number")) == [1]
    for content in (damage + b"\n" + line(1), line(1) + b"\n" + damage + b"\n"):
        lines = read_ndjson(written(tmp_path, content), number, "a number")
        with pytest.raises(DamagedLine, match="not a number") as caught:
            list(lines)
        assert isinstance(caught.value.__cause__, ValueError | RecursionError)


def test_what_stands_before_the_damage_is_read_before_it_is_met(tmp_path: Path) -> None:
    lines = read_ndjson(written(tmp_path, line(1) + b"\nnonsense\n"), number, "a number")
    assert next(lines) == 1
    with pytest.raises(DamagedLine):
        next(lines)


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: repr(damage[:12]))
def test_damage_that_is_passed_over_is_reported_line_by_line(tmp_path: Path, damage: bytes) -> None:
    path = written(tmp_path, b"\n".join([damage, line(1), damage, line(2), damage]))
    met: list[DamagedLine] = []
    assert list(read_ndjson(path, number, "a number", pass_over=met.append)) == [1, 2]
    assert list(map(str, met)) == ["numbers.ndjson:1: not a number", "numbers.ndjson:3: not a number"]
    assert readable_lines(path, number, bytes_most=1_000_000) == (1, 2)


def test_no_file_has_no_lines_and_one_that_cannot_be_read_is_an_error_unless_nothing_rests_on_it(
    tmp_path: Path,
) -> None:
    assert list(read_ndjson(tmp_path / "none", number, "a number")) == []
    with pytest.raises(IsADirectoryError):
        list(read_ndjson(tmp_path, number, "a number"))
    assert readable_lines(tmp_path / "none", number, bytes_most=10) == ()
    assert readable_lines(tmp_path, number, bytes_most=10) == ()


def test_no_more_is_read_than_the_bound_and_the_line_it_cuts_is_none(tmp_path: Path) -> None:
    path = written(tmp_path, line(1) + b"\n" + line(22) + b"\n")
    size = len(line(1)) + 1
    assert readable_lines(path, number, bytes_most=size) == (1,)
    assert readable_lines(path, number, bytes_most=size + len(line(22)) - 1) == (1,)
    assert readable_lines(path, number, bytes_most=size + len(line(22))) == (1, 22)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(values=st.lists(st.integers(0, 999), min_size=1, max_size=8), cut=st.integers(0, 100))
def test_wherever_a_file_is_cut_its_whole_lines_are_read(
    tmp_path_factory: pytest.TempPathFactory, values: list[int], cut: int
) -> None:
    content = b"".join(line(value) + b"\n" for value in values)[:cut]
    path = written(tmp_path_factory.getbasetemp(), content)
    whole = content.count(b"\n") + (content[-1:] == b"}")
    assert list(read_ndjson(path, number, "a number")) == values[:whole]


ENTRY = Entry(fault="azure-slow", window=0, upstream="azure", event="requested", t_ns=5)
READING = json.dumps({"t_ns": 5, "child": "sut", "threads": 4})
STRICT: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "journal": (ENTRY.model_dump_json(), "a journal entry", lambda path: list(read_journal(path))),
    "canaries": (
        Refused(upstream="azure", t_ns=5).model_dump_json(),
        "a canary line",
        lambda path: list(read_canaries(path)),
    ),
    "detections": (
        Mention(upstream="azure", t_ns=5).model_dump_json(),
        "a notice",
        lambda path: list(read_detections(path)),
    ),
}


@pytest.mark.parametrize("damage", [b"nonsense", b"{}", b'{"kind": "none"}', b"[" * 100_000])
@pytest.mark.parametrize("name", STRICT)
def test_what_a_verdict_rests_on_is_whole_or_an_error(tmp_path: Path, name: str, damage: bytes) -> None:
    good, what, read = STRICT[name]
    read_whole = read(written(tmp_path, good.encode() + b"\n"))
    assert isinstance(read_whole, list) and len(read_whole) == 1
    assert read(written(tmp_path, good.encode() + b"\n" + damage)) == read_whole
    assert read(tmp_path / "none") == []
    with pytest.raises(ValueError, match=rf"numbers\.ndjson:1: not {what}"):
        read(written(tmp_path, damage + b"\n" + good.encode() + b"\n"))


def test_readings_beside_a_damaged_one_are_kept_and_the_first_damage_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "resources.ndjson"
    path.write_text(f"{READING}\nnonsense\n[]\n{READING}\ncut", encoding="utf-8")
    broken: list[str] = []
    assert len(read_resources(tmp_path, broken)) == 2
    assert broken == ["resources.ndjson:2: not a reading"]
    path.unlink()
    assert read_resources(tmp_path, broken) == () and len(broken) == 1
    path.mkdir()
    assert read_resources(tmp_path, broken) == ()
    assert broken[1] == "resources.ndjson cannot be read: Is a directory"


def test_what_only_people_read_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    call = Unmatched(upstream="azure", method="GET", path="/x", status=404, calls=1)
    answer = IncompleteAnswer(
        seq=1, t_ns=5, request="r", status=200, missing=("azure",), file=None, bytes=10, cut=False
    )
    (tmp_path / "unmatched.ndjson").write_text(f"{{}}\n{call.model_dump_json()}\nnonsense\n", encoding="utf-8")
    (tmp_path / index_name(1)).write_text(f"nonsense\n{answer.model_dump_json()}\n", encoding="utf-8")
    assert read_unmatched(tmp_path) == (call,)
    assert read_incomplete(tmp_path, 2) == (answer,)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "3\n"),
        ("1\n2\n", "1\n2\n3\n"),
        ("1\n2", "1\n2\n3\n"),
        ("1\nx2", "1\n3\n"),
        ("x", "3\n"),
    ],
    ids=["new", "whole", "without its end", "cut short", "nothing else"],
)
def test_a_line_is_added_behind_one_that_was_cut_short(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "lines.ndjson"
    if before:
        path.write_text(before)
    append_line(path, "3", int)
    assert path.read_text() == after
    assert [*read_ndjson(path, int, "a number")][-1] == 3
