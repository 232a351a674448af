"""A monitor of one backend: it learns what is normal for it, and says when it is not itself and when it is again.

Each call is judged once: well, slow (longer than the limit that `baseline` derives from its own past),
or failed. A call still under way is slow as soon as it is over the limit, so a backend that hangs is
seen even where no deadline ever ends a call. Refused calls were never made: they say nothing.

There is no thread and no timer: it looks when a call begins or ends, and when somebody asks (a scrape of
the metrics). It learns only from calls that began and ended while all was calm, so a fault does not
become the new normal; a backend that is slower for good stays degraded until the process starts anew.
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
"""In a row; as many as open the breaker, after which hardly any call is left to judge by."""
RAISE_AT: Final = 0.5
"""Bad calls among those of the last second or two."""
RAISE_LASTING_AT: Final = 0.25
"""Bad calls among those of the last half minute: a fault that strikes every third call."""
LASTING_AT_MOST: Final = 0.27
"""Higher it is not counted: a long outage must not take a long time to forget."""
CLEAR_AT: Final = 0.18
"""Both."""
CALM_AT: Final = 0.25
RECENT: Final = 10
"""Calls that a change is told with."""
IDLE_S: Final = 300.0
"""Nobody asked for so long: what was known is no longer true or false, so it is forgotten."""


class Share:
    """The share of bad calls lately: an exponential average over `window_s`, or over a number of calls
    where they come so seldom that the time holds fewer (`fewest`) or so often that it holds more (`most`).
    It never rises above `at_most`.
    """

    __slots__ = ("_at_most", "_heaviest", "_lightest", "_window_s", "value")

    def __init__(self, window_s: float, fewest: int, most: int, at_most: float = 1.0) -> None:
        self._at_most = at_most
        self._window_s = window_s
        self._heaviest = 1 / fewest
        self._lightest = 1 / most
        self.value = 0.0

    def add(self, bad: bool, since_s: float) -> None:
        """A call, `since_s` after the one before it."""
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
    """It became degraded, or normal again. `why` is a sentence without its subject; times are in ms."""

    degraded: bool
    why: str
    recent_p50_ms: float | None = None
    normal_p50_ms: float | None = None


class Monitor:
    """Pure but for its clock. Each call that begins ends once: `answered`, `failed`, `timed_out` or `given_up`."""

    def __init__(self, tell: Callable[[AlertChange], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
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
        """Judge what nobody has judged yet because nothing happened since."""
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
        """As failed, unless it had less time than the backend takes for every second answer."""
        median_s = self._baseline.median_s
        if median_s is not None and self._clock() - call.began_s < median_s:
            self.given_up(call)
        else:
            self.failed(call)

    def given_up(self, call: Call) -> None:
        """The caller went away before the backend could show anything."""
        self._end(call)

    def _end(self, call: Call) -> tuple[float, bool]:
        """Now, and whether it is still to be judged."""
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
            # so many in a row may have come within milliseconds, and the next call in a second or ten
            quick.value = max(quick.value, RAISE_AT)
        if self._raised_s is None:
            if quick.value >= RAISE_AT or lasting.value >= RAISE_LASTING_AT:
                self._raised_s = now_s
                self._tell(self._raised())
        elif quick.value <= CLEAR_AT and lasting.value <= CLEAR_AT:
            lasted_s, self._raised_s = now_s - self._raised_s, None
            self._tell(self._change(False, f"its calls are well again, after {lasted_s:.1f} s"))

    def _forget(self, now_s: float) -> None:
        self._seen_s = now_s
        self._quick.value = self._lasting.value = self._failures = 0
        self._recent.clear()
        if self._raised_s is not None:
            self._raised_s = None
            self._tell(AlertChange(False, f"nobody has asked it for {IDLE_S:.0f} s, so nothing is known of it"))

    def _raised(self) -> AlertChange:
        verdicts = Counter(judged.verdict for judged in self._recent)
        slow, limit_s = verdicts["slow"] + verdicts["waiting"], self._baseline.limit_s
        if limit_s is None or verdicts["failed"] >= slow:
            return self._change(True, f"{verdicts['failed']} of its last {len(self._recent)} calls failed")
        return self._change(True, f"{slow} of its last {len(self._recent)} calls took over {limit_s * 1000:.0f} ms")

    def _change(self, degraded: bool, why: str) -> AlertChange:
        recent_s, normal_s = median(judged.elapsed_s for judged in self._recent), self._baseline.median_s
        return AlertChange(degraded, why, recent_s * 1000, None if normal_s is None else normal_s * 1000)
