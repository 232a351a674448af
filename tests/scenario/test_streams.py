"""Requests with a rate of their own: what is refused, what the plan has of them, and what `validate` shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import main
from harness.rundir.phases import planned_phases
from harness.scenario.planning.arrivals import expected_arrivals
from harness.scenario.preview import preview
from scenarios.load import active_intervals
from tests.scenario.world import GOOD, changed, load, only_problem, plan_of, problems, write

LOAD = "request: GET /v1/offers\n  rate: 40/s"
READS = "{name: reads, request: GET /v1/offers, rate: 40/s}"
STORM = (
    "{name: sign-in, request: GET /v1/offers?backend=gcp, asks: [gcp], "
    "stages: [{rate: 0/s, for: 60s}, {rate: 30/s, for: 60s}]}"
)
TWO = changed((LOAD, f"requests:\n    - {READS}\n    - {STORM}"))
MIXED = changed(
    (LOAD, f"rate: 20/s\n  requests:\n    - GET /a\n    - {{name: b, request: GET /b, weight: 3}}\n    - {STORM}")
)
LAST = "errors < 1% during azure-latency"


def test_each_request_has_its_schedule_and_the_load_needs_no_rate(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, TWO))
    assert (plan.load.model, plan.load.schedule) == ("open", None)
    reads, storm = (request.schedule for request in plan.load.requests)
    assert reads is not None and storm is not None
    assert [(s.start_per_s, s.end_per_s, s.duration_ms) for s in reads.stages] == [(40, 40, 155_000)]
    assert [(s.start_per_s, s.duration_ms) for s in storm.stages] == [(0, 10_000), (0, 60_000), (30, 60_000)]
    assert plan.load.duration_ms == 145_000, "what the fault needs is longer than the stages"
    assert plan.load.max_in_flight == 875  # (40/s + 30/s) × 10 s × 1.25


def test_one_request_may_have_the_rate_itself(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, changed((LOAD, "request: {request: GET /v1/offers, rate: 40/s}"))))
    assert [stream.name for stream in plan.load.streams] == ["GET /v1/offers"]
    assert plan.load.max_in_flight == 500


def test_requests_without_a_rate_share_that_of_the_load_by_their_weights(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, MIXED))
    assert [(s.name, s.requests, s.weights) for s in plan.load.streams] == [
        ("", (0, 1), (1, 3)),
        ("sign-in", (2,), (1,)),
    ]
    phases = {phase.name: phase for phase in planned_phases(plan)}
    found = {name: expected_arrivals(plan.load, phases["azure-latency"], [name]) for name in ("GET /a", "b", "sign-in")}
    assert found == {"GET /a": 425, "b": 1275, "sign-in": 1800}
    assert expected_arrivals(plan.load, phases["azure-latency"]) == 3500


def test_stages_of_every_request_say_how_long_the_load_lasts(tmp_path: Path) -> None:
    stages = "stages: [{rate: 40/s, for: 100s}, {rate: 20/s, for: 60s}]"
    text = changed(
        (LOAD, f"requests: [{{request: GET /a, {stages}}}, {{request: GET /b, stages: [{{rate: 1/s, for: 90s}}]}}]")
    )
    assert plan_of(load(tmp_path, text)).load.duration_ms == 160_000


def test_the_longest_stages_prolong_a_load_that_follows_from_its_faults(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, TWO.replace("rate: 30/s, for: 60s", "rate: 30/s, for: 200s")))
    assert plan.load.duration_ms == 260_000


@pytest.mark.parametrize(
    ("changes", "path", "message", "fix"),
    [
        (
            ("  requests:\n    - {name: reads", "  rate: 5/s\n  requests:\n    - {name: reads"),
            "load.rate",
            "each request has a rate of its own, so no request is left for `rate`",
            "remove `rate`, or `rate` and `stages` of a request",
        ),
        (
            ("  requests:\n    - {name: reads", "  users: 5\n  requests:\n    - {name: reads"),
            "load.users",
            "users wait for their answers, so `reads` cannot have a rate of its own beside them",
            "write `rate` or `stages` in place of `users`, or `weight` for the request",
        ),
        (
            ("GET /v1/offers, rate: 40/s", "GET /v1/offers"),
            "load",
            "one of `rate`, `users`, `stages` or `replay` is missing",
            "add rate: …",
        ),
        (
            ("GET /v1/offers, rate: 40/s", "GET /v1/offers, rate: 40/s, weight: 2"),
            "load.requests[0].weight",
            "`weight` and `rate` exclude each other",
            "keep one of them",
        ),
        (
            ("rate: 40/s", "rate: 0/s"),
            "load.requests[0].rate",
            "a rate of 0/s sends nothing",
            "write at least 1/s",
        ),
        (
            ("{rate: 30/s, for: 60s}", "{rate: 0/s, for: 60s}"),
            "load.requests[1].stages",
            "every stage has a rate of 0/s, which sends nothing",
            "give one a rate",
        ),
        (
            ("{rate: 30/s, for: 60s}]}", "{rate: 30/s, for: 100s}]}\n  duration: 150s"),
            "load.requests[1].stages",
            "the stages of `sign-in` last 160s, and the load ends after 150s",
            "shorten them, or let the load last 160s",
        ),
        (
            (LAST, "p99 for sign-in < 1s during baseline"),
            "gates[1]",
            "`p99 for sign-in < 1s during baseline` sees about 0 arrivals in `baseline`, and a PASS needs 299",
            "raise the rate of `sign-in` to 5/s there, or make the window longer",
        ),
        (
            (LAST, "p99.9 for sign-in < 1s"),
            "gates[1]",
            "the window `whole` of `p99.9 for sign-in < 1s` is 145s long, and what it counts arrives for 60s of it; "
            "a PASS needs 5m, 2995 clumps of 100ms",
            "let its requests arrive for 501s, or `verdict: {clump: 11ms}` where slow spells are that short",
        ),
        (
            (LAST, "throughput for reads > 40/s during azure-latency"),
            "gates[1]",
            "the plan sends 40/s of `reads` in `azure-latency`, so no more than that can end ok",
            "write a lower limit, or raise the rate",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    changes: tuple[str, str], path: str, message: str, fix: str, tmp_path: Path
) -> None:
    problem = only_problem(tmp_path, changed(changes, text=TWO))
    assert (problem.path, problem.message, problem.fix) == (path, message, fix)


def test_a_load_may_last_longer_than_the_stages_of_a_request(tmp_path: Path) -> None:
    text = TWO.replace("  requests:\n    - {name: reads", "  duration: 150s\n  requests:\n    - {name: reads")
    assert plan_of(load(tmp_path, text)).load.duration_ms == 150_000


def test_a_gate_knows_the_rate_of_what_it_counts(tmp_path: Path) -> None:
    for gate in ("throughput for reads > 39/s", "throughput > 40/s", "throughput for sign-in > 10/s"):
        assert problems(tmp_path, TWO.replace(LAST, gate)) == (), gate


def test_the_baseline_is_long_enough_for_the_slow_stream_that_a_gate_counts(tmp_path: Path) -> None:
    slow = f"requests: [{READS}, {{name: slow, request: GET /s, rate: 2/s}}]"
    text = changed((LOAD, slow), (LAST, "p99 for slow < 1s during baseline"))
    assert plan_of(load(tmp_path, text)).load.duration_ms == 150_000 + 5_000 + 90_000 + 20_000  # 299 at 2/s


def test_a_recording_may_go_beside_a_rate(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("\n".join(str(number / 40) for number in range(40 * 170)))
    steady = "{name: steady, request: GET /s, rate: 5/s}"
    plan = plan_of(load(tmp_path, changed((LOAD, f"replay: r.txt\n  requests: [GET /v1/offers, {steady}]"))))
    assert [stream.name for stream in plan.load.streams] == ["", "steady"]
    schedule = plan.load.requests[1].schedule
    assert schedule is not None and schedule.stages[0].duration_ms == plan.load.duration_ms + 10_000
    assert active_intervals(plan.load, ["steady"]) is None


def test_a_rate_of_a_request_can_be_set_and_varied(tmp_path: Path) -> None:
    assert plan_of(load(tmp_path, TWO, "load.requests[0].rate=8/s")).load.max_in_flight == 475
    text = f"{TWO}matrix: {{vary: {{'load.requests[1].stages[1].rate': [10/s, 30/s]}}}}\n"
    cells = load(tmp_path, text).cells
    peaks = [plan_of(cell.loaded).load.streams[1].schedule.stages[-1].end_per_s for cell in cells]
    assert ([cell.name for cell in cells], peaks) == (["10/s", "30/s"], [10, 30])


def test_a_plain_line_has_no_rate_to_set(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, GOOD, "load.request.rate=8/s")
    assert "load.request" in problem.message


def test_a_ramp_of_a_request_from_nothing_is_warned_of(tmp_path: Path) -> None:
    text = TWO.replace("{rate: 0/s, for: 60s}", "{rate: 9/s, for: 60s, shape: ramp}")
    found = [(warning.path, warning.message) for warning in load(tmp_path, text).warnings]
    assert (
        "load.requests[1].stages[0]",
        "the first stage ramps up from 0/s, so the warm-up sends nothing of this request",
    ) in found


def test_the_preview_has_the_arrivals_of_each_stream(tmp_path: Path) -> None:
    (cell,) = preview(load(tmp_path, TWO))
    assert [(s.name, s.lowest_per_s, s.highest_per_s, s.ends_ms) for s in cell.streams] == [
        ("reads", 40, 40, None),
        ("sign-in", 0, 30, 120_000),
    ]
    during = next(phase for phase in cell.phases if phase.name == "azure-latency")
    assert (during.arrivals, during.by_stream) == (5200, (3400, 1800))
    (plain,) = preview(load(tmp_path, GOOD))
    assert (plain.streams, {phase.by_stream for phase in plain.phases}) == ((), {()})


def test_validate_shows_the_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["validate", str(write(tmp_path, MIXED))])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "azure-latency              85.0 s    3,500 arrivals: (others) 1,700, sign-in 1,800" in shown
    assert "    stream (others): 20/s\n    stream sign-in: 0/s to 30/s, nothing after 2m 00s\n" in shown


def test_when_requests_can_arrive(tmp_path: Path) -> None:
    planned = plan_of(load(tmp_path, TWO)).load
    assert active_intervals(planned, ["sign-in"]) == ((60_000, 120_000),)
    assert (active_intervals(planned, ["reads"]), active_intervals(planned)) == (None, None)
    gaps = "[{rate: 40/s, for: 60s}, {rate: 0/s, for: 10s}, {rate: 0/s, for: 5s}, {rate: 90/s, for: 95s, shape: ramp}]"
    alone = plan_of(load(tmp_path, changed((LOAD, f"request: GET /v1/offers\n  stages: {gaps}")))).load
    assert active_intervals(alone) == ((-10_000, 60_000), (75_000, 170_000))
