"""The pipeline of one backend: its call, wrapped in the policies that guard each backend by itself.

From the inside out:

    call       the request to the backend (in a thread, with the policy `threads`; see `aggregator.backends.connect`)
    deadline   ends a call that takes too long; of a call in a thread it ends only the waiting
    stale      remembers the backend's last offers
    watch      measures the call, and reports the backend's health
    breaker    refuses a call that would most likely fail
    bulkhead   refuses a call when too many are under way

The bulkhead is outside the breaker, because its refusal is no failure of the backend. A breaker's probe passes through
the inner layers like any other call, so it is measured and its answer is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol

from aggregator.backends.pages import BackendError
from aggregator.monitoring import Watch
from aggregator.policies.breaker import Breaker, State, StateListener, guarded
from aggregator.policies.bulkhead import CALLS_MAX, at_most
from aggregator.policies.deadline import DeadlineExceeded, within
from aggregator.policies.stale import LastKnown
from aggregator.query import Offer

CUT_SHORT: Final = 0.9
"""Share of the usual deadline. A call that had less time than this does not count as the backend's failure when its
time runs out: the request had lost the time elsewhere."""
Ask = Callable[[float | None, Mapping[str, str]], Coroutine[Any, Any, Sequence[Offer]]]


class AsksBackend(Protocol):
    """A backend, whichever client speaks to it."""

    @property
    def name(self) -> str: ...

    async def offers(self, headers: Mapping[str, str]) -> list[Offer]: ...


class BackendPipeline:
    """`ask(seconds, headers)` returns all offers of the backend; with `seconds` None it has no deadline.

    `usual_s` is the deadline of a call whose request has lost no time yet; None: no deadline. `ask` raises what the
    backend and the active policies raise.
    """

    def __init__(
        self,
        backend: AsksBackend,
        policies: Collection[str],
        *,
        usual_s: float | None,
        known: LastKnown[Offer] | None,
        watch: Watch,
        on_breaker_change: StateListener,
        clock: Callable[[], float],
    ) -> None:
        self.name = backend.name
        self._backend = backend
        self._usual_s = usual_s
        self._breaker = Breaker(clock=clock, on_change=on_breaker_change) if "breaker" in policies else None
        ask: Ask = known.learning(self.name, self._call) if known else self._call
        ask = watch.around(ask)
        if self._breaker:
            ask = guarded(self._breaker, ask, self._is_failure)
        if "bulkhead" in policies:
            ask = at_most(CALLS_MAX, ask)
        self.ask = ask

    @property
    def state(self) -> State:
        """Always closed where there is no breaker."""
        return self._breaker.state if self._breaker else State.CLOSED

    async def _call(self, seconds: float | None, headers: Mapping[str, str]) -> list[Offer]:
        if seconds is None:
            return await self._backend.offers(headers)
        return await within(seconds, self._backend.offers)(headers)

    def _is_failure(self, error: Exception) -> bool:
        """Whether the error is the backend's failure, and not the service's own."""
        if isinstance(error, DeadlineExceeded):
            return self._usual_s is None or error.deadline_s >= CUT_SHORT * self._usual_s
        return isinstance(error, BackendError)
