"""The table of toxics: how long each keeps an answer back, for one size and for many, and that nothing is missing."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from harness.faults.toxic import ToxicName
from harness.rundir.toxics import TOXICS


def test_a_scenario_may_name_each_toxic_of_the_table_and_no_other() -> None:
    assert get_args(ToxicName) == tuple(TOXICS)
    assert all(name == toxic.name for name, toxic in TOXICS.items())


@pytest.mark.parametrize(
    ("toxic", "attributes", "size", "delay_ms"),
    [
        ("latency", {"latency": 250, "jitter": 50}, 4_000, 250),
        ("bandwidth", {"rate": 2}, 4_000, 2_000),
        ("slicer", {"average_size": 100, "delay": 10_000}, 4_050, 400),
        ("timeout", {"timeout": 700}, 4_000, 700),
        ("timeout", {"timeout": 0}, 4_000, math.inf),
        ("timeout", {}, 0, math.inf),
        ("slow_close", {"delay": 900}, 4_000, 0),
        ("reset_peer", {"timeout": 900}, 4_000, 0),
        ("limit_data", {"bytes": 10}, 4_000, 0),
    ],
)
def test_how_long_an_answer_is_kept_back(toxic: str, attributes: dict[str, int], size: int, delay_ms: float) -> None:
    assert TOXICS[toxic].delay_ms(attributes, size) == delay_ms
    several = TOXICS[toxic].delay_ms(attributes, np.array([size, size], np.float64))
    assert several.tolist() == [delay_ms, delay_ms]


def test_which_toxics_a_removal_may_hang_on_and_which_swallow_everything() -> None:
    assert [name for name, toxic in TOXICS.items() if toxic.keeps_back] == [
        "latency",
        "bandwidth",
        "slow_close",
        "slicer",
    ]
    assert [name for name, toxic in TOXICS.items() if toxic.swallows] == ["timeout"]


def test_the_one_time_that_a_caller_waits() -> None:
    waits = {name: toxic.caller_delay_ms(dict.fromkeys(toxic.attributes, 300)) for name, toxic in TOXICS.items()}
    assert waits == {
        "latency": 300,
        "bandwidth": None,
        "slow_close": 300,
        "timeout": 300,
        "reset_peer": 300,
        "slicer": None,
        "limit_data": 0.0,
    }
