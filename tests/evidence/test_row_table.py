"""Rows read column by column are what numpy reads from the same rows as one array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.evidence.joining.row_table import BLOCK, RowTable, blocks, places_of
from harness.rundir.rows import SAMPLES

COLUMNS = ("seq", "intended_ns", "done_ns", "outcome", "request")


def rows_of(count: int, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, SAMPLES.dtype())
    for name in COLUMNS:
        rows[name] = rng.integers(0, 200, count)
    return rows


def cut(rows: NDArray[Any], places: list[int]) -> list[NDArray[Any]]:
    return np.split(rows, sorted(min(place, len(rows)) for place in places))


def same(table: RowTable, rows: NDArray[Any]) -> bool:
    return len(table) == len(rows) and all(
        table[name].tolist() == rows[name].tolist() for name in rows.dtype.names or ()
    )


@st.composite
def selections(draw: st.DrawFn, length: int) -> list[slice | NDArray[Any]]:
    """Selections of selections, of rows that are `length` at first."""
    found: list[slice | NDArray[Any]] = []
    for _ in range(draw(st.integers(0, 3))):
        which = draw(
            st.one_of(
                st.slices(length),
                st.lists(st.booleans(), min_size=length, max_size=length).map(lambda each: np.array(each, np.bool_)),
                st.just(np.ones(length, np.bool_)),
                st.lists(st.integers(0, length - 1), max_size=9).map(lambda each: np.array(each, np.int32))
                if length
                else st.just(np.empty(0, np.int32)),
            )
        )
        found.append(which)
        length = len(np.empty(length)[which])
    return found


@given(st.data(), st.integers(0, 30), st.lists(st.integers(0, 30), max_size=3), st.booleans())
def test_any_selection_has_the_columns_of_the_same_rows(
    data: st.DataObject, count: int, places: list[int], is_ordered: bool
) -> None:
    rows = rows_of(count)
    table = RowTable.of(cut(rows, places), SAMPLES, keep=("intended_ns",))
    if is_ordered:
        order = np.random.default_rng(count).permutation(count).astype(np.int32)
        table, rows = table.ordered(order), rows[order]
    changed = np.arange(count, dtype=np.int64)
    other = rows.copy()
    other["done_ns"] = changed
    replaced = table.replaced(done_ns=changed)
    for which in data.draw(selections(count)):
        table, rows, replaced, other = table[which], rows[which], replaced[which], other[which]
    assert same(table, rows)
    assert same(replaced, other)
    if len(rows):
        assert table.row(len(rows) - 1) == {name: int(rows[-1][name]) for name in rows.dtype.names or ()}


def test_more_rows_than_a_block_from_two_files_in_another_order() -> None:
    rows = rows_of(2 * BLOCK + 3)
    order = np.random.default_rng(1).permutation(len(rows)).astype(np.int32)
    table = RowTable.of(cut(rows, [BLOCK - 1]), SAMPLES, keep=("done_ns",)).ordered(order)
    for name in COLUMNS:
        assert (table[name] == rows[name][order]).all()
    mask = rows["outcome"][order] > 100
    assert places_of(mask).tolist() == np.flatnonzero(mask).tolist()
    assert (table[mask]["seq"] == rows["seq"][order][mask]).all()


def test_a_column_of_one_value_takes_the_memory_of_one() -> None:
    rows = rows_of(1000)
    rows["outcome"] = 3
    outcome = RowTable.of([rows], SAMPLES)["outcome"]
    assert (len(outcome), set(outcome.tolist()), outcome.strides) == (1000, {3}, (0,))


def test_a_column_that_is_replaced_is_another_table_s_alone() -> None:
    rows = rows_of(10)
    table = RowTable.of([rows], SAMPLES)
    table.replaced(seq=np.zeros(10, np.uint64))
    assert table["seq"].tolist() == rows["seq"].tolist()


@pytest.mark.parametrize(("length", "found"), [(0, []), (3, [(0, 2), (2, 3)]), (4, [(0, 2), (2, 4)])])
def test_blocks_are_all_rows_once(length: int, found: list[tuple[int, int]]) -> None:
    assert [(block.start, block.stop) for block in blocks(length, 2)] == found
