"""What a refusal proposes is enough: a default never fails its own check, and a fix, applied, is not refused again."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import Problem, ScenarioError
from harness.scenario import load_scenario
from tests.scenario.world import GOOD, changed, problems, write

RECOVERING = changed(
    ("  - errors < 1% during azure-latency\n", "  - GATE\n"), ("azure: {p50: 60ms, p99: 140ms}", "azure: {}")
)


@pytest.mark.parametrize("rate", [27, 30, 33])
def test_the_default_recovery_is_enough_for_its_gate(rate: int, tmp_path: Path) -> None:
    text = changed(("40/s", f"{rate}/s"), ("GATE", "recovery < 15s after azure-latency"), text=RECOVERING)
    assert problems(tmp_path, text) == ()


@settings(max_examples=60, deadline=None)
@given(
    rate=st.integers(1, 500),
    limit_ms=st.integers(100, 60_000),
    fraction=st.integers(0, 9),
    gate=st.sampled_from(
        [
            "recovery < LIMIT after azure-latency",
            "cleared within LIMIT after azure-latency",
            "p99 < LIMIT after azure-latency",
            "errors < 2% after azure-latency",
            "rss < 2x baseline after azure-latency",
            "p99 < 1.5x baseline during azure-latency",
            "p99.5(ok) < 3x baseline after azure-latency",
            "p99 < LIMIT during baseline",
            "throughput > 1/m during baseline",
            "errors < 0.5% during baseline",
        ]
    ),
)
def test_a_default_never_fails_its_own_check(rate: int, limit_ms: int, fraction: int, gate: str) -> None:
    gate = gate.replace("LIMIT", f"{limit_ms}.{fraction}ms")
    text = changed(("40/s", f"{rate}/s"), ("GATE", gate), ("for: 90s", "for: 700s"), text=RECOVERING)
    with tempfile.TemporaryDirectory() as folder:
        assert [each.message for each in problems(Path(folder), text)] == []


# ---------------------------------------------------------------- fixes that write a duration


def of_gates(folder: Path, text: str) -> list[Problem]:
    """Refusals, and warnings where there is none."""
    try:
        return list(load_scenario(write(folder, text)).warnings)
    except ScenarioError as exc:
        return list(exc.problems)


VALUE = re.compile(r"(?:^write |^)`?(?:load\.)?(for|baseline|recovery|duration): (\d[\d.]*(?:ms|s|m|h))")


def longest(values: list[str]) -> str:
    return max(values, key=lambda value: float(re.sub(r"[^0-9.]", "", value)) * (60 if value.endswith("m") else 1))


def applied(text: str, found: list[Problem], *, least: bool = False) -> str:
    """The scenario with each key that a fix writes as a duration, the longest where several do. `least`: with the least
    that is accepted, where a fix names that too."""
    wanted: dict[str, list[str]] = {}
    for problem in found:
        fix, _, accepted = problem.fix.partition("; ")
        text_of_fix = accepted if least and accepted else fix
        assert VALUE.search(text_of_fix), problem
        for key, value in [*VALUE.findall(text_of_fix), *re.findall(r"and load\.(duration): ([\d.]+\w+)", fix)]:
            wanted.setdefault(key, []).append(value)
    for key, values in wanted.items():
        value = longest(values)
        text, count = re.subn(rf"\b{key}: [\d.]+(?:ms|s|m|h)", f"{key}: {value}", text)
        if not count:
            text = text.replace("  request: GET", f"  {key}: {value}\n  request: GET", 1)
    return text


@pytest.mark.parametrize(
    ("changes", "gates"),
    [
        ([("timeout: 5s", "timeout: 3s"), ("for: 90s", "for: 20s")], ["p99 < gateway.timeout during azure-latency"]),
        ([("for: 90s", "for: 9s")], ["p99 < gateway.timeout during azure-latency"]),
        ([("for: 90s", "for: 9s")], ["p99 < 1s during azure-latency", "p99.9 < 1s during azure-latency"]),
        (
            [("for: 90s", "for: 20s"), ("rate: 40/s", "rate: 40/s\n  baseline: 70s")],
            ["p99 < 1.5x baseline during azure-latency"],
        ),
        ([("rate: 40/s", "rate: 4/s"), ("for: 90s", "for: 20s")], ["errors < 1% during azure-latency"]),
        ([("for: 90s", "for: 20s")], ["throughput > 20/s during azure-latency"]),
        ([("for: 90s", "for: 10s")], ["calls to gcp < 2 during azure-latency"]),
        ([("for: 90s", "for: 7s"), ("60s, for", "2s, for")], ["threads < 100 during azure-latency"]),
        ([("rate: 40/s", "rate: 40/s\n  baseline: 5s")], ["p99 < 1s during baseline", "sockets < 2x baseline"]),
        ([("rate: 40/s", "rate: 40/s\n  baseline: 0s")], ["p99 < 1.5x baseline during azure-latency"]),
        ([("rate: 40/s", "rate: 40/s\n  baseline: 0s")], ["recovery < 5s after azure-latency"]),
        ([("rate: 40/s", "rate: 40/s\n  baseline: 60s")], ["p99.9 < 1s during baseline"]),
        # two windows of a gate, and windows of several gates, that are too short at once
        (
            [("rate: 40/s", "rate: 40/s\n  baseline: 5s"), ("for: 90s", "for: 6s")],
            ["sockets < 2x baseline during azure-latency"],
        ),
        (
            [("rate: 40/s", "rate: 40/s\n  baseline: 0s"), ("for: 90s", "for: 6s")],
            ["sockets < 2x baseline during azure-latency"],
        ),
        (
            [("rate: 40/s", "rate: 40/s\n  baseline: 0s"), ("60s, for: 90s", "500ms, for: 6s")],
            ["sockets < 2x baseline during azure-latency"],
        ),
        (
            [("rate: 40/s", "rate: 40/s\n  baseline: 0s\n  recovery: 0s")],
            ["sockets < 2x baseline after azure-latency", "p99 < 1.5x baseline after azure-latency"],
        ),
        ([("rate: 40/s", "rate: 40/s\n  recovery: 0s")], ["errors < 1% after azure-latency"]),
        ([("rate: 40/s", "rate: 40/s\n  recovery: 0s")], ["recovery < 9s after azure-latency"]),
        ([("for: 90s", "for: 30s")], ["errors < 0.1%", "p99 < 1s during azure-latency"]),
        ([("for: 90s", "for: 9s")], ["errors < 0.5%", "p99.9 < 1s during azure-latency"]),
        (
            [("for: 90s", "for: 30s")],
            ["errors < 1%", "p99.9 < 1s during azure-latency", "p99 < 1s after azure-latency"],
        ),
        ([("rate: 40/s", "rate: 4/s"), ("for: 90s", "for: 3s")], ["p99 < 1s during azure-latency"]),
        ([("rate: 40/s", "rate: 33/s\n  recovery: 5s")], ["recovery < 7s after azure-latency"]),
        ([("rate: 40/s", "rate: 40/s\n  duration: 165s")], ["recovery < 17s after azure-latency"]),
        ([("rate: 40/s", "rate: 40/s\n  recovery: 5s")], ["cleared within 7s after azure-latency"]),
        ([("rate: 40/s", "rate: 40/s\n  recovery: 5s")], ["p99 < 1s after azure-latency"]),
        ([("rate: 40/s", "rate: 40/s\n  recovery: 5s")], ["sockets < 300 after azure-latency"]),
    ],
    ids=repr,
)
def test_a_fix_applied_leaves_no_second_refusal(
    changes: list[tuple[str, str]], gates: list[str], tmp_path: Path
) -> None:
    text = changed(*changes).partition("gates:")[0] + "gates:\n" + "".join(f"  - {gate}\n" for gate in gates)
    found = of_gates(tmp_path, text)
    assert found
    again = of_gates(tmp_path, applied(text, found))
    assert [(problem.message, problem.fix) for problem in again] == []


WRITTEN_DURATIONS = [
    # one window that is too short, with a load that is long enough for it as it is
    ([("for: 90s", "for: 20s"), ("rate: 40/s", "rate: 40/s\n  duration: 75s")], ["p99 < 1s during azure-latency"]),
    ([("for: 90s", "for: 9s"), ("rate: 40/s", "rate: 40/s\n  duration: 64s")], ["p99 < 1s during azure-latency"]),
    # the load is too short, and the window too
    ([("for: 90s", "for: 20s"), ("rate: 40/s", "rate: 40/s\n  duration: 60s")], ["p99 < 1s during azure-latency"]),
    ([("for: 90s", "for: 9s"), ("rate: 40/s", "rate: 40/s\n  duration: 20s")], ["p99 < 1s during azure-latency"]),
    ([("for: 90s", "for: 90s"), ("rate: 40/s", "rate: 40/s\n  duration: 60s")], ["p99 < 1s during azure-latency"]),
    # the baseline, the fault and the time after it
    (
        [("for: 90s", "for: 20s"), ("rate: 40/s", "rate: 40/s\n  baseline: 5s\n  duration: 60s")],
        ["p99 < 1s during baseline", "errors < 1% during azure-latency", "recovery < 9s after azure-latency"],
    ),
    (
        [("for: 90s", "for: 20s"), ("rate: 40/s", "rate: 40/s\n  recovery: 1s\n  duration: 90s")],
        ["p99 < 1s after azure-latency", "errors < 0.1%"],
    ),
    # a written `at`
    (
        [("for: 90s", "at: 40s, for: 20s"), ("rate: 40/s", "rate: 40/s\n  duration: 65s")],
        ["p99 < 1s during azure-latency"],
    ),
]


@pytest.mark.parametrize("least", [False, True], ids=["recommended", "least"])
@pytest.mark.parametrize(("changes", "gates"), WRITTEN_DURATIONS, ids=repr)
def test_with_a_written_duration_one_fix_is_enough(
    changes: list[tuple[str, str]], gates: list[str], least: bool, tmp_path: Path
) -> None:
    text = changed(*changes).partition("gates:")[0] + "gates:\n" + "".join(f"  - {gate}\n" for gate in gates)
    found = problems(tmp_path, text)
    assert found
    again = applied(text, list(found), least=least)
    assert [problem.message for problem in problems(tmp_path, again)] == []


@settings(max_examples=60, deadline=None)
@given(
    keys=st.fixed_dictionaries(
        {},
        optional={
            "baseline": st.integers(1, 70),
            "recovery": st.integers(1, 40),
            "duration": st.integers(20, 200),
        },
    ),
    for_s=st.integers(1, 100),
    gates=st.sets(
        st.sampled_from(
            [
                "p99 < 1s during azure-latency",
                "errors < 0.5% during azure-latency",
                "threads < 100 during azure-latency",
                "p99 < 1s during baseline",
                "p99 < 2x baseline during azure-latency",
                "recovery < 9s after azure-latency",
                "p99 < 1s after azure-latency",
                "errors < 0.2%",
            ]
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_whatever_is_too_short_all_fixes_at_once_are_enough(keys: dict[str, int], for_s: int, gates: set[str]) -> None:
    load = "".join(f"\n  {key}: {value}s" for key, value in keys.items())
    text = changed(("for: 90s", f"for: {for_s}s"), ("rate: 40/s", f"rate: 40/s{load}")).partition("gates:")[0]
    text += "gates:\n" + "".join(f"  - {gate}\n" for gate in sorted(gates))
    with tempfile.TemporaryDirectory() as folder:
        found = problems(Path(folder), text)
        again = problems(Path(folder), applied(text, list(found))) if found else ()
        assert [problem.message for problem in again] == [], [problem.fix for problem in found]


@pytest.mark.parametrize("gates", [["p99 < 1s during azure-latency"], ["p99.9 < 1s during azure-latency"]])
@pytest.mark.parametrize("written", ["for: 9s", "for: 20s"])
def test_the_least_that_is_named_is_accepted_and_less_is_not(written: str, gates: list[str], tmp_path: Path) -> None:
    text = changed(("for: 90s", written)).partition("gates:")[0] + f"gates: {gates}\n"
    found = list(problems(tmp_path, text))
    assert all("is the least that is accepted" in problem.fix for problem in found)
    least = applied(text, found, least=True)
    assert problems(tmp_path, least) == ()
    for_s = int(re.findall(r"for: (\d+)s", least)[0])
    assert problems(tmp_path, least.replace(f"for: {for_s}s", f"for: {for_s - 1}s"))
    recommended = applied(text, found)
    assert of_gates(tmp_path, recommended) == []
    assert len(of_gates(tmp_path, least)) == 1, "a warning that it can pass only if next to no request is slow"


def test_a_shorter_clump_is_enough_as_well(tmp_path: Path) -> None:
    text = changed(("gates:\n", "verdict: {clump: 1s}\ngates:\n"))
    (fix,) = {problem.fix for problem in problems(tmp_path, text)}
    match = re.search(r"`verdict: \{clump: (\w+)\}`", fix)
    assert match
    assert of_gates(tmp_path, changed(("clump: 1s", f"clump: {match[1]}"), text=text)) == []


def test_the_good_scenario_has_nothing_to_fix(tmp_path: Path) -> None:
    assert of_gates(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("changes", "at", "fix"),
    [
        # limit 15 s and five windows of a hundred arrivals
        (
            [("rate: 40/s", "rate: 5/s\n  recovery: 40s")],
            "115s at 5/s",
            "write load.recovery: 115s, or a rate of at least 20/s",
        ),
        # at no rate are five windows of a second too short
        ([("rate: 40/s", "rate: 5/s\n  recovery: 19s")], "115s at 5/s", "write load.recovery: 115s"),
        # already at the highest rate that matters
        ([("rate: 40/s", "rate: 200/s\n  recovery: 19s")], "20s", "write load.recovery: 20s"),
        (
            [("rate: 40/s", "stages: [{rate: 50/s, for: 100s}, {rate: 5/s, for: 80s}]")],
            "115s at the lowest rate, 5/s",
            "let the load last 90s longer, or a rate of at least 50/s",
        ),
        (
            [("rate: 40/s", "rate: 5/s\n  duration: 180s")],
            "115s at 5/s",
            "write load.duration: 270s, or a rate of at least 50/s",
        ),
    ],
    ids=["by rate", "no rate is enough", "not by rate", "stages", "duration"],
)
def test_a_recovery_gate_says_what_it_needs_at_which_rate(
    changes: list[tuple[str, str]], at: str, fix: str, tmp_path: Path
) -> None:
    gates = ("gates:\n", "gates: [recovery < 15s after azure-latency]\nxx:\n")
    text = changed(*changes, gates).partition("xx:")[0]
    found = [problem for problem in problems(tmp_path, text) if "goes on for" in problem.message]
    assert [problem.message.partition("this gate needs ")[2] for problem in found] == [at]
    assert found[0].fix == fix
    if rate := re.search(r"a rate of at least (\d+)/s", fix):
        for per_s, is_enough in ((int(rate[1]), True), (int(rate[1]) - 1, False)):
            again = problems(tmp_path, text.replace("rate: 5/s", f"rate: {per_s}/s"))
            assert is_enough == (not any("goes on for" in problem.message for problem in again))
