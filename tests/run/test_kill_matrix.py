"""A fair part of the kill matrix: every process, signal and phase of the first stack, and a cell of each other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import certifi
import pytest

from bench.kill_cell import Seen
from bench.kill_matrix import END, begin_of, chosen, expected, in_page, run, table, wrong
from bench.kill_stacks import CELLS, FAKED, FAR_LOCUST, FAULTS, ORIGIN, PHASES, SIGNALS, STACKS, Cell
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
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
"""Each process, each signal and each phase of the first stack at least once. `make nightly` runs all cells."""
OF_OTHER_STACKS = (
    Cell("partner-child", "SIGSTOP", "baseline", "command"),
    Cell("forwarder", "SIGKILL", "baseline", "forwarded"),
    Cell("tailgate", "SIGKILL", "down", "borrowed"),
    Cell(FAR_LOCUST, "SIGKILL", "fault", "elsewhere"),
)


@pytest.mark.stack
@pytest.mark.beside
@pytest.mark.parametrize("cell", [*PART, *OF_OTHER_STACKS], ids=str)
def test_a_cell_is_as_it_should_be(cell: Cell, tmp_path: Path, toxiproxy_binary: Path) -> None:
    if cell.stack == FAKED and resolve_gateway("auto").kind != "nginx":
        reason = "no nginx (Debian: apt-get install nginx-light)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    seen = run([cell], tmp_path, jobs=1, keep=False)[cell]
    assert not wrong(seen), f"{wrong(seen)}\n{seen.said}"


def test_the_part_holds_something_of_everything() -> None:
    assert {cell.actor for cell in PART} == set(STACKS[FAKED].phases_of)
    assert {cell.signal for cell in PART} == set(SIGNALS)
    assert {cell.phase for cell in PART} == set(STACKS[FAKED].phases)
    assert {cell.stack for cell in OF_OTHER_STACKS} == set(STACKS) - {FAKED}
    assert {*PART, *OF_OTHER_STACKS} <= set(CELLS)


def test_each_process_gets_each_signal_in_each_phase_of_its_own() -> None:
    assert len(set(CELLS)) == len(CELLS)
    assert len([cell for cell in CELLS if cell.stack == FAKED]) == 7 * 3 * 6
    for stack in STACKS.values():
        for actor, phases in stack.phases_of.items():
            of_actor = {(cell.signal, cell.phase) for cell in CELLS if (cell.stack, cell.actor) == (stack.name, actor)}
            assert of_actor == {(sig, phase) for sig in SIGNALS for phase in phases}
            assert set(phases) <= set(PHASES)


def test_every_phase_comes() -> None:
    assert {phase for stack in STACKS.values() for phase in stack.phases} == set(PHASES)
    assert set(FAULTS) <= set(PHASES)


@pytest.mark.parametrize("name", STACKS)
def test_its_scenarios_are_valid_and_break_what_the_column_says(name: str, tmp_path: Path) -> None:
    stack = STACKS[name]
    (tmp_path / "ca.pem").write_bytes(Path(certifi.where()).read_bytes())
    for phase in stack.phases:
        (tmp_path / "scenario.yaml").write_text(stack.text(phase, 4433, "http://127.0.0.1:8474"), encoding="utf-8")
        loaded = load_scenario(tmp_path / "scenario.yaml", ())
        (fault,) = dry_plan(loaded.checked)[0].faults
        assert loaded.warnings == ()
        assert fault.kind == FAULTS.get(phase, "latency").partition(":")[0]


@pytest.mark.parametrize(
    ("patterns", "stacks", "count"),
    [
        (["tailgate/SIGKILL/fault"], {FAKED, "borrowed", "elsewhere"}, 3),
        (["borrowed/*"], {"borrowed"}, len([cell for cell in CELLS if cell.stack == "borrowed"])),
        (["faked/tailgate/SIGKILL/warm-up"], {FAKED}, 1),
        (["*/partner/SIGSTOP/paused", "origin/SIGTERM/fault"], {"command", "forwarded"}, 2),
        ([], set(STACKS), len(CELLS)),
        (["nobody/*"], set(), 0),
    ],
)
def test_cells_are_chosen_with_or_without_their_stack(patterns: list[str], stacks: set[str], count: int) -> None:
    found = chosen(patterns)
    assert ({cell.stack for cell in found}, len(found)) == (stacks, count)


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


def test_nothing_passes_before_the_load_is_over_but_what_no_process_of_the_run_was_disturbed_in() -> None:
    for cell in CELLS:
        if cell.goes_on:
            assert cell.actor == ORIGIN or (cell.signal, cell.phase) == ("SIGSTOP", "paused"), cell
        elif cell.phase != "reporting":
            assert 0 not in expected(cell).codes | expected(cell).judged, cell


def test_the_table_shows_what_was_seen_and_what_was_wrong() -> None:
    bad = replace(GOOD, cell=Cell("toxiproxy", "SIGKILL", "baseline"), code=0)
    shown = table({GOOD.cell: GOOD, bad.cell: bad})
    assert shown.splitlines() == [
        "| | baseline | fault |",
        "|---|---|---|",
        "| toxiproxy SIGKILL | **exit 0 instead of 4** | 4 · 1.0 s |",
    ]


def _seen_in(stack: str, code: int = 4) -> dict[Cell, Seen]:
    return {cell: replace(GOOD, cell=cell, code=code) for cell in CELLS if cell.stack == stack}


def test_a_page_gets_the_tables_of_whole_stacks_and_keeps_the_others() -> None:
    blocks = [f"{begin_of(name)}\n\nold {name}\n\n{END}\n" for name in STACKS]
    page = in_page("above\n" + "between\n".join(blocks) + "below\n", _seen_in("borrowed"))
    assert page.startswith("above\n") and page.endswith("below\n") and page.count("between\n") == len(STACKS) - 1
    assert "old borrowed" not in page and "| toxiproxy SIGSTOP | 4 · 1.0 s |" in page
    assert all(f"old {name}" in page for name in STACKS if name != "borrowed")
    assert in_page(page, _seen_in("borrowed")) == page


@pytest.mark.parametrize(
    ("page", "missing", "says"),
    [
        (f"{begin_of('borrowed')} {END}", 1, "a table needs the whole stack: borrowed/tailgate/SIGKILL/fault"),
        ("nothing", 0, "the page has no table between"),
        (f"{begin_of('borrowed')} {begin_of('command')} {END}", 0, "the page has no table between"),
    ],
)
def test_a_page_is_not_damaged(page: str, missing: int, says: str) -> None:
    outcomes = dict(list(_seen_in("borrowed").items())[missing:])
    with pytest.raises(ValueError, match=says):
        in_page(page, outcomes)
