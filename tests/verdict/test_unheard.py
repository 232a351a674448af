"""A service that connects to an upstream and is not heard there: it is told why, and not that it never called."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import verdict
from harness.rundir.canaries import Connections
from harness.rundir.origin_notes import FILE, OriginNote
from harness.rundir.results import Results
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault

MS = 1_000_000
NOTE = OriginNote(
    upstream="azure", kind="handshake", text="it does not trust the authority", fix="hand it over", calls=312
)


def judged(made: Recording, tmp_path: Path, *notes: OriginNote) -> Results:
    run_dir = made.write(tmp_path / "run")
    (run_dir / FILE).write_text("".join(f"{note.model_dump_json()}\n" for note in notes))
    return verdict.write(run_dir)


def silent(*, tls: bool = True, faults: bool = True) -> Recording:
    """A run in which no call came to azure, and nothing was seen to connect."""
    plan = make_plan(faults=[slow_fault()] if faults else [], gates=["p99 < 3s"])
    azure, *others = plan.upstreams
    upstreams = (azure.model_copy(update={"terminates_tls": tls}), *others)
    made = record(plan.model_copy(update={"upstreams": upstreams}), policy="timeout")
    made.calls = made.calls[made.calls["upstream"] != 0]
    made.canaries = [line for line in made.canaries if not isinstance(line, Connections)]
    return made


def connected(made: Recording, at_ms: float, new: int = 3) -> Recording:
    t_ns = T0_NS + round(at_ms * MS)
    made.canaries.append(Connections(upstream="azure", t_ns=t_ns, count=0, since_ns=t_ns - 1000 * MS, new=new))
    return made


def test_failed_handshakes_alone_are_a_rig_failure_with_their_reason(tmp_path: Path) -> None:
    results = judged(silent(), tmp_path, NOTE)
    assert results.verdict == "rig_failure"
    assert "the service never got as far as a call to azure" in results.reason
    assert "312 TLS handshakes of the service with the listener of azure failed: it does not trust" in results.reason
    assert "Hand it over" in results.next
    assert results.unheard == () and results.never_asked == ("azure",)
    assert not any("no call of the service came" in note for note in results.notes)


@pytest.mark.parametrize("at_ms", [36_000.0, -500.0])
def test_so_are_they_where_the_connections_met_the_fault(tmp_path: Path, at_ms: float) -> None:
    results = judged(connected(silent(), at_ms), tmp_path, NOTE)
    assert results.verdict == "rig_failure"
    assert "312 TLS handshakes" in results.reason


def test_with_a_single_call_the_handshakes_are_a_note(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=["p99 < 3s"]), policy="timeout")
    results = judged(made, tmp_path, NOTE)
    assert results.verdict == "pass"
    assert any(note.startswith("312 TLS handshakes") and note.endswith("fix: hand it over") for note in results.notes)


@pytest.mark.parametrize(("tls", "advice"), [(True, "does not trust the run's authority"), (False, "plain HTTP/1.1")])
def test_connections_without_a_request_before_the_fault_say_that_the_service_came(
    tmp_path: Path, tls: bool, advice: str
) -> None:
    results = judged(connected(silent(tls=tls), -500.0), tmp_path)
    assert results.verdict == "rig_failure"
    assert "the service opened 3 connections to the listener of azure before any fault" in results.reason
    assert advice in results.next


def test_connections_after_the_fault_prove_nothing_of_the_time_before(tmp_path: Path) -> None:
    results = judged(connected(silent(tls=False), 36_000.0), tmp_path)
    assert "the service never used the proxy's address" in results.reason
    assert results.origins == ()


def test_what_openssl_saw_takes_the_place_of_counted_connections(tmp_path: Path) -> None:
    results = judged(connected(silent(), -500.0), tmp_path, NOTE)
    assert [note.kind for note in results.origins] == ["handshake"]


def test_a_run_without_a_fault_lists_it(tmp_path: Path) -> None:
    results = judged(connected(silent(faults=False), 5_000.0), tmp_path)
    assert results.verdict != "rig_failure"
    assert [note.kind for note in results.origins] == ["unasked"]
    assert results.unheard == ()
