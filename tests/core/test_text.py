"""Messages with lines of a log under them, and logs shortened for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.stack.child_log import log_excerpt
from harness.text import shorten_middle, split_quote


@pytest.mark.parametrize(
    ("message", "sentence", "lines"),
    [
        ("it ended", "it ended", ()),
        ("", "", ()),
        ("it ended\n  one\n    two", "it ended", ("one", "  two")),
        ("it ended\nno margin\n  two", "it ended", ("no margin", "  two")),
    ],
)
def test_a_message_is_a_sentence_and_the_lines_under_it(*, message: str, sentence: str, lines: tuple[str, ...]) -> None:
    assert split_quote(message) == (sentence, lines)


def test_the_middle_is_left_out() -> None:
    lines = [str(number) for number in range(100)]
    assert shorten_middle(lines[:12], 12) == lines[:12]
    shortened = shorten_middle(lines, 12)
    assert shortened == ["0", "1", "2", "3", "… (89 lines)", *lines[-7:]]


FRAMES = [f'  File "app.py", line {number}, in f' for number in range(40)]
NOISE = [f"INFO {number}" for number in range(300)]


@pytest.mark.parametrize(
    ("log", "first", "last"),
    [
        (["one", "", "two"], "one", "two"),
        ([*NOISE, "the end"], "INFO 289", "the end"),
        ([*NOISE, "Traceback (most recent call last):", *FRAMES, "ValueError: no"], "Traceback", "ValueError: no"),
        ([*NOISE, "Error: no price list", *["\tat app.js:1"] * 40], "Error: no price list", " at app.js:1"),
        (["  indented"] * 300, "  indented", "  indented"),
    ],
)
def test_an_excerpt_begins_where_the_error_begins(tmp_path: Path, *, log: list[str], first: str, last: str) -> None:
    path = tmp_path / "sut.log"
    path.write_text("\n".join(log) + "\n")
    lines = log_excerpt(path, 12)
    assert len(lines) <= 12
    assert lines[0].startswith(first)
    assert lines[-1] == last


def test_there_may_be_no_log(tmp_path: Path) -> None:
    assert log_excerpt(tmp_path / "none.log") == []
