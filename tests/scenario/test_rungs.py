"""The aggregator's rungs as a scenario spells them, held to what the aggregator has."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregator.rungs import RUNGS
from aggregator.settings import CLIENTS
from harness.errors import ScenarioError
from harness.scenario.schema.rungs import POLICIES_OF
from tests.scenario.world import changed, load, plan_of


def test_the_tester_knows_every_rung_with_its_policies() -> None:
    assert {rung.name: rung.policies for rung in RUNGS} == POLICIES_OF


def test_policies_are_switched_off_by_name(tmp_path: Path) -> None:
    text = changed(("rung: timeout", "rung: isolated, without: [breaker, single_flight]"))
    argv = plan_of(load(tmp_path, text)).service.argv
    assert argv is not None
    words = " ".join(argv)
    assert "--rung isolated --without breaker --without single_flight --port" in words


def test_policies_are_added_by_name(tmp_path: Path) -> None:
    argv = plan_of(load(tmp_path, changed(("rung: timeout", "rung: parallel, with: [breaker]")))).service.argv
    assert argv is not None
    assert "--rung parallel --with breaker --port" in " ".join(argv)


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ("rung: timeout, with: [deadline]", "error: the rung `timeout` has the policy `deadline` already"),
        ("rung: timeout, with: [braker]", "fix: did you mean `breaker`?"),
        (
            "rung: parallel, with: [threads], client: httpx",
            "error: the policy `threads` has a blocking client of its own",
        ),
    ],
)
def test_a_policy_that_cannot_be_added(tmp_path: Path, service: str, told: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, changed(("rung: timeout", service)))
    (problem,) = caught.value.problems
    assert told in (f"error: {problem.message}", f"fix: {problem.fix}")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_chosen_by_name(tmp_path: Path, client: str) -> None:
    text = changed(("rung: timeout", f"rung: pushdown, client: {client}, without: [deadline]"))
    argv = plan_of(load(tmp_path, text)).service.argv
    assert argv is not None
    assert f"--rung pushdown --without deadline --client {client} --port" in " ".join(argv)
