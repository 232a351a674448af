"""The table of rung × scenario: kept whole in a file and a page, and a part of it run for real."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bench.ladder_table import (
    CATALOG,
    MODELS,
    PAGE,
    SCENARIOS,
    Cell,
    Scenario,
    play,
    read_kept,
    rungs_of,
    table,
)

KEPT = read_kept()

AGAIN = (
    ("threads-leak", "open", ("threads", "timeout")),
    ("threads-leak", "closed", ("threads",)),
    ("retry-storm", "open", ("pushdown", "isolated")),
    ("session-pool", "open", ("parallel",)),
    ("httpx-pool", "open", ("parallel", "isolated")),
    ("garbage", "open", ("isolated",)),
    ("warm-cache", "open", ("isolated",)),
    ("cold-cache", "open", ("isolated",)),
)
"""One of each mechanism that the rest of the tests does not run."""


def scenario(name: str) -> Scenario:
    return next(each for each in SCENARIOS if each.name == name)


def test_every_cell_has_a_verdict_and_no_rig_failed() -> None:
    wanted = {Cell(each.name, model, rung) for each in SCENARIOS for model in MODELS for rung in rungs_of(each)}
    assert set(KEPT) == wanted
    assert {seen.verdict for seen in KEPT.values()} == {"pass", "fail"}
    assert all(bool(seen.failed) == (seen.verdict == "fail") for seen in KEPT.values())


def test_the_page_shows_what_is_kept() -> None:
    assert table(KEPT) in PAGE.read_text(encoding="utf-8"), "python bench/ladder_table.py --only '' --write"


@pytest.mark.parametrize("name", [each.name for each in SCENARIOS])
def test_what_a_scenario_expects_of_a_rung_is_what_the_table_says(name: str) -> None:
    document = YAML(typ="safe").load(CATALOG / f"{name}.yaml")
    matrix = document.get("matrix", {})
    rungs = matrix.get("vary", {}).get("service.rung", ())
    expect = matrix.get("expect", {})
    found = {rung: [KEPT[Cell(name, "open", rung)].verdict] for rung in rungs}
    assert found == {rung: expect.get(rung, ["pass"]) for rung in rungs}


def test_threads_pass_with_ten_users_and_fail_with_open_arrivals_though_p99_holds() -> None:
    assert KEPT[Cell("threads-leak", "closed", "threads")].verdict == "pass"
    failed = KEPT[Cell("threads-leak", "open", "threads")].failed
    assert {"complete", "threads"} <= set(failed)
    assert "p99" not in failed


def test_isolated_stands_wherever_anything_can() -> None:
    fallen = {cell.scenario for cell, seen in KEPT.items() if cell.rung == "isolated" and seen.verdict == "fail"}
    assert fallen == {"cold-cache"}


@pytest.mark.stack
@pytest.mark.parametrize(("name", "model", "rungs"), AGAIN, ids=lambda value: value if isinstance(value, str) else None)
def test_a_part_of_it_again(
    name: str, model: str, rungs: tuple[str, ...], tmp_path: Path, toxiproxy_binary: Path
) -> None:
    seen = play(scenario(name), model, rungs, tmp_path)
    assert {cell: one.verdict for cell, one in seen.items()} == {cell: KEPT[cell].verdict for cell in seen}, seen
