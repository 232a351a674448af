"""A new kind of gate is its class alone: what it needs of names and windows is refused without an edit elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from harness.gates import GATES
from harness.gates.context import GateDiagnostic, ScenarioNames, ScenarioWindows
from harness.gates.syntax.tokenizer import Tokens
from harness.gates.throughput import ThroughputGate
from harness.model.registry import Registry
from tests.scenario.world import GOOD, changed, load, only_problem

GATE = "loudness > 7/s during azure-latency"


@dataclass(frozen=True, slots=True)
class LoudnessGate(ThroughputGate):
    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        words.comparison(">", "loudness > 7/s")
        words.take()
        return cls(words.text, None, 7.0, None, words.phase())

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        if "gcp" in names.upstreams:
            yield GateDiagnostic("gcp is quiet", "remove it", "7/s")

    def window_diagnostics(self, windows: ScenarioWindows) -> Iterable[GateDiagnostic]:
        length_ms = windows.lengths_ms[self.phase]
        if length_ms < 100_000:
            first = windows.faults[0]
            message = f"{first.fault} of {', '.join(first.upstreams)} lasts {length_ms:.0f} ms"
            yield GateDiagnostic(message, windows.suggest_longer(self.phase, 100_000 - length_ms))


@pytest.fixture(autouse=True)
def loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.gates.parse.GATES", Registry({**GATES.places, "loudness": f"{__name__}:LoudnessGate"}))


def test_what_it_needs_of_names_is_refused_in_its_place(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, f"{GOOD}  - {GATE}\n")
    assert (problem.message, problem.fix) == ("gcp is quiet", "remove it")
    assert (problem.line, problem.col) == (15, 5 + GATE.index("7/s"))


def test_what_it_needs_of_windows_comes_with_a_fix_of_the_scenario(tmp_path: Path) -> None:
    text = changed(("  gcp: {}\n", "")) + f"  - {GATE}\n"
    problem = only_problem(tmp_path, text)
    assert problem.message == "azure-latency of azure lasts 85000 ms"
    assert problem.fix == "write `for: 105s` for `azure-latency`"
    load(tmp_path, changed(("for: 90s", "for: 105s"), text=text))


def test_the_scenario_knows_no_single_kind_of_gate() -> None:
    root = Path(__file__).parents[2] / "harness" / "scenario"
    kinds = "|".join(re.escape(str(getattr(kind, "__name__", kind))) for kind in GATES.kinds())
    known = {path.name: found for path in root.rglob("*.py") if (found := re.findall(kinds, path.read_text("utf-8")))}
    assert known == {}
