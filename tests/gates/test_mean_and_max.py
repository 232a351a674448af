"""`mean`, `max` and `p99(ttfb)`, put to made-up runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.run.early_stop import FailFast
from harness.rundir.finding_kind import FindingKind
from harness.rundir.rows import Outcome
from harness.stack.processes.gateway import render
from harness.units import NS_PER_MS
from tests.gates.judged import found
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.scenario.world import GOOD, changed, load, only_problem, plan_of


def steady(*gates: str, ms: float = 100.0, spread_ms: float = 10.0, duration_ms: float = 60_000) -> Recording:
    """Every request takes `ms` from its intended time, give or take `spread_ms`; its first byte comes at half of it."""
    made = record(make_plan(gates=gates or ("mean < 1s",), duration_ms=duration_ms))
    took_ms = ms + spread_ms * np.sin(np.arange(len(made.samples)))
    intended = made.samples["intended_ns"]
    made.samples["sent_ns"] = intended
    made.samples["done_ns"] = intended + (took_ms * NS_PER_MS).astype(np.int64)
    made.samples["first_ns"] = intended + (took_ms * NS_PER_MS / 2).astype(np.int64)
    return made


def fail(made: Recording, every: int) -> Recording:
    chosen = made.samples["seq"] % every == 0
    made.samples["outcome"][chosen], made.samples["first_ns"][chosen] = Outcome.HTTP_ERROR, 0
    return made


# ---------------------------------------------------------------- mean


@pytest.mark.parametrize(
    ("limit", "verdict", "kind"),
    [
        ("110ms", "pass", FindingKind.HELD),
        ("90ms", "fail", FindingKind.EXCEEDED),
        ("100ms", "inconclusive", FindingKind.TOO_CLOSE),
    ],
)
def test_a_mean_is_decided_by_its_bounds(limit: str, verdict: str, kind: FindingKind, tmp_path: Path) -> None:
    finding = found(f"mean < {limit}", steady(), tmp_path)
    assert (finding.verdict, finding.kind, finding.unit) == (verdict, kind, "ms")
    assert finding.observed == pytest.approx(100.0, abs=0.5)
    assert (finding.low or 0) < (finding.observed or 0) < (finding.high or 0)
    assert f"and it must be below {limit.removesuffix('ms')} ms" in finding.reason


def test_a_mean_needs_independent_moments(tmp_path: Path) -> None:
    finding = found("mean < 1s", steady(duration_ms=29_000), tmp_path)
    assert (finding.verdict, finding.kind) == ("inconclusive", FindingKind.TOO_FEW)
    assert finding.reason.startswith("the phase lasts 29.0 s, and 30s are needed to be sure: ")


def test_a_mean_says_what_it_leaves_out_and_is_silent_above_one_in_a_hundred(tmp_path: Path) -> None:
    few = found("mean < 1s", fail(steady(), 200), tmp_path / "few")
    assert few.verdict == "pass"
    assert "failed and are left out" in few.reason
    many = found("mean < 50ms", fail(steady(), 50), tmp_path / "many")
    assert (many.verdict, many.kind) == ("inconclusive", FindingKind.LEFT_OUT)


def test_a_mean_is_compared_with_the_baseline_and_with_main(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=["mean < 1.1x baseline during azure-slow"]))
    slower = found("mean < 1.1x baseline during azure-slow", made, tmp_path / "slow")
    assert slower.verdict == "inconclusive"  # every request timed out
    main, head = tmp_path / "main", steady("mean < 1.2x main", ms=130)
    verdict.write(steady("mean < 1s").write(main))
    folder = head.write(tmp_path / "head")
    (folder / "main.json").write_bytes((main / "baseline.json").read_bytes())
    gate, _alive = verdict.judge(Evidence.load(folder)).gates
    assert gate.verdict == "fail", gate.reason
    assert gate.limit == pytest.approx(120, abs=1)


def test_the_mean_of_an_upstream_is_that_of_its_calls(tmp_path: Path) -> None:
    made = record(make_plan(gates=["mean of gcp < 1s"], duration_ms=60_000))
    finding = found("mean of gcp < 1s", made, tmp_path)
    measured = made.samples["seq"][made.samples["intended_ns"] >= T0_NS]
    own = made.calls[(made.calls["upstream"] == 1) & np.isin(made.calls["seq"], measured)]
    assert finding.verdict == "pass"
    assert finding.observed == pytest.approx(float((own["done_ns"] - own["arrived_ns"]).mean()) / 1e6, rel=1e-4)


# ---------------------------------------------------------------- max


def test_the_first_that_reaches_the_limit_is_a_fail(tmp_path: Path) -> None:
    made = steady()
    made.samples["done_ns"][1_000] = made.samples["intended_ns"][1_000] + 3_000 * NS_PER_MS
    finding = found("max < 3s", made, tmp_path / "at")
    assert (finding.verdict, finding.exceeded, finding.observed) == ("fail", 1, 3_000.0)
    assert "the slowest of" in finding.reason
    assert found("max < 3001ms", made, tmp_path / "below").verdict == "pass"


def test_a_failed_request_has_no_latency_but_is_told(tmp_path: Path) -> None:
    finding = found("max < 1s", fail(steady(), 10), tmp_path)
    assert finding.verdict == "pass"
    assert "(9.98 %) failed and are left out" in finding.reason


def test_nothing_that_ended_ok_decides_nothing(tmp_path: Path) -> None:
    finding = found("max < 1s", fail(steady(), 1), tmp_path)
    assert (finding.verdict, finding.kind) == ("inconclusive", FindingKind.NO_ARRIVALS)


def test_a_maximum_stops_a_run_and_a_stopped_run_cannot_pass(tmp_path: Path) -> None:
    made = steady("max < 1s")
    assert FailFast(made.plan).reason(made.samples[:800], T0_NS) is None
    made.samples["done_ns"][700] += 2_000 * NS_PER_MS
    assert "can no longer pass" in (FailFast(made.plan).reason(made.samples[:800], T0_NS) or "")
    stopped = found("max < 1s", steady().stopped(20_000, "interrupted"), tmp_path)
    assert (stopped.verdict, stopped.kind) == ("inconclusive", FindingKind.STOPPED)


# ---------------------------------------------------------------- p99(ttfb)


def test_the_first_byte_is_judged_in_place_of_the_last(tmp_path: Path) -> None:
    made = steady(ms=900)
    assert found("p99 < 600ms", made, tmp_path / "last").verdict == "fail"
    finding = found("p99(ttfb) < 600ms", made, tmp_path / "first")
    assert finding.verdict == "pass"
    assert finding.observed == pytest.approx(455, abs=1)
    late = found("p99(ttfb) < 400ms", made, tmp_path / "late")
    assert "or longer to the first byte or failed" in late.reason


def test_an_error_has_no_first_byte_in_time(tmp_path: Path) -> None:
    assert found("p99(ttfb) < 2s", fail(steady(), 20), tmp_path).verdict == "fail"


def test_first_bytes_that_were_not_recorded_are_not_early(tmp_path: Path) -> None:
    made = steady()
    made.samples["first_ns"][:] = 0
    finding = found("p99(ttfb) < 2s", made, tmp_path)
    assert (finding.verdict, finding.kind) == ("inconclusive", FindingKind.NOT_RECORDED)


def test_the_gateway_passes_the_first_byte_on_at_once_only_for_such_a_gate(tmp_path: Path) -> None:
    plain = plan_of(load(tmp_path, GOOD))
    timed = plan_of(load(tmp_path, GOOD + "  - p99(ttfb) < 1s during azure-latency\n"))
    assert (plain.gateway.buffers, timed.gateway.buffers) == (True, False)
    texts = [render(plan, "http://127.0.0.1:1", tmp_path) for plan in (plain, timed)]
    assert ["proxy_buffering on;" in text for text in texts] == [True, False]
    assert "proxy_buffering off;" in texts[1]


def test_with_a_locustfile_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text("from locust import FastHttpUser, task\n")
    text = changed(("request: GET /v1/offers", "locustfile: users.py")) + "  - p99(ttfb) < 1s during azure-latency\n"
    problem = only_problem(tmp_path, text)
    assert "with a locustfile it is not recorded" in problem.message
    assert "write `p99 < 1s during azure-latency`" in problem.fix
