"""Gates on memory, threads and sockets, put to made-up readings of a service."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence, Pool
from harness.gates import Finding
from harness.gates.parse import parse_gate
from harness.rundir.results import Results
from harness.units import NS_PER_S
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault

Figures = Callable[[float], dict[str, Any]]
"""Of a moment in seconds from t = 0: what is unusual then."""

DURING = "during azure-slow"
"""35 s to 95 s; the fault goes at 97 s, the load ends at 120 s."""
LENGTH_S = 120


def reading(second: float, **unusual: Any) -> dict[str, Any]:
    return {
        "t_ns": T0_NS + round(second * 1e9),
        "child": "sut",
        "pid": 3,
        "cpu_s": round(second * 0.4 + 10, 3),
        "rss_bytes": 80_000_000,
        "threads": 20,
        "fds": 40,
        "sockets": {"ESTABLISHED": 30, "CLOSE_WAIT": 2, "LISTEN": 1},
        **unusual,
    }


def played(*gates: str, figures: Figures = lambda _: {}, keep: Callable[[float], bool] = lambda _: True) -> Recording:
    made = record(
        make_plan(faults=[slow_fault()], gates=gates or ["threads < 100"], duration_ms=LENGTH_S * 1000),
        policy="timeout",
    )
    seconds = [second + 0.5 for second in range(-2, LENGTH_S + 5)]
    made.resources = [reading(second, **figures(second)) for second in seconds if keep(second)]
    return made


def found(text: str, made: Recording, folder: Path) -> Finding:
    return parse_gate(text).judge(Pool.of(Evidence.load(made.write(folder))), alpha_fail=0.05)


def judged(made: Recording, folder: Path) -> Results:
    return verdict.judge(Evidence.load(made.write(folder)))


def spike(from_s: float, to_s: float, **unusual: Any) -> Figures:
    return lambda second: unusual if from_s <= second < to_s else {}


@pytest.mark.parametrize(
    ("text", "observed", "verdict"),
    [
        ("threads < 21", 20, "pass"),
        ("threads < 20", 20, "fail"),
        ("sockets < 33 during azure-slow", 32, "pass"),
        ("sockets < 32 during azure-slow", 32, "fail"),
        ("rss < 81MB during baseline", 80e6, "pass"),
        ("rss < 80MB during baseline", 80e6, "fail"),
        ("threads < 1.1x baseline during azure-slow", 20, "pass"),
        ("threads < 1.01 x baseline after azure-slow", 20, "pass"),
    ],
)
def test_the_highest_reading_must_be_below_the_limit(text: str, observed: float, verdict: str, tmp_path: Path) -> None:
    finding = found(text, played(), tmp_path)
    assert (finding.verdict, finding.observed) == (verdict, observed)
    assert finding.unit == ("bytes" if "rss" in text else "count")


def test_one_reading_above_the_limit_fails_and_the_reason_says_when(tmp_path: Path) -> None:
    finding = found(f"threads < 100 {DURING}", played(figures=spike(47, 48, threads=271)), tmp_path)
    assert finding.verdict == "fail"
    assert finding.reason == "threads reached 271 at 12.5 s of azure-slow; the limit is 100"
    assert (finding.n, finding.exceeded) == (60, 1)


@pytest.mark.parametrize("at_s", [34.5, 95.5])
def test_what_is_outside_of_the_phase_does_not_count(at_s: float, tmp_path: Path) -> None:
    made = played(figures=spike(at_s, at_s + 1, threads=271))
    assert found(f"threads < 100 {DURING}", made, tmp_path).verdict == "pass"
    assert found("threads < 100", made, tmp_path).verdict == "fail"


def test_the_warm_up_does_not_count(tmp_path: Path) -> None:
    assert found("threads < 100", played(figures=spike(-2, 0, threads=271)), tmp_path).verdict == "pass"


def test_a_multiple_is_of_the_highest_reading_of_the_baseline(tmp_path: Path) -> None:
    def figures(second: float) -> dict[str, Any]:
        return spike(10, 11, threads=31)(second) or spike(50, 51, threads=46)(second)

    finding = found(f"threads < 1.5x baseline {DURING}", played(figures=figures), tmp_path)
    assert finding.verdict == "pass"
    assert finding.limit == 46.5
    assert finding.reason == (
        "threads reached 46 at 15.5 s of azure-slow; the limit is 46.5, 1.5 times the baseline's highest, 31"
    )


@pytest.mark.parametrize(
    ("text", "usual", "later", "limit"),
    [
        ("threads < 1.5x baseline", {"threads": 1}, {"threads": 5}, 6),
        ("threads < 1.5x baseline", {"threads": 1}, {"threads": 6}, 6),
        ("sockets < 1.5x baseline", {"sockets": {"ESTABLISHED": 2}}, {"sockets": {"ESTABLISHED": 11}}, 12),
        ("sockets < 1.5x baseline", {"sockets": {"ESTABLISHED": 2}}, {"sockets": {"ESTABLISHED": 12}}, 12),
        ("sockets < 2x baseline", {"sockets": {"LISTEN": 1}}, {"sockets": {"ESTABLISHED": 9}}, 10),
        ("rss < 1.2x baseline", {"rss_bytes": 10_000_000}, {"rss_bytes": 17_000_000}, 18e6),
        ("rss < 1.2x baseline", {"rss_bytes": 10_000_000}, {"rss_bytes": 18_000_000}, 18e6),
    ],
)
def test_a_multiple_of_little_leaves_some_room(
    text: str, usual: dict[str, Any], later: dict[str, Any], limit: float, tmp_path: Path
) -> None:
    def figures(second: float) -> dict[str, Any]:
        return usual if second < 35 else later

    finding = found(f"{text} {DURING}", played(figures=figures), tmp_path)
    assert finding.observed is not None
    assert finding.limit == limit
    assert finding.verdict == ("pass" if finding.observed < limit else "fail")


def test_the_reason_says_what_room_was_left(tmp_path: Path) -> None:
    finding = found(f"threads < 1.2x baseline {DURING}", played(), tmp_path)
    assert finding.reason.endswith(
        "the limit is 25, the baseline's highest, 20, and 5 more, since 1.2 times it would leave less room"
    )


def test_sockets_counted_at_every_second_look_decide(tmp_path: Path) -> None:
    """As the rarest counting is: a phase that validate lets through has enough of them."""

    def figures(second: float) -> dict[str, Any]:
        return {} if int(second) % 2 else {"sockets": None}

    made = played(figures=figures)
    for text in (DURING, "during baseline", "after azure-slow"):
        assert found(f"sockets < 40 {text}", made, tmp_path / text.replace(" ", "-")).verdict == "pass", text


def test_who_counted_seldom_says_how_often_and_why(tmp_path: Path) -> None:
    def at(*seconds: float) -> Figures:
        return lambda second: {} if second in seconds else {"sockets": None}

    few = "the last 12 s of `after azure-slow` have 2 readings of the service's sockets; 3 are needed "
    rare = found("sockets < 40 after azure-slow", played(figures=at(109.5, 115.5)), tmp_path / "rare")
    assert rare.reason == f"{few}(the system gave no figure in 10 of 12 attempts)"
    made = played(f"sockets < 40 {DURING}", figures=at(35.5, 37.5))
    made.plan = make_plan(
        faults=[slow_fault(remove_ms=41_000)], gates=[f"sockets < 40 {DURING}"], duration_ms=LENGTH_S * 1000
    )
    made.entries = record(made.plan, policy="timeout").entries
    costly = found(f"sockets < 40 {DURING}", made, tmp_path / "costly")
    assert costly.reason == (
        "the phase `azure-slow` has 2 readings of the service's sockets; 3 are needed "
        "(counted every 2.0 s, since one count took more than a tenth of a core)"
    )
    late = played(keep=lambda second: second < 108 or second in (110.5, 115.5))
    finding = found("threads < 40 after azure-slow", late, tmp_path / "late")
    assert finding.reason.endswith("3 are needed (2 attempts in 12.0 s: the machine was too busy for one a second)")


def test_after_a_fault_only_the_end_counts(tmp_path: Path) -> None:
    gate = "threads < 100 after azure-slow"
    slowly = found(gate, played(figures=spike(40, 115, threads=271)), tmp_path / "slowly")
    assert slowly.verdict == "pass"
    assert slowly.reason == (
        "threads were back: 20 at most in the last 5 readings after azure-slow, 18.5 s to 22.5 s of it; "
        "the limit is 100"
    )
    never = found(gate, played(figures=spike(40, 116, threads=271)), tmp_path / "never")
    assert never.verdict == "fail"
    assert never.reason.startswith("threads were not back: 271 at most in the last 5 readings after azure-slow")
    assert (never.n, never.exceeded) == (5, 1)


def test_memory_is_one_thing(tmp_path: Path) -> None:
    finding = found("rss < 70MB after azure-slow", played(), tmp_path)
    assert finding.reason.startswith("rss was not back: 80.0 MB at most")


@pytest.mark.parametrize(
    ("text", "keep", "reason"),
    [
        (f"threads < 100 {DURING}", lambda s: not 35 < s < 95, "no reading of the service in the phase"),
        (f"threads < 100 {DURING}", lambda s: not 37 < s < 95, "has 2 readings of the service's threads; 3 are needed"),
        (f"threads < 100 {DURING}", lambda s: not 50 < s < 56, "for 7.0 s, from 14.5 s of `azure-slow` on"),
        (f"threads < 100 {DURING}", lambda s: not 35 < s < 41, "for 6.5 s, from 0.0 s of `azure-slow` on"),
        (f"threads < 100 {DURING}", lambda s: not 89 < s < 95, "for 6.5 s, from 53.5 s of `azure-slow` on"),
        ("threads < 100 after azure-slow", lambda s: s < 110, "the last 12 s of `after azure-slow` have 2 readings"),
        ("threads < 100 after azure-slow", lambda s: s < 109, "have 1 reading of"),
        (f"threads < 2x baseline {DURING}", lambda s: s > 12, "cannot be computed from the baseline: for 12.5 s"),
    ],
)
def test_of_what_nobody_saw_nothing_is_said(
    text: str, keep: Callable[[float], bool], reason: str, tmp_path: Path
) -> None:
    finding = found(text, played(keep=keep), tmp_path)
    assert finding.verdict == "inconclusive"
    assert reason in finding.reason


def test_a_gap_of_five_seconds_is_borne(tmp_path: Path) -> None:
    made = played(keep=lambda second: not 50 < second < 54)
    assert found(f"threads < 100 {DURING}", made, tmp_path).verdict == "pass"


def test_what_was_seen_above_the_limit_fails_whatever_is_missing(tmp_path: Path) -> None:
    made = played(figures=spike(36, 37, threads=271), keep=lambda second: not 39 < second < 95)
    assert found(f"threads < 100 {DURING}", made, tmp_path).verdict == "fail"


def test_what_is_unknown_at_the_end_of_a_recovery_is_not_a_fail(tmp_path: Path) -> None:
    made = played(figures=spike(40, 200, threads=271), keep=lambda second: second < 111)
    assert found("threads < 100 after azure-slow", made, tmp_path).verdict == "inconclusive"


def test_a_run_cut_short_is_undecided_unless_exceeded(tmp_path: Path) -> None:
    def cut(at_s: float) -> Recording:
        return played(figures=spike(60, 61, threads=271)).stopped(at_s * 1000, "interrupted")

    before = found(f"threads < 100 {DURING}", cut(55), tmp_path / "before")
    assert (before.verdict, before.reason) == ("inconclusive", "the run was interrupted before this phase was over")
    assert found(f"threads < 100 {DURING}", cut(60.2), tmp_path / "just before").verdict == "inconclusive"
    assert found(f"threads < 100 {DURING}", cut(65), tmp_path / "after").verdict == "fail"
    late = played(figures=spike(40, 200, threads=271)).stopped(110_000, "fail_fast")
    back = found("threads < 100 after azure-slow", late, tmp_path / "late")
    assert (back.verdict, back.reason) == ("inconclusive", "another gate had failed before this phase was over")


def test_a_figure_that_the_system_does_not_tell(tmp_path: Path) -> None:
    made = played(figures=lambda _: {"sockets": None})
    finding = found(f"sockets < 100 {DURING}", made, tmp_path)
    assert (finding.verdict, finding.observed) == ("inconclusive", None)
    assert "does not report it" in finding.reason


def test_an_older_run_directory_has_no_sockets_and_is_judged_all_the_same(tmp_path: Path) -> None:
    made = played("threads < 100", "sockets < 100")
    for line in made.resources:
        del line["sockets"]
    results = judged(made, tmp_path)
    assert [gate.verdict for gate in results.gates[:2]] == ["pass", "inconclusive"]
    assert {(each.sockets_max, each.sockets_by_state) for each in results.cost} == {(None, None)}


DAMAGED = (
    json.dumps(reading(47.5, threads=271))[:60],
    json.dumps(reading(47.5, threads="271")),
    json.dumps(reading(47.5, threads=float("inf"))),
    json.dumps(reading(47.5, threads=-1)),
    json.dumps(reading(47.5, threads=True)),
    json.dumps(reading(47.5, sockets={"ESTABLISHED": "many"})),
    json.dumps(reading(47.5, sockets={"<script>": 5})),
    json.dumps(reading(47.5, sockets=[900])),
    json.dumps({"child": "sut", "threads": 271}),
    json.dumps({**reading(47.5, threads=271), "t_ns": None}),
    json.dumps({**reading(47.5, threads=271), "child": None}),
    "[" * 100_000,
    "271",
    "\xff",
    "\0" * 40,
)


@pytest.mark.parametrize("line", DAMAGED, ids=range(len(DAMAGED)))
@pytest.mark.parametrize("place", [50, -1])
def test_a_damaged_line_may_hide_the_most_and_lets_nothing_be_said(line: str, place: int, tmp_path: Path) -> None:
    run_dir = played("threads < 100").write(tmp_path)
    path = run_dir / "resources.ndjson"
    lines = path.read_bytes().split(b"\n")[:-1]
    lines[place] = line.encode("latin-1")
    path.write_bytes(b"\n".join([*lines, b""]))
    results = verdict.judge(Evidence.load(run_dir))
    number = range(1, len(lines) + 1)[place]
    assert (results.verdict, results.reason) == ("rig_failure", f"resources.ndjson:{number}: not a reading")
    assert [gate.verdict for gate in results.gates[:1]] == ["pass"]  # of what can be read


@pytest.mark.parametrize("line", DAMAGED, ids=range(len(DAMAGED)))
def test_a_last_line_that_a_power_cut_has_cut_short_is_no_damage(line: str, tmp_path: Path) -> None:
    run_dir = played("threads < 100").write(tmp_path)
    with (run_dir / "resources.ndjson").open("ab") as file:
        file.write(line.encode("latin-1"))
    assert verdict.judge(Evidence.load(run_dir)).verdict == "pass"


def test_what_other_children_and_older_runs_wrote_is_no_damage(tmp_path: Path) -> None:
    made = played("threads < 100")
    made.resources += [{**reading(45, threads=271), "child": "locust-0", "sockets": None, "rss_bytes": None}]
    for line in made.resources:
        del line["fds"]
    assert judged(made, tmp_path).verdict == "pass"


# ---------------------------------------------------------------- what the rig spoiled


def late(made: Recording, *seconds: int) -> Recording:
    """As if the load generator had sent what it meant to send in these seconds half a second late."""
    second = (made.samples["intended_ns"] - T0_NS) // NS_PER_S
    burst = np.isin(second, seconds)
    for moment in ("sent_ns", "done_ns"):
        made.samples[moment][burst] += NS_PER_S // 2
    return made


@pytest.mark.parametrize(("burst_s", "verdict"), [(50, "rig_failure"), (49, "rig_failure"), (48, "fail"), (51, "fail")])
def test_a_fail_on_a_burst_of_the_load_generators_is_the_rigs(burst_s: int, verdict: str, tmp_path: Path) -> None:
    made = played(f"threads < 100 {DURING}", figures=spike(50, 51, threads=271))
    results = judged(late(made, burst_s), tmp_path)
    assert (results.gates[0].verdict, results.verdict) == ("fail", verdict)
    if verdict == "rig_failure":
        assert f"without those seconds `threads < 100 {DURING}` does not fail" in results.reason


def test_a_fail_that_holds_without_the_burst_is_the_services(tmp_path: Path) -> None:
    made = played(f"threads < 100 {DURING}", figures=spike(50, 60, threads=271))
    assert judged(late(made, 50, 53), tmp_path).verdict == "fail"


def test_a_pass_beside_a_baseline_that_a_burst_raised_is_the_rigs(tmp_path: Path) -> None:
    gate = f"threads < 1.5x baseline {DURING}"

    def figures(second: float) -> dict[str, Any]:
        return spike(10, 11, threads=300)(second) or spike(60, 90, threads=400)(second)

    spoiled = judged(late(played(gate, figures=figures), 9), tmp_path / "spoiled")
    assert (spoiled.gates[0].verdict, spoiled.verdict) == ("pass", "rig_failure")
    assert f"without those seconds `{gate}` fails" in spoiled.reason
    assert judged(late(played(gate, figures=figures), 20), tmp_path / "elsewhere").verdict == "pass"
    assert judged(late(played(gate), 9), tmp_path / "calm").verdict == "pass"


def test_of_several_runs_the_worst_counts(tmp_path: Path) -> None:
    calm, leaky = played(), played(figures=spike(50, 51, threads=271))
    leaky.plan = leaky.plan.model_copy(update={"run_id": "20250102-030405-abce"})
    runs = [Evidence.load(made.write(tmp_path / name)) for name, made in (("calm", calm), ("leaky", leaky))]
    finding = parse_gate(f"threads < 100 {DURING}").judge(Pool.of(*runs), alpha_fail=0.05)
    assert (finding.verdict, finding.observed, finding.n, finding.exceeded) == ("fail", 271, 120, 1)
    results = verdict.judge(Pool.of(*runs))
    during = next(each for each in results.cost if each.phase == "azure-slow")
    assert (during.readings, during.threads_max) == (120, 271)
    assert during.cpu_s_per_s == pytest.approx(0.4)
    assert during.cpu_ms_per_request == pytest.approx(10, rel=0.1)


# ---------------------------------------------------------------- results and words


def test_what_each_phase_cost(tmp_path: Path) -> None:
    held = {"threads": 271, "rss_bytes": 240_000_000, "sockets": {"ESTABLISHED": 400, "CLOSE_WAIT": 9, "LISTEN": 2}}
    results = judged(played(figures=spike(80, 110, **held)), tmp_path)
    assert [each.phase for each in results.cost] == ["baseline", "azure-slow", "after azure-slow", "whole"]
    baseline, during, after, whole = results.cost
    assert (baseline.threads_max, baseline.sockets_max, baseline.fds_max) == (20, 32, 40)
    assert (during.threads_max, during.threads_end, during.rss_max_bytes) == (271, 271, 240_000_000)
    assert during.sockets_by_state == {"ESTABLISHED": 400, "CLOSE_WAIT": 9, "LISTEN": 2}
    assert (after.threads_max, after.threads_end, after.sockets_max, after.sockets_end) == (271, 20, 409, 32)
    assert whole.cpu_s_per_s == pytest.approx(0.4)
    assert whole.cpu_ms_per_request == pytest.approx(10, rel=0.05)


def test_a_worker_that_leaves_with_its_processor_time_gives_none_back(tmp_path: Path) -> None:
    results = judged(played(figures=lambda second: {"cpu_s": second % 30 + 100}), tmp_path)
    whole = next(each for each in results.cost if each.phase == "whole")
    assert whole.cpu_s_per_s == pytest.approx(1.0, rel=0.05)


def test_a_failed_gate_is_told_with_what_was_held(tmp_path: Path) -> None:
    held = {"threads": 271, "sockets": {"CLOSE_WAIT": 250, "ESTABLISHED": 30, "LISTEN": 1}}
    results = judged(played(f"threads < 100 {DURING}", figures=spike(60, 95, **held)), tmp_path)
    assert results.verdict == "fail"
    assert results.reason == (
        "During azure-slow (azure: latency 60s), `threads < 100 during azure-slow` did not hold, "
        "threads reached 271 at 25.5 s of azure-slow; the limit is 100."
    )
    assert (
        "The service held at most 80.0 MB, 271 threads and 280 sockets (250 CLOSE_WAIT, 30 ESTABLISHED); "
        "in the baseline 80.0 MB, 20 threads and 32 sockets."
    ) in results.why
    assert "threads that never return" in results.next


@pytest.mark.parametrize(
    ("states", "told", "not_told"),
    [
        ({"CLOSE_WAIT": 140, "ESTABLISHED": 4}, "140 CLOSE_WAIT: the other side closed them", "ESTABLISHED"),
        ({"ESTABLISHED": 42, "LISTEN": 1}, "2 x rate x deadline", "CLOSE_WAIT"),
        ({"SYN_SENT": 90, "ESTABLISHED": 5}, "90 SYN_SENT", "ESTABLISHED"),
        ({"CLOSE_WAIT": 60, "ESTABLISHED": 50}, "50 ESTABLISHED", "SYN_SENT"),
        ({"CLOSE": 90, "ESTABLISHED": 5}, "90 CLOSE: connections that were reset", "ESTABLISHED"),
        ({"FIN_WAIT1": 99}, "in which state", "CLOSE_WAIT"),
    ],
)
def test_sockets_are_advised_on_by_the_states_that_were_seen(
    states: dict[str, int], told: str, not_told: str, tmp_path: Path
) -> None:
    for phase, at_s in ((DURING, 60), ("after azure-slow", 116)):
        made = played(f"sockets < 40 {phase}", figures=spike(at_s, at_s + 1, sockets=states))
        results = judged(made, tmp_path / str(at_s))
        assert told in results.next
        assert not_told not in results.next
        first = max((state for state in states if state != "LISTEN"), key=lambda state: states[state])
        assert f"({states[first]} {first}" in results.reason


def test_an_undecided_gate_is_not_told_to_pool_runs(tmp_path: Path) -> None:
    made = played("sockets < 2x baseline after azure-slow", keep=lambda second: not 1 < second < 30)
    results = judged(made, tmp_path)
    assert results.verdict == "inconclusive"
    assert results.next.startswith("Let the phase `baseline` last longer")
    assert "runs: 3" not in results.next


def test_where_nobody_can_look_no_longer_phase_is_advised(tmp_path: Path) -> None:
    made = played("threads < 2x baseline")
    service = made.plan.service.model_copy(update={"kind": "url"})
    made.plan = made.plan.model_copy(update={"service": service})
    results = judged(made, tmp_path)
    assert "its resources were not measured" in results.reason
    assert "last longer" not in results.next


def test_a_run_without_readings_has_no_cost(tmp_path: Path) -> None:
    assert judged(played(keep=lambda _: False), tmp_path).cost == ()


def test_judged_again_the_bytes_are_the_same(tmp_path: Path) -> None:
    run_dir = played("threads < 100", "rss < 1.5x baseline").write(tmp_path)
    verdict.write(run_dir)
    first = (run_dir / "results.json").read_bytes()
    verdict.write(run_dir)
    assert (run_dir / "results.json").read_bytes() == first
    assert Results.model_validate_json(first).cost
