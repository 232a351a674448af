"""Judging and reporting take a small multiple of a sort of as many numbers, and little memory of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from bench.judge_speed import ANONYMOUS_MB_MOST, SORTS_MOST, Judging, make_run

TOLERANCE: Final = 1.75
"""Beside neighbours the caches hold less, of one measurement no median is taken, and of the time that a million rows
take a fifth does not depend on their number."""


@pytest.mark.stack
@pytest.mark.alone
def test_a_million_rows_take_a_few_sorts_of_as_many_doubles(tmp_path: Path) -> None:
    found = Judging.measure(make_run(tmp_path / "run", 1_000_000, upstreams=1), 1_000_000)
    assert found.sorts < SORTS_MOST * TOLERANCE, found
    assert found.anonymous_mb < 250, found


@pytest.mark.stack
@pytest.mark.nightly
def test_ten_million_rows_take_no_more_in_proportion_and_less_than_a_gigabyte(tmp_path: Path) -> None:
    """By day the million above stands for it."""
    found = Judging.measure(make_run(tmp_path / "run", 10_000_000, upstreams=1), 10_000_000)
    assert found.sorts < SORTS_MOST * TOLERANCE, found
    assert found.anonymous_mb < ANONYMOUS_MB_MOST, found
