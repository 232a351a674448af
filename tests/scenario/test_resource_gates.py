"""Gates on what the service costs, as a scenario asks for them: long enough windows, a service of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario.world import GOOD, changed, load, only_problem, plan_of


def test_a_scenario_with_each_of_them(tmp_path: Path) -> None:
    gates = ("rss < 300MB", "threads < 100 during azure-latency", "sockets < 2x baseline after azure-latency")
    plan = plan_of(load(tmp_path, GOOD + "".join(f"  - {gate}\n" for gate in gates)))
    assert [gate.text for gate in plan.gates[2:]] == list(gates)
    assert plan.load.duration_ms == 60_000 + 5_000 + 90_000 + 20_000  # a gate names the baseline, so it is a minute


def test_a_service_that_runs_already_cannot_be_looked_at(tmp_path: Path) -> None:
    text = """\
name: url
service: {url: http://127.0.0.1:1}
load: {request: GET /, rate: 40/s}
gates:
  - threads < 100
"""
    problem = only_problem(tmp_path, text)
    assert (problem.line, problem.col) == (5, 5)
    assert problem.message == "tailgate does not start the service at `url`, so it cannot measure its threads"
    assert "service.command" in problem.fix


@pytest.mark.parametrize(
    ("changes", "gate", "message", "fix"),
    [
        (
            [("rate: 40/s", "rate: 40/s\n  baseline: 5s")],
            "threads < 2x baseline",
            "the window `baseline` of `threads < 2x baseline` is 5s long; a PASS needs 6s",
            "write load.baseline: 6s",
        ),
        (
            [("rate: 40/s", "rate: 40/s\n  baseline: 7s")],
            "sockets < 2x baseline",
            "is 7s long; a PASS needs 8s, since sockets are counted every 2 s where counting them takes long",
            "write load.baseline: 8s",
        ),
        (
            [("rate: 40/s", "rate: 40/s\n  recovery: 7s")],
            "sockets < 300 after azure-latency",
            "the load goes on for 7s; to decide, this gate needs 8s",
            "write load.recovery: 8s",
        ),
        (
            [("rate: 40/s", "rate: 40/s\n  recovery: 3s")],
            "rss < 300MB after azure-latency",
            "the load goes on for 3s; to decide, this gate needs 6s",
            "write load.recovery: 6s",
        ),
    ],
)
def test_a_window_too_short_for_any_reading_to_tell(
    changes: list[tuple[str, str]], gate: str, message: str, fix: str, tmp_path: Path
) -> None:
    problem = only_problem(tmp_path, f"{changed(*changes)}  - {gate}\n")
    assert message in problem.message
    assert problem.fix == fix


def test_a_fault_too_short_says_how_long(tmp_path: Path) -> None:
    text = changed(("latency: 60s, for: 90s", "latency: 2s, for: 7s")).partition("gates:")[0]
    problem = only_problem(tmp_path, f"{text}gates: [threads < 100 during azure-latency]\n")
    assert "is 5s long; a PASS needs 6s, since the service is measured once a second" in problem.message
    assert problem.fix == "write `for: 8s` for `azure-latency`"


@pytest.mark.parametrize("phase", ["warmup", "guard", "tail"])
def test_a_phase_that_gates_do_not_look_at(phase: str, tmp_path: Path) -> None:
    problem = only_problem(tmp_path, f"{GOOD}  - threads < 100 during {phase}\n")
    assert problem.message.startswith(f"no gate can be about the phase `{phase}`")
    assert "during whole" in problem.fix


def test_what_is_held_after_one_of_two_overlapping_faults_cannot_be_told(tmp_path: Path) -> None:
    text = changed(("for: 90s}\n", "for: 90s, at: 70s}\n  - {upstream: gcp, hang: true, at: 90s, for: 60s}\n"))
    problem = only_problem(tmp_path, f"{text}  - threads < 100 after azure-latency\n")
    assert "`azure-latency` and `gcp-hang` overlap" in problem.message
