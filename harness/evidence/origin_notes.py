"""What was noticed of real origins and of connections without a call, in one run or in several together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from harness.evidence.run import Evidence
from harness.rundir.canaries import Connections
from harness.rundir.origin_notes import OF_HANDSHAKES, OriginNote
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.rows import FLAG_ORIGIN_FAILED

_FIX_TLS: Final = (
    "see the log of the service: a client such as node hangs up without a word where it does not trust the run's "
    "authority, which is in the file `{ca}`, or where it asks for another host than `{NAME.url}` has"
)
_FIX_ERRORS: Final = "see that the service asks it for what it has: the base URL, the paths, the credentials"
_ERRORS_LEAST: Final = 10
"""Fewer calls are too few to conclude anything."""
_NEARLY_ALL: Final = 0.9
_FIX_PLAIN: Final = "see the log of the service: does it speak plain HTTP/1.1 there, as `{NAME.url}` says?"


def origin_notes(runs: Iterable[Evidence]) -> tuple[OriginNote, ...]:
    """The notes with their calls added up, by upstream in the plan's order, the most frequent first."""
    calls: dict[tuple[str, str, str], OriginNote] = {}
    order: dict[str, int] = {}
    for run in runs:
        order |= {upstream.name: upstream.index for upstream in run.plan.upstreams}
        for note in (*run.origin_notes, *_unasked(run), *_only_errors(run)):
            key = note.upstream, note.kind, note.text
            before = calls[key].calls if key in calls else 0
            calls[key] = note.model_copy(update={"calls": before + note.calls})
    known = [note for note in calls.values() if note.upstream in order]
    return tuple(sorted(known, key=lambda note: (order[note.upstream], -note.calls, note.kind, note.text)))


def never_heard(run: Evidence, upstream: PlannedUpstream) -> OriginNote | None:
    """Why no call of a service that connects came to the upstream in the whole run; None if that does not hold.

    What OpenSSL saw of handshakes says more than connections that were counted.
    """
    if not upstream.records_calls or _was_called(run, upstream):
        return None
    notes = [note for note in origin_notes([run]) if note.upstream == upstream.name and note.kind in OF_HANDSHAKES]
    return min(notes, key=lambda note: OF_HANDSHAKES.index(note.kind), default=None)


def _unasked(run: Evidence) -> Iterator[OriginNote]:
    """A note for each upstream to which the service connected and sent nothing, unless OpenSSL has seen the reason.

    Only connections before the first fault count: a fault may well keep requests from the ones after it.
    """
    told = {note.upstream for note in run.origin_notes if note.kind == "handshake"}
    first_ns = _first_fault_ns(run)
    for upstream in run.plan.upstreams:
        if not upstream.records_calls or upstream.name in told or _was_called(run, upstream):
            continue
        opened = sum(
            line.new
            for line in run.canaries
            if isinstance(line, Connections) and line.upstream == upstream.name and line.t_ns < first_ns
        )
        if opened:
            fix = _FIX_TLS if upstream.terminates_tls else _FIX_PLAIN
            yield OriginNote(upstream=upstream.name, kind="unasked", text="", fix=fix, calls=opened)


def _only_errors(run: Evidence) -> Iterator[OriginNote]:
    """A note for each real origin that gave nearly every call the same error before the first fault.

    Calls that it did not answer at all are told of as `no_answer`.
    """
    before = run.calls[run.calls["arrived_ns"] < _first_fault_ns(run)]
    for upstream in run.plan.upstreams:
        if upstream.forward is None:
            continue
        own = before[before["upstream"] == upstream.index]
        statuses = Counter(own["status"][(own["flags"] & FLAG_ORIGIN_FAILED) == 0].tolist())
        for status, calls in statuses.most_common(1):
            if status >= 400 and calls >= max(_ERRORS_LEAST, _NEARLY_ALL * len(own)):
                yield OriginNote(upstream=upstream.name, kind="errors", text=str(status), fix=_FIX_ERRORS, calls=calls)


def _first_fault_ns(run: Evidence) -> int:
    """When the first fault may have begun to act; the end of the run if none did."""
    spans = (injection.touched(run.end_ns) for injection in run.journalled)
    return min((span.begin_ns for span in spans if span is not None), default=run.end_ns)


def _was_called(run: Evidence, upstream: PlannedUpstream) -> bool:
    return bool((run.calls["upstream"] == upstream.index).any())
