"""What stopped the service at the rate that broke, by what can be seen from outside. Pure.

A limiter is named only with a witness: a figure that reached its bound while the load still grew. Limits inside the
service, such as a semaphore, have no outside witness; then the answer is that it is not known. The witnesses are tried
from the surest to the least sure: threads before the calls that they make, and refused connections after whatever may
have let their queue fill up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.rundir.searches.capacity import Limiter, LoadStep
from harness.search.witnesses.call_limit import PLATEAU, limited_calls

BUSY: Final = 0.9
"""The share of its cores, or a thread's share of one core, from which on the processor is the limit."""
NEVER_IDLE: Final = 0.95
"""A thread that ran or waited for a core for this share of the time is the limit too, where it ran for `RAN_LEAST`."""
RAN_LEAST: Final = 0.8
WORKED_LEAST: Final = 0.6
"""A queue in front of a processor fails its gate before that is busy all the time. So it is the limit too if it was
busy for this share at the lowest rate that broke, and for `BUSY` at the highest."""
AT_CAPACITY: Final = 0.95
"""A fake was full if so large a share of its `capacity` was with it on average, calls that waited there included. For a
moment it is full at any load."""
GREW: Final = 1.2
REFUSED_LEAST: Final = 0.01
"""The share of a load's requests from which on those that found no connection stopped the service."""
CARRIED_LEAST: Final = 0.5
"""What stands at a plateau must have grown by so many for each request that came to those in flight from the lowest to
the highest rate that held."""
GREW_LEAST: Final = 2
"""One more helper thread is no pool that carries the requests."""
SLOWER: Final = 1.5
"""An upstream whose own time grew by this factor is slower."""
SLOWER_SHARE: Final = 0.25
"""It stopped the service if its own growth is this share of what the requests' mean time grew by."""
NOT_KNOWN: Final = Limiter(kind="not_known", witness="not known: nothing that can be seen from outside reached a bound")


def limiter_of(steps: Sequence[LoadStep], *, cores: float | None, capacities: dict[str, int]) -> Limiter:
    """The limiter by the steps of one curve. `cores`: how many the service may use; None: unknown. `capacities`: of the
    fakes that have one, by upstream."""
    broken = [step for step in steps if step.outcome == "broke"]
    broke = min(broken, key=lambda step: (step.rate_per_s, -step.seconds), default=None)
    if broke is None:
        return Limiter(kind="not_known", witness="nothing broke, so nothing stopped it")
    held = [step for step in steps if step.outcome == "held" and step.rate_per_s < broke.rate_per_s]
    before = max(held, key=lambda step: step.rate_per_s, default=None)
    first = min(held, key=lambda step: step.rate_per_s, default=None)
    overloaded = max(broken, key=lambda step: (step.rate_per_s, step.seconds))
    return (
        _service_ended(broke)
        or _processor(broke, broke, cores)
        or _upstream_capacity(broke, capacities)
        or _upstream_slower(first, broke)
        or _count(first, before, broke, overloaded, "threads")
        or _upstream_calls(before, broke, overloaded)
        or _processor(broke, overloaded, cores)
        or _gateway_refusals(broke)
        or _count(first, before, broke, overloaded, "sockets")
        or NOT_KNOWN
    )


def _service_ended(broke: LoadStep) -> Limiter | None:
    if broke.service_ended is None:
        return None
    return Limiter(kind="service_ended", witness=f"its own end, at {broke.rate_per_s:g}/s: {broke.service_ended}")


def _processor(broke: LoadStep, busy: LoadStep, cores: float | None) -> Limiter | None:
    """All cores, or one thread, that were busy in the load `busy`: the one that broke, or a steeper one."""
    return _cpu(broke, busy, cores) or _one_thread(broke, busy)


def _cpu(broke: LoadStep, busy: LoadStep, cores: float | None) -> Limiter | None:
    at_broke, used = broke.cpu_cores, busy.cpu_cores
    if at_broke is None or used is None or not cores or at_broke < WORKED_LEAST * cores or used < BUSY * cores:
        return None
    before = "" if busy is broke else f", and {at_broke:.2f} at {broke.rate_per_s:g}/s"
    witness = f"processor: the service used {used:.2f} of {cores:g} cores at {busy.rate_per_s:g}/s{before}"
    return Limiter(kind="cpu", witness=witness, figures={"cpu_cores": used, "cores": cores})


def _one_thread(broke: LoadStep, busy: LoadStep) -> Limiter | None:
    at_broke, share = broke.busiest_thread, busy.busiest_thread
    if at_broke is None or share is None or at_broke < WORKED_LEAST:
        return None
    waited = busy.busiest_waited or 0.0
    if share < BUSY and (share < RAN_LEAST or share + waited < NEVER_IDLE):
        return None
    wait = "" if share >= BUSY else f", and without a core for {100 * waited:.0f} %,"
    before = "" if busy is broke else f", busy for {100 * at_broke:.0f} % at {broke.rate_per_s:g}/s"
    witness = (
        f"one thread at a time: busy for {100 * share:.0f} % of the time{wait} at {busy.rate_per_s:g}/s{before} "
        "(an event loop, or an interpreter's global lock)"
    )
    return Limiter(kind="one_thread", witness=witness, figures={"busiest_thread": share, "busiest_waited": waited})


def _upstream_capacity(broke: LoadStep, capacities: dict[str, int]) -> Limiter | None:
    for upstream in broke.upstreams:
        capacity = capacities.get(upstream.name)
        mean = upstream.in_flight_mean
        if capacity and mean is not None and mean >= AT_CAPACITY * capacity:
            witness = f"{upstream.name}: {mean:.1f} calls at once on average, and the fake works on {capacity}"
            figures = {"in_flight_mean": mean, "capacity": float(capacity)}
            return Limiter(kind="upstream_capacity", witness=witness, figures=figures)
    return None


def _upstream_slower(first: LoadStep | None, broke: LoadStep) -> Limiter | None:
    if first is None:
        return None
    earlier = {upstream.name: upstream.p50_ms for upstream in first.upstreams}
    for upstream in broke.upstreams:
        before_ms = earlier.get(upstream.name)
        if not before_ms or not upstream.p50_ms or upstream.p50_ms < SLOWER * before_ms:
            continue
        if upstream.p50_ms - before_ms > max(1.0, SLOWER_SHARE * (_mean_ms(broke) - _mean_ms(first))):
            witness = (
                f"{upstream.name}: its own time grew from {before_ms:.0f} ms at {first.rate_per_s:g}/s to "
                f"{upstream.p50_ms:.0f} ms at {broke.rate_per_s:g}/s"
            )
            figures = {"before_ms": before_ms, "p50_ms": upstream.p50_ms}
            return Limiter(kind="upstream_slower", witness=witness, figures=figures)
    return None


def _mean_ms(step: LoadStep) -> float:
    """The mean time of a request, by Little's law."""
    return 1000 * step.in_flight_mean / step.rate_per_s


def _upstream_calls(before: LoadStep | None, broke: LoadStep, overloaded: LoadStep) -> Limiter | None:
    if before is None or overloaded.in_flight_mean < GREW * before.in_flight_mean:
        return None
    return limited_calls(broke, overloaded)


def _gateway_refusals(broke: LoadStep) -> Limiter | None:
    """A queue of connections that is full: the service takes no more of them, or takes them a second late."""
    if not broke.refused or not broke.n or broke.refused < REFUSED_LEAST * broke.n:
        return None
    witness = (
        f"refused connections: {broke.refused:,} of {broke.n:,} requests found no connection to the service within "
        f"a second at {broke.rate_per_s:g}/s (its queue of connections is full)"
    )
    return Limiter(kind="gateway_refusals", witness=witness, figures={"refused": float(broke.refused)})


def _count(
    first: LoadStep | None, before: LoadStep | None, broke: LoadStep, overloaded: LoadStep, what: str
) -> Limiter | None:
    """Threads or sockets that grew with the load and then stood still while requests in flight still rose."""
    if first is None or before is None or first is before:
        return None
    values = [getattr(step, f"{what}_most") for step in (first, broke, overloaded)]
    if any(value is None for value in values):
        return None
    at_first, at_broke, at_most = values
    grew = at_broke >= GREW * at_first and overloaded.in_flight_mean >= GREW * before.in_flight_mean
    if not grew or max(at_most, at_broke) > PLATEAU * min(at_most, at_broke) or overloaded is broke:
        return None
    if at_broke - at_first < max(GREW_LEAST, CARRIED_LEAST * (before.in_flight_mean - first.in_flight_mean)):
        return None
    if what == "sockets" and overloaded.in_flight_mean <= at_most:
        return None  # each request has one of its own, so their number is that of the requests that came in time
    then = "no more" if at_most <= at_broke else at_most
    witness = (
        f"{what}: {at_broke} at {broke.rate_per_s:g}/s and {then} at {overloaded.rate_per_s:g}/s, while requests in "
        f"flight rose to {overloaded.in_flight_mean:.0f}"
    )
    figures = {f"{what}_most": float(max(at_broke, at_most)), "in_flight_mean": overloaded.in_flight_mean}
    return Limiter(kind="threads" if what == "threads" else "sockets", witness=witness, figures=figures)
