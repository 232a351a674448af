"""How the backends are spoken to: an async client or, with the policy `threads`, a blocking one in a pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aggregator.backend_pipeline import AsksBackend
from aggregator.backends.backend import Backend
from aggregator.backends.transport import make_client, make_pooled_client
from aggregator.policies.threads import pool_of_threads
from aggregator.settings import Settings


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Sequence[AsksBackend]]:
    """The backends of the settings in their order. To be entered in a running event loop."""
    if "threads" in settings.policies:
        # imported here, because the async clients do without urllib3
        from aggregator.backends.blocking_backend import BlockingBackend, ThreadedBackend, make_blocking_client

        threads = pool_of_threads()
        with make_blocking_client(len(settings.backends), settings.habits.read_timeout_s) as blocking:
            try:
                yield [ThreadedBackend(BlockingBackend(it.name, it.url, blocking), threads) for it in settings.backends]
            finally:
                threads.shutdown(wait=False, cancel_futures=True)  # a hung call would be waited for without end
        return
    urls = [address.url for address in settings.backends]
    make = make_pooled_client if settings.client == "httpx" else make_client
    async with make(urls, settings.habits.read_timeout_s) as client:
        yield [Backend(address.name, address.url, client) for address in settings.backends]
