"""The fan-out: which backends are asked, in what order, for how long, and how a failure is handled.

Each of these is a policy (aggregator.policies). This module combines those that concern the whole request, and
`aggregator.backend_pipeline` those that guard each backend by itself. In every rung a backend that fails is left out of
the answer and named in it, so one failure stays one, even if it is a bug of the service that a backend's answer
brought out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

from aggregator.answer import Answer, Result
from aggregator.antipatterns import NO_ANTIPATTERNS, Antipatterns
from aggregator.antipatterns.retries import retry_blindly
from aggregator.antipatterns.sessions import Sessions
from aggregator.backend_pipeline import AsksBackend, BackendPipeline
from aggregator.backends.pages import BackendError
from aggregator.monitoring import FaultLog, Metrics, Watch
from aggregator.paging import encoded, page_of
from aggregator.policies.breaker import CircuitOpen
from aggregator.policies.budget import Budget, deadline_header
from aggregator.policies.parallel import all_at_once
from aggregator.policies.pushdown import everyone, only_named
from aggregator.policies.sequential import one_by_one
from aggregator.policies.single_flight import SingleFlight
from aggregator.policies.stale import LastKnown
from aggregator.policies.unavailable import is_unavailable, retry_after_s
from aggregator.query import Offer, Query
from aggregator.reasons import INTERNAL, REFUSALS, reason_of
from aggregator.trace import Trace

PATIENCE_S: Final = 30.0
"""How long retries go on where neither a deadline nor a budget limits the request."""


class Service:
    """`deadline_s` is the deadline of each backend's call; the budget is a share of `gateway_timeout_s`."""

    def __init__(
        self,
        backends: Sequence[AsksBackend],
        policies: Collection[str],
        *,
        deadline_s: float,
        gateway_timeout_s: float,
        metrics: Metrics,
        fault_log: FaultLog,
        habits: Antipatterns = NO_ANTIPATTERNS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._fault_log = fault_log
        self._clock = clock
        self._gateway_timeout_s = gateway_timeout_s
        self._deadline_s = deadline_s if "deadline" in policies else None
        self._budgeted = "budget" in policies
        self._known: LastKnown[Offer] | None = LastKnown(clock=clock) if "stale" in policies else None
        budget = self._budget()
        self._pipelines = [
            BackendPipeline(
                backend,
                policies,
                usual_s=budget.for_call(self._deadline_s) if budget else self._deadline_s,
                known=self._known,
                watch=Watch(backend.name, metrics, fault_log, clock),
                on_breaker_change=partial(fault_log.breaker, backend.name),
                clock=clock,
            )
            for backend in backends
        ]
        self._choose = only_named if "pushdown" in policies else everyone
        self._run_all = all_at_once if "parallel" in policies else one_by_one
        self._admits_it = "unavailable" in policies
        self._flights: SingleFlight[Answer] | None = SingleFlight(clock) if "single_flight" in policies else None
        self._retries = habits.retries
        self._sessions = Sessions(habits.sessions, habits.session_wait_ms / 1000) if habits.sessions else None
        metrics.watch_breakers({pipeline.name: pipeline for pipeline in self._pipelines})

    async def offers(self, query: Query, trace: Trace) -> Answer:
        """`trace` goes to every backend, and into every log line. Raises NoSession (aggregator.antipatterns)."""
        budget = self._budget()
        if self._sessions is None:
            return await self._shared_offers(query, trace, budget)
        async with self._sessions.one(budget.left_s if budget else None):
            return await self._shared_offers(query, trace, budget)

    def _budget(self) -> Budget | None:
        """The budget of a request that arrives now; None without the policy."""
        return Budget.of(self._gateway_timeout_s, self._clock) if self._budgeted else None

    async def _shared_offers(self, query: Query, trace: Trace, budget: Budget | None) -> Answer:
        if self._flights is None:
            return await self._offers(query, trace, budget)
        return await self._flights.do(query, partial(self._offers, query, trace, budget))

    async def _offers(self, query: Query, trace: Trace, budget: Budget | None) -> Answer:
        asked = self._choose(self._pipelines, query.backends)
        results = await self._run_all([partial(self._ask, pipeline, query, trace, budget) for pipeline in asked])
        wanted = [result for result in results if query.wants(result.backend)]
        offers, last = page_of({result.backend: result.offers for result in wanted}, query.limit, query.after)
        return Answer(
            offers,
            wanted,
            results,
            next_cursor=encoded(last, query.filters) if last else None,
            is_unavailable=self._admits_it and is_unavailable(result.age_s is not None for result in wanted),
            retry_after_s=retry_after_s(result.again_s for result in wanted),
        )

    async def _ask(self, pipeline: BackendPipeline, query: Query, trace: Trace, budget: Budget | None) -> Result:
        """Ask one backend. Raises nothing but cancellation."""
        began_s = self._clock()
        name = pipeline.name
        try:
            offers = await self._tried(pipeline, trace, budget)
            # selected now: rows that the filters drop are not kept in memory while slower backends are awaited
            selected = query.select(name, offers) if query.wants(name) else ()
        except Exception as error:
            return self._without(name, error, query, trace, self._clock() - began_s)
        return Result(name, self._clock() - began_s, selected)

    async def _tried(self, pipeline: BackendPipeline, trace: Trace, budget: Budget | None) -> Sequence[Offer]:
        async def once() -> Sequence[Offer]:
            if budget is None:
                return await pipeline.ask(self._deadline_s, trace.headers())
            seconds = budget.for_call(self._deadline_s)
            return await pipeline.ask(seconds, {**trace.headers(), **deadline_header(seconds)})

        if not self._retries:
            return await once()
        patience_s = (budget.for_call(self._deadline_s) if budget else self._deadline_s) or PATIENCE_S
        return await retry_blindly(self._retries, once, _pause_s, patience_s, self._clock)

    def _without(self, name: str, error: Exception, query: Query, trace: Trace, elapsed_s: float) -> Result:
        """The result of a backend that gave none: with its last known offers, where there are any."""
        reason = reason_of(error)
        if reason == INTERNAL:
            self._metrics.not_asked(name, reason)
            self._fault_log.bug(name, error, trace)
            return Result(name, elapsed_s, reason=reason, age_s=None)
        if reason in REFUSALS:
            self._metrics.not_asked(name, reason)
        known = self._known.recall(name) if self._known and query.wants(name) else None
        age_s = known.age_s if known else None
        self._fault_log.left_out(name, reason, str(error), elapsed_s, trace, age_s=age_s)
        if known is None:
            return Result(name, elapsed_s, reason=reason, age_s=None, again_s=_again_s(error))
        self._metrics.stale.labels(name).inc()
        return Result(name, elapsed_s, query.select(name, known.items), reason, age_s)


def _pause_s(error: Exception) -> float | None:
    """Before another try: as long as the backend says; None where another try is no use."""
    if isinstance(error, BackendError) and error.is_passing:
        return error.retry_after_s or 0.0
    return None


def _again_s(error: Exception) -> float:
    """After how long asking again may help; 0: not known."""
    if isinstance(error, CircuitOpen):
        return error.rests_for_s
    return (error.retry_after_s or 0.0) if isinstance(error, BackendError) else 0.0
