"""Seconds in which others took the cores while the run waited for one, and the check `cores`.

The rule for one second is `is_taken`. Others used a good part of the cores that the service may use, and at least as
much as the service; and the service, or the rig that stands in a request's path (load workers, gateway, Toxiproxy,
forwarder, fakes), waited in proportion to what it used. So a service that uses up the cores itself, or that is slow
while nothing waits for a core, is not excused by a machine that is a little busy. No second is taken where it is
unknown who used the cores, or where the service needs far more cores for the planned load than it has: then it would be
as slow without the others.

What queued up in taken seconds is worked off afterwards, so the seconds after them are left out too for as long as an
old request is open (`TakenSeconds.affected`).

A FAIL rests on these seconds if it does not hold without them, and not either when each request is believed to have
been held up by others for as long as that is possible (`harness.verdict.bad_seconds.waiting`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Evidence
from harness.evidence.cores import CoreSeconds, Floats
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.results import CoresResult
from harness.rundir.rows import Outcome
from harness.text import one_line
from harness.units import NS_PER_MS, NS_PER_S, format_things
from harness.verdict.validity import RunCheck

OTHERS_LEAST: Final = 0.25
"""The share of the service's cores that others used, at least, in a taken second."""
WAITED_LEAST_S: Final = 0.1
"""How long the service's threads waited for a core, added up, at least, in a taken second."""
WAITED_TO_USED_LEAST: Final = 0.25
"""The least ratio of the time that the service waited to the time that it used. A busy service whose thread runs nearly
always, and waits for a core between, is slow because of what it does."""
NEEDED_MOST: Final = 1.5
"""How many times the cores that it may use a service may need. Others in the caches of the processor make the same work
take longer, but not so much longer."""
OLD_MS: Final = 100.0
"""A request that was open for less at the end of a taken second is no sign that anything had queued up."""
PROCESSED_LEAST: Final = 20
"""With fewer requests it is unknown what one of them needs."""
_SPANS_MOST: Final = 3
_PROGRAMS_MOST: Final = 3
"""So many spans of taken seconds, and programs outside the run, a message names."""
_CONTAINERS: Final = ("docker", "podman", "nerdctl")
"""What these start is no descendant of theirs."""


@dataclass(frozen=True, slots=True)
class TakenSeconds:
    """What is known of the cores in one run. `record` is None if it is unknown who used them, and `unknown` says why.
    `seconds`: the taken ones, counted from t = 0. `load`: the record's entries from t = 0 to the load's end."""

    record: CoreSeconds | None
    unknown: str = ""
    seconds: frozenset[int] = frozenset()
    affected: frozenset[int] = frozenset()
    """The taken seconds, and those after them in which the run worked off what had queued up."""
    needed: float = 0.0
    """How many cores the service needs for the planned load, if that is more than it can be excused for; else 0."""
    load: slice = field(default_factory=lambda: slice(0, 0))

    @property
    def in_load(self) -> list[int]:
        """The taken seconds of the load, in order."""
        first = self.record.first + self.load.start if self.record else 0
        return sorted(second for second in self.seconds if first <= second < first + self.load.stop - self.load.start)


def is_taken(record: CoreSeconds) -> NDArray[np.bool_]:
    """For each second of the record, whether others took the cores."""
    others_are_busy = (record.others_s >= OTHERS_LEAST * record.cores) & (record.others_s >= record.used_s)
    service = _waits(record.waited_s + record.stolen_s, record.used_s)
    rig = _waits(record.rig_waited_s + record.stolen_s, record.rig_used_s)
    taken: NDArray[np.bool_] = others_are_busy & (service | rig)
    return taken


def _waits(waited_s: Floats, used_s: Floats) -> NDArray[np.bool_]:
    waits: NDArray[np.bool_] = (waited_s >= WAITED_LEAST_S) & (waited_s >= WAITED_TO_USED_LEAST * used_s)
    return waits


def taken_seconds(run: Evidence) -> TakenSeconds:
    """The seconds of a run in which others took the cores."""
    if run.plan.service.kind == "url":
        return TakenSeconds(None, "the service is not one of the run's processes")
    outside = next((upstream.name for upstream in run.plan.upstreams if _runs_outside(upstream)), None)
    if outside is not None:
        return TakenSeconds(None, f"what {outside} uses cannot be told from what others use")
    record = CoreSeconds.of(run.resources, run.t0_ns)
    if record is None:
        return TakenSeconds(None, "the system did not say")
    taken = record.at(is_taken(record))
    end_ns = run.t0_ns + run.plan.load.duration_ms * NS_PER_MS if run.stop_ns is None else run.stop_ns
    begin = min(max(0, -record.first), len(record))
    end = min(max(begin, math.ceil((end_ns - run.t0_ns) / NS_PER_S) - record.first), len(record))
    load = slice(begin, end)
    needed = needed_cores(run, record, seconds=end - begin)
    if needed > NEEDED_MOST * record.cores:
        return TakenSeconds(record, needed=needed, load=load)
    return TakenSeconds(record, seconds=taken, affected=taken | backlog_seconds(run, taken), load=load)


def backlog_seconds(run: Evidence, taken: frozenset[int]) -> frozenset[int]:
    """The seconds, counted from t = 0, in which the run still worked off what had queued up in taken ones before them.

    They follow a spell of taken seconds one upon another, for as long as a request is open that was due in the spell or
    since and is old; and at most for as long as the spell lasted. A service that uses less than half of its cores has
    caught up by then.
    """
    if not taken or not len(run.samples):
        return frozenset()
    intended_ns = run.samples["intended_ns"] - run.t0_ns
    due = intended_ns // NS_PER_S
    border = (run.samples["done_ns"] - run.t0_ns) // NS_PER_S  # the last whole second at which it was open
    old = border * NS_PER_S - intended_ns >= OLD_MS * NS_PER_MS
    first = int(due.min())
    open_until = np.full(int(due.max()) - first + 1, -(2**62), np.int64)  # by the second in which they were due
    np.maximum.at(open_until, due[old] - first, border[old])
    found: set[int] = set()
    room, until = 0, -(2**62)
    for second in range(min(taken), max(taken) + 1 + len(taken)):
        if second in taken:
            room += 1
        elif room and until >= second:
            found.add(second)
            room -= 1
        else:
            room, until = 0, -(2**62)
            continue
        if 0 <= second - first < len(open_until):
            until = max(until, int(open_until[second - first]))
    return frozenset(found)


def needed_cores(run: Evidence, record: CoreSeconds, *, seconds: int) -> float:
    """The cores that the service would use if it kept up with the load: the processor time for one request, times the
    requests a second. 0 if that is unknown.

    All that the service used from the first arrival on is shared among the requests that it has certainly worked on:
    those that were answered, and those for which a backend was called. Where no calls are recorded all that were sent
    count, so that the figure is too low rather than too high. `seconds`: the length of the load.
    """
    first_part = run.samples["part"] == 0
    if len(run.calls):
        worked_on = run.samples["outcome"] == Outcome.OK
        worked_on[run.call_arrivals[run.call_arrivals >= 0]] = True
    else:
        worked_on = run.samples["outcome"] != Outcome.DROPPED
    count = int(np.count_nonzero(worked_on & first_part))
    if count < PROCESSED_LEAST or seconds <= 0:
        return 0.0
    warmup_s = math.floor(run.plan.load.warmup_ms / 1_000)
    used_s = float(record.used_s[max(0, -warmup_s - record.first) :].sum())
    measured = int(np.count_nonzero(first_part & (run.samples["intended_ns"] >= run.t0_ns)))
    return used_s / count * measured / seconds


def _runs_outside(upstream: PlannedUpstream) -> bool:
    """Whether what answers may be a process of this machine that is not among the run's."""
    if upstream.command is not None:
        return any(word.rpartition("/")[2] in _CONTAINERS for word in upstream.command.argv[:1])
    return upstream.fake is None


# ---------------------------------------------------------------- the check


def cores_finding(taken: TakenSeconds, changes: Sequence[str]) -> RunCheck:
    """The check on the cores. `changes`: how the verdicts of gates change without the taken seconds; empty if none
    does."""
    if taken.record is None:
        return RunCheck("cores", True, f"who used the cores is unknown: {taken.unknown}")
    if changes:
        return RunCheck(
            "cores",
            False,
            f"the machine was busy with something else: {_taken_words(taken)}, and without those seconds {changes[0]}",
            "free the machine, or give the service cores that nothing else uses; then run again",
        )
    if taken.needed:
        needed = f"the service needs {taken.needed:.2g} cores for this load and has {taken.record.cores}"
        return RunCheck("cores", True, f"{needed}, so nothing is put down to others")
    if taken.in_load:
        return RunCheck("cores", True, f"{_taken_words(taken)}; no verdict rests on those seconds")
    others, waited = taken.record.others_s[taken.load], taken.record.waited_s[taken.load]
    return RunCheck(
        "cores",
        True,
        f"others used at most {_most(others):.2g} of {format_things(taken.record.cores, 'core')}, and the service "
        f"waited at most {_most(waited):.2g} s a second for one",
    )


def _most(figures: Floats) -> float:
    return float(figures.max()) if len(figures) else 0.0


def _taken_words(taken: TakenSeconds) -> str:
    """`in 31 of 40 seconds (5 s to 36 s) others (dd, cc1) used 1.6 of 2 cores, while the service waited 1.2 s a second
    for one and the rig 0.4 s`."""
    record = taken.record
    assert record is not None
    chosen = taken.in_load or sorted(taken.seconds)
    places = [second - record.first for second in chosen]
    # a run that was stopped before t = 0 has no second of load
    seconds = format_things(max(taken.load.stop - taken.load.start, len(places)), "second")
    others_s, waited_s, rig_s = (
        float(figures[places].mean()) for figures in (record.others_s, record.waited_s, record.rig_waited_s)
    )
    programs = _programs(record, frozenset(chosen))
    words = (
        f"in {len(places)} of {seconds} ({_spans_words(chosen)}) others{f' ({programs})' if programs else ''} used "
        f"{others_s:.2g} of {format_things(record.cores, 'core')}, while the service waited {waited_s:.2g} s a second "
        "for one"
    )
    return words if rig_s < WAITED_LEAST_S else f"{words} and the rig {rig_s:.2g} s"


def _spans_words(seconds: Sequence[int]) -> str:
    """`5 s to 36 s, 40 s to 41 s, 3 more`."""
    spans = _spans(seconds)
    more = [f"{len(spans) - _SPANS_MOST} more"] if len(spans) > _SPANS_MOST else []
    return ", ".join([*(f"{begin} s to {end} s" for begin, end in spans[:_SPANS_MOST]), *more])


def _programs(record: CoreSeconds, seconds: frozenset[int]) -> str:
    """The programs outside the run that used most in these seconds, as far as they could be seen."""
    used: dict[str, float] = {}
    for second, name, used_s in record.used_most:
        if second in seconds:
            used[name] = used.get(name, 0.0) + used_s
    return ", ".join(one_line(name, 40) for name in sorted(used, key=lambda name: (-used[name], name))[:_PROGRAMS_MOST])


def cores_result(taken: TakenSeconds) -> CoresResult | None:
    """The entry of one run in results.json; None if it is unknown who used the cores, or if nothing was recorded while
    the load was on."""
    record, load = taken.record, taken.load
    if record is None or load.stop <= load.start:
        return None
    others, waited = record.others_s[load], record.waited_s[load]
    return CoresResult(
        cores=record.cores,
        seconds=len(waited),
        waited_s_per_s=float(waited.mean()),
        waited_most_s=float(waited.max()),
        others_s_per_s=float(others.mean()),
        others_most_s=float(others.max()),
        taken=_spans(taken.in_load),
    )


def _spans(seconds: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Seconds in order as spans: 3, 4, 5, 9 are from 3 to 6 and from 9 to 10."""
    spans: list[tuple[int, int]] = []
    for second in seconds:
        if spans and spans[-1][1] == second:
            spans[-1] = spans[-1][0], second + 1
        else:
            spans.append((second, second + 1))
    return tuple(spans)
