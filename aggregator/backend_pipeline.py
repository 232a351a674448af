"""The way to one backend: its call, wrapped in the policies that guard each backend by itself.

From the inside out: the call itself (in a thread, with `threads`: see `aggregator.backends.connect`), the
deadline that ends it if it takes too long (or, of one in a thread, only the waiting for it), the memory
of its last known offers, the watch that sees how the backend does, the breaker that refuses a call that
would most likely fail, the bulkhead one too many. A refusal by the bulkhead is no failure of the
backend, so it stands outside the breaker; a breaker's probe is a call like any other, so it is watched
and remembered.
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
"""Of the time that calls have. One that had less, since its request had lost time, shows nothing by running out."""
Ask = Callable[[float | None, Mapping[str, str]], Coroutine[Any, Any, Sequence[Offer]]]


class AsksBackend(Protocol):
    """A backend, however it is spoken to."""

    @property
    def name(self) -> str: ...

    async def offers(self, headers: Mapping[str, str]) -> list[Offer]: ...


class BackendPipeline:
    """`ask(seconds, headers)` gives all offers; `seconds` None is without a deadline.

    `usual_s` is what a call has where its request has lost no time yet; None: as long as it takes. Raises
    what the backend and the policies in force raise.
    """

    def __init__(
        self,
        backend: AsksBackend,
        policies: Collection[str],
        *,
        usual_s: float | None,
        known: LastKnown[Offer] | None,
        watch: Watch,
        tell_breaker: StateListener,
        clock: Callable[[], float],
    ) -> None:
        self.name = backend.name
        self._backend = backend
        self._usual_s = usual_s
        self._breaker = Breaker(clock=clock, tell=tell_breaker) if "breaker" in policies else None
        ask: Ask = known.learning(self.name, self._call) if known else self._call
        ask = watch.around(ask)
        if self._breaker:
            ask = guarded(self._breaker, ask, self._is_failure)
        if "bulkhead" in policies:
            ask = at_most(CALLS_MAX, ask)
        self.ask = ask

    @property
    def state(self) -> State:
        """Closed for ever where there is no breaker."""
        return self._breaker.state if self._breaker else State.CLOSED

    async def _call(self, seconds: float | None, headers: Mapping[str, str]) -> list[Offer]:
        if seconds is None:
            return await self._backend.offers(headers)
        return await within(seconds, self._backend.offers)(headers)

    def _is_failure(self, error: Exception) -> bool:
        """Whether it is the backend's, and not ours."""
        if isinstance(error, DeadlineExceeded):
            return self._usual_s is None or error.deadline_s >= CUT_SHORT * self._usual_s
        return isinstance(error, BackendError)
