"""The table of rung × scenario: kept whole in a file and a page, and a part of it run for real."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from ruamel.yaml import YAML

from bench.ladder_kept import (
    EITHER_WAY,
    PAGE,
    RUNGS,
    SCENARIOS,
    Cell,
    Seen,
    cells,
    difference,
    page_with,
    read_kept,
    table,
)
from bench.ladder_table import CATALOG, Row, is_named_by, play, rows_of, scenario_text

KEPT = read_kept()

AGAIN: Final = (
    ("read-timeout", "open", ("parallel",)),
    ("slow-drip", "open", ("parallel", "timeout")),
    ("thread-pool", "open", ("threads", "timeout")),
    ("session-pool", "open", ("parallel", "timeout")),
    ("threads-leak", "open", ("threads", "timeout")),
    ("threads-leak", "closed", ("threads",)),
    ("httpx-pool", "open", ("parallel", "isolated")),
    ("warm-cache", "open", ("pushdown", "isolated")),
    ("cold-cache", "open", ("isolated",)),
    ("retry-storm", "open", ("pushdown", "isolated")),
    ("bystanders", "open", ("timeout", "pushdown")),
    ("flapping", "open", ("pushdown", "isolated")),
    ("slow-start", "open", ("pushdown", "isolated")),
    ("garbage", "open", ("isolated",)),
    ("half-down", "open", ("parallel", "timeout")),
    ("all-down", "open", ("pushdown", "isolated")),
)
"""Every scenario but `calm` and `ladder`, which are health and the demo: a rung that falls, where one does, and one
that stands, where one can. Most of them run in `make nightly`."""
ALWAYS: Final = (
    "cold-cache/open",
    "garbage/open",
)
"""These run with every test: a rung that falls, and one that stands. They leave half of a core unused on a machine
three times as slow as where the table was made: a service that finds no processor fails gates for that reason."""


# ---------------------------------------------------------------- what is kept


def test_every_cell_has_a_verdict_and_no_rig_failed() -> None:
    assert set(KEPT) == set(cells())
    assert {seen.verdict for seen in KEPT.values()} == {"pass", "fail"}
    assert all(bool(seen.failed) == (seen.verdict == "fail") for seen in KEPT.values())


def test_the_page_shows_what_is_kept() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page_with(page, KEPT) == page, "python bench/ladder_table.py --only calm --write"


@pytest.mark.parametrize("name", [each.name for each in SCENARIOS])
def test_what_a_scenario_expects_of_a_rung_is_what_the_table_says(name: str) -> None:
    matrix = YAML(typ="safe").load(CATALOG / f"{name}.yaml").get("matrix", {})
    rungs = matrix.get("vary", {}).get("service.rung", ())
    expect = matrix.get("expect", {})
    found = {rung: [KEPT[Cell(name, "open", rung)].verdict] for rung in rungs}
    assert found == {rung: expect.get(rung, ["pass"]) for rung in rungs}


def test_a_timeout_per_read_stands_against_a_wait_and_falls_to_a_drip() -> None:
    for rung, drips in (("parallel", "fail"), ("timeout", "pass"), ("isolated", "pass")):
        assert KEPT[Cell("read-timeout", "open", rung)].verdict == "pass"
        assert KEPT[Cell("slow-drip", "open", rung)].verdict == drips


def test_threads_pass_with_ten_users_and_fail_with_open_arrivals_though_p99_holds() -> None:
    assert KEPT[Cell("threads-leak", "closed", "threads")].verdict == "pass"
    failed = KEPT[Cell("threads-leak", "open", "threads")].failed
    assert failed == ("complete", "threads", "sockets", "threads after", "sockets after")


def test_isolated_stands_wherever_anything_can() -> None:
    fallen = {cell.scenario for cell, seen in KEPT.items() if cell.rung == "isolated" and seen.verdict == "fail"}
    assert fallen == {"cold-cache"}


# ---------------------------------------------------------------- a part of it again


def _row(name: str, model: str, rungs: tuple[str, ...]) -> Row:
    [row] = rows_of(lambda cell: (cell.scenario, cell.model) == (name, model) and cell.rung in rungs)
    assert row.rungs == rungs
    return row


ROWS: Final = tuple(_row(*each) for each in AGAIN)


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Iterator[dict[Row, Future[dict[Cell, Seen]]]]:
    """The rows whose tests are to run, two at once, begun with the first of them."""
    request.getfixturevalue("toxiproxy_binary")
    asked = [
        item.callspec.params.get("row")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        yield {row: pool.submit(play, row, Path(folder)) for row in ROWS if row in asked}
        pool.shutdown(cancel_futures=True)


@pytest.mark.stack
@pytest.mark.alone
@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=() if str(row) in ALWAYS else pytest.mark.nightly, id=str(row)) for row in ROWS],
)
def test_a_part_of_it_again(row: Row, played: dict[Row, Future[dict[Cell, Seen]]]) -> None:
    """Verdicts, and which gates failed: all of those that are kept and no other. Where the machine was busy with
    something else a cell says nothing."""
    seen = played[row].result()
    decided = {cell: one for cell, one in seen.items() if not one.is_busy}
    told = [f"{cell}: {text}" for cell, one in decided.items() if (text := difference(cell, one, KEPT[cell]))]
    assert not told, "\n".join(told)
    assert [cell.rung for cell in seen] == list(row.rungs)


def test_what_runs_always_is_a_part_of_it() -> None:
    assert set(ALWAYS) < {str(row) for row in ROWS}


def test_the_part_holds_one_that_falls_and_one_that_stands() -> None:
    again = {Cell(row.scenario.name, row.model, rung) for row in ROWS for rung in row.rungs}
    for scenario in SCENARIOS[2:]:
        whole = {seen.verdict for cell, seen in KEPT.items() if cell.scenario == scenario.name and cell.model == "open"}
        part = {KEPT[cell].verdict for cell in again if cell.scenario == scenario.name and cell.model == "open"}
        assert part == whole, scenario.name
    assert not again & {cell for cell, _ in EITHER_WAY}, "these gates are to be seen"


# ---------------------------------------------------------------- the bench itself can see what is wrong

LEAK = Cell("threads-leak", "open", "threads")


@pytest.mark.parametrize(
    ("cell", "seen", "kept", "says"),
    [
        (LEAK, Seen("pass"), Seen("pass"), ""),
        (LEAK, Seen("fail", ("a", "b")), Seen("fail", ("b", "a")), ""),
        (LEAK, Seen("pass"), None, "pass, and nothing is kept"),
        (LEAK, Seen("fail", ("p99",)), Seen("pass"), "fail (p99), expected pass"),
        (LEAK, Seen("inconclusive"), Seen("pass"), "inconclusive, expected pass"),
        (LEAK, Seen("fail", ("threads",)), Seen("fail", ("threads", "complete")), "complete did not fail"),
        (LEAK, Seen("fail", ("p99", "threads")), Seen("fail", ("threads",)), "p99 failed as well"),
        (EITHER_WAY[0][0], Seen("fail", ("timeouts", "p75")), Seen("fail", ("timeouts",)), ""),
        (EITHER_WAY[0][0], Seen("fail", ("timeouts",)), Seen("fail", ("timeouts", "p75")), ""),
        (EITHER_WAY[0][0], Seen("fail", ("p75",)), Seen("fail", ("timeouts", "p75")), "timeouts did not fail"),
    ],
)
def test_what_differs_is_told(cell: Cell, seen: Seen, kept: Seen | None, says: str) -> None:
    found = difference(cell, seen, kept)
    assert says in found
    assert bool(found) == bool(says)


def test_gates_that_may_go_either_way_stand_in_the_table_beside_others() -> None:
    for cell, metric in EITHER_WAY:
        assert KEPT[cell].verdict == "fail"
        assert set(KEPT[cell].failed) - {metric}, "with this gate alone the verdict goes either way too"


@pytest.mark.parametrize(
    ("patterns", "count"),
    [
        ([], len(KEPT)),
        (["calm"], 12),
        (["calm/open"], 6),
        (["calm/*/threads", "all-down/closed/isolated"], 3),
        (["*/open/threads"], len(SCENARIOS) - 1),
        (["calmer"], 0),
    ],
)
def test_cells_are_picked_by_patterns(patterns: list[str], count: int) -> None:
    rows = rows_of(lambda cell: is_named_by(cell, patterns))
    assert sum(len(row.rungs) for row in rows) == count


def test_a_scenario_is_played_with_other_rungs_and_nothing_expected() -> None:
    text = scenario_text("httpx-pool", "closed", RUNGS[:2])
    for part in ('"without": null', '"service.client": null', '"expect": null', '"rate": null', '"users": 10'):
        assert part in text


def test_the_table_shows_which_gates_failed() -> None:
    lines = table({LEAK: Seen("fail", ("complete", "threads after"))}).splitlines()
    [line] = [line for line in lines if line.startswith("| `threads-leak`")]
    assert line.endswith("| open |  |  | **complete, threads after** |  |  |  |")
