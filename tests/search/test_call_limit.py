"""The limit of calls to an upstream, of queues that are simulated: named where a pool is full, and nowhere else."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.rundir.canaries import Connections
from harness.rundir.planned.fault import FaultWindow, PlannedFault, PlannedToxic, Proof
from harness.rundir.searches.capacity import LoadStep, StepUpstream
from harness.search.limiter import limiter_of
from harness.search.witnesses.call_limit import limited_calls
from harness.search.witnesses.open_calls import (
    InjectedDelay,
    OpenCalls,
    call_ends,
    injected_delay,
    listener_use,
    open_calls,
)
from tests.search.steps import step

END_S = 17.0
BEGIN_S, HALF_S = 5.0, 11.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Service:
    """A service that asks one upstream for each request.

    `own_s`: median time of the upstream; `spread`: of its logarithm. `delay_s`: injected after it. `limit`: calls that
    may be open at once. `patience_s`: a call is given up after so long. `before`: workers, and the time each takes,
    that a request must pass first. `reuse_s`: how long the service takes to begin a call once another has ended.
    """

    own_s: float = 0.05
    spread: float = 0.3
    delay_s: float = 1.0
    limit: int | None = None
    patience_s: float | None = None
    before: tuple[int, float] | None = None
    reuse_s: float = 0.003
    seed: int = 1


@dataclass
class Calls:
    """Times of calls in s: `begun` and `ended` as the service sees them, `done` at the upstream."""

    begun: Floats
    done: Floats
    ended: Floats
    connections: list[Connections] = field(default_factory=list)


def queue(arrivals: Sequence[float], places: int, times: Sequence[float], reuse_s: float = 0.0) -> list[float]:
    """When each begins, first come first served."""
    free = [0.0] * places
    begun = []
    for at, takes in zip(arrivals, times, strict=True):
        begin = max(at, heapq.heappop(free))
        begun.append(begin)
        heapq.heappush(free, begin + takes + reuse_s)
    return begun


def played(service: Service, rate_per_s: float) -> Calls:
    rng = np.random.default_rng(service.seed)
    arrivals = np.cumsum(rng.exponential(1 / rate_per_s, int(rate_per_s * END_S)))
    own = service.own_s * rng.lognormal(0, service.spread, len(arrivals))
    takes = own + service.delay_s
    if service.patience_s is not None:
        takes = np.minimum(takes, service.patience_s)
    if service.before is not None:
        workers, work_s = service.before
        arrivals = np.array(queue(arrivals.tolist(), workers, [work_s] * len(arrivals))) + work_s
    begun = arrivals
    if service.limit is not None:
        reuse_s = service.reuse_s * rng.uniform(0.5, 1.5, len(arrivals))
        begun = np.array(queue(arrivals.tolist(), service.limit, (takes + reuse_s).tolist()))
    order = np.argsort(begun)
    return Calls(begun[order], (begun + own)[order], (begun + takes)[order])


Connects = Callable[[Calls], list[Connections]]


def one_each(calls: Calls) -> list[Connections]:
    """A connection for each call."""
    return reading(
        calls,
        lambda at: int((calls.begun <= at).sum() - (calls.ended <= at).sum()),
        lambda since, at: int(((calls.begun > since) & (calls.begun <= at)).sum()),
    )


def kept(count: int) -> Connects:
    """So many connections that stay open, whatever is asked over them."""
    return lambda calls: reading(calls, lambda _: count, lambda _since, _at: 0)


def reading(_calls: Calls, count: Callable[[float], int], new: Callable[[float, float], int]) -> list[Connections]:
    return [
        Connections(
            upstream="azure",
            t_ns=round(1e9 * at),
            count=count(at),
            since_ns=round(1e9 * (at - 1)),
            new=new(at - 1, at),
        )
        for at in np.arange(1.0, END_S, 1.0).tolist()
    ]


def figures(service: Service, rate_per_s: float, connects: Connects | None = None) -> StepUpstream:
    """What the search writes down of a load. The injected delay is known, what is given up is not."""
    calls = played(service, rate_per_s)
    begin_ns, end_ns = round(1e9 * HALF_S), round(1e9 * END_S)
    begun_ns, done_ns = (1e9 * calls.begun).astype(np.int64), (1e9 * calls.done).astype(np.int64)
    request_done_ns = (1e9 * (calls.ended + 0.002)).astype(np.int64)
    ended_ns = call_ends(begun_ns, done_ns, request_done_ns, InjectedDelay(after_ms=1e3 * service.delay_s))
    seen = open_calls(begun_ns, ended_ns, begin_ns, end_ns)
    use = listener_use(connects(calls) if connects else [], "azure", begin_ns, end_ns)
    inside = (calls.begun >= BEGIN_S) & (calls.begun < END_S)
    return StepUpstream(
        name="azure",
        calls_per_s=float(inside.sum() / (END_S - BEGIN_S)),
        p50_ms=50.0,
        in_flight_mean=None,
        in_flight_most=None,
        open_mean=seen.mean,
        open_most=seen.most,
        open_limit=seen.limit,
        refill_ratio=seen.refill_ratio,
        connections_mean=use.mean,
        connections_most=use.most,
    )


def loads(
    service: Service, connects: Connects | None = None, *, carries_per_s: float, **known: int
) -> tuple[LoadStep, LoadStep]:
    """The loads that broke, at 1.3 and 2 times what the service carries, and had ever more requests in flight."""
    return (
        step(1.3 * carries_per_s, "broke", in_flight_mean=300.0, **known,
             upstreams=(figures(service, 1.3 * carries_per_s, connects),)),
        step(2 * carries_per_s, "broke", in_flight_mean=900.0, **known,
             upstreams=(figures(replace(service, seed=service.seed + 100), 2 * carries_per_s, connects),)),
    )  # fmt: skip


def named(service: Service, connects: Connects | None = None, *, carries_per_s: float) -> str:
    """The witness, or nothing."""
    found = limited_calls(*loads(service, connects, carries_per_s=carries_per_s))
    return found.witness if found else ""


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("limit", "delay_s"), [(5, 0.0), (20, 0.5), (64, 1.0), (200, 2.0)])
def test_a_full_pool_is_named_with_a_delay_and_without(limit: int, delay_s: float, seed: int) -> None:
    service = Service(limit=limit, delay_s=delay_s, seed=seed)
    carries_per_s = limit / (service.own_s * 1.05 + delay_s)
    for connects in (None, kept(limit)):
        said = named(service, connects, carries_per_s=carries_per_s)
        assert said.startswith(f"calls to azure: {limit} open at once"), said


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("limit", "patience_s"), [(8, 1.0), (20, 0.5), (64, 1.0), (200, 2.5)])
def test_a_pool_of_calls_that_are_given_up_is_named_by_its_connections(
    limit: int, patience_s: float, seed: int
) -> None:
    """The upstream's answers are delayed by a minute, so what it recorded never ends in time."""
    service = Service(limit=limit, delay_s=60.0, patience_s=patience_s, seed=seed)
    said = named(service, one_each, carries_per_s=limit / patience_s)
    assert said.startswith(f"calls to azure: {limit} open at once over {limit} connections"), said


@pytest.mark.parametrize("seed", range(2))
def test_a_service_that_opens_as_many_calls_as_requests_is_not_limited_there(seed: int) -> None:
    """Connections can only refute a limit, so the strictest test is without any reading of them."""
    for patience_s, delay_s in ((None, 1.0), (1.0, 60.0)):
        service = Service(delay_s=delay_s, patience_s=patience_s, seed=seed)
        assert not named(service, carries_per_s=40)
        assert not named(service, one_each, carries_per_s=40)


BEHIND = [(1, 0.006), (8, 0.05), (40, 0.25), (3, 0.02)]
"""Workers in the service, and the time each takes, before the upstream is asked: about 160 requests a second."""


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("before", BEHIND)
@pytest.mark.parametrize("spread", [0.05, 0.6])
def test_rate_times_time_behind_a_bottleneck_elsewhere_is_no_limit_of_calls(
    before: tuple[int, float], spread: float, seed: int
) -> None:
    """160 calls are open, hardly more and hardly fewer, however many requests wait (Little's law)."""
    service = Service(before=before, spread=spread, seed=seed)
    for each in (service, replace(service, delay_s=60.0, patience_s=1.0)):
        assert not named(each, carries_per_s=before[0] / before[1])


def test_a_client_with_idle_connections_does_not_wait_for_one() -> None:
    assert not named(Service(limit=20), kept(64), carries_per_s=19)


def test_calls_that_share_a_connection_are_named_by_their_own_number() -> None:
    """HTTP/2: the connection is one all along, and its streams are what is limited; without a limit they grow."""
    assert "64 open at once over 1 connections" in named(Service(limit=64), kept(1), carries_per_s=61)
    assert not named(Service(), kept(1), carries_per_s=61)


def test_idle_connections_alone_are_no_witness() -> None:
    """As many as were once needed, kept open by a client that now asks little."""
    assert not named(Service(delay_s=0.1), kept(64), carries_per_s=20)


def test_two_upstreams_at_once_are_none() -> None:
    broke, overloaded = loads(Service(limit=20), carries_per_s=19)
    twice = [
        each.model_copy(update={"upstreams": (*each.upstreams, each.upstreams[0].model_copy(update={"name": "gcp"}))})
        for each in (broke, overloaded)
    ]
    assert limited_calls(broke, overloaded) is not None
    assert limited_calls(*twice) is None


def test_threads_are_named_before_the_calls_that_they_make() -> None:
    """Each thread has a call open, so both stand at one number."""
    held = [step(10, in_flight_mean=2.0, threads_most=10), step(15, in_flight_mean=20.0, threads_most=40)]
    broke = loads(Service(limit=60), carries_per_s=57, threads_most=64)
    assert limiter_of([*held, *broke], cores=2, capacities={}).kind == "threads"
    steady = [each.model_copy(update={"threads_most": 64}) for each in (*held, *broke)]
    assert limiter_of(steady, cores=2, capacities={}).kind == "upstream_calls"


def test_requests_in_flight_must_have_risen() -> None:
    held = step(50, in_flight_mean=880.0)
    broke = loads(Service(limit=60), carries_per_s=57)
    assert limiter_of([held, *broke], cores=2, capacities={}).kind == "not_known"


# ---------------------------------------------------------------- what is known of a delay


def fault(**fields: object) -> PlannedFault:
    known = {
        "name": "slow", "kind": "latency", "text": "latency 1s", "upstreams": ("azure",),
        "windows": (FaultWindow(apply_ms=0, remove_ms=1),), "held_ms": 1_000.0, "proof": Proof(kind="held"), **fields,
    }  # fmt: skip
    return PlannedFault.model_validate(known)


def toxic(kind: str, stream: str, toxicity: float = 1.0, **attributes: int) -> PlannedToxic:
    return PlannedToxic.model_validate({"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes})


def test_latencies_add_up_on_their_side_of_the_upstream() -> None:
    both = [
        fault(toxics=(toxic("latency", "downstream", latency=900), toxic("latency", "upstream", latency=50))),
        fault(toxics=(toxic("latency", "downstream", latency=100),)),
        fault(upstreams=("gcp",), toxics=(toxic("timeout", "downstream", timeout=0),)),
    ]
    assert injected_delay(both, "azure") == InjectedDelay(before_ms=50.0, after_ms=1_000.0)
    assert injected_delay([], "azure") == InjectedDelay()
    assert injected_delay([fault()], "azure") == InjectedDelay(), "a fake delays its own calls, and records it"


@pytest.mark.parametrize(
    "unknown",
    [
        fault(toxics=(toxic("timeout", "downstream", timeout=0),)),
        fault(toxics=(toxic("bandwidth", "downstream", rate=10),)),
        fault(toxics=(toxic("latency", "downstream", 0.5, latency=900),)),
        fault(disables_proxy=True),
    ],
)
def test_what_ends_calls_at_an_unknown_time_leaves_it_unknown(unknown: PlannedFault) -> None:
    delay = injected_delay([unknown, fault(toxics=(toxic("latency", "downstream", latency=900),))], "azure")
    assert delay.after_ms == math.inf
    begun, done = np.array([1, 2]), np.array([10, 20])
    assert call_ends(begun, done, np.array([500, 15]), delay).tolist() == [500, 15], "with the request"


def test_a_call_ends_with_its_delay_or_with_its_request() -> None:
    none = np.array([0, 0])
    ends = call_ends(none, none, np.array([5_000_000, 500_000]), InjectedDelay(after_ms=1.0))
    assert ends.tolist() == [1_000_000, 500_000]


@pytest.mark.parametrize(("after_ms", "ended"), [(0.001, 9_000), (math.inf, 8_000)])
def test_a_call_that_begins_after_its_request_has_ended_ends_when_it_is_done(after_ms: float, ended: int) -> None:
    begun, done, request_done = np.array([5_000]), np.array([8_000]), np.array([4_000])
    assert call_ends(begun, done, request_done, InjectedDelay(after_ms=after_ms)).tolist() == [ended]


def test_calls_that_take_no_time_say_nothing() -> None:
    at_once = np.arange(100) * 10**7
    seen = open_calls(at_once, at_once, 0, 10**9)
    assert (seen.most, seen.limit, seen.refill_ratio) == (0, None, None)


def test_too_little_says_nothing() -> None:
    none = np.zeros(0, np.int64)
    assert open_calls(none, none, 0, 10**9) == OpenCalls()
    short = open_calls(np.array([1]), np.array([10**9]), 0, 10**9)
    assert (short.most, short.limit, short.refill_ratio) == (1, None, None)
    lines = [Connections(upstream="azure", t_ns=second * 10**9, count=8) for second in range(2)]
    assert listener_use(lines, "azure", 0, 10**10).most is None
    unread = [*lines, Connections(upstream="azure", t_ns=2 * 10**9, count=None, detail="refused")]
    assert listener_use(unread, "azure", 0, 10**10).most is None


TIMES = st.integers(0, 1_000)


@settings(deadline=None, max_examples=200)
@given(calls=st.lists(st.tuples(TIMES, TIMES, TIMES, st.integers(0, 300)), max_size=120), known=st.booleans())
def test_no_calls_break_it(calls: list[tuple[int, int, int, int]], known: bool) -> None:
    """`calls`: when each arrived, how long it was at the upstream, when its request ended, and how often it came."""
    every = np.array([call[:3] for call in calls for _ in range(call[3] % 3 + 1)], np.int64).reshape(-1, 3)
    begun, done = every[:, 0], every[:, 0] + every[:, 1]
    ended = call_ends(begun, done, every[:, 2], InjectedDelay(after_ms=1e-6 if known else math.inf))
    assert (ended >= begun).all()
    seen = open_calls(begun, ended, 250, 900)
    assert seen.limit is None or 1 <= seen.limit <= (seen.most or 0)
    assert seen.refill_ratio is None or math.isfinite(seen.refill_ratio)
