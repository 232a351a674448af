"""Whether the calls that may be open at an upstream are limited, such as by a pool of connections. Pure.

That as many are open as before while the requests in flight rose is no witness by itself: behind a bottleneck elsewhere
calls come at one rate, and rate times time is steady as well (Little's law). Nor is a steady number of connections: a
client keeps as many as it once needed, most of them idle. So all of this must hold, in the load that broke at the
lowest rate and in the one that broke at the highest:

1. The limit that fits best is nearly the same in both (`PLATEAU`).
2. It is filled: on average `FULL` of it or more is open, and a place that is free is taken again within
   `REFILLED_WITHIN_S` (Little's law: free places by calls a second). Delays that Toxiproxy injects are part of a call's
   time.
3. Calls begin as others end: `refill_ratio` (`harness.search.witnesses.open_calls`) is at most `REFILLS`. A bottleneck
   elsewhere does not know when a call ends.
4. No connection is idle, where connections were counted: a client with idle ones does not wait for one. Fewer
   connections than calls refute nothing, since in HTTP/2 calls share one, and the number of streams is limited.

If this holds for two upstreams at once, neither is named: calls to one may wait for those to the other.
"""

from __future__ import annotations

from typing import Final

from harness.rundir.searches.capacity import Limiter, LoadStep, StepUpstream

PLATEAU: Final = 1.05
"""A count that grew by less than this factor while the rate grew stands at a plateau."""
FULL: Final = 0.9
REFILLED_WITHIN_S: Final = 0.02
REFILLS: Final = 0.3


def limited_calls(broke: LoadStep, overloaded: LoadStep) -> Limiter | None:
    """The limit of calls to one upstream. The loads that broke at the lowest and at the highest rate; they may be one,
    if only one broke. That requests in flight rose until then, the caller has seen."""
    others = {upstream.name: upstream for upstream in overloaded.upstreams}
    found = [each for each in broke.upstreams if each.name in others and _are_limited((each, others[each.name]))]
    if len(found) != 1:
        return None
    upstream = others[found[0].name]
    most = max(upstream.open_limit or 0, found[0].open_limit or 0)
    figures = {"open_limit": float(most), "calls_per_s": upstream.calls_per_s or 0.0}
    over = ""
    if upstream.connections_most is not None:
        figures["connections_most"] = float(upstream.connections_most)
        over = f" over {upstream.connections_most} connections"
    witness = (
        f"calls to {upstream.name}: {most} open at once{over} and never more, each begun as another ended, while "
        f"requests in flight rose to {overloaded.in_flight_mean:.0f} (a pool of connections, or another limit of calls)"
    )
    return Limiter(kind="upstream_calls", witness=witness, figures=figures)


def _are_limited(loads: tuple[StepUpstream, StepUpstream]) -> bool:
    limits = [each.open_limit for each in loads if each.open_limit is not None]
    return len(limits) == len(loads) and max(limits) <= PLATEAU * min(limits) and all(map(_is_refilled, loads))


def _is_refilled(upstream: StepUpstream) -> bool:
    limit, mean, ratio = upstream.open_limit, upstream.open_mean, upstream.refill_ratio
    if limit is None or mean is None or ratio is None or not upstream.calls_per_s:
        return False
    if mean < FULL * limit or limit - mean > REFILLED_WITHIN_S * upstream.calls_per_s or ratio > REFILLS:
        return False
    return upstream.connections_most is None or upstream.connections_most <= PLATEAU * limit + 1
