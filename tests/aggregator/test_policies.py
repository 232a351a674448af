"""Policies by themselves, as someone would lift them into a service of their own."""

from __future__ import annotations

import ast
import asyncio
import runpy
import sys
from pathlib import Path

import pytest

import aggregator
from aggregator.policies import POLICIES
from aggregator.policies.deadline import DeadlineExceeded, within
from aggregator.policies.parallel import all_at_once
from aggregator.policies.sequential import one_by_one
from tests.virtual_time import now_s, run


def test_a_deadline_ends_the_call_itself() -> None:
    ended = []

    async def hang() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(now_s())

    async def scenario() -> None:
        began_s = now_s()
        with pytest.raises(DeadlineExceeded, match=r"within 1\.5 s"):
            await within(1.5, hang)()
        assert ended == [began_s + 1.5]

    run(scenario())


def test_a_timeout_from_further_in_is_not_mistaken_for_the_deadline() -> None:
    async def inner() -> None:
        raise TimeoutError("the resolver's own")

    with pytest.raises(TimeoutError, match="the resolver's own"):
        run(within(1.0, inner)())


def test_a_deadline_changes_nothing_for_a_call_in_time() -> None:
    async def add(left: int, *, right: int) -> int:
        await asyncio.sleep(0.9)
        return left + right

    assert run(within(1.0, add)(1, right=2)) == 3


@pytest.mark.parametrize("run_all", [one_by_one, all_at_once])
def test_results_keep_the_order_of_the_calls(run_all: object) -> None:
    async def slow_first(number: int) -> int:
        await asyncio.sleep(3 - number)
        return number

    async def scenario() -> list[int]:
        calls = [lambda number=number: slow_first(number) for number in range(3)]
        return await run_all(calls)  # type: ignore[operator, no-any-return]

    assert run(scenario()) == [0, 1, 2]


def test_no_calls_no_results() -> None:
    assert run(one_by_one([])) == run(all_at_once([])) == []


def test_ending_the_whole_ends_every_call() -> None:
    ended = 0

    async def hang() -> None:
        nonlocal ended
        try:
            await asyncio.sleep(60)
        finally:
            ended += 1

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await all_at_once([hang] * 8)
        assert ended == 8

    run(scenario())


@pytest.mark.parametrize(
    "path", sorted((Path(aggregator.__file__).parent / "policies").glob("*.py")), ids=lambda path: path.stem
)
def test_a_policy_can_be_taken_out_alone(path: Path) -> None:
    """It runs by itself in another place: whatever it imports comes with Python."""
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
    namespace = runpy.run_path(str(path))
    assert namespace["__doc__"]


def test_each_policy_is_a_file_of_its_name_and_sequential_is_what_happens_without() -> None:
    files = {path.stem for path in (Path(aggregator.__file__).parent / "policies").glob("[!_]*.py")}
    assert files == {*POLICIES, "sequential"}
