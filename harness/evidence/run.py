"""The evidence of a run, read from its directory alone: rows, journal, canaries, and their phases.

`Evidence` is one run, `Pool` one or more runs of the same scenario; gates judge a pool. Damaged or missing files are
described in `broken` and not raised, so that a damaged run can still be examined; only a directory without a readable
plan and manifest raises UsageError. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.evidence.detections.recorded import Detections
from harness.evidence.files import read_run
from harness.evidence.injections import Injection, injections_of, real_windows
from harness.evidence.joining.calls import arrivals_of_calls, requests_of_calls
from harness.evidence.joining.clocks import WorkerClock
from harness.evidence.joining.row_table import Places, RowTable
from harness.evidence.metrics import MetricSeries, series_of
from harness.evidence.resources import ResourceSeries
from harness.evidence.window import NEVER, RecentWindows, Window
from harness.rundir.canaries import CanaryLine
from harness.rundir.incomplete import IncompleteAnswer
from harness.rundir.journal import Entry
from harness.rundir.locustfile.notes import LocustfileNote
from harness.rundir.locustfile.request_names import UNNAMED
from harness.rundir.manifest import Manifest
from harness.rundir.metrics.readings import MetricReading
from harness.rundir.origin_notes import OriginNote
from harness.rundir.phases import Phase, phases_of
from harness.rundir.plan import Plan
from harness.rundir.planned.process_act import SERVICE_TARGET
from harness.rundir.results import Machine
from harness.rundir.rows import NO_SEQ, Outcome
from harness.rundir.sessions.login_record import LoginRecord
from harness.rundir.unmatched import Unmatched
from harness.rundir.yardstick import Yardstick
from harness.units import NS_PER_MS, NS_PER_S, Span, join
from scenarios.load import PlannedArrivals


def _before(samples: RowTable, stop_ns: int) -> RowTable:
    """The rows of arrivals intended before the stop. Workers go on sending until they have received it."""
    late = samples["seq"][(samples["part"] == 0) & (samples["intended_ns"] >= stop_ns)]
    return samples[~np.isin(samples["seq"], late)] if len(late) else samples


def _machine(manifest: Manifest, yardstick: Yardstick | None) -> Machine:
    cores = manifest.host.get("cores", "")
    return Machine(
        cores=int(cores) if cores.isdecimal() else None, platform=manifest.host.get("platform"), yardstick=yardstick
    )


@dataclass(kw_only=True, eq=False)
class Evidence:
    """The evidence of one run. Arrays are in order of intended time; derived values are computed once, when needed."""

    run_dir: Path
    plan: Plan
    manifest: Manifest
    samples: RowTable
    """The row of every request, also the later requests (`part` ≥ 1) of an arrival."""
    calls: RowTable
    """The row of every backend call without those of canaries and of logins, in the files' order."""
    entries: tuple[Entry, ...] = ()
    canaries: tuple[CanaryLine, ...] = ()
    resources: tuple[dict[str, object], ...] = ()
    """The lines of resources.ndjson, of every child process."""
    detections: Detections | None = None
    """Which upstreams the service named; None: the run has no record of it."""
    incomplete: tuple[IncompleteAnswer, ...] = ()
    """Answers that workers kept, in order of time; `harness.evidence.incomplete` checks which really are incomplete."""
    unmatched: tuple[Unmatched, ...] = ()
    """Calls to fakes for something that they do not have."""
    origin_notes: tuple[OriginNote, ...] = ()
    """What the forwarder noticed of real origins."""
    metrics: tuple[MetricReading, ...] = ()
    """The readings of the service's own metrics that gates name."""
    locustfile_notes: tuple[LocustfileNote, ...] = ()
    """What the workers noticed of the user's locustfile."""
    clocks: Mapping[int, WorkerClock] = field(default_factory=dict)
    """The clocks of workers on other machines, by number; empty if the workers were on this one."""
    logins: LoginRecord | None = None
    """The sessions of the load, and how their renewals went; None: it had none."""
    machine: Machine = field(default_factory=Machine)
    broken: tuple[str, ...] = ()
    """For each damaged or missing file, what is wrong with it."""
    stop_ns: int | None = None
    """When the load was stopped: every arrival intended earlier has a row. None: it ran to its planned end."""
    bad_seconds: frozenset[int] = frozenset()
    """Seconds, counted from t = 0, whose arrivals were taken out of `samples` and whose readings do not count."""
    windows: RecentWindows = field(default_factory=RecentWindows, init=False, repr=False)

    @classmethod
    def load(cls, run_dir: Path) -> Evidence:
        """Read a run directory. Raises UsageError if it has no plan and manifest that this tailgate can read."""
        files = read_run(run_dir)
        ended = files.manifest.ended
        stop_ns = ended.stop_at_ns if ended else None
        return cls(
            run_dir=run_dir,
            plan=files.plan,
            manifest=files.manifest,
            samples=files.samples if stop_ns is None else _before(files.samples, stop_ns),
            calls=files.calls,
            entries=files.entries,
            canaries=files.canaries,
            resources=files.resources,
            detections=files.detections,
            incomplete=files.incomplete,
            unmatched=files.unmatched,
            origin_notes=files.origin_notes,
            metrics=files.metrics,
            locustfile_notes=files.locustfile_notes,
            clocks=files.clocks,
            logins=files.logins,
            machine=_machine(files.manifest, files.yardstick),
            broken=tuple(files.broken),
            stop_ns=stop_ns,
        )

    @property
    def t0_ns(self) -> int:
        """The end of the warm-up, absolute; 0 if no load was started."""
        return self.manifest.t0_ns or 0

    @cached_property
    def journalled(self) -> tuple[Injection, ...]:
        """Every window of every fault on every upstream that the journal mentions."""
        return injections_of(self.entries)

    def injections(self, upstream: str) -> list[Span]:
        """The spans (absolute ns) in which any fault may have acted on an upstream, in order and without overlaps."""
        return self._injections.get(upstream, [])

    @cached_property
    def _injections(self) -> dict[str, list[Span]]:
        spans: dict[str, list[Span]] = {}
        for injection in self.journalled:
            if (span := injection.touched(self.end_ns)) is not None:
                spans.setdefault(injection.upstream, []).append(span)
        return {upstream: join(found) for upstream, found in spans.items()}

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the run, with the times of the journal in place of the planned ones where it has them, and
        without the arrivals of which the clocks leave open on which side of a border they are."""
        windows = real_windows(self.plan, self.journalled, self.t0_ns, stop_ns=self.stop_ns)
        return phases_of(self.plan, windows, unsure_ms=self.clock_uncertainty_ns / NS_PER_MS)

    @cached_property
    def clock_uncertainty_ns(self) -> float:
        """How far times of the least known worker may be off, at most, during the load; 0 for workers of this
        machine, whose clock is ours."""
        begin_ns = self.t0_ns - round(self.plan.load.warmup_ms * NS_PER_MS)
        return max((clock.worst_ns(begin_ns, self.end_ns) for clock in self.clocks.values()), default=0.0)

    @cached_property
    def clock_drift_ns(self) -> float:
        """How far a worker's clock moved against ours, at most, since its rows' first offset was measured."""
        return max((float(abs(clock.offset_ns).max()) for clock in self.clocks.values()), default=0.0)

    def phase(self, name: str) -> Phase:
        """The phase of that name; an empty phase if the run has none."""
        return next((phase for phase in self.phases if phase.name == name), Phase(name, ()))

    @cached_property
    def end_ns(self) -> int:
        """The end of the last request, or of the planned load and drain if that is later."""
        last = int(self.samples["done_ns"].max()) if len(self.samples) else self.t0_ns
        planned = self.t0_ns + round((self.plan.load.duration_ms + self.plan.load.drain_ms) * NS_PER_MS)
        return max(last, planned)

    @cached_property
    def cutoff_ns(self) -> int | None:
        """For a stopped run, when a fault was first removed earlier than planned: a request that ended after it may
        have ended because of the removal. None if no fault was."""
        if self.stop_ns is None:
            return None
        early = [
            i.removing_ns
            for i in self.journalled
            if i.removing_ns is not None and i.removing_ns < self._planned_removal_ns(i) - NS_PER_S // 10
        ]
        return min(early, default=None)

    def _planned_removal_ns(self, injection: Injection) -> float:
        fault = next(fault for fault in self.plan.faults if fault.name == injection.fault)
        return self.t0_ns + fault.windows[injection.window].remove_ms * NS_PER_MS

    @cached_property
    def planned_absences(self) -> list[Span]:
        """When a fault of the plan kept the service from running, or from being ready again, in order and apart."""
        spans = [i.without_process(self.end_ns) for i in self.journalled if i.upstream == SERVICE_TARGET]
        return join([span for span in spans if span is not None])

    @cached_property
    def readings(self) -> ResourceSeries:
        """The readings of the service's resources in the whole run; empty if tailgate did not start the service."""
        return ResourceSeries.of(self.resources)

    def readings_in(self, phase: str) -> ResourceSeries:
        """The readings in a phase, before the load was stopped, outside bad seconds, and while no fault of the plan
        kept the service from running."""
        every = self.readings.within(self._spans(phase), self.stop_ns).outside(self.planned_absences)
        return every.apart_from(self.bad_seconds, self.t0_ns)

    def metric(self, series: str, phase: str) -> MetricSeries:
        """The readings of a series of the service's metrics in a phase, before the load was stopped."""
        stop_ns = self.stop_ns
        spans = self._spans(phase)
        if stop_ns is not None:
            spans = [Span(span.begin_ns, min(span.end_ns, stop_ns)) for span in spans if span.begin_ns < stop_ns]
        return series_of(self.metrics, series, spans).apart_from(self.bad_seconds, self.t0_ns)

    @property
    def intended_ns(self) -> NDArray[np.int64]:
        return self.samples["intended_ns"]

    @cached_property
    def latency_ns(self) -> NDArray[np.int64]:
        """Done minus intended time of every request; NEVER unless it ended ok."""
        latency: NDArray[np.int64] = self.samples["done_ns"] - self.intended_ns
        latency[self.samples["outcome"] != Outcome.OK] = NEVER
        return latency

    @cached_property
    def has_parts(self) -> bool:
        """Whether any arrival led to more than one request."""
        return bool(self.samples["part"].any())

    @cached_property
    def planned(self) -> PlannedArrivals | None:
        """Every planned arrival; None in the closed model, which plans no arrivals."""
        return self.draw_plan()

    def draw_plan(self) -> PlannedArrivals | None:
        """The same, drawn for a caller that needs it once: of millions of arrivals it is large."""
        load = self.plan.load
        return PlannedArrivals.of(load, self.plan.seed) if load.streams else None

    @property
    def planned_offsets_ns(self) -> NDArray[np.int64] | None:
        """The intended time of every planned arrival, from t = 0; None in the closed model, which plans no arrivals."""
        return None if self.planned is None else np.asarray(self.planned.at_ns, dtype=np.int64)

    @cached_property
    def call_arrivals(self) -> Places:
        """For each call the index in `samples` of the arrival it belongs to; −1 if it carries no known number."""
        return arrivals_of_calls(self.samples, self.calls)

    @cached_property
    def call_requests(self) -> Places:
        """For each call the index in `samples` of the request that it belongs to: of an arrival with several, the last
        one that was sent before the call arrived; −1 if it carries no known number."""
        return requests_of_calls(self.samples, self.calls, self.call_arrivals) if self.has_parts else self.call_arrivals

    @cached_property
    def joined_share(self) -> float | None:
        """The share of the backends' calls since the warm-up began that were matched to a request; None without
        calls."""
        during = self.calls["arrived_ns"] >= self.t0_ns - round(self.plan.load.warmup_ms * NS_PER_MS)
        total = int(np.count_nonzero(during))
        return int(np.count_nonzero(during & (self.call_arrivals >= 0))) / total if total else None

    def window(self, phase: str, *, every_part: bool = False) -> Window:
        """The first request of every arrival of a phase; with `every_part` the later requests too. Arrivals whose task
        sent nothing are left out."""
        return self.windows.get((phase, every_part), lambda: self._window(phase, every_part=every_part))

    def _window(self, phase: str, *, every_part: bool) -> Window:
        spans = self._spans(phase)
        bounds = [np.searchsorted(self.intended_ns, span).tolist() for span in spans]
        # a slice copies nothing; only guard and tail may consist of several spans
        place: slice | Places = slice(*bounds[0]) if bounds else slice(0, 0)
        if len(bounds) > 1:
            place = np.concatenate([np.arange(first, end) for first, end in bounds])
        start_ns, end_ns = (spans[0].begin_ns, spans[-1].end_ns) if spans else (self.t0_ns, self.t0_ns)
        cut = self.stop_ns is not None and self.stop_ns < end_ns
        samples, latency_ns = self.samples[place], self.latency_ns[place]
        window = Window(samples, latency_ns, place, self.seconds(spans), start_ns, end_ns, cut)
        if self.silent_arrivals:
            window = window.only(window.samples["outcome"] != Outcome.NO_REQUEST)
        return window if every_part or not self.has_parts else window.only(window.samples["part"] == 0)

    @cached_property
    def silent_arrivals(self) -> int:
        """How many arrivals of a locustfile sent no request, in the whole run."""
        return int(np.count_nonzero(self.samples["outcome"] == Outcome.NO_REQUEST))

    def silent_in(self, phase: str) -> int:
        """How many arrivals of a phase sent no request."""
        intended = self.intended_ns[self.samples["outcome"] == Outcome.NO_REQUEST]
        bounds = (np.searchsorted(intended, span).tolist() for span in self._spans(phase))
        return sum(end - first for first, end in bounds)

    def _spans(self, phase: str) -> list[Span]:
        return [
            Span(self.t0_ns + round(start * NS_PER_MS), self.t0_ns + round(end * NS_PER_MS))
            for start, end in self.phase(phase).intervals
        ]

    def seconds(self, spans: Sequence[Span]) -> float:
        """The length of these spans in seconds, without bad seconds."""
        late = [
            Span(self.t0_ns + second * NS_PER_S, self.t0_ns + (second + 1) * NS_PER_S) for second in self.bad_seconds
        ]
        bad = sum(span.overlap_ns(second) for span in spans for second in late)
        return (sum(span.end_ns - span.begin_ns for span in spans) - bad) / NS_PER_S

    def without(self, bad_seconds: frozenset[int]) -> Evidence:
        """The same run as if no request had been due in these seconds, counted from t = 0."""
        bad = np.isin((self.intended_ns - self.t0_ns) // NS_PER_S, list(bad_seconds))
        # the calls of these arrivals are removed too, or they would count as calls that belong to no request
        first = self.samples["seq"][bad & (self.samples["part"] == 0)]
        of_arrivals = np.isin(self.calls["seq"], first)
        unnumbered = (self.calls["seq"] == NO_SEQ) & np.isin(
            (self.calls["arrived_ns"] - self.t0_ns) // NS_PER_S, list(bad_seconds)
        )
        calls = self.calls[~(of_arrivals | unnumbered)]
        return replace(self, samples=self.samples[~bad], calls=calls, bad_seconds=bad_seconds)

    @property
    def clump_s(self) -> float:
        """The declared mean length of slow spells (correlation time)."""
        return self.plan.verdict.clump_ms / 1000

    def request_index(self, name: str) -> int | None:
        """The place of the request of that name in the plan, which its rows carry; None if there is none."""
        places = (i for i, request in enumerate(self.plan.load.requests) if request.name == name)
        return next((i for i in places if not self.is_unnamed(i)), None)

    def is_unnamed(self, request: int) -> bool:
        """Whether it is the place of a locustfile's arrivals that sent nothing by which they could be named."""
        return self.plan.load.locustfile is not None and request == UNNAMED

    @property
    def locustfile_names(self) -> tuple[str, ...]:
        """The names that the requests of the locustfile had; empty without a locustfile."""
        return tuple(r.name for i, r in enumerate(self.plan.load.requests) if i) if self.plan.load.locustfile else ()

    def rows_of_request(self, samples: RowTable, name: str) -> NDArray[np.bool_]:
        """Which of these rows count for the request of that name.

        An arrival of a locustfile that was dropped, or still waited for a user when the load ended, may have been any
        of its requests, so it counts for each of them.
        """
        chosen: NDArray[np.bool_] = samples["request"] == (-1 if (own := self.request_index(name)) is None else own)
        if self.plan.load.locustfile is not None and own is not None:
            chosen |= (samples["request"] == UNNAMED) & (samples["outcome"] != Outcome.NO_REQUEST)
        return chosen


@dataclass(frozen=True, slots=True)
class Pool:
    """One or more runs of one scenario, judged together: counts and batches add."""

    runs: tuple[Evidence, ...]

    @property
    def plan(self) -> Plan:
        return self.runs[0].plan

    def without(self, bad_seconds: Sequence[frozenset[int]]) -> Pool:
        """The pool without the bad seconds of each run, one set for each."""
        return Pool(tuple(run.without(bad) for run, bad in zip(self.runs, bad_seconds, strict=True)))

    @classmethod
    def of(cls, *runs: Evidence) -> Pool:
        """A pool of these runs. Raises UsageError unless all are different runs of the same scenario and cell."""
        first = runs[0].plan
        for run in runs[1:]:
            if (run.plan.name, run.plan.cell, run.plan.scenario_sha256) != (
                first.name,
                first.cell,
                first.scenario_sha256,
            ):
                raise UsageError(
                    f"{run.run_dir} is a run of another scenario than {runs[0].run_dir}",
                    "pool runs of one unchanged scenario; use `tailgate compare` for two different ones",
                )
        ids = [run.plan.run_id for run in runs]
        if twice := next((run for run in runs if ids.count(run.plan.run_id) > 1), None):
            raise UsageError(
                f"{twice.run_dir} is given more than once (run {twice.plan.run_id}), and a run counts once",
                "name each run once; for more evidence, run the scenario again",
            )
        return cls(runs)
