"""A monitor of one backend: it learns the backend's normal answer times, and reports when it becomes degraded and when
it is normal again.

Each call is judged once: well, slow (longer than the limit that `baseline` derives from earlier calls), or failed. A
call under way counts as slow as soon as it exceeds the limit, so a backend that hangs is noticed even where no deadline
ends its calls. Calls that a policy refused were never made and are not judged.

There is no thread and no timer. The monitor judges when a call begins or ends, and when its metric is read. It learns
only from calls that began and ended while the backend was calm, so a fault does not become the new normal. A backend
that stays slower for good stays degraded until the process restarts.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

from aggregator.monitoring.baseline import Baseline

FAILURES_TO_RAISE: Final = 5
"""Consecutive failures. As many open the breaker, and then hardly any further call is made that could be judged."""
RAISE_AT: Final = 0.5
"""Share of bad calls in the last second or two."""
RAISE_LASTING_AT: Final = 0.25
"""Share of bad calls in the last half minute: for a fault that hits every third call."""
LASTING_AT_MOST: Final = 0.27
"""The lasting share is capped here, so that a long outage does not take long to clear."""
CLEAR_AT: Final = 0.18
"""Both shares must have fallen this far."""
CALM_AT: Final = 0.25
RECENT: Final = 10
"""How many of the latest calls a change of state quotes."""
IDLE_S: Final = 300.0
"""After so long without a call the state is forgotten: it is no longer known whether it holds."""


class Share:
    """The recent share of bad calls: an exponential average over `window_s` seconds.

    Where the window holds fewer calls than `fewest` or more than `most`, the average is over that many calls instead.
    The value never exceeds `at_most`.
    """

    __slots__ = ("_at_most", "_heaviest", "_lightest", "_window_s", "value")

    def __init__(self, window_s: float, fewest: int, most: int, at_most: float = 1.0) -> None:
        self._at_most = at_most
        self._window_s = window_s
        self._heaviest = 1 / fewest
        self._lightest = 1 / most
        self.value = 0.0

    def add(self, bad: bool, since_s: float) -> None:
        """Count one call that was judged `since_s` after the one before it."""
        weight = since_s / self._window_s
        weight = max(self._lightest, min(weight, self._heaviest))
        self.value = min(self.value + weight * (bad - self.value), self._at_most)


class Call:
    """A call under way."""

    __slots__ = ("began_s", "in_calm")

    def __init__(self, began_s: float, in_calm: bool) -> None:
        self.began_s = began_s
        self.in_calm = in_calm


@dataclass(frozen=True, slots=True)
class Assessment:
    elapsed_s: float
    verdict: str
    """well, slow, waiting (slow, and not back yet) or failed"""


@dataclass(frozen=True, slots=True)
class AlertChange:
    """The backend became degraded, or normal again. `why` is a sentence without its subject."""

    degraded: bool
    why: str
    recent_p50_ms: float | None = None
    normal_p50_ms: float | None = None


class Monitor:
    """Pure except for its clock. Each call that begins ends once: `answered`, `failed`, `timed_out` or `given_up`."""

    def __init__(self, on_change: Callable[[AlertChange], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_change = on_change
        self._clock = clock
        self._baseline = Baseline()
        self._quick = Share(window_s=1, fewest=9, most=256)
        self._lasting = Share(window_s=15, fewest=30, most=2048, at_most=LASTING_AT_MOST)
        self._raised_s: float | None = None
        self._unjudged: OrderedDict[Call, None] = OrderedDict()  # the oldest first
        self._under_way = 0
        self._failures = 0
        self._judged_s = self._seen_s = clock()
        self._recent: deque[Assessment] = deque(maxlen=RECENT)

    @property
    def degraded(self) -> bool:
        return self._raised_s is not None

    def look(self) -> None:
        """Judge the calls under way that have become overdue since the last call began or ended."""
        now_s = self._clock()
        self._judge_overdue(now_s)
        if not self._under_way and now_s - self._seen_s >= IDLE_S:
            self._forget(now_s)

    def begin(self) -> Call:
        self.look()
        self._seen_s = now_s = self._clock()
        call = Call(now_s, self._is_calm)
        self._unjudged[call] = None
        self._under_way += 1
        return call

    def answered(self, call: Call) -> None:
        now_s, to_judge = self._end(call)
        elapsed_s = now_s - call.began_s
        self._failures = 0
        if to_judge:
            limit_s = self._baseline.limit_s
            slow = limit_s is not None and elapsed_s > limit_s
            self._judge(now_s, elapsed_s, "slow" if slow else "well")
        if call.in_calm and self._is_calm:
            self._baseline.learn(elapsed_s)

    def failed(self, call: Call) -> None:
        now_s, to_judge = self._end(call)
        self._failures += 1
        if to_judge:
            self._judge(now_s, now_s - call.began_s, "failed")
        else:
            self._decide(now_s)

    def timed_out(self, call: Call) -> None:
        """Count as failed, unless the call had less time than the backend's median answer takes."""
        median_s = self._baseline.median_s
        if median_s is not None and self._clock() - call.began_s < median_s:
            self.given_up(call)
        else:
            self.failed(call)

    def given_up(self, call: Call) -> None:
        """The caller went away first, so the call says nothing about the backend."""
        self._end(call)

    def _end(self, call: Call) -> tuple[float, bool]:
        """The current time, and whether the call has not been judged yet."""
        self._seen_s = now_s = self._clock()
        self._under_way -= 1
        to_judge = call in self._unjudged
        if to_judge:
            del self._unjudged[call]
        self._judge_overdue(now_s)
        return now_s, to_judge

    @property
    def _is_calm(self) -> bool:
        return self._raised_s is None and self._quick.value <= CALM_AT

    def _judge_overdue(self, now_s: float) -> None:
        limit_s = self._baseline.limit_s
        while limit_s is not None and self._unjudged:
            call = next(iter(self._unjudged))
            if now_s - call.began_s <= limit_s:
                return
            del self._unjudged[call]
            self._judge(call.began_s + limit_s, now_s - call.began_s, "waiting")

    def _judge(self, at_s: float, elapsed_s: float, verdict: str) -> None:
        at_s = max(at_s, self._judged_s)
        since_s, self._judged_s = at_s - self._judged_s, at_s
        bad = verdict != "well"
        self._quick.add(bad, since_s)
        self._lasting.add(bad, since_s)
        self._recent.append(Assessment(elapsed_s, verdict))
        self._decide(at_s)

    def _decide(self, now_s: float) -> None:
        quick, lasting = self._quick, self._lasting
        if self._failures >= FAILURES_TO_RAISE:
            # they may all have come within milliseconds, and the breaker may hold back the next call for seconds
            quick.value = max(quick.value, RAISE_AT)
        if self._raised_s is None:
            if quick.value >= RAISE_AT or lasting.value >= RAISE_LASTING_AT:
                self._raised_s = now_s
                self._on_change(self._raised())
        elif quick.value <= CLEAR_AT and lasting.value <= CLEAR_AT:
            lasted_s, self._raised_s = now_s - self._raised_s, None
            self._on_change(self._change(False, f"its calls are well again, after {lasted_s:.1f} s"))

    def _forget(self, now_s: float) -> None:
        self._seen_s = now_s
        self._quick.value = self._lasting.value = self._failures = 0
        self._recent.clear()
        if self._raised_s is not None:
            self._raised_s = None
            self._on_change(AlertChange(False, f"nobody has asked it for {IDLE_S:.0f} s, so nothing is known of it"))

    def _raised(self) -> AlertChange:
        verdicts = Counter(judged.verdict for judged in self._recent)
        slow, limit_s = verdicts["slow"] + verdicts["waiting"], self._baseline.limit_s
        if limit_s is None or verdicts["failed"] >= slow:
            return self._change(True, f"{verdicts['failed']} of its last {len(self._recent)} calls failed")
        return self._change(True, f"{slow} of its last {len(self._recent)} calls took over {limit_s * 1000:.0f} ms")

    def _change(self, degraded: bool, why: str) -> AlertChange:
        recent_s, normal_s = median(judged.elapsed_s for judged in self._recent), self._baseline.median_s
        return AlertChange(degraded, why, recent_s * 1000, None if normal_s is None else normal_s * 1000)
