"""The fan-out: which backends are asked, in what order, for how long, and what becomes of a failure.

Each of these is a policy (aggregator.policies); this module puts the chosen ones together. Whatever
the rung, a backend that fails is left out of the answer and named in it: one failure stays one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from aggregator.backend import Backend, BackendError
from aggregator.monitoring import FaultLog, Metrics
from aggregator.policies.deadline import DeadlineExceeded, within
from aggregator.policies.parallel import all_at_once
from aggregator.policies.pushdown import everyone, only_named
from aggregator.policies.sequential import one_by_one
from aggregator.query import Offer, Query
from aggregator.trace import Trace


@dataclass(frozen=True, slots=True)
class Result:
    """What asking one backend came to. `reason` is None where it answered."""

    backend: str
    elapsed_s: float
    offers: Sequence[Offer] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`results` holds every backend that was asked, `missing` those of them the client wanted in vain."""

    offers: list[Offer]
    missing: list[Result]
    results: list[Result]


class Service:
    def __init__(
        self,
        backends: Sequence[Backend],
        policies: Collection[str],
        *,
        deadline_s: float,
        metrics: Metrics,
        fault_log: FaultLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backends = backends
        self._metrics = metrics
        self._fault_log = fault_log
        self._clock = clock
        self._choose = only_named if "pushdown" in policies else everyone
        self._run_all = all_at_once if "parallel" in policies else one_by_one
        self._fetch = within(deadline_s, Backend.offers) if "deadline" in policies else Backend.offers

    async def offers(self, query: Query, trace: Trace) -> Answer:
        """`trace` goes to every backend, and into every log line."""
        asked = self._choose(self._backends, query.backends)
        results = await self._run_all([partial(self._ask, backend, query, trace) for backend in asked])
        wanted = [result for result in results if query.wants(result.backend)]
        offers = query.cheapest(offer for result in wanted for offer in result.offers)
        return Answer(offers, [result for result in wanted if result.reason], results)

    async def _ask(self, backend: Backend, query: Query, trace: Trace) -> Result:
        """Ask one backend and keep the books. Raises nothing but bugs and cancellation."""
        began_s = self._clock()
        name = backend.name
        metrics = self._metrics
        with metrics.in_flight.labels(name).track_inprogress():
            try:
                offers = await self._fetch(backend, trace.headers())
            except DeadlineExceeded as error:
                metrics.timeouts.labels(name).inc()
                return self._left_out(name, "timeout", str(error), began_s, trace)
            except BackendError as error:
                metrics.errors.labels(name, error.reason).inc()
                return self._left_out(name, error.reason, str(error), began_s, trace)
        elapsed_s = self._clock() - began_s
        metrics.seconds.labels(name).observe(elapsed_s)
        metrics.calls.labels(name, "ok").inc()
        # selected now: rows nobody will see are not held while a slower backend is waited for
        return Result(name, elapsed_s, query.select(offers) if query.wants(name) else ())

    def _left_out(self, name: str, reason: str, detail: str, began_s: float, trace: Trace) -> Result:
        elapsed_s = self._clock() - began_s
        self._metrics.seconds.labels(name).observe(elapsed_s)
        self._metrics.calls.labels(name, "timeout" if reason == "timeout" else "error").inc()
        self._fault_log.left_out(name, reason, detail, elapsed_s, trace)
        return Result(name, elapsed_s, reason=reason)
