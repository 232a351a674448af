"""Whether the service met a fault: its calls while a window stood, never those before or after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from harness import verdict
from harness.rundir.canaries import Connections, Refused
from harness.rundir.judged.fault_results import FaultResult
from harness.rundir.planned.fault import PlannedFault, PlannedToxic
from harness.rundir.results import Results
from tests.rundir.recording import T0_NS, Recording, down_fault, make_plan, record, slow_fault

MS = 1_000_000
GATES = ["p99 < 3s during azure-slow"]


def made_up(fault: PlannedFault, gates: list[str] | None = None) -> Recording:
    during = f"p99 < 3s during {fault.name}"
    return record(make_plan(faults=[fault], gates=gates or [during]), policy="timeout")


def keep_calls_of_azure(made: Recording, kept: Callable[[Any], Any]) -> Recording:
    """`kept` is asked of the calls' times in ms from t = 0."""
    t_ms = (made.calls["arrived_ns"] - T0_NS) / MS
    made.calls = made.calls[(made.calls["upstream"] != 0) | kept(t_ms)]
    return made


def judged(made: Recording, tmp_path: Path) -> tuple[Results, FaultResult]:
    results = verdict.write(made.write(tmp_path / "run"))
    (fault,) = results.faults
    return results, fault


def test_a_fault_that_a_cache_hid_is_a_rig_failure_that_says_when_the_service_last_asked(tmp_path: Path) -> None:
    made = keep_calls_of_azure(made_up(slow_fault()), lambda t_ms: (t_ms > 10_000) & (t_ms < 26_000))
    results, fault = judged(made, tmp_path)
    assert (results.verdict, results.exit_code) == ("rig_failure", 4)
    assert "the service never met `azure-slow` (latency 60s): azure was never asked in the 62.0 s" in results.reason
    assert "the last call 9.0" in results.reason
    assert f"{fault.proof.calls_in_baseline} calls in the baseline" in results.reason
    assert fault.proof.calls_in_baseline > 500
    for way_out in ("a longer `for`", "a cold cache", "`met: optional`"):
        assert way_out in results.next
    assert (fault.observed, fault.met, fault.landed) == (True, False, False)


@pytest.mark.parametrize("when_ms", [34_999.0, 97_001.0], ids=["just before it", "just after it"])
def test_a_call_outside_every_window_meets_nothing(tmp_path: Path, when_ms: float) -> None:
    made = keep_calls_of_azure(made_up(slow_fault()), lambda t_ms: t_ms < 0)
    made.calls = move_one_call(made, when_ms)
    assert judged(made, tmp_path)[0].verdict == "rig_failure"


@pytest.mark.parametrize("when_ms", [35_000.0, 96_999.0], ids=["as it comes", "as it goes"])
def test_one_call_is_enough(tmp_path: Path, when_ms: float) -> None:
    made = keep_calls_of_azure(made_up(slow_fault()), lambda t_ms: t_ms < 0)
    made.calls = move_one_call(made, when_ms)
    results, fault = judged(made, tmp_path)
    assert results.verdict == "pass"
    assert fault.landed
    assert fault.proof.calls_during == 1


def move_one_call(made: Recording, when_ms: float) -> Any:
    calls = made.calls
    first = int((calls["upstream"] == 0).argmax())
    calls["arrived_ns"][first] = T0_NS + round(when_ms * MS)
    return calls


def test_one_of_several_windows_is_enough(tmp_path: Path) -> None:
    (window,) = slow_fault().windows
    halves = tuple(
        window.model_copy(update={"apply_ms": start, "remove_ms": start + 28_000}) for start in (35_000.0, 68_000.0)
    )
    fault = slow_fault().model_copy(update={"windows": halves})
    made = keep_calls_of_azure(made_up(fault), lambda t_ms: (t_ms < 30_000) | (t_ms > 80_000))
    assert judged(made, tmp_path)[0].verdict == "pass"


def test_each_upstream_of_a_fault_must_be_asked(tmp_path: Path) -> None:
    fault = slow_fault("half-slow").model_copy(update={"upstreams": ("azure", "gcp")})
    made = keep_calls_of_azure(made_up(fault), lambda t_ms: t_ms < 30_000)
    results = verdict.write(made.write(tmp_path / "run"))
    assert results.verdict == "rig_failure"
    assert {fault.upstream: fault.met for fault in results.faults} == {"azure": False, "gcp": True}
    assert "azure was never asked" in results.reason
    assert "gcp" not in results.reason


def test_what_need_not_be_met_passes_and_every_output_says_so(tmp_path: Path) -> None:
    fault = slow_fault().model_copy(update={"met": "optional"})
    made = keep_calls_of_azure(made_up(fault), lambda t_ms: t_ms < 26_000)
    results, found = judged(made, tmp_path)
    assert (results.verdict, results.exit_code) == ("pass", 0)
    assert (found.observed, found.met, found.landed, found.must_be_met) == (True, False, False, False)
    assert "azure was never asked while it was broken" in results.reason
    assert results.notes == ("azure was never asked while it was broken (azure-slow)",)
    assert "Keep it in CI" not in results.next
    faults = next(check for check in results.validity if check.check == "faults")
    assert faults.ok
    assert "azure was never asked while it was broken" in faults.detail


def test_a_fault_that_need_not_be_met_must_still_be_seen_by_canaries(tmp_path: Path) -> None:
    fault = slow_fault().model_copy(update={"met": "optional"})
    made = record(make_plan(faults=[fault], gates=GATES), policy="timeout", fault_works=False)
    assert judged(made, tmp_path)[0].verdict == "rig_failure"


def test_a_service_that_never_uses_the_proxy_hides_nothing(tmp_path: Path) -> None:
    """`met: optional` is for a cache, which was filled through the proxy; this one may go around it."""
    fault = slow_fault().model_copy(update={"met": "optional"})
    results, _ = judged(keep_calls_of_azure(made_up(fault), lambda t_ms: t_ms < -1e9), tmp_path)
    assert results.verdict == "rig_failure"
    assert "the service never used the proxy's address" in results.reason


def test_a_fail_under_a_fault_that_need_not_be_met_says_that_it_was_not(tmp_path: Path) -> None:
    fault = slow_fault().model_copy(update={"met": "optional"})
    made = keep_calls_of_azure(made_up(fault), lambda t_ms: t_ms < 26_000).outage(40_000, 90_000)
    results, _ = judged(made, tmp_path)
    assert results.verdict == "fail"
    assert "But azure was never asked while it was broken" in results.why


# ---------------------------------------------------------------- where calls cannot be seen


def test_a_refused_connection_is_a_meeting(tmp_path: Path) -> None:
    results, fault = judged(made_up(down_fault()), tmp_path)
    assert results.verdict == "pass"
    assert (fault.proof.calls_during, fault.proof.windows_refused) == (0, 1)


@pytest.mark.parametrize("when_ms", [34_000.0, 96_000.0])
def test_one_that_was_refused_outside_the_window_is_none(tmp_path: Path, when_ms: float) -> None:
    made = made_up(down_fault())
    made.canaries = [line for line in made.canaries if not isinstance(line, Refused)]
    made.canaries.append(Refused(upstream="azure", t_ns=T0_NS + round(when_ms * MS)))
    results, fault = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    assert "azure was never asked in the 60.0 s that it was active" in results.reason
    assert fault.proof.windows_refused == 0


def test_a_listener_that_could_not_be_watched_is_unknown(tmp_path: Path) -> None:
    made = made_up(down_fault())
    made.canaries = [
        line.model_copy(update={"unseen": "127.0.0.1:20000: Address already in use"})
        if isinstance(line, Refused)
        else line
        for line in made.canaries
    ]
    results, _ = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    assert "it is unknown whether the service tried to reach azure" in results.reason
    assert "Address already in use" in results.reason


def test_a_run_recorded_before_refusals_were_is_unknown(tmp_path: Path) -> None:
    made = made_up(down_fault())
    made.canaries = [
        line.model_copy(update={"since_ns": None}) if isinstance(line, Connections) else line
        for line in made.canaries
        if not isinstance(line, Refused)
    ]
    results, _ = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    assert "an older tailgate recorded this run" in results.reason
    assert "Run it again" in results.next


UPSTREAM_TOXIC = PlannedToxic(type="latency", stream="upstream", attributes={"latency": 60_000})


@pytest.mark.parametrize(
    ("since_ms", "t_ms", "new", "expected"),
    [
        (35_100.0, 36_100.0, 1, "pass"),
        (34_900.0, 35_900.0, 1, "rig_failure"),
        (35_100.0, 36_100.0, 0, "rig_failure"),
        (96_900.0, 97_100.0, 1, "rig_failure"),
    ],
    ids=["new", "perhaps from before", "standing since before", "perhaps from after"],
)
def test_a_toxic_on_the_requests_is_met_by_a_new_connection(
    tmp_path: Path, since_ms: float, t_ms: float, new: int, expected: Literal["pass", "rig_failure"]
) -> None:
    fault = slow_fault().model_copy(update={"toxics": (UPSTREAM_TOXIC,)})
    made = keep_calls_of_azure(made_up(fault), lambda t_ms: t_ms < 30_000)
    made.canaries.append(
        Connections(
            upstream="azure",
            t_ns=T0_NS + round(t_ms * MS),
            count=4,
            since_ns=T0_NS + round(since_ms * MS),
            new=new,
        )
    )
    results, found = judged(made, tmp_path)
    assert results.verdict == expected
    assert found.proof.connections_during == (1 if expected == "pass" else 0)


def test_a_new_connection_without_a_call_is_no_meeting_where_calls_can_be_seen(tmp_path: Path) -> None:
    made = keep_calls_of_azure(made_up(slow_fault()), lambda t_ms: t_ms < 30_000)
    made.canaries.append(
        Connections(upstream="azure", t_ns=T0_NS + 41_000 * MS, count=4, since_ns=T0_NS + 40_000 * MS, new=3)
    )
    results, fault = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    assert fault.proof.connections_during is None


# ---------------------------------------------------------------- calls that nobody records


def unrecorded(made: Recording, *names: str) -> Recording:
    """As if these upstreams were no fakes: what answers there keeps no records."""
    upstreams = [
        u.model_copy(update={"kind": "mail", "fake": None}) if u.name in names else u for u in made.plan.upstreams
    ]
    made.plan = made.plan.model_copy(update={"upstreams": tuple(upstreams)})
    indexes = [made.plan.upstream(name).index for name in names]
    made.calls = made.calls[~np.isin(made.calls["upstream"], indexes)]
    return made


@pytest.mark.parametrize(("new", "expected"), [(1, "pass"), (0, "rig_failure")])
def test_where_calls_are_not_recorded_new_connections_are_the_meeting(
    tmp_path: Path, new: int, expected: Literal["pass", "rig_failure"]
) -> None:
    made = unrecorded(made_up(slow_fault()), "azure")
    made.canaries.append(
        Connections(upstream="azure", t_ns=T0_NS + 41_000 * MS, count=4, since_ns=T0_NS + 40_000 * MS, new=new)
    )
    results, fault = judged(made, tmp_path)
    assert results.verdict == expected
    assert fault.proof.connections_during == new
    assert results.never_asked == ()


def test_a_pool_that_opens_no_new_connection_is_not_taken_for_a_service_that_goes_around(tmp_path: Path) -> None:
    made = unrecorded(made_up(slow_fault()), "azure")
    made.canaries.append(
        Connections(upstream="azure", t_ns=T0_NS + 41_000 * MS, count=40, since_ns=T0_NS + 40_000 * MS, new=0)
    )
    results, _ = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    said = "it held 40 connections to azure while it was active, opened no new one"
    assert any(said in check.detail for check in results.validity), results.validity


@pytest.mark.parametrize(("sent", "expected"), [(120, "pass"), (0, "rig_failure"), (None, "rig_failure")])
def test_what_the_service_sends_over_a_pool_that_stands_is_a_meeting(
    tmp_path: Path, sent: int | None, expected: str
) -> None:
    made = unrecorded(made_up(slow_fault()), "azure")
    made.canaries.append(
        Connections(
            upstream="azure",
            t_ns=T0_NS + 41_000 * MS,
            count=4,
            since_ns=T0_NS + 40_000 * MS,
            new=0,
            received_bytes=sent,
        )
    )
    results, fault = judged(made, tmp_path)
    assert results.verdict == expected
    assert fault.proof.received_bytes_during == sent


def test_an_upstream_without_records_and_without_a_fault_is_not_said_to_be_unasked(tmp_path: Path) -> None:
    results, _ = judged(unrecorded(made_up(slow_fault()), "aws"), tmp_path)
    assert results.verdict == "pass"
    assert results.never_asked == ()


@pytest.mark.parametrize("gate", ["calls to azure < 2", "calls < 9", "calls to azure < 0.5"])
def test_calls_that_are_not_recorded_pass_no_gate_on_calls(tmp_path: Path, gate: str) -> None:
    made = unrecorded(made_up(slow_fault(), [gate]), "azure")
    found = judged(made, tmp_path)[0].gates[0]
    assert (found.verdict, found.kind) == ("inconclusive", "not_recorded")
    assert found.reason == "the calls to azure are not recorded"


def test_calls_that_are_not_recorded_leave_gates_on_others_alone(tmp_path: Path) -> None:
    found = judged(unrecorded(made_up(slow_fault(), ["calls to gcp < 2"]), "azure"), tmp_path)[0].gates[0]
    assert found.kind != "not_recorded"


# ---------------------------------------------------------------- what else is told


def test_an_upstream_that_nobody_ever_asked_is_named(tmp_path: Path) -> None:
    made = made_up(slow_fault())
    made.calls = made.calls[made.calls["upstream"] != 2]
    results, _ = judged(made, tmp_path)
    assert results.verdict == "pass"
    assert results.never_asked == ("aws",)
    assert results.notes == ("no call of the service came to aws in the whole run",)


def test_one_that_refused_every_call_of_the_run_was_asked(tmp_path: Path) -> None:
    made = keep_calls_of_azure(made_up(down_fault()), lambda t_ms: t_ms < -1e9)
    results, _ = judged(made, tmp_path)
    assert results.never_asked == ()


def test_a_run_that_was_stopped_before_the_fault_was_over_does_not_say_that_the_rig_failed(tmp_path: Path) -> None:
    made = keep_calls_of_azure(made_up(slow_fault()), lambda t_ms: t_ms < 30_000).stopped(60_000, "interrupted")
    results, fault = judged(made, tmp_path)
    assert results.verdict == "inconclusive"
    assert not fault.met
    assert "azure was never asked while it was broken" in results.why


def two_broken(*, policy: Literal["parallel", "timeout"]) -> Recording:
    """A fault of azure and gcp at once, and a service that asks gcp no more once azure is broken."""
    fault = slow_fault("half-down").model_copy(update={"upstreams": ("azure", "gcp")})
    made = record(make_plan(faults=[fault], gates=["p99 < 2s during half-down"]), policy=policy)
    t_ms = (made.calls["arrived_ns"] - T0_NS) / MS
    made.calls = made.calls[(made.calls["upstream"] != 1) | (t_ms < 35_000)]
    return made


def test_a_failure_stands_where_the_service_met_the_fault_at_one_of_its_upstreams(tmp_path: Path) -> None:
    results = verdict.write(two_broken(policy="parallel").write(tmp_path / "run"))
    azure, gcp = results.faults
    assert (azure.landed, gcp.observed, gcp.met, gcp.landed) == (True, True, False, False)
    assert (results.verdict, results.exit_code) == ("fail", 1)
    assert "gcp was never asked while it was broken (half-down)" in results.notes


def test_a_pass_needs_the_fault_to_be_met_at_each_of_its_upstreams(tmp_path: Path) -> None:
    results = verdict.write(two_broken(policy="timeout").write(tmp_path / "run"))
    assert (results.verdict, results.exit_code) == ("rig_failure", 4)
    assert "gcp was never asked" in results.reason
