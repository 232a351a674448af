"""The way to one backend: its call, wrapped in the policies that guard each backend by itself.

From the inside out: the call itself (in a thread, with `threads`: see `aggregator.connect`), the
deadline that ends it if it takes too long (or, of one in a thread, only the waiting for it), the watch
that learns from it how the backend does, the breaker that refuses one that would most likely fail, the
bulkhead one too many. A refusal by the bulkhead is no failure of the backend, so it stands outside the
breaker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any, Protocol

from aggregator.monitoring import Watch
from aggregator.pages import BackendError
from aggregator.policies.breaker import Breaker, State, Tell, guarded
from aggregator.policies.bulkhead import CALLS_MAX, at_most
from aggregator.policies.deadline import DeadlineExceeded, within
from aggregator.query import Offer

Ask = Callable[[float | None, Mapping[str, str]], Coroutine[Any, Any, list[Offer]]]


class Asked(Protocol):
    """A backend, however it is spoken to."""

    @property
    def name(self) -> str: ...

    async def offers(self, headers: Mapping[str, str]) -> list[Offer]: ...


class Lane:
    """`ask(seconds, headers)` gives all offers; `seconds` None is without a deadline.

    Raises what the backend and the policies in force raise.
    """

    def __init__(
        self, backend: Asked, policies: Collection[str], clock: Callable[[], float], tell_breaker: Tell, watch: Watch
    ) -> None:
        self.name = backend.name
        self._backend = backend
        self._breaker = Breaker(clock=clock, tell=tell_breaker) if "breaker" in policies else None
        ask: Ask = watch.around(self._call)
        if self._breaker:
            ask = guarded(self._breaker, ask, failures=(BackendError, DeadlineExceeded))
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
