"""The published simulation in small: no model whose assumption holds may pass or fail wrongly more often than said."""

from __future__ import annotations

import numpy as np
import pytest

from bench.calibration import CASES, OTHERS, Case, Draw, other_shares, table, verdict_shares

HONEST = [case for case in CASES if "too short" not in case.name and case.name != "total outage"]


@pytest.mark.parametrize("case", HONEST, ids=lambda case: f"{case.name} {case.seconds} s")
def test_errors_stay_near_what_was_promised(case: Case) -> None:
    """5 % each are promised; bursts of 5 at a clump of 100 ms are 25 % longer than declared and cost a little."""
    rng = np.random.default_rng(3)
    passed, _, failed = verdict_shares(case, 1.0, 200, rng)
    assert passed <= 0.12
    assert failed <= 0.09


def test_a_total_outage_always_fails() -> None:
    assert verdict_shares(CASES[-1], 100.0, 3, np.random.default_rng(1)) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(("gate", "model", "seconds", "draw"), OTHERS, ids=lambda it: it if isinstance(it, str) else "")
def test_gates_of_other_rules_err_as_seldom(gate: str, model: str, seconds: int, draw: Draw) -> None:
    """At the limit 5 % each are promised; bursts of 5 last longer than the declared clump, as above."""
    passed, _, failed = other_shares(draw, 1, 100, np.random.default_rng(3))
    most = 0.25 if gate == "`errors = 0`" and model != "independent" else 0.09
    assert passed <= most, (gate, model)
    if gate != "`errors = 0`":  # there a FAIL is a fact
        assert failed <= 0.11, (gate, model)
    within, _, _ = other_shares(draw, 0, 20, np.random.default_rng(3))
    _, _, beyond = other_shares(draw, 2, 20, np.random.default_rng(3))
    assert within >= 0.5, (gate, model, seconds)
    assert beyond >= 0.5, (gate, model, seconds)


def test_the_table_is_markdown_and_repeats() -> None:
    first = table(5, seed=1, cases=CASES[:2])
    assert first == table(5, seed=1, cases=CASES[:2])
    assert first.splitlines()[0].startswith("| model | window | clump | ¼ p0 |")
    assert len({line.count("|") for line in first.splitlines()}) == 1
