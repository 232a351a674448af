"""Decides gates on a share: of the n requests of a phase, k count against the gate; it passes if their share is surely
below p0.

If the load was stopped before the end of the phase, only what was known before the faults were removed counts. Then a
gate FAILs only if it would have failed whatever the remaining arrivals had done; otherwise it is inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Evidence, Pool, Window
from harness.evidence.completeness import asked, asks_any
from harness.evidence.window import endings_of
from harness.gates.gate import DECIDED, Finding, Unit
from harness.gates.wording.outcomes import SLOW, list_endings
from harness.rundir.finding_kind import FindingKind
from harness.rundir.plan import Plan
from harness.statistics import Counts, Decision, Rule, batch_sizes, batch_sums, cannot_pass, decide
from harness.units import NS_PER_MS, NS_PER_S, Span, format_count, format_share
from scenarios.load import active_intervals

if TYPE_CHECKING:
    from harness.rundir.results import Ending

JOINED_LEAST: Final = 0.99
"""If a smaller share of the backends' calls can be matched to a request, nothing is said about single requests."""
STILL_OPEN_SHARE_MOST: Final = 0.001
"""If a larger share of the baseline's arrivals is still open when the first fault comes, the guard was too short."""

Bad = Callable[[Evidence, Window], NDArray[np.bool_]]
"""For each request of a window, shape (len(window.samples),): whether it counts against the gate."""


@dataclass(frozen=True, slots=True)
class Population:
    """Which requests a gate counts.

    `phase`: those intended in it. `request`: only those of this name. `every_part`: the later requests of an arrival
    too, not only its first. `ok_only`: only those that ended ok. `asking`: only those that ask upstreams. `asks`: only
    those that ask this upstream. `held_ns`: if the load was stopped, a request that was still open this long after its
    intended time already counts against the gate.
    """

    phase: str
    request: str | None = None
    every_part: bool = False
    ok_only: bool = False
    held_ns: int | None = None
    asks: str | None = None
    asking: bool = False

    def windows(self, pool: Pool) -> list[Window]:
        """One window for each run."""
        return [self.window(run) for run in pool.runs]

    def window(self, run: Evidence) -> Window:
        """The window of the phase in one run, with only the requests of this population, and only as long as these
        could arrive."""
        return run.windows.get(self, lambda: self._window(run))

    def _window(self, run: Evidence) -> Window:
        window = run.window(self.phase, every_part=self.every_part)
        if (seconds := self._seconds_with_arrivals(run)) is not None:
            window = replace(window, seconds=seconds)
        if self.request is not None:
            window = window.only(run.rows_of_request(window.samples, self.request))
        if self.asks is not None:
            window = window.only(asked(run, window) & np.uint64(1 << run.plan.upstream(self.asks).index) != 0)
        if self.asking:
            window = window.only(asks_any(run, window))
        return window.only(window.ok) if self.ok_only else window

    def _seconds_with_arrivals(self, run: Evidence) -> float | None:
        """How long requests that count could arrive in the phase, in seconds without bad ones; None: all the time.

        The rest of the phase says nothing about them, so it must not count as time in which nothing was slow.
        """
        load = run.plan.load
        active = active_intervals(load, [load.requests[place].name for place in self.counted_requests(run) or ()])
        if active is None:
            return None
        both = ((max(a, b), min(c, d)) for a, c in run.phase(self.phase).intervals for b, d in active)
        spans = [
            Span(run.t0_ns + round(begin_ms * NS_PER_MS), run.t0_ns + round(end_ms * NS_PER_MS))
            for begin_ms, end_ms in both
            if begin_ms < end_ms
        ]
        return run.seconds(spans)

    def counted_requests(self, run: Evidence) -> list[int] | None:
        """The places in the plan of the requests that count; None: every request does."""
        if self.request is None and self.asks is None and not self.asking:
            return None
        return [
            place
            for place, request in enumerate(run.plan.load.requests)
            if self.request in (None, request.name)
            and (self.asks is None or self.asks in request.asks)
            and (not self.asking or request.asks)
        ]


@dataclass(frozen=True, slots=True)
class InconclusiveReason:
    """Why a gate could not be decided from figures at all: the kind of finding, and the reason for people."""

    kind: FindingKind
    reason: str


def rule_of(plan: Plan, p0: float, alpha_fail: float) -> Rule:
    """The test of `share < p0`. Chance of error of a PASS: 1 - the plan's confidence; of a FAIL: `alpha_fail`."""
    alpha = round(1 - plan.verdict.confidence, 9)  # 1 - 0.95 is 0.05000000000000004
    return Rule(p0=p0, clump_s=plan.verdict.clump_ms / 1000, alpha=alpha, alpha_fail=alpha_fail)


def decide_share(pool: Pool, population: Population, bad: Bad, rule: Rule) -> Decision | InconclusiveReason:
    """Decide the share of bad requests in all runs of the pool together, by `harness.statistics.decide`."""
    windows = population.windows(pool)
    if any(window.cut for window in windows):
        return _decide_cut(pool, population, windows, bad, rule)
    counts = Counts.of(*(bad(run, window) for run, window in zip(pool.runs, windows, strict=True)))
    return decide(counts, sum(window.seconds for window in windows), rule)


def describe_stopped(pool: Pool) -> InconclusiveReason:
    """The reason of a gate whose phase was cut short because the load was stopped."""
    ended = next((run.manifest.ended for run in pool.runs if run.stop_ns is not None), None)
    how = {
        "fail_fast": "another gate had failed",
        "aborted": "the run was aborted (`load.abort_if`)",
        "interrupted": "the run was interrupted",
    }
    why = how.get(ended.reason if ended else "", "the load was stopped")
    return InconclusiveReason(FindingKind.STOPPED, f"{why} before this phase was over")


def _decide_cut(
    pool: Pool, population: Population, windows: Sequence[Window], bad: Bad, rule: Rule
) -> Decision | InconclusiveReason:
    """Decide windows of which at least one was cut short: FAIL if the gate fails however the unknown requests end; else
    inconclusive.
    """
    surely_bad: list[NDArray[np.bool_]] = []
    unknown: list[NDArray[np.bool_]] = []
    for run, window in zip(pool.runs, windows, strict=True):
        planned = _planned_seqs(run, window, population)
        if planned is None:
            return describe_stopped(pool)
        own_bad, own_unknown = _known(run, window, planned, bad(run, window), population.held_ns)
        surely_bad.append(own_bad)
        unknown.append(own_unknown)
    k, n = sum(int(own.sum()) for own in surely_bad), sum(len(own) for own in surely_bad)
    known = n - sum(int(own.sum()) for own in unknown)
    sizes = np.concatenate([batch_sizes(len(own)) for own in surely_bad])
    seconds = sum(window.seconds for window in windows)
    if cannot_pass(_batches(surely_bad), _batches(unknown), sizes, seconds, rule):
        low = k / n  # as if all unknown requests ended well
        return Decision(
            verdict="fail", reason="decided", n=known, k=k, deflation=1.0, low=low, high=1.0, withstands_s=None
        )
    return describe_stopped(pool)


def _planned_seqs(run: Evidence, window: Window, population: Population) -> NDArray[np.int64] | None:
    """The numbers of the arrivals that the plan has in this window, shape (arrivals,), ascending.

    None if the plan cannot tell: a closed model, a population of ok requests or of those that ask upstreams,
    arrivals with several requests, or a request of a locustfile.
    """
    planned, offsets = run.planned, run.planned_offsets_ns
    if planned is None or offsets is None or population.ok_only or run.has_parts:
        return None
    if run.plan.load.locustfile is not None and (population.request is not None or population.asks is not None):
        return None
    first, end = np.searchsorted(offsets, (window.start_ns - run.t0_ns, window.end_ns - run.t0_ns)).tolist()
    seqs = np.arange(first, end)
    if run.bad_seconds:
        seqs = seqs[~np.isin(offsets[first:end] // NS_PER_S, list(run.bad_seconds))]
    requests, counted = run.plan.load.requests, population.counted_requests(run)
    if population.asking and not all(request.asks for request in requests):
        return None
    if counted is not None and len(requests) > 1:
        seqs = seqs[np.isin(planned.requests_of(seqs), counted)]
    return seqs


def _known(
    run: Evidence, window: Window, planned: NDArray[np.int64], bad: NDArray[np.bool_], held_ns: int | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(surely_bad, unknown), both of shape (len(planned),): whether an arrival surely counts against the gate, and
    whether that is unknown. Of a request that ended after the cutoff only how long it had waited by then is known.
    """
    samples = window.samples
    known = np.ones(len(samples), np.bool_)
    if run.cutoff_ns is not None:
        known = samples["done_ns"] <= run.cutoff_ns
        if held_ns is not None:
            held = ~known & (run.cutoff_ns - samples["intended_ns"] >= held_ns)
            bad, known = bad | held, known | held
    place = np.searchsorted(planned, samples["seq"].astype(np.int64))
    fits = place < len(planned)
    place, known, bad = place[fits], known[fits], bad[fits]
    surely_bad = np.zeros(len(planned), np.bool_)
    unknown = np.ones(len(planned), np.bool_)
    surely_bad[place], unknown[place] = bad & known, ~known
    return surely_bad, unknown


def _batches(runs: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """The batch sums of each run, one run after the other."""
    return np.concatenate([batch_sums(run) for run in runs])


# ---------------------------------------------------------------- in words

_WHY: Final[dict[str, str]] = {
    "no_arrivals": "no request arrived in this phase",
    "above_not_surely": "the share is above the limit, but not surely: it may be a single event",
    "too_few": "too few requests to be sure",
    "clump": "the phase is too short to rule out slow spells of the declared clump",
    "bursts": "the bad requests came in too few bursts to tell how often they come",
}


_KINDS: Final[dict[str, FindingKind]] = {
    "no_arrivals": FindingKind.NO_ARRIVALS,
    "above_not_surely": FindingKind.ABOVE_NOT_SURELY,
    "too_few": FindingKind.TOO_FEW,
    "clump": FindingKind.WINDOW_TOO_SHORT,
    "bursts": FindingKind.TOO_FEW_BURSTS,
}


@dataclass(frozen=True, slots=True)
class ShareWords:
    """The words of a decision on a share. `did`: the predicate of a sentence about k of n `things`."""

    did: str
    allowed: float
    """The share that the gate allows."""
    things: str = "requests"
    endings: tuple[Ending, ...] = ()
    """How the requests ended that count against the gate; listed after `did` if any of them failed."""

    def seen(self, decision: Decision) -> str:
        """What was counted, as a clause; empty if no request arrived:

        `317 of 1,217 requests (26 %) took 3.00 s or longer, or failed (315 got HTTP 500, 2 got a 504)`.
        """
        return "" if decision.reason == "no_arrivals" else self.counted(decision.k, decision.n)

    def counted(self, k: int, n: int) -> str:
        """`k` of `n` as a clause. `n` is above zero."""
        counted = f"{format_count(k)} of {format_count(n)} {self.things} ({format_share(k / n)}) {self.did}"
        failed = any(ending.outcome != SLOW for ending in self.endings)
        return f"{counted} ({list_endings(self.endings)})" if failed else counted


def finding_of(decision: Decision, words: ShareWords, *, limit: float, unit: Unit, op: Literal["<", ">"]) -> Finding:
    """A decision on a share as a finding. The gate adds `observed`, `low` and `high` in its own unit."""
    kind = DECIDED[decision.verdict] if decision.reason == "decided" else _KINDS[decision.reason]
    return Finding(
        verdict=decision.verdict,
        reason=_reason(decision, words),
        limit=limit,
        unit=unit,
        op=op,
        kind=kind,
        n=decision.n,
        exceeded=decision.k,
        deflation=decision.deflation,
        withstands_ms=None if decision.withstands_s is None else decision.withstands_s * 1000,
        seen=words.seen(decision),
        endings=words.endings,
    )


def _reason(decision: Decision, words: ShareWords) -> str:
    if decision.reason == "no_arrivals":
        return _WHY["no_arrivals"]
    seen, allowed = words.seen(decision), format_share(words.allowed)
    if decision.verdict == "pass":
        return f"{seen}; surely fewer than {allowed}"
    if decision.verdict == "fail":
        return f"{seen}; it must be fewer than {allowed}"
    return f"{_WHY[decision.reason]}: {seen}, and it must surely be fewer than {allowed}"


def bad_endings(pool: Pool, population: Population, bad: Bad) -> tuple[Ending, ...]:
    """How the requests ended that count against the gate; if the load was stopped, of those that had ended by then."""
    windows = [(run, population.window(run)) for run in pool.runs]
    known = [(run, w if run.cutoff_ns is None else w.only(w.samples["done_ns"] <= run.cutoff_ns)) for run, w in windows]
    return endings_of((window, bad(run, window)) for run, window in known)


def guard_too_short(pool: Pool) -> InconclusiveReason | None:
    """Why gates on the baseline cannot be decided: too many of its requests were still open when the first fault came.
    None if they can."""
    for run in pool.runs:
        first_ns = min((i.applied_ns for i in run.journalled if i.applied_ns is not None), default=None)
        window = run.window("baseline")
        if first_ns is None or not len(window.samples):
            continue
        still_open = int(np.count_nonzero(window.samples["done_ns"] > first_ns))
        if still_open > STILL_OPEN_SHARE_MOST * len(window.samples):
            return InconclusiveReason(
                FindingKind.GUARD_TOO_SHORT,
                f"guard_too_short: {format_count(still_open)} of the baseline's requests were still open when the "
                "first fault came; lengthen `load.guard`",
            )
    return None
