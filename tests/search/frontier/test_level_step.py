"""What a load of a frontier search says, beyond a load of any search."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.search.frontier import level_step as module
from harness.search.frontier.level_step import SAYS_NOTHING, frontier_step
from harness.search.level_search import WantedLoad
from harness.search.stack_loads import LoadRun
from harness.search.step_figures import LoadRules
from tests.search.frontier.test_level_loads import loads_of
from tests.search.steps import step

RUN = LoadRun(Path("load-001"), None)


@dataclass
class Judge:
    """Stands for `step_of`, and keeps what it was asked."""

    outcome: str = "held"
    met: bool = True
    asked: dict[str, Any] = field(default_factory=dict)

    def step_of(
        self, _run: LoadRun, load: WantedLoad, purpose: str, _before: object, rules: LoadRules
    ) -> tuple[Any, str]:
        self.asked = {"alpha": load.alpha, "rate_per_s": load.rate_per_s, "rules": rules, "steady": rules.steady}
        return step(load.rate_per_s, self.outcome, purpose=purpose, alpha=load.alpha), "evidence"

    def prove(self, _evidence: object) -> list[Any]:
        proof = SimpleNamespace(seen="met status 503")
        return [SimpleNamespace(result=SimpleNamespace(proof=proof, met=self.met))]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Judge:
    made = Judge()
    monkeypatch.setattr(module, "step_of", made.step_of)
    monkeypatch.setattr(module, "prove_faults", made.prove)
    return made


def test_a_level_is_no_rate(judge: Judge, tmp_path: Path) -> None:
    found, _ = frontier_step(RUN, loads_of(tmp_path), WantedLoad("explore", 900), "explore", ())
    assert (found.level, found.rate_per_s, found.fault_seen, found.fault_met) == (900, 40, "met status 503", True)
    assert (judge.asked["alpha"], judge.asked["rate_per_s"]) == (None, 40)
    assert judge.asked["rules"] == LoadRules(steady=True, excusing=SAYS_NOTHING)


def test_an_outage_is_decided_by_its_gate_in_every_load_and_is_not_steady(judge: Judge, tmp_path: Path) -> None:
    found, _ = frontier_step(RUN, loads_of(tmp_path, "outage"), WantedLoad("explore", 9_000), "explore", ())
    assert (judge.asked["alpha"], judge.asked["steady"], found.alpha) == (0.05, False, None)
    frontier_step(RUN, loads_of(tmp_path, "outage"), None, "return", ())
    assert (judge.asked["alpha"], judge.asked["steady"]) == (None, True), "without the outage it is a load as any other"


@pytest.mark.parametrize("outcome", ["held", "broke"])
def test_a_certificate_needs_a_call_that_met_the_fault(judge: Judge, tmp_path: Path, outcome: str) -> None:
    judge.outcome, judge.met = outcome, False
    explored, _ = frontier_step(RUN, loads_of(tmp_path), WantedLoad("explore", 0.1), "explore", ())
    assert explored.outcome == outcome, "at a small share no call of a short load may meet it"
    certified, _ = frontier_step(RUN, loads_of(tmp_path), WantedLoad("soak", 0.1, alpha=0.05), "soak", ())
    assert certified.outcome == "undecided" and "met the fault" in certified.reason


def test_a_machine_that_gave_out_says_nothing_of_the_level(judge: Judge, tmp_path: Path) -> None:
    judge.outcome, judge.met = "generator", False
    found, _ = frontier_step(RUN, loads_of(tmp_path), WantedLoad("soak", 900, alpha=0.05), "soak", ())
    assert found.outcome == "generator"
