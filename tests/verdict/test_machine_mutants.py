"""Mistakes about whose fault slowness is, the load generator's, the machine's or the service's: each is really made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.evidence import Evidence
from harness.evidence.window import NEVER
from harness.rundir.manifest import ProcessExit, RunEnd
from harness.rundir.rows import Outcome
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.verdict.mutant import Mutant, swap, swap_latency


def dropped_by_cut_slots() -> Recording:
    """One arrival in ten found no slot, since the open-file limit allowed no more."""
    plan = make_plan(gates=["errors < 1%"])
    made = record(plan.model_copy(update={"load": plan.load.model_copy(update={"slots_cut": True})}))
    made.samples["outcome"][made.samples["seq"] % 10 == 0] = Outcome.DROPPED
    return made


def late_generator() -> Recording:
    return record(
        make_plan(gates=["p99 < 1s"]), lag_ms=lambda t_ms: np.where((t_ms > 20_000) & (t_ms < 40_000), 1_500, 0.2)
    )


def late_generator_and_a_death() -> Recording:
    made = late_generator()
    death = ProcessExit(child="sut", t_ns=T0_NS + 100_000_000_000, code=-9)
    made.manifest = made.manifest.model_copy(update={"ended": RunEnd(reason="done", deaths=(death,))})
    return made


def beside_a_busy_machine() -> Recording:
    """Slow for twenty seconds, in which others took the cores."""
    return record(make_plan(gates=["p99 < 1s"])).slowed(20_000, 40_000, 1_200).beside(20, 40)


def uses_up_the_cores() -> Recording:
    """As slow, and it waits as long for a core, but it uses them itself."""
    made = record(make_plan(gates=["p99 < 1s"])).slowed(20_000, 40_000, 1_200)
    return made.beside(20, 40, others_s=0.6, used_s=1.4)


def slow_without_waiting() -> Recording:
    """Others took the cores for twenty seconds. It was slow in them, and waited for less than a tenth of the time."""
    made = record(make_plan(gates=["p99 < 1s"])).slowed(20_000, 40_000, 980)
    return made.beside(20, 40, waited_s=0.09)


def a_thread_that_always_runs() -> Recording:
    """One thread of the service uses a core nearly whole, and waits for it now and then."""
    made = record(make_plan(gates=["p99 < 1s"])).slowed(20_000, 40_000, 980)
    return made.beside(20, 40, others_s=1.0, used_s=0.85, waited_s=0.2)


def slower_than_any_waiting() -> Recording:
    """Others took the cores all the time. The service took 6 s, and waited half a second in each."""
    made = record(make_plan(gates=["p99 < 1s"])).slowed(-9_000, 999_000, 6_000)
    return made.beside(-1, 200, others_s=1.6, waited_s=0.5)


def errors_beside_a_busy_machine() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"])).beside(-1, 200)
    made.samples["outcome"][made.samples["seq"] % 20 == 0] = Outcome.HTTP_ERROR
    return made


def timeouts_beside_a_busy_machine() -> Recording:
    """It hangs until the gateway gives up, which no waiting explains."""
    made = record(make_plan(gates=["p99 < 1s"], gateway_timeout_ms=20_000)).outage(30_000, 50_000)
    return made.beside(-1, 200, waited_s=0.5)


def a_hung_upstream_beside_a_busy_machine() -> Recording:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < gateway.timeout during azure-slow"])
    return record(plan, policy="parallel").beside(-1, 200, waited_s=1.4)


def needs_more_cores_than_it_has() -> Recording:
    """It worked on every tenth request, and the others timed out, on a machine whose cores others took."""
    made = record(make_plan(gates=["p99 < 1s"])).beside(-1, 200, others_s=1.4, used_s=0.5, waited_s=3.0)
    starved = made.samples["seq"] % 10 != 0
    made.samples["outcome"][starved] = Outcome.GATEWAY_TIMEOUT
    made.samples["done_ns"][starved] = made.samples["intended_ns"][starved] + 2_000_000_000
    made.calls = made.calls[made.calls["seq"] % 10 == 0]
    return made


def nothing_is_left(run: Evidence, _taken: object, **_: object) -> Evidence:
    """As if taken seconds, which may be all, were a reason to judge nothing."""
    return run.without(frozenset(range(-9, 200)))


def calls_beside_a_busy_machine() -> Recording:
    """A gate on calls fails. No waiting for a core makes calls."""
    return record(make_plan(gates=["calls < 1.5"])).beside(-1, 200)


def _since_sent(run: Evidence) -> Any:
    latency = run.samples["done_ns"] - run.samples["sent_ns"]
    latency[run.samples["outcome"] != Outcome.OK] = NEVER
    return latency


MUTANTS = (
    Mutant(
        "latency from the send, not from the plan",
        late_generator,
        swap_latency(_since_sent),
        right="rig_failure",
        wrong="pass",
    ),
    Mutant(
        "send lag held against the service",
        late_generator,
        swap("harness.verdict.gates.late_seconds", lambda *_: frozenset()),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "send lag excuses a service that died",
        late_generator_and_a_death,
        swap("harness.verdict.gates.GateVerdicts.without_unsure", lambda it: it),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine held against the service",
        beside_a_busy_machine,
        swap("harness.verdict.bad_seconds.taken.is_taken", lambda record: np.zeros(len(record), np.bool_)),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "a busy machine excuses a service that uses up the cores",
        uses_up_the_cores,
        swap("harness.verdict.bad_seconds.taken.is_taken", lambda record: record.waited_s >= 0.1),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses a service that did not wait",
        slow_without_waiting,
        swap("harness.verdict.bad_seconds.taken.WAITED_LEAST_S", 0.0),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses a thread that always runs",
        a_thread_that_always_runs,
        swap("harness.verdict.bad_seconds.taken.WAITED_TO_USED_LEAST", 0.0),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "waiting excuses requests that were slower than any waiting",
        slower_than_any_waiting,
        swap("harness.verdict.gates.without_waiting", nothing_is_left),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses errors",
        errors_beside_a_busy_machine,
        swap("harness.verdict.gates.without_waiting", nothing_is_left),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses timeouts",
        timeouts_beside_a_busy_machine,
        swap("harness.verdict.gates.without_waiting", nothing_is_left),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses a service that waits for a hung upstream",
        a_hung_upstream_beside_a_busy_machine,
        swap(
            "harness.verdict.bad_seconds.waiting._waited_for_upstreams_ns",
            lambda _run, timed_out, _reaction_ns: np.zeros(len(timed_out), np.int64),
        ),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses a service that needs more cores than there are",
        needs_more_cores_than_it_has,
        swap("harness.verdict.bad_seconds.taken.needed_cores", lambda *_, **__: 0.0),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses calls",
        calls_beside_a_busy_machine,
        swap("harness.verdict.gates.without_waiting", nothing_is_left),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "dropped by our own limit counts against the service",
        dropped_by_cut_slots,
        swap("harness.verdict.gates.has_cut_drops", lambda _pool: False),
        right="rig_failure",
        wrong="fail",
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_the_mistake_changes_a_verdict(mutant: Mutant, tmp_path: Path) -> None:
    mutant.changes_a_verdict(tmp_path)
