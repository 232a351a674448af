from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import units


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("250ms", 250),
        ("1.5s", 1500),
        ("2m", 120_000),
        ("1h", 3_600_000),
        (" 60 s ", 60_000),
        ("500us", 0.5),
        (".5s", 500),
    ],
)
def test_durations(text: str, ms: float) -> None:
    assert units.parse_duration_ms(text) == pytest.approx(ms)


@pytest.mark.parametrize("text", ["60", "", "s", "-1s", "1 second", "1s2", "1e3s", "٣s", "inf s", "1.s."])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write a number and a unit"):
        units.parse_duration_ms(text)


def test_rates_shares_and_sizes() -> None:
    assert units.parse_rate_per_s("40/s") == 40
    assert units.parse_rate_per_s("90/m") == pytest.approx(1.5)
    assert units.parse_share("0.5%") == pytest.approx(0.005)
    assert units.parse_bytes("64kB") == 64_000
    assert units.parse_bytes("1MiB") == 2**20
    assert [units.parse_bytes(f"1{unit}") for unit in ("GiB", "TB", "TiB")] == [2**30, 10**12, 2**40]
    assert units.parse_bytes_per_s("8kB/s") == 8_000


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (640, "640 B"),
        (999.6, "1.00 kB"),
        (64_000, "64.0 kB"),
        (99_960, "100 kB"),
        (271_234_567, "271 MB"),
        (1.25e9, "1.25 GB"),
        (5e12, "5,000 GB"),
    ],
)
def test_sizes_for_people(size: float, text: str) -> None:
    assert units.format_bytes(size) == text


def test_counts_that_were_multiplied_keep_their_half() -> None:
    assert [units.format_quantity(value) for value in (31, 46.5, 12_034.0)] == ["31", "46.5", "12,034"]


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (units.parse_rate_per_s, "40"),
        (units.parse_share, "0.5"),
        (units.parse_share, "101%"),
        (units.parse_bytes, "64"),
        (units.parse_bytes, "64kB/s"),
        (units.parse_bytes_per_s, "64"),
    ],
)
def test_bare_or_impossible_quantities_are_refused(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match=r"such as|from 0% to 100%"):
        parse(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (0.25, "0.25 ms"),
        (87.34, "87.3 ms"),
        (873.4, "873 ms"),
        (999.7, "1.00 s"),
        (2520, "2.52 s"),
        (30_000, "30.0 s"),
        (125_000, "2m 05s"),
        (math.inf, "∞"),
        (-250, "-250 ms"),
    ],
)
def test_durations_for_people(ms: float, text: str) -> None:
    assert units.format_duration(ms) == text


@given(st.integers(1, 10**7))
def test_a_spelled_duration_parses_back(ms: int) -> None:
    assert units.parse_duration_ms(units.duration_literal(ms)) == pytest.approx(ms, rel=1e-4)


def test_almost_all_is_not_all() -> None:
    assert units.format_share(1.0) == "100 %"
    assert units.format_share(0.99999) == ">99.9 %"
    assert units.format_share(0.0) == "0 %"
    assert units.format_share(0.0021) == "0.21 %"
