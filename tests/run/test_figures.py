"""The benches that judge runs: when a goal is missed, and what was held in each minute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.isolation import Figures, missed
from bench.soak_minutes import minutes, table
from tests.rundir.recording import T0_NS, make_plan, record

GOOD = Figures(
    isolated_after_ms=1_200,
    p99_before_ms=170,
    p99_isolated_ms=180,
    gateway_timeouts=0,
    incomplete=0,
    requests=5_000,
    verdict="pass",
    held="",
)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (replace(GOOD, p99_isolated_ms=204), "p99 1.20× of health"),
        (replace(GOOD, gateway_timeouts=1), "1 × 504"),
        (replace(GOOD, incomplete=6), "0.12% of the answers incomplete"),
        (replace(GOOD, verdict="inconclusive"), "verdicts are PASS"),
    ],
)
def test_a_goal_is_missed_by_the_middle_run_not_by_one_of_three(bad: Figures, says: str) -> None:
    assert list(missed([GOOD, bad, GOOD])) == []
    [told] = missed([bad, GOOD, bad])
    assert says in told


def test_what_was_held_in_each_minute(tmp_path: Path) -> None:
    made = record(make_plan(rate_per_s=2, duration_ms=150_000))
    made.resources = [
        {"t_ns": T0_NS + at_s * 10**9, "child": "sut", "rss_bytes": rss_mb * 1_000_000, "threads": 5, "sockets": states}
        for at_s, rss_mb, states in (
            (-1, 99, {"ESTABLISHED": 99}),  # in the warm-up
            (1, 54, {"ESTABLISHED": 7, "LISTEN": 1}),
            (59, 57, None),  # too dear to count that time
            (61, 56, {"ESTABLISHED": 8, "CLOSE_WAIT": 1}),
            (151, 98, {"ESTABLISHED": 98}),  # after the load
        )
    ]
    assert table(minutes(made.write(tmp_path))).splitlines() == [
        "| minute | 1 | 2 | 3 |",
        "|---|---:|---:|---:|",
        "| memory (MB) | 57.0 | 56.0 |  |",
        "| threads | 5 | 5 |  |",
        "| TCP sockets | 7 | 9 |  |",
    ]


def test_a_run_that_nobody_looked_at_has_no_table(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nobody looked"):
        minutes(record(make_plan(rate_per_s=2, duration_ms=60_000)).write(tmp_path))
