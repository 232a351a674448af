"""The fan-out: which backends are asked, in what order, for how long, and what becomes of a failure.

Each of these is a policy (aggregator.policies); this module puts the chosen ones together, and
`aggregator.lane` those that guard each backend by itself. Whatever the rung, a backend that fails is
left out of the answer and named in it: one failure stays one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

from aggregator.answer import Answer, Result
from aggregator.habits import NO_HABITS, Habits
from aggregator.habits.retries import insist
from aggregator.habits.sessions import Sessions
from aggregator.lane import Asked, Lane
from aggregator.monitoring import FaultLog, Metrics, Watch
from aggregator.pages import BackendError
from aggregator.paging import encoded, page_of
from aggregator.policies.breaker import CircuitOpen
from aggregator.policies.budget import Budget, BudgetSpent
from aggregator.policies.bulkhead import BulkheadFull
from aggregator.policies.deadline import DeadlineExceeded
from aggregator.policies.parallel import all_at_once
from aggregator.policies.pushdown import everyone, only_named
from aggregator.policies.sequential import one_by_one
from aggregator.policies.single_flight import SingleFlight
from aggregator.policies.stale import LastKnown
from aggregator.policies.unavailable import is_unavailable
from aggregator.query import Offer, Query
from aggregator.trace import Trace

PATIENCE_S: Final = 30.0
"""For tries beyond the first, where neither a deadline nor a budget says how long anybody waits."""


class Service:
    """`deadline_s` is for each backend, `gateway_timeout_s` what the budget is taken from."""

    def __init__(
        self,
        backends: Sequence[Asked],
        policies: Collection[str],
        *,
        deadline_s: float,
        gateway_timeout_s: float,
        metrics: Metrics,
        fault_log: FaultLog,
        habits: Habits = NO_HABITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._fault_log = fault_log
        self._clock = clock
        self._gateway_timeout_s = gateway_timeout_s
        self._lanes = [
            Lane(
                backend,
                policies,
                clock,
                partial(fault_log.breaker, backend.name),
                Watch(backend.name, metrics, fault_log, clock),
            )
            for backend in backends
        ]
        self._choose = only_named if "pushdown" in policies else everyone
        self._run_all = all_at_once if "parallel" in policies else one_by_one
        self._deadline_s = deadline_s if "deadline" in policies else None
        self._budgeted = "budget" in policies
        self._admits_it = "unavailable" in policies
        self._flights: SingleFlight[Answer] | None = SingleFlight(clock) if "single_flight" in policies else None
        self._known: LastKnown[Offer] | None = LastKnown(clock=clock) if "stale" in policies else None
        self._retries = habits.retries
        self._sessions = Sessions(habits.sessions, habits.session_wait_ms / 1000) if habits.sessions else None
        metrics.watch_breakers({lane.name: lane for lane in self._lanes})

    async def offers(self, query: Query, trace: Trace) -> Answer:
        """`trace` goes to every backend, and into every log line. Raises NoSession (aggregator.habits)."""
        if self._sessions is None:
            return await self._shared_offers(query, trace)
        async with self._sessions.one():
            return await self._shared_offers(query, trace)

    async def _shared_offers(self, query: Query, trace: Trace) -> Answer:
        if self._flights is None:
            return await self._offers(query, trace)
        return await self._flights.do(query, partial(self._offers, query, trace))

    async def _offers(self, query: Query, trace: Trace) -> Answer:
        budget = Budget.of(self._gateway_timeout_s, self._clock) if self._budgeted else None
        asked = self._choose(self._lanes, query.backends)
        results = await self._run_all([partial(self._ask, lane, query, trace, budget) for lane in asked])
        wanted = [result for result in results if query.wants(result.backend)]
        offers, last = page_of({result.backend: result.offers for result in wanted}, query.limit, query.after)
        unavailable = self._admits_it and is_unavailable(result.age_s is not None for result in wanted)
        return Answer(offers, wanted, results, encoded(last, query.filters) if last else None, unavailable)

    async def _ask(self, lane: Lane, query: Query, trace: Trace, budget: Budget | None) -> Result:
        """Ask one backend and keep the books. Raises nothing but bugs and cancellation."""
        began_s = self._clock()
        name = lane.name
        with self._metrics.in_flight.labels(name).track_inprogress():
            try:
                offers = await self._tried(lane, trace, budget)
            except DeadlineExceeded as error:
                reason, detail = "timeout", str(error)
            except CircuitOpen as error:
                reason, detail = "circuit_open", str(error)
            except BulkheadFull as error:
                reason, detail = "bulkhead_full", str(error)
            except BudgetSpent as error:
                reason, detail = "budget_spent", str(error)
            except BackendError as error:
                reason, detail = error.reason, str(error)
            else:
                return self._answered(name, offers, query, began_s)
        result = self._without(name, reason, query, began_s)
        self._metrics.left_out(name, reason, result.elapsed_s)
        self._fault_log.left_out(name, reason, detail, result.elapsed_s, trace, age_s=result.age_s)
        return result

    async def _tried(self, lane: Lane, trace: Trace, budget: Budget | None) -> list[Offer]:
        async def once() -> list[Offer]:
            seconds = budget.for_call(self._deadline_s) if budget else self._deadline_s
            headers = {**trace.headers(), **(budget.headers() if budget else {})}
            return await lane.ask(seconds, headers)

        if not self._retries:
            return await once()
        patience_s = (budget.for_call(self._deadline_s) if budget else self._deadline_s) or PATIENCE_S
        return await insist(self._retries, once, _pause_s, patience_s, self._clock)

    def _answered(self, name: str, offers: list[Offer], query: Query, began_s: float) -> Result:
        elapsed_s = self._clock() - began_s
        self._metrics.seconds.labels(name).observe(elapsed_s)
        self._metrics.calls.labels(name, "ok").inc()
        if self._known:
            self._known.learn(name, offers)
        # selected now: rows nobody will see are not held while a slower backend is waited for
        return Result(name, elapsed_s, query.select(name, offers) if query.wants(name) else ())

    def _without(self, name: str, reason: str, query: Query, began_s: float) -> Result:
        """The result of a backend that gave none: with its last known offers, where there are any."""
        elapsed_s = self._clock() - began_s
        known = self._known.recall(name) if self._known and query.wants(name) else None
        if known is None:
            return Result(name, elapsed_s, reason=reason, age_s=None)
        self._metrics.stale.labels(name).inc()
        return Result(name, elapsed_s, query.select(name, known.items), reason, known.age_s)


def _pause_s(error: Exception) -> float | None:
    """Before another try: as long as the backend says; None where another try is no use."""
    if isinstance(error, BackendError) and error.is_passing:
        return error.retry_after_s or 0.0
    return None
