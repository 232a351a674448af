"""The fan-out: which backends are asked, in what order, for how long, and what becomes of a failure.

Each of these is a policy (aggregator.policies); this module puts the chosen ones together, and
`aggregator.lane` those that guard each backend by itself. Whatever the rung, a backend that fails is
left out of the answer and named in it: one failure stays one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from aggregator.backend import BackendError
from aggregator.lane import Asked, Lane
from aggregator.monitoring import FaultLog, Metrics
from aggregator.policies.breaker import CircuitOpen
from aggregator.policies.budget import Budget, BudgetSpent
from aggregator.policies.bulkhead import BulkheadFull
from aggregator.policies.deadline import DeadlineExceeded
from aggregator.policies.parallel import all_at_once
from aggregator.policies.pushdown import everyone, only_named
from aggregator.policies.sequential import one_by_one
from aggregator.policies.single_flight import SingleFlight
from aggregator.policies.stale import LastKnown
from aggregator.query import Offer, Query
from aggregator.trace import Trace


@dataclass(frozen=True, slots=True)
class Result:
    """What asking one backend came to. `reason` is None where it answered.

    `age_s` is 0 for an answer of now, above it for the last known offers that stand in for one, None
    where there are no offers at all.
    """

    backend: str
    elapsed_s: float
    offers: Sequence[Offer] = ()
    reason: str | None = None
    age_s: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`results` holds every backend that was asked, `wanted` those of them that the client asked for."""

    offers: list[Offer]
    wanted: list[Result]
    results: list[Result]

    @property
    def missing(self) -> list[Result]:
        """Those that the client wanted in vain."""
        return [result for result in self.wanted if result.age_s is None]

    @property
    def is_partial(self) -> bool:
        """Whether anything in it is missing, or old."""
        return any(result.reason for result in self.wanted)

    @property
    def is_nothing(self) -> bool:
        """Whether there is no offer to be had from anybody who was wanted."""
        return bool(self.wanted) and len(self.missing) == len(self.wanted)


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._fault_log = fault_log
        self._clock = clock
        self._gateway_timeout_s = gateway_timeout_s
        self._lanes = [Lane(backend, policies, clock) for backend in backends]
        self._choose = only_named if "pushdown" in policies else everyone
        self._run_all = all_at_once if "parallel" in policies else one_by_one
        self._deadline_s = deadline_s if "deadline" in policies else None
        self._budgeted = "budget" in policies
        self._flights: SingleFlight[Answer] | None = SingleFlight(clock) if "single_flight" in policies else None
        self._known: LastKnown[Offer] | None = LastKnown(clock=clock) if "stale" in policies else None
        metrics.watch_breakers({lane.name: lane for lane in self._lanes})

    async def offers(self, query: Query, trace: Trace) -> Answer:
        """`trace` goes to every backend, and into every log line."""
        if self._flights is None:
            return await self._offers(query, trace)
        return await self._flights.do(query, partial(self._offers, query, trace))

    async def _offers(self, query: Query, trace: Trace) -> Answer:
        budget = Budget.of(self._gateway_timeout_s, self._clock) if self._budgeted else None
        asked = self._choose(self._lanes, query.backends)
        results = await self._run_all([partial(self._ask, lane, query, trace, budget) for lane in asked])
        wanted = [result for result in results if query.wants(result.backend)]
        offers = query.cheapest(offer for result in wanted for offer in result.offers)
        return Answer(offers, wanted, results)

    async def _ask(self, lane: Lane, query: Query, trace: Trace, budget: Budget | None) -> Result:
        """Ask one backend and keep the books. Raises nothing but bugs and cancellation."""
        began_s = self._clock()
        name = lane.name
        with self._metrics.in_flight.labels(name).track_inprogress():
            try:
                seconds = budget.for_call(self._deadline_s) if budget else self._deadline_s
                headers = {**trace.headers(), **(budget.headers() if budget else {})}
                offers = await lane.ask(seconds, headers)
            except DeadlineExceeded as error:
                result = self._left_out(name, "timeout", str(error), began_s, trace)
            except CircuitOpen as error:
                result = self._left_out(name, "circuit_open", str(error), began_s, trace)
            except BulkheadFull as error:
                result = self._left_out(name, "bulkhead_full", str(error), began_s, trace)
            except BudgetSpent as error:
                result = self._left_out(name, "budget_spent", str(error), began_s, trace)
            except BackendError as error:
                result = self._left_out(name, error.reason, str(error), began_s, trace)
            else:
                return self._answered(name, offers, query, began_s)
        return self._stood_in_for(result, query)

    def _answered(self, name: str, offers: list[Offer], query: Query, began_s: float) -> Result:
        elapsed_s = self._clock() - began_s
        self._metrics.seconds.labels(name).observe(elapsed_s)
        self._metrics.calls.labels(name, "ok").inc()
        if self._known:
            self._known.learn(name, offers)
        # selected now: rows nobody will see are not held while a slower backend is waited for
        return Result(name, elapsed_s, query.select(offers) if query.wants(name) else ())

    def _left_out(self, name: str, reason: str, detail: str, began_s: float, trace: Trace) -> Result:
        elapsed_s = self._clock() - began_s
        self._metrics.left_out(name, reason, elapsed_s)
        self._fault_log.left_out(name, reason, detail, elapsed_s, trace)
        return Result(name, elapsed_s, reason=reason, age_s=None)

    def _stood_in_for(self, failed: Result, query: Query) -> Result:
        """The failed result with the backend's last known offers in it, where there are any."""
        known = self._known.recall(failed.backend) if self._known and query.wants(failed.backend) else None
        if known is None:
            return failed
        self._metrics.stale.labels(failed.backend).inc()
        return replace(failed, offers=query.select(known.items), age_s=known.age_s)
