"""A fair part of the kill matrix: every process, every signal, every phase, a Toxiproxy of our own and of others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bench.kill_cell import ACTORS, PHASES, SIGNALS, Cell, Seen
from bench.kill_matrix import CELLS, expected, run, table, wrong
from harness.scenario.planning.gateway_choice import resolve_gateway

PART = (
    Cell("tailgate", "SIGKILL", "reporting"),
    Cell("supervisor", "SIGKILL", "others"),
    Cell("toxiproxy", "SIGSTOP", "baseline"),
    Cell("fakes", "SIGKILL", "fault"),
    Cell("service", "SIGSTOP", "recovery"),
    Cell("gateway", "SIGTERM", "warm-up"),
    Cell("locust", "SIGSTOP", "baseline"),
)
"""Each process, each signal and each phase at least once. `make nightly` runs all 126 cells."""


@pytest.mark.stack
@pytest.mark.beside
@pytest.mark.parametrize("cell", PART, ids=str)
def test_a_cell_is_as_it_should_be(cell: Cell, tmp_path: Path, toxiproxy_binary: Path) -> None:
    if resolve_gateway("auto").kind != "nginx":
        reason = "no nginx (Debian: apt-get install nginx-light)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    seen = run([cell], tmp_path, jobs=1, keep=False)[cell]
    assert not wrong(seen), f"{wrong(seen)}\n{seen.said}"


def test_the_part_holds_something_of_everything() -> None:
    assert {cell.actor for cell in PART} == set(ACTORS)
    assert {cell.signal for cell in PART} == set(SIGNALS)
    assert {cell.phase for cell in PART} == set(PHASES)
    assert set(PART) <= set(CELLS)
    assert len(CELLS) == len(ACTORS) * len(SIGNALS) * len(PHASES)


# ---------------------------------------------------------------- the bench itself can see what is wrong

GOOD = Seen(Cell("toxiproxy", "SIGKILL", "fault"), clean_s=1.0, code=4, judged=4, verdict="RIG_FAILURE cell .runs/x")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"left": ["process 4711 (nginx)"]}, "left after 15 s: process 4711"),
        ({"code": 0}, "exit 0 instead of 4"),
        ({"judged": 0, "verdict": "PASS cell .runs/x"}, "judged 0 instead of 4"),
        ({"verdict": "PASS cell .runs/x"}, "exit 4 with PASS"),
        ({"said": "Traceback (most recent call last):"}, "a traceback"),
        ({"gone_already": True}, "toxiproxy was gone before the signal"),
        ({"broken": "TimeoutError: baseline never came"}, "baseline never came"),
    ],
)
def test_what_is_wrong_is_seen(changes: dict[str, object], says: str) -> None:
    found = wrong(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert says in found
    assert bool(found) == bool(says)


def test_nothing_passes_before_the_load_is_over() -> None:
    for cell in CELLS:
        if cell.phase != "reporting":
            assert 0 not in expected(cell).codes | expected(cell).judged, cell


def test_the_table_shows_what_was_seen_and_what_was_wrong() -> None:
    bad = replace(GOOD, cell=Cell("toxiproxy", "SIGKILL", "baseline"), code=0)
    shown = table({GOOD.cell: GOOD, bad.cell: bad})
    assert shown.splitlines() == [
        "| | baseline | fault |",
        "|---|---|---|",
        "| toxiproxy SIGKILL | **exit 0 instead of 4** | 4 · 1.0 s |",
    ]
