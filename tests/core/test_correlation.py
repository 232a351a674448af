from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.correlation import run_hash, seq_of, traceparent

RUN = run_hash("20261124-080000-ab12")


@given(st.integers(0, 2**64 - 2))
def test_a_sequence_number_survives_the_trace(seq: int) -> None:
    assert seq_of(RUN, traceparent(RUN, seq)) == seq


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00-0-0-01",
        traceparent(run_hash("another run"), 5),
        traceparent(RUN, 5).upper(),
        traceparent(RUN, 5) + "-more",
        f"00-{RUN}{'0' * 16}-{'1' * 16}-01",
    ],
)
def test_foreign_or_damaged_traces_are_nobodys(value: str) -> None:
    assert seq_of(RUN, value) is None
