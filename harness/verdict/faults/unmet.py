"""Why the service never met a fault that was active, and what to do about it: the sentences of a rig failure.

A fault that no call of the service met proves nothing about the service, however well it was applied: a cache may have
answered in the meantime, or the service may bypass the proxy.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from harness.evidence.meetings import FaultContact
from harness.evidence.origin_notes import never_heard
from harness.evidence.run import Evidence
from harness.evidence.unmatched import named_in_vain
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.rows import NO_ROUTE
from harness.units import NS_PER_MS, format_duration, format_things

_NOT_MATCHED: Final = (400, 404, 405)
"""The statuses with which a fake answers a call that matches none of its routes."""


def unmet(run: Evidence, fault: PlannedFault, upstream: str, contact: FaultContact) -> tuple[str, str] | None:
    """Why the service did not meet the fault, and what to do; None if it met the fault, or need not have met it."""
    if fault.on_service:
        return _no_request(run, fault, contact)
    if contact.happened:  # a connection or a refused attempt is a contact too, so a call may still never have come
        return _never_heard(run, fault, upstream) or _only_unmatched_calls(run, upstream)
    if run.broken or _was_cut_short(run, fault):
        return None  # the calls may be in rows that are lost, or would have come after the stop; other checks say so
    if contact.blind and not contact.calls:
        # this machine may not see the service's connections, so that none was seen proves nothing
        return None  # the fault's gates are inconclusive
    if contact.calls:
        return None if fault.met == "optional" else _broke_no_call(fault, upstream, contact)
    if contact.standing:
        return None if fault.met == "optional" else _held_connections(fault, upstream, contact.standing)
    if (
        not contact.calls_outside.total and not contact.unwatched
    ):  # no call in the whole run, and no attempt can be hidden
        return _never_heard(run, fault, upstream) or _never_called(run, fault, upstream)
    if fault.met == "optional":
        return None
    if contact.unwatched:
        return (
            f"it is unknown whether the service tried to reach {upstream} while `{fault.name}` refused its "
            f"connections ({contact.unwatched})",
            "run it again, with a Toxiproxy of tailgate's own on this machine",
        )
    return _not_asked_while_broken(run, fault, upstream, contact)


def _held_connections(fault: PlannedFault, upstream: str, standing: int) -> tuple[str, str]:
    """The problem of a service that kept its connections to a server whose calls nothing records."""
    held = format_things(standing, "connection")
    return (
        f"it was not seen that the service met `{fault.name}` ({fault.text}): it held {held} to {upstream} while it "
        "was active, opened no new one, and sent nothing over them that was seen",
        "let connections of its pool live shorter than the fault lasts, break them (reset, hang, down), or write `met: "
        "optional` on the fault",
    )


def _no_request(run: Evidence, fault: PlannedFault, contact: FaultContact) -> tuple[str, str] | None:
    """The problem of a fault on the service during which the load sent nothing."""
    if contact.happened or fault.met == "optional" or run.broken or _was_cut_short(run, fault):
        return None
    return (
        f"no request was sent to the service while `{fault.name}` ({fault.text}) was active",
        "raise the rate, or let the fault last longer",
    )


def _not_asked_while_broken(
    run: Evidence, fault: PlannedFault, upstream: str, contact: FaultContact
) -> tuple[str, str]:
    active, last_ms = format_duration(contact.stood_ms), contact.calls_outside.last_before_ms
    last = "no call before it" if last_ms is None else f"the last call {format_duration(last_ms)} before it"
    baseline = f"{format_things(contact.calls_outside.in_baseline, 'call')} in the baseline"
    return (
        f"the service never met `{fault.name}` ({fault.text}): {upstream} was never asked in the {active} that it was "
        f"active ({last}, {baseline}){_refusal(run)}",
        "let the fault last longer than the service caches answers (a longer `for`), run it with a cold cache, or "
        "write `met: optional` on the fault to show that a cache hides it",
    )


def _was_cut_short(run: Evidence, fault: PlannedFault) -> bool:
    """Whether the run was stopped before the fault's last window ended, so that a call might still have come."""
    if run.stop_ns is None:
        return False
    return run.stop_ns < run.t0_ns + round(fault.windows[-1].remove_ms * NS_PER_MS)


def _refusal(run: Evidence) -> str:
    """The end of a sentence about a service that answers every request of the run with the same error; else empty."""
    status = run.samples["status"]
    if len(status) and status[0] >= 400 and (status == status[0]).all():
        return f": it answered every request with {int(status[0])}, before the fault as well"
    return ""


def _never_called(run: Evidence, fault: PlannedFault, upstream: str) -> tuple[str, str]:
    """Why no call came in the whole run: the service refuses every request, or uses another address."""
    sentence = f"fault `{fault.name}` was active on {upstream}'s proxy, but no call of the service reached {upstream}"
    if refusal := _refusal(run):
        fix = "see the scenario's requests: does the service have this path, and does it accept them?"
        return f"{sentence}{refusal}", fix
    if run.plan.service.kind == "url":
        listens = run.plan.upstream(upstream).url
        fix = f"the service runs already and must know {upstream} as {listens}; set its `port` to what it knows"
        return sentence, fix
    return (
        f"{sentence}: the service never used the proxy's address",
        f"the service may bypass the proxy: see the address it was given for {upstream} in sut.env",
    )


def _never_heard(run: Evidence, fault: PlannedFault, upstream: str) -> tuple[str, str] | None:
    """The problem of a service that connects to an upstream, and never gets as far as a call."""
    note = never_heard(run, run.plan.upstream(upstream))
    if note is None:
        return None
    sentence = f"the service never got as far as a call to {upstream}, with or without `{fault.name}`: {note.said()}"
    return sentence, note.fix


def _only_unmatched_calls(run: Evidence, upstream: str) -> tuple[str, str] | None:
    """The problem of a service that asks a fake only for what it does not have: such calls prove no fault."""
    planned = run.plan.upstream(upstream)
    calls = run.calls[run.calls["upstream"] == planned.index]
    answered = calls["status"][(calls["faults"] == 0) & (calls["status"] > 0)]
    fake = planned.fake
    if fake is None or not len(answered):
        return None
    if fake.routes:
        if (calls["route"] != NO_ROUTE).any():
            return None
        return (
            f"every call of the service to {upstream} matched none of its routes{named_in_vain(run, upstream)}",
            "add a route for what the service asks, or correct the base URL that it is given",
        )
    if not np.isin(answered, _NOT_MATCHED).all():
        return None
    return (
        f"every call of the service to {upstream} was answered {int(answered[0])}: it asks for a path, a method or a "
        f"cursor that a fake of the provider `{fake.provider}` does not have{named_in_vain(run, upstream)}",
        f"see what `provider: {fake.provider}` speaks in docs/scenarios.md; generic is GET /offers?cursor=",
    )


def _broke_no_call(fault: PlannedFault, upstream: str, contact: FaultContact) -> tuple[str, str]:
    """The problem of a fault that broke none of the calls that came while it was active."""
    came = format_things(contact.calls, "call")
    if fault.proof.kind == "called":  # a limit of capacity: no canary sees it, only the fake's records of calls do
        return (
            f"`{fault.name}` ({fault.text}) never delayed a call: {came} of the service came to {upstream} while it "
            "was active, and none had to wait",
            "lower the capacity, or raise the rate: there are never more calls at once than the capacity allows",
        )
    if fault.route is not None:
        return (
            f"`{fault.name}` ({fault.text}) broke none of the {came} of the service that came to {upstream} while it "
            f"was active: none of them was for `{fault.route}`, or `share` drew none",
            "see which routes the service asks for, and correct `route`; or write a longer `for`",
        )
    return (
        f"`{fault.name}` ({fault.text}) broke none of the {came} of the service that came to {upstream} while it was "
        "active",
        "write a larger `share`, or a longer `for`",
    )
