"""Stops a run whose warm-up shows that it cannot end well, and warns of upstreams that the service does not call.

From shortly after t = 0 it applies the rule of `harness.verdict.warmup` to the rows, until there is an ok answer or all
rows of the warm-up are there. The warning comes once, at the end of the baseline.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.run.live_stats import LiveSamples, RowTail
from harness.rundir.plan import Plan
from harness.rundir.rows import CALLS, FLAG_CANARY, LOGIN_SEQ, Outcome
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

SETTLE_NS: Final = 2 * NS_PER_S
"""By this time after t = 0 the fakes and the workers have written their rows of the warm-up."""
EVERY_NS: Final = NS_PER_S // 2
"""The rows are read this often."""


class WarmupWatch:
    """Follows the warm-up of one run. Both `stop_reason` and `uncalled_warning` are called again and again."""

    def __init__(self, plan: Plan, run_dir: Path) -> None:
        self._plan = plan
        self._samples = LiveSamples(run_dir, plan.load.workers)
        self._calls = RowTail(run_dir / "calls-0.bin", CALLS)
        self._settled = not plan.load.warmup_ms
        self._warmup_calls: list[NDArray[Any]] = []
        self._called: set[int] = set()
        self._warned = False
        self._next_ns = 0

    def stop_reason(self, t0_ns: int | None, now_ns: int) -> str | None:
        """Why the run should stop now; None while that is uncertain, and always once an answer was ok."""
        if self._settled or t0_ns is None or now_ns < max(t0_ns + SETTLE_NS, self._next_ns):
            return None
        self._next_ns = now_ns + EVERY_NS
        self._read_calls(t0_ns)
        return self._decide(self._samples.update(), t0_ns, now_ns)

    def _decide(self, samples: NDArray[Any], t0_ns: int, now_ns: int) -> str | None:
        import numpy as np

        from harness.verdict.warmup import all_failed, asked_in_vain, last_half

        arrivals = int(((samples["intended_ns"] < t0_ns) & (samples["part"] == 0)).sum())
        if names := asked_in_vain(self._plan, np.concatenate(self._warmup_calls), arrivals):
            self._settle()
            what = "it does not have" if len(names) == 1 else "they do not have"
            return f"every call of the service to {', '.join(names)} asked for something that {what}"
        rows = last_half(self._plan, samples, t0_ns)
        since_ns = t0_ns - round(self._plan.load.warmup_ms / 2 * NS_PER_MS)
        later = samples["outcome"][samples["intended_ns"] >= since_ns]
        if (later == Outcome.OK).any():  # also after the warm-up, since the service may have become ready just then
            self._settle()
            return None
        if not self._is_complete(len(rows), t0_ns, now_ns):
            return None
        self._settle()
        return "every request of the last half of the warm-up failed" if all_failed(rows) else None

    def _settle(self) -> None:
        self._settled = True
        self._warmup_calls.clear()

    def _is_complete(self, rows: int, t0_ns: int, now_ns: int) -> bool:
        """Whether every arrival of the warm-up's last half has its row."""
        load = self._plan.load
        if now_ns >= t0_ns + round(load.client_cap_ms * NS_PER_MS) + SETTLE_NS:
            return True  # no request lasts longer than the client cap
        if not load.streams:
            return False
        from scenarios.load import PlannedArrivals

        half_ns = round(load.warmup_ms / 2 * NS_PER_MS)
        return rows >= sum(-half_ns <= offset < 0 for offset in PlannedArrivals.of(load, self._plan.seed).at_ns)

    def uncalled_warning(self, t0_ns: int | None, now_ns: int) -> str | None:
        """A warning of fakes with a fault that were not called by the end of the baseline; returned at most once."""
        if self._warned or t0_ns is None or not self._plan.faults:
            return None
        first_ms = min(window.apply_ms for fault in self._plan.faults for window in fault.windows)
        if now_ns < t0_ns + round((first_ms - self._plan.guard_ms) * NS_PER_MS):
            return None
        self._warned = True
        self._read_calls(t0_ns)
        faulted = {name for fault in self._plan.faults for name in fault.upstreams}
        silent = [
            upstream.name
            for upstream in self._plan.upstreams
            if upstream.records_calls and upstream.name in faulted and upstream.index not in self._called
        ]
        if not silent:
            return None
        return (
            f"warning: the service has not called {', '.join(silent)} yet; the fault proves something only if it is "
            "called while the fault is active"
        )

    def _read_calls(self, t0_ns: int) -> None:
        calls = self._calls.read()
        calls = calls[((calls["flags"] & FLAG_CANARY) == 0) & (calls["seq"] != LOGIN_SEQ)]
        self._called |= set(calls["upstream"].tolist())
        if not self._settled:
            self._warmup_calls.append(calls[calls["arrived_ns"] < t0_ns])
