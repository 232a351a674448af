"""Who made slow requests slow, and how long calls really waited."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.evidence import Evidence, Pool
from harness.evidence.backend_time import call_waits_ns
from harness.rundir.planned.fault import PlannedFault, PlannedToxic
from harness.rundir.results import UpstreamResult
from harness.rundir.rows import CALLS, FLAG_SHAKEN_ONCE, FLAG_SHAKEN_TWICE, Outcome
from harness.verdict.attribution import Attribution
from tests.rundir.recording import T0_NS, Policy, make_plan, record, slow_fault


def during(tmp_path: Path, policy: Policy, phase: str = "azure-slow") -> dict[str, UpstreamResult]:
    made = record(make_plan(faults=[slow_fault(delay_ms=900, held_ms=900)]), policy=policy)
    found = Attribution(Pool.of(Evidence.load(made.write(tmp_path))), [phase]).of(phase)
    return {upstream.name: upstream for upstream in found}


@pytest.mark.parametrize("policy", ["parallel", "sequential"])
def test_the_slow_backend_is_named_in_parallel_and_one_after_the_other(tmp_path: Path, policy: Policy) -> None:
    """In a sequential service the backend that answers last is not the slow one."""
    found = during(tmp_path, policy)
    assert found["azure"].slowest_share == 1.0
    assert found["azure"].wait_caused_ms is not None
    assert 700 < found["azure"].wait_caused_ms < 1_000
    assert found["gcp"].slowest_share == 0.0
    # the backend itself was quick: the delay is the journal's
    assert found["azure"].p50_ms == pytest.approx(960, abs=15)
    assert found["gcp"].p50_ms == pytest.approx(60, abs=15)
    assert found["azure"].calls_per_arrival == 1.0


def test_a_healthy_baseline_blames_nobody_much(tmp_path: Path) -> None:
    found = during(tmp_path, "parallel", "baseline")
    assert sum(upstream.slowest_share or 0.0 for upstream in found.values()) == pytest.approx(1.0)
    assert all((upstream.wait_caused_ms or 0.0) < 100 for upstream in found.values())


def test_an_empty_phase_has_no_upstreams(tmp_path: Path) -> None:
    assert during(tmp_path, "parallel", "no-such-phase") == {}


def hanging(stream: str) -> PlannedFault:
    toxic = PlannedToxic(
        type="timeout", stream="upstream" if stream == "upstream" else "downstream", attributes={"timeout": 0}
    )
    return slow_fault(held_ms=2_000).model_copy(update={"kind": "hang", "delay_ms": None, "toxics": (toxic,)})


def test_a_backend_that_no_call_reached_is_still_to_blame(tmp_path: Path) -> None:
    made = record(make_plan(faults=[hanging("upstream")]), policy="parallel")
    inside = (made.calls["arrived_ns"] >= T0_NS + 35_000_000_000) & (made.calls["arrived_ns"] < T0_NS + 97_000_000_000)
    made.calls = made.calls[~(inside & (made.calls["upstream"] == 0))]
    found = Attribution(Pool.of(Evidence.load(made.write(tmp_path))), ["azure-slow"]).of("azure-slow")
    assert found[0].calls == 0
    assert found[0].slowest_share == 1.0
    assert found[0].wait_caused_ms is not None
    assert found[0].wait_caused_ms > 1_800


def waits_ms(
    tmp_path: Path,
    fault: PlannedFault,
    *,
    size: int = 2_000,
    arrived_ms: float = 40_000,
    flags: int = 0,
    sent_before_ms: float = 0,
) -> float:
    """How long one call to azure waited that took the backend 60 ms, in a request that ended 20 s later."""
    made = record(make_plan(upstreams=("azure",), faults=[fault]))
    calls = np.zeros(1, CALLS.dtype())
    arrived_ns = T0_NS + round(arrived_ms * 1e6)
    seq = int(np.searchsorted(made.samples["intended_ns"], arrived_ns))
    calls["seq"], calls["arrived_ns"], calls["done_ns"] = seq, arrived_ns, arrived_ns + 60_000_000
    calls["bytes"], calls["status"], calls["flags"] = size, 200, flags
    made.calls = calls
    made.samples["sent_ns"][seq] = arrived_ns - round(sent_before_ms * 1e6)
    made.samples["done_ns"][seq] = arrived_ns + 20_000_000_000
    made.samples["outcome"][seq] = Outcome.OK
    run = Evidence.load(made.write(tmp_path))
    return float(call_waits_ns(run, 0, np.array([0]))[0]) / 1e6


def with_toxic(kind: str, **attributes: int) -> PlannedFault:
    toxic = PlannedToxic(type=kind, stream="downstream", attributes=attributes)
    return slow_fault().model_copy(update={"kind": kind, "delay_ms": None, "toxics": (toxic,)})


@pytest.mark.parametrize(
    ("fault", "expected_ms"),
    [
        (with_toxic("latency", latency=500), 560),
        (with_toxic("bandwidth", rate=1), 60 + 2_000),
        (with_toxic("slicer", average_size=100, size_variation=0, delay=10_000), 60 + 200),
        (with_toxic("timeout", timeout=3_000), 60 + 3_000),
        (with_toxic("timeout", timeout=0), 20_000),
        (with_toxic("reset_peer", timeout=0), 60),
        (with_toxic("latency", latency=500).model_copy(update={"share": 0.5}), 60),
    ],
    ids=lambda value: value.kind if isinstance(value, PlannedFault) else None,
)
def test_what_each_toxic_adds_to_a_call(tmp_path: Path, fault: PlannedFault, expected_ms: float) -> None:
    assert waits_ms(tmp_path, fault) == pytest.approx(expected_ms, abs=1)


def test_a_removal_lets_go_of_what_was_held(tmp_path: Path) -> None:
    fault = with_toxic("latency", latency=60_000)
    assert waits_ms(tmp_path, fault, arrived_ms=96_000) == pytest.approx(60 + 1_002, abs=1)


def test_outside_its_windows_a_fault_adds_nothing(tmp_path: Path) -> None:
    assert waits_ms(tmp_path, with_toxic("latency", latency=500), arrived_ms=20_000) == pytest.approx(60, abs=1)


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_database_that_no_request_names_takes_its_share_of_the_blame(tmp_path: Path, is_recorded: bool) -> None:
    """What a fault on it held is not blamed on the partner that answered at once. A fake that no request asks held
    nothing."""
    made = record(make_plan(upstreams=("azure", "gcp"), faults=[slow_fault(delay_ms=900, held_ms=900)]))
    made.calls = made.calls[made.calls["upstream"] != 0]
    load = made.plan.load
    requests = tuple(request.model_copy(update={"asks": ("gcp",)}) for request in load.requests)
    azure, gcp = made.plan.upstreams
    if not is_recorded:
        azure = azure.model_copy(update={"fake": None, "kind": "url", "protocol": "postgres"})
    made.plan = made.plan.model_copy(
        update={"load": load.model_copy(update={"requests": requests}), "upstreams": (azure, gcp)}
    )
    found = Attribution(Pool.of(Evidence.load(made.write(tmp_path))), ["azure-slow"]).of("azure-slow")
    (of_gcp,) = [upstream for upstream in found if upstream.name == "gcp"]
    assert of_gcp.slowest_share == (1.0 if is_recorded else 0.0)


@pytest.mark.parametrize(
    ("flags", "arrived_ms", "sent_before_ms", "expected_ms"),
    [
        (0, 60_000, 5_000, 60 + 900),
        (FLAG_SHAKEN_ONCE, 60_000, 5_000, 60 + 2 * 900),
        (FLAG_SHAKEN_TWICE, 60_000, 5_000, 60 + 3 * 900),
        (FLAG_SHAKEN_TWICE, 60_000, 1_000, 60 + 900 + 1_000),  # the service cannot have waited for longer
        (FLAG_SHAKEN_TWICE, 35_500, 5_000, 60 + 900 + 500),  # the toxic came after the handshake had begun
        (FLAG_SHAKEN_ONCE, 97_500, 5_000, 60 + 900),  # its removal released the handshake, and the answer came at once
        (FLAG_SHAKEN_TWICE, 30_000, 5_000, 60),
        (FLAG_SHAKEN_TWICE, 99_000, 5_000, 60),
    ],
    ids=["kept", "TLS 1.3", "TLS 1.2", "sent later", "begun before", "released", "before it", "after it"],
)
def test_a_delay_holds_each_flight_of_a_handshake_before_the_call(
    tmp_path: Path, flags: int, arrived_ms: float, sent_before_ms: float, expected_ms: float
) -> None:
    fault = slow_fault(delay_ms=900, held_ms=900)
    found = waits_ms(tmp_path, fault, arrived_ms=arrived_ms, flags=flags, sent_before_ms=sent_before_ms)
    assert found == pytest.approx(expected_ms, abs=10)


def test_a_share_of_connections_holds_no_known_handshake(tmp_path: Path) -> None:
    fault = slow_fault(delay_ms=900, held_ms=900).model_copy(update={"share": 0.5})
    assert waits_ms(tmp_path, fault, flags=FLAG_SHAKEN_ONCE, sent_before_ms=5_000) == pytest.approx(60, abs=1)
