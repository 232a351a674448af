"""Checks the faults of a plan: do they fit their windows, can they be active together, can they be proven? Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from harness.faults import Fault
from harness.rundir.phases import Phase
from harness.rundir.plan import Plan
from harness.rundir.planned.behaviours import ANSWERING
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.rows import FAULT_BITS
from harness.scenario.checks.window_fixes import WindowFixes
from harness.scenario.checks.window_lengths import AFTER_TAIL_MS, judged_ms
from harness.scenario.planning.arrivals import expected_arrivals
from harness.scenario.planning.compile import CheckedScenario
from harness.scenario.planning.timeline import COMFORT
from harness.scenario.source.diagnostics import Diagnostic
from harness.units import duration_literal, format_share
from harness.upstreams.protocols import OURS_PAUSE_S, canary_pause_s

MISSED_AT_MOST: Final = 0.001
"""The highest tolerated probability that a fault with a small share affects no canary or request."""


def end_needed_ms(checked: CheckedScenario, planned: PlannedFault) -> float:
    """When the load may end at the earliest for the fault to be removed, and recovered from if the faults follow one
    another."""
    last_ms = planned.windows[-1].remove_ms
    with_at = any(fault.at_ms is not None for fault in checked.scenario.faults)
    return last_ms if with_at else last_ms + checked.timeline.recovery_ms


def load_end_findings(
    checked: CheckedScenario, index: int, planned: PlannedFault, fixes: WindowFixes
) -> Iterator[Diagnostic]:
    """A load that ends before the fault is over."""
    fault, needed_ms = checked.scenario.faults[index], end_needed_ms(checked, planned)
    if needed_ms > checked.timeline.duration_ms:
        over = f"`{fault.name}` is removed" if fault.at_ms is not None else f"the recovery of `{fault.name}` ends"
        yield Diagnostic(
            ("faults", index),
            f"the load ends at {duration_literal(checked.timeline.duration_ms)}, before {over} at "
            f"{duration_literal(needed_ms)}",
            f"{fixes.load(needed_ms)}, or shorten `baseline`, `for` or `recovery`",
        )


def fault_findings(
    checked: CheckedScenario, plan: Plan, index: int, window: Phase, fixes: WindowFixes
) -> Iterator[Diagnostic]:
    """`window`: the phase of the fault."""
    fault = checked.scenario.faults[index]
    planned = next(each for each in plan.faults if each.name == fault.name)
    shortest_ms = planned.held_ms + AFTER_TAIL_MS
    if fault.every_ms is None and fault.for_ms < shortest_ms:
        held = duration_literal(planned.held_ms)
        reason = (
            f"requests are held for up to {held}, and the last {held} of the window do not count"
            if planned.held_ms
            else "too short to observe anything"
        )
        lacks_ms, lacks_least_ms = (
            max(shortest_ms, planned.held_ms + judged_ms(checked, fault.name, comfort=comfort)) - fault.for_ms
            for comfort in (COMFORT, 1.0)
        )
        yield Diagnostic(
            ("faults", index, "for"),
            f"`for: {duration_literal(fault.for_ms)}` is too short for `{fault.name}`: {reason}",
            fixes.longer(window, lacks_ms) + fixes.least(window, lacks_ms, lacks_least_ms),
        )
    if planned.share < 1:
        if planned.behaviour:
            yield from _by_request(checked, plan, index, planned)
        else:
            pauses_s = [canary_pause_s(plan.upstream(name), in_fault=True) for name in planned.upstreams]
            yield from _by_connection(index, fault, max(pauses_s))


def _by_connection(index: int, fault: Fault, pause_s: float) -> Iterator[Diagnostic]:
    """Toxiproxy draws for each connection, so a canary may or may not be affected by the fault. `pause_s`: between two
    canaries."""
    canaries = max(1.0, fault.for_ms / 1000 / pause_s)
    if (1 - fault.share) ** canaries > MISSED_AT_MOST:
        least_s = math.ceil(pause_s * math.log(MISSED_AT_MOST) / math.log1p(-fault.share))
        asked = "two canaries a second" if pause_s == OURS_PAUSE_S else f"one canary in {pause_s:g} s"
        yield Diagnostic(
            ("faults", index, "share"),
            f"with {asked}, perhaps none is affected by a fault of {format_share(fault.share)} within "
            f"{duration_literal(fault.for_ms)}, and a fault that no canary observes is not proven",
            f"write `for: {least_s}s`, or a larger share",
        )


def _by_request(checked: CheckedScenario, plan: Plan, index: int, planned: PlannedFault) -> Iterator[Diagnostic]:
    """A fake draws for each request. It affects every canary, whatever the share; a call of the service it may not."""
    if not plan.load.streams:
        return
    spans = tuple((window.apply_ms, window.remove_ms) for window in planned.windows)
    requests = expected_arrivals(plan.load, Phase(planned.name, spans)) * checked.scenario.verdict.runs
    hits = requests * planned.share
    if math.exp(-hits) > MISSED_AT_MOST:
        least = math.ceil(-1000 * math.log(MISSED_AT_MOST) / max(requests, 1)) / 10
        fix = f"write `share: {least:g}%` or more" if least <= 100 else "raise the rate"
        yield Diagnostic(
            ("faults", index, "share"),
            f"{format_share(planned.share)} of about {requests:.0f} requests is {hits:.2g}: this fault may hit none",
            f"{fix}, or let it last longer",
        )


def share_warnings(index: int, planned: PlannedFault) -> Iterator[Diagnostic]:
    if planned.share < 1 and planned.behaviour is None:
        share = format_share(planned.share)
        text = f"{share} of the connections: with keep-alive that is not a share of the requests"
        yield Diagnostic(("faults", index, "share"), text)


def overlap_findings(checked: CheckedScenario, plan: Plan) -> Iterator[Diagnostic]:
    """Faults that cannot be active together: one cannot be proven on a backend that is down, or shares exceed 100 %."""
    yield from _too_many(plan)
    yield from _more_than_all(checked, plan)
    yield from _without_process(checked, plan)
    down = [fault for fault in plan.faults if fault.disables_proxy]
    for index, fault in enumerate(checked.scenario.faults):
        planned = next((each for each in plan.faults if each.name == fault.name), None)
        if planned is None or planned.disables_proxy:
            continue
        for other in (each for each in down if each.process is None):
            if set(other.upstreams) & set(planned.upstreams) and overlap(planned, other):
                yield Diagnostic(
                    ("faults", index),
                    f"while `{other.name}` is on, no canary could see `{fault.name}`",
                    "keep them apart in time, or on different upstreams",
                )


def _without_process(checked: CheckedScenario, plan: Plan) -> Iterator[Diagnostic]:
    """Faults during which a process that the others need is gone: a service that is killed calls no upstream."""
    acting = [fault for fault in plan.faults if fault.process is not None]
    for index, fault in enumerate(checked.scenario.faults):
        planned = next((each for each in plan.faults if each.name == fault.name), None)
        for other in acting if planned is not None else ():
            assert planned is not None
            if other.name == planned.name or not overlap(planned, other):
                continue
            both = planned.process is not None and other.process is not None
            if both and plan.faults.index(planned) < plan.faults.index(other):
                continue  # it is said once, at the later one
            if other.on_service or set(other.upstreams) & set(planned.upstreams):
                yield Diagnostic(
                    ("faults", index),
                    f"`{other.name}` acts on a process, and `{fault.name}` could not be seen meanwhile",
                    "keep them apart in time" + ("" if other.on_service else ", or on different upstreams"),
                )


def overlap(one: PlannedFault, other: PlannedFault) -> bool:
    """Whether two faults are ever active together. One pass, since a flapping fault may have a thousand windows; those
    of one fault are in order and do not overlap."""
    mine, theirs = 0, 0
    while mine < len(one.windows) and theirs < len(other.windows):
        first, second = one.windows[mine], other.windows[theirs]
        if first.apply_ms < second.remove_ms and second.apply_ms < first.remove_ms:
            return True
        if first.remove_ms <= second.remove_ms:
            mine += 1
        else:
            theirs += 1
    return False


def _too_many(plan: Plan) -> Iterator[Diagnostic]:
    """A call's record has a limited number of bits, one for each fault that a fake does."""
    for index, planned in enumerate(plan.faults):
        if planned.behaviour is not None and index >= FAULT_BITS:
            found = f"only the first {FAULT_BITS} faults of a scenario can be faults that a fake does"
            fix = "split the scenario in two, or list the faults that Toxiproxy does last"
            yield Diagnostic(("faults", index), found, fix)


def _compete(one: PlannedFault, other: PlannedFault) -> bool:
    """Whether two faults may want to replace the same answer."""
    apart = None not in (one.route, other.route) and one.route != other.route
    return bool(set(one.upstreams) & set(other.upstreams)) and not apart


def _more_than_all(checked: CheckedScenario, plan: Plan) -> Iterator[Diagnostic]:
    """A request gets one answer, so at one backend and time the shares of faults that replace answers add up."""
    answering = [fault for fault in plan.faults if isinstance(fault.behaviour, ANSWERING)]
    for index, fault in enumerate(checked.scenario.faults):
        planned = next((each for each in answering if each.name == fault.name), None)
        if planned is None:
            continue
        earlier = answering[: answering.index(planned)]
        others = [o for o in earlier if _compete(o, planned) and overlap(o, planned)]
        total = planned.share + sum(other.share for other in others)
        if others and total > 1:
            yield Diagnostic(
                ("faults", index),
                f"`{others[-1].name}` and `{fault.name}` replace the same backend's answers, "
                f"{100 * total:.3g}% of them in all",
                "write shares that add up to 100% at most, or keep them apart in time",
            )
