"""Why the service never met a fault that stood, and what to do about it: sentences for a rig failure.

A fault that nobody met proves nothing about the service, however well it was applied: a cache may have answered
meanwhile, or the service may go around its proxy.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from harness.evidence.meetings import FaultContact
from harness.evidence.run import Evidence
from harness.evidence.unmatched import named_in_vain
from harness.rundir.plan import PlannedFault
from harness.units import NS_PER_MS, format_duration, format_things

_IN_VAIN: Final = (400, 404, 405)


def unmet(run: Evidence, fault: PlannedFault, upstream: str, meeting: FaultContact) -> tuple[str, str] | None:
    """What is missing, and the way out; None where the service met the fault, or need not have met it."""
    if meeting.happened:
        return _asked_in_vain(run, upstream)
    if run.broken or _was_cut_short(run, fault):
        return None  # the files tell what is lost, and a run cut short that it was
    if meeting.calls:
        return None if fault.met == "optional" else _none_was_hit(fault, upstream, meeting)
    if not meeting.asked.total and not meeting.unwatched:
        return _never_called(run, fault, upstream)
    if fault.met == "optional":
        return None
    if meeting.unwatched:
        return (
            f"nobody could see whether the service tried to reach {upstream} while `{fault.name}` refused its "
            f"connections ({meeting.unwatched})",
            "run it again, with a Toxiproxy of tailgate's own on this machine",
        )
    return _not_asked_while_broken(run, fault, upstream, meeting)


def _not_asked_while_broken(
    run: Evidence, fault: PlannedFault, upstream: str, meeting: FaultContact
) -> tuple[str, str]:
    stood, last_ms = format_duration(meeting.stood_ms), meeting.asked.last_before_ms
    last = "no call before it" if last_ms is None else f"the last call {format_duration(last_ms)} before it"
    baseline = f"{format_things(meeting.asked.in_baseline, 'call')} in the baseline"
    return (
        f"the service never met `{fault.name}` ({fault.text}): {upstream} was never asked in the {stood} that it stood "
        f"({last}, {baseline}){_refusal(run)}",
        "let the fault outlast what the service keeps (a longer `for`), run it with a cold cache, or write "
        "`met: optional` on the fault to show that a cache hides it",
    )


def _was_cut_short(run: Evidence, fault: PlannedFault) -> bool:
    """The run was stopped before the last of the fault's windows was over, so the call may just not have come yet."""
    if run.stop_ns is None:
        return False
    return run.stop_ns < run.t0_ns + round(fault.windows[-1].remove_ms * NS_PER_MS)


def _refusal(run: Evidence) -> str:
    """Of a service that answers every request of the run with the same error, that; else nothing."""
    status = run.samples["status"]
    if len(status) and status[0] >= 400 and (status == status[0]).all():
        return f": it answered every request with {int(status[0])}, before the fault as well"
    return ""


def _never_called(run: Evidence, fault: PlannedFault, upstream: str) -> tuple[str, str]:
    """Of a service that refuses every request, the reason is the request; of another, its way to the upstream."""
    told = f"fault `{fault.name}` stood on {upstream}'s proxy, but no call of the service reached {upstream}"
    if refusal := _refusal(run):
        return f"{told}{refusal}", "see the scenario's requests: does the service have this path, and may we ask it?"
    if run.plan.service.kind == "url":
        listens = run.plan.upstream(upstream).url
        return told, f"the service runs already and must know {upstream} as {listens}; set its `port` to what it knows"
    return (
        f"{told}: the service never used that way",
        f"the service may go around the proxy: see the address it was given for {upstream} in sut.env",
    )


def _asked_in_vain(run: Evidence, upstream: str) -> tuple[str, str] | None:
    """A service that asks its fake for what it does not have meets no fault of it that would mean anything."""
    planned = run.plan.upstream(upstream)
    calls = run.calls[run.calls["upstream"] == planned.index]
    answered = calls["status"][(calls["faults"] == 0) & (calls["status"] > 0)]
    if planned.kind != "fake" or not len(answered) or not np.isin(answered, _IN_VAIN).all():
        return None
    return (
        f"every call of the service to {upstream} was answered {int(answered[0])}: it asks for a path, a method or a "
        f"cursor that a fake of the provider `{planned.provider}` does not have{named_in_vain(run, upstream)}",
        f"see what `provider: {planned.provider}` speaks in docs/scenarios.md; generic is GET /offers?cursor=",
    )


def _none_was_hit(fault: PlannedFault, upstream: str, meeting: FaultContact) -> tuple[str, str]:
    """A fault that broke none of the calls that came has shown nothing."""
    came = format_things(meeting.calls, "call")
    if fault.proof.kind == "called":
        return (
            f"`{fault.name}` ({fault.text}) never held a call up: {came} of the service came to {upstream} while it "
            "stood, and none had to wait",
            "lower the capacity, or raise the rate: fewer calls than that are there at once",
        )
    return (
        f"`{fault.name}` ({fault.text}) broke none of the {came} of the service that came to {upstream} while it stood",
        "write a larger `share`, or a longer `for`",
    )
