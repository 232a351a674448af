"""The summary of a rig failure: what failed, once, and nothing that says as little as the verdict of a gate there."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import verdict
from harness.cli.display.summary import run_lines
from harness.errors import RigError
from harness.evidence import Evidence
from harness.rundir.judged.fault_results import FaultProof, FaultResult, unmet_notes
from harness.rundir.manifest import HarnessFault, ProcessExit, RunEnd, part_of
from harness.rundir.results import Results
from harness.stack.processes import backends, gateway, service, toxiproxy
from harness.stack.run_state import fault_of
from reports import validity
from reports.subject import Subject
from tests.rundir.recording import Recording, make_plan, record, slow_fault

GATES = ["p99 < gateway.timeout during azure-slow", "p99 < 3s during azure-slow"]


def never_up(*faults: HarnessFault) -> Recording:
    """No load was started."""
    made = record(make_plan(faults=[slow_fault()], gates=GATES))
    ended = RunEnd(reason="rig", rig=faults)
    made.manifest = made.manifest.model_copy(update={"t0_ns": None, "ended": ended})
    made.samples, made.calls, made.entries, made.canaries = made.samples[:0], made.calls[:0], [], []
    return made


def summary_of(made: Recording, run_dir: Path) -> tuple[Results, list[str]]:
    results = verdict.judge(Evidence.load(made.write(run_dir)))
    assert results.verdict == "rig_failure"
    return results, run_lines(results, run_dir)


def test_an_upstream_that_does_not_start_is_named_and_said_once(tmp_path: Path) -> None:
    message = "the command of the upstream `cache` ended with exit code 3 before it was ready\n  cannot bind"
    fault = HarnessFault(check="workers", message=message, fix="run it by hand", part="upstream cache")
    results, lines = summary_of(never_up(fault), tmp_path)
    text = "\n".join(lines)
    assert "rig    ✗ upstream cache" in lines
    assert text.count("ended with exit code 3") == 1
    assert text.count("cannot bind") == 1
    assert "gates  no gate was judged, since no load was sent" in lines
    assert "undecided" not in text
    assert "no request arrived" not in text
    assert [gate.verdict for gate in results.gates] == ["inconclusive"] * 2, "results.json has them still"


def test_a_second_failure_is_named_with_what_was_found(tmp_path: Path) -> None:
    faults = (
        HarnessFault(check="workers", message="the gateway did not get ready", part="gateway"),
        HarnessFault(check="rollback", message="a toxic is left"),
    )
    results, lines = summary_of(never_up(*faults), tmp_path)
    assert "rig    ✗ gateway" in lines
    assert "rig    ✗ rollback: a toxic is left" in lines
    assert results.why == "The rig failed, so nothing can be said about the service. 1 more check failed: rollback."


def test_gates_that_measured_something_show_it_without_a_verdict(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=["p99 < 1s during baseline", "p99 < 3s during azure-slow"]))
    fault = HarnessFault(check="workers", message="the gateway had trouble", part="gateway")
    made.manifest = made.manifest.model_copy(
        update={"ended": RunEnd(reason="rig", rig=(fault,), rollback_verified=True)}
    )
    results, lines = summary_of(made, tmp_path)
    assert {gate.verdict for gate in results.gates} > {"pass"}
    rows = [line for line in lines if line.startswith("p99")]
    assert len(rows) == 2
    assert all(line.endswith("does not count") for line in rows)
    assert not [line for line in lines if "✗ FAIL" in line or "✓ pass" in line or line.startswith("service-alive")]


def test_an_undecided_gate_of_a_rig_failure_is_only_counted(tmp_path: Path) -> None:
    gates = ["p99 < 1s during baseline", "complete > 99% during azure-slow"]
    short = slow_fault(apply_ms=35_000, remove_ms=41_000)
    made = record(make_plan(faults=[short], gates=gates), fault_works=False)
    made.entries = [entry for entry in made.entries if entry.event != "observed"]
    _, lines = summary_of(made, tmp_path)
    assert [line for line in lines if line.startswith("p99")]
    assert not [line for line in lines if line.startswith("complete >")]
    assert "gates  1 more could not be judged" in lines


def test_many_faults_that_were_not_proven_are_counted(tmp_path: Path) -> None:
    names = [f"u{number}" for number in range(6)]
    faults = [
        slow_fault(f"{name}-slow", upstream=name, apply_ms=10_000 + 9_000 * n, remove_ms=16_000 + 9_000 * n)
        for n, name in enumerate(names)
    ]
    made = record(make_plan(upstreams=names, faults=faults), fault_works=False)
    made.entries = [entry for entry in made.entries if entry.event != "observed"]
    results, _ = summary_of(made, tmp_path)
    assert results.reason.count("never observed") == 3
    assert results.reason.endswith("; and so for 3 more")


@pytest.mark.parametrize(
    ("child", "part"),
    [
        ("upstream-cache", "upstream cache"),
        ("upstream-toxiproxy", "upstream toxiproxy"),
        (toxiproxy.NAME, "Toxiproxy"),
        (backends.NAME, "fakes"),
        (gateway.NAME, "gateway"),
        (service.NAME, "service"),
        ("locust-3", "load workers"),
    ],
)
def test_every_child_is_a_part_of_the_run(child: str, part: str) -> None:
    assert part_of(child) == part


def test_what_an_error_at_the_start_names_is_what_failed() -> None:
    assert fault_of(RigError("it did not start", "see its log", part="upstream cache"), "x") == HarnessFault(
        check="workers", message="it did not start", fix="see its log", part="upstream cache"
    )


def test_a_child_that_was_lost_is_named_in_summary_and_report(tmp_path: Path) -> None:
    made = record(make_plan(gates=["p99 < 1s"]))
    death = ProcessExit(child="upstream-cache", t_ns=1, code=1)
    made.manifest = made.manifest.model_copy(update={"ended": RunEnd(reason="done", deaths=(death,))})
    _, lines = summary_of(made, tmp_path)
    assert "rig    ✗ upstream cache" in lines
    verdict.write(tmp_path)
    rows = [row.name for row in validity.check_rows(Subject.load(tmp_path)) if row.state == "bad"]
    assert rows == ["upstream cache failed"]


def test_upstreams_of_one_fault_that_were_never_asked_share_a_note() -> None:
    proof = FaultProof(canary_baseline_ms=None, canary_during_ms=None, canary_failures=0, service_calls=0)

    def fault(name: str, upstream: str, **changes: object) -> FaultResult:
        made = FaultResult(
            name=name, upstream=upstream, kind="latency", windows=(), proof=proof, landed=False, met=False
        )
        return made.model_copy(update=changes)

    hit = proof.model_copy(update={"calls_during": 5})
    faults = [
        *(fault("slow", f"u{number}") for number in range(6)),
        fault("slow", "u9", proof=hit),
        fault("slow", "u8", met=True),
        fault("down", "u1"),
        fault("hang", "u1"),
        fault("hang", "u2"),
        fault("never", "u1", observed=False),
    ]
    assert unmet_notes(faults) == (
        "u0, u1, u2, u3 and 2 more were never asked while they were broken (slow)",
        "none of the 5 calls to u9 was hit while slow stood",
        "u1 was never asked while it was broken (down)",
        "u1 and u2 were never asked while they were broken (hang)",
    )
