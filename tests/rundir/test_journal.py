from __future__ import annotations

from pathlib import Path

import pytest

from harness.rundir.journal import Entry, Journal, read_journal

ENTRY = Entry(fault="azure-slow", window=0, upstream="azure", event="requested", t_ns=5, detail='says "no"\n')


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "faults.ndjson")
    journal.append(ENTRY)
    journal.append(ENTRY.model_copy(update={"event": "applied", "t_ns": 6}))
    journal.close()
    assert [entry.event for entry in read_journal(tmp_path / "faults.ndjson")] == ["requested", "applied"]
    assert next(read_journal(tmp_path / "faults.ndjson")) == ENTRY


def test_a_line_cut_short_by_a_power_cut_is_passed_over_other_damage_is_not(tmp_path: Path) -> None:
    path = tmp_path / "faults.ndjson"
    line = ENTRY.model_dump_json()
    path.write_text(f"{line}\n{line[:20]}")
    assert len(list(read_journal(path))) == 1
    path.write_text(f"{line[:20]}\n{line}\n")
    with pytest.raises(ValueError, match=r"faults\.ndjson:1: not a journal entry"):
        list(read_journal(path))


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert list(read_journal(tmp_path / "faults.ndjson")) == []
