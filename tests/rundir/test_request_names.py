"""The names of a locustfile's requests, as a worker numbers and writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.rundir.locustfile.request_names import (
    NAMES_MOST,
    OTHERS,
    RequestNameBook,
    all_names,
    clean_name,
    names_file,
    read_names,
)


def test_each_name_has_a_number_from_one_and_is_read_back(tmp_path: Path) -> None:
    book = RequestNameBook(tmp_path, 0)
    assert [book.number(name) for name in ("/look", "/buy", "/look")] == [1, 2, 1]
    assert book.name(2) == "/buy"
    RequestNameBook(tmp_path, 1).number("/buy")
    of_workers = read_names(tmp_path, 3)
    assert of_workers == (("/look", "/buy"), ("/buy",), ())
    assert all_names(of_workers) == ("/look", "/buy")


def test_names_without_end_are_counted_together(tmp_path: Path) -> None:
    book = RequestNameBook(tmp_path, 0)
    numbers = [book.number(f"/item/{number}") for number in range(NAMES_MOST + 50)]
    assert numbers[:NAMES_MOST] == list(range(1, NAMES_MOST + 1))
    assert set(numbers[NAMES_MOST:]) == {NAMES_MOST + 1}
    assert book.is_full
    (names,) = read_names(tmp_path, 1)
    assert len(names) == NAMES_MOST + 1
    assert names[-1] == OTHERS


def test_a_name_is_one_line_that_a_gate_can_quote(tmp_path: Path) -> None:
    assert clean_name('say "hello"') == "say 'hello'"
    assert "\n" not in clean_name("a\nb")
    assert len(clean_name("x" * 900)) == 200
    assert clean_name("") == "(no name)"
    book = RequestNameBook(tmp_path, 0, lambda name: name.replace("hunter2secret", "***"))
    assert book.name(book.number("/login?password=hunter2secret")) == "/login?password=***"
    assert b"hunter2secret" not in names_file(tmp_path, 0).read_bytes()


def test_a_damaged_file_is_told_since_rows_rest_on_it(tmp_path: Path) -> None:
    names_file(tmp_path, 0).write_text('"look"\n7\n"buy"\n')
    with pytest.raises(ValueError, match="not a name"):
        read_names(tmp_path, 1)
