"""What a display is told of a run under way, and what a CI job's log shows of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.cli.display.live import LINE_EVERY_MS, Lines
from harness.run.progress import OVER, SETTLE_NS, TICK_NS, EndedPhase, NullDisplay, Progress, ProgressMonitor, phase_at
from harness.rundir.phases import Phase
from harness.rundir.rows import SAMPLES, Outcome, RowWriter
from harness.stack.events import LoadDone, LoadStarted
from harness.units import NS_PER_MS
from tests.rundir.recording import T0_NS, make_plan, slow_fault

PHASES = (
    Phase("warmup", ((-3000.0, 0.0),)),
    Phase("baseline", ((0.0, 4000.0),)),
    Phase("guard", ((4000.0, 6000.0),)),
    Phase("azure-slow", ((6000.0, 26000.0),)),
    Phase("tail", ((26000.0, 28000.0),)),
    Phase("after azure-slow", ((28000.0, 32000.0),)),
    Phase("whole", ((0.0, 32000.0),)),
)


@pytest.mark.parametrize(
    ("t_ms", "name", "end_ms"),
    [
        (-3001, "warmup", 0),
        (-1, "warmup", 0),
        (0, "baseline", 4000),
        (4500, "guard", 6000),
        (6000, "azure-slow", 26000),
        (27999, "tail", 28000),
        (28000, "after azure-slow", 32000),
        (32000, "drain", 32000),
    ],
)
def test_every_moment_has_one_name(t_ms: float, name: str, end_ms: float) -> None:
    found = phase_at(PHASES, t_ms, 32000)
    assert (found[0], found[2]) == (name, end_ms)


# ---------------------------------------------------------------- the figures of phases that are over


@dataclass
class Kept(NullDisplay):
    seen: list[Progress] = field(default_factory=list)

    def progress(self, progress: Progress) -> None:
        self.seen.append(progress)

    @property
    def phases_over(self) -> list[EndedPhase]:
        return [phase for progress in self.seen for phase in progress.ended]


class Run:
    """A run under a clock of the test's own: two seconds of warm-up, baseline to 4 s, guard to 6 s, azure-slow."""

    def __init__(self, run_dir: Path) -> None:
        self.display, self._now_ms = Kept(), 0.0
        plan = make_plan(warmup_ms=2_000, faults=[slow_fault(apply_ms=6_000)])
        self.monitor = ProgressMonitor(plan, run_dir, self.display, clock_ns=lambda: T0_NS + ns(self._now_ms))
        self._rows = RowWriter(run_dir / "samples-0.bin", SAMPLES)
        self.monitor.event(LoadStarted(t0_ns=T0_NS))

    def sample(self, at_ms: float, took_ms: float = 10.0, outcome: Outcome = Outcome.OK) -> None:
        at_ns = T0_NS + ns(at_ms)
        self._rows.append(0, at_ns, at_ns, 0, at_ns + ns(took_ms), 0, 0, 200, 0, 0, outcome, 0)
        self._rows.flush()

    def tick(self, at_ms: float) -> Progress:
        self._now_ms = at_ms
        self.monitor.tick()
        return self.display.seen[-1]

    def load_is_done(self, at_ms: float) -> Progress:
        self._now_ms = at_ms
        self.monitor.event(LoadDone())
        return self.display.seen[-1]

    def close(self) -> None:
        self._rows.close()


def ns(ms: float) -> int:
    return round(ms * NS_PER_MS)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    made.close()


SETTLE_MS, TICK_MS = SETTLE_NS / NS_PER_MS, TICK_NS / NS_PER_MS


def test_a_phase_is_reported_with_its_own_requests_once_they_are_on_disk(run: Run) -> None:
    run.tick(-2_000)
    run.sample(-100, took_ms=30)
    run.sample(-50, outcome=Outcome.HTTP_ERROR)
    run.tick(100)
    run.sample(50)
    assert run.tick(SETTLE_MS - 1).ended == ()
    run.sample(-20, took_ms=900)
    (warmup,) = run.tick(SETTLE_MS + TICK_MS).ended
    assert (warmup.name, warmup.n, warmup.errors) == ("warmup", 3, 1)
    run.tick(4_100)
    (baseline,) = run.tick(4_000 + SETTLE_MS).ended
    assert baseline == EndedPhase("baseline", 1, 0, 10.0)


def test_no_phase_is_reported_twice_and_none_is_left_out(run: Run) -> None:
    for at_ms in range(-2_000, 112_000, 600):
        run.sample(at_ms)
        run.tick(at_ms + 1)
    run.load_is_done(112_000)
    names = [phase.name for phase in run.display.phases_over]
    assert names == ["warmup", "baseline", "guard", "azure-slow", "tail", "after azure-slow"]
    assert all(phase.n for phase in run.display.phases_over)


def test_the_end_of_the_load_reports_what_is_left_with_the_phase_that_was_cut_short(run: Run) -> None:
    run.tick(100)
    run.tick(3_900)
    run.sample(3_000)
    run.tick(4_400)
    run.sample(4_300)
    last = run.load_is_done(4_500)
    assert [(phase.name, phase.n) for phase in last.ended] == [("baseline", 1), ("guard", 1)]
    assert last.phase == OVER


def test_a_phase_that_was_cut_short_before_a_request_is_left_out(run: Run) -> None:
    run.tick(3_900)
    run.sample(3_000)
    run.tick(4_400)
    assert [phase.name for phase in run.load_is_done(4_500).ended] == ["baseline"]


# ---------------------------------------------------------------- as lines


def at(t_ms: float, phase: str, *ended: EndedPhase, n: int = 0, errors: int = 0) -> Progress:
    return Progress(
        t_ms=t_ms,
        end_ms=90_000,
        phase=phase,
        phase_left_ms=1_500,
        rate_per_s=0,
        p99_ms=20.5 if n else None,
        n=n,
        errors=errors,
        gateway_timeouts=0,
        active=(),
        ended=ended,
    )


def lines_of(capsys: pytest.CaptureFixture[str], *states: Progress) -> list[str]:
    shown = Lines()
    shown.began(make_plan(), Path(), "header")
    for state in states:
        shown.progress(state)
    return [line.strip() for line in capsys.readouterr().err.splitlines()[1:]]


def test_a_line_says_how_a_phase_went_and_what_is_now(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(
        capsys,
        at(-1_900, "warmup"),
        at(-1_000, "warmup", n=3),
        at(200, "baseline"),
        at(1_500, "baseline", EndedPhase("warmup", 1_200, 3, 71.4)),
        at(9_000, "drain", EndedPhase("baseline", 1, 0, float("inf"))),
        at(9_800, OVER, EndedPhase("guard", 0, 0, None), EndedPhase("slow", 4, 0, 30.5)),
        at(9_900, OVER),
    ) == [
        "-1.9 s  warmup, 1.50 s of it left",
        "1.5 s  warmup: 1,200 requests, 3 failed, p99 71.4 ms · now baseline, 1.50 s of it left",
        "9.0 s  baseline: 1 request, 0 failed, p99 an error · now waiting for requests that are still open",
        "9.8 s  guard: no request has ended",
        "9.8 s  slow: 4 requests, 0 failed, p99 30.5 ms",
    ]


def test_a_long_phase_has_a_line_every_thirty_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    states = [at(second * 1_000, "baseline", n=second, errors=1) for second in range(70)]
    assert LINE_EVERY_MS <= 30_000
    assert lines_of(capsys, *states) == [
        "0.0 s  baseline, 1.50 s of it left",
        "30.0 s  baseline, 1.50 s of it left, 30 requests, 1 failed, p99 20.5 ms so far",
        "60.0 s  baseline, 1.50 s of it left, 60 requests, 1 failed, p99 20.5 ms so far",
    ]


# ---------------------------------------------------------------- how often a long run is looked at


@pytest.mark.parametrize(
    ("at_ms", "took_ms", "next_ms"),
    [
        (60_000, 1, 60_500),  # the usual case: every half second
        (60_000, 100, 61_302),  # a slow machine early in a run: no more than 2 % of the load late
        (3_000_000, 100, 3_002_000),  # a twentieth of a core
        (3_000_000, 1_500, 3_030_000),
        (3_000_000, 5_000, 3_065_100),
        (-1_000, 800, -200),  # imports in the warm-up
    ],
)
def test_a_tick_that_takes_long_is_followed_by_a_rest(
    tmp_path: Path, at_ms: float, took_ms: float, next_ms: float
) -> None:
    now_ms = at_ms
    ticks: list[float] = []

    def looked(_rows: object, _t0_ns: int) -> None:
        nonlocal now_ms
        ticks.append(now_ms)
        now_ms += took_ms

    plan = make_plan(duration_ms=4_000_000)
    monitor = ProgressMonitor(
        plan, tmp_path, NullDisplay(), early_stop=looked, clock_ns=lambda: T0_NS + round(now_ms * NS_PER_MS)
    )
    monitor.event(LoadStarted(t0_ns=T0_NS))
    monitor.tick()
    now_ms = next_ms - 1
    monitor.tick()
    now_ms = next_ms
    monitor.tick()
    assert ticks == [at_ms, next_ms]
