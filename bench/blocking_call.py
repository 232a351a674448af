"""CPU of one blocking call to a backend of 60 offers: the client of the rung `threads`, and httpx's in its place.

    python bench/blocking_call.py [ROUNDS] [--short]

As in the rung: threads that each wait 50 ms for an answer, one pool of connections kept open. 32 of them are 40
requests a second to eight backends in health, 256 are the rung's whole pool. The time is that of this process; the
backend is a stub in another. Each round asks both clients, one after the other.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from aggregator.backends.blocking_backend import BlockingBackend, make_blocking_client
from aggregator.backends.pages import Page, Pages
from bench.command_line import read_options
from bench.stub_server import Stub

THREADS: Final = (32, 256)
CALLS: Final = 3_000
SHORT_CALLS: Final = 300
SERVICE_MS: Final = 50.0
OFFERS: Final = 60


def cpu_ms(threads: Executor, call: Callable[[int], int], calls: int) -> float:
    start = time.process_time()
    assert set(threads.map(call, range(calls))) == {OFFERS}
    return (time.process_time() - start) / calls * 1000


def measure(threads: int, rounds: int, calls: int) -> dict[str, list[float]]:
    """CPU per call in ms, by client; each client is new, so that its pool grows to this many and no more."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    found: dict[str, list[float]] = {"urllib3": [], "httpx": []}
    with (
        Stub(SERVICE_MS) as stub,
        make_blocking_client(1) as pool,
        httpx.Client(limits=limits, timeout=None) as client,
        ThreadPoolExecutor(threads) as executor,
    ):
        backend = BlockingBackend("stub", stub.url, pool)

        def by_urllib3(_: int) -> int:
            return len(backend.offers({}))

        def by_httpx(_: int) -> int:
            response = client.get(f"{stub.url}/offers")
            page, pages = Page(response.status_code, response.headers), Pages()
            page.take(response.content)
            pages.add(page)
            return len(pages.offers)

        for turn in range(rounds + 1):
            for name, call in (("urllib3", by_urllib3), ("httpx", by_httpx)):
                value_ms = cpu_ms(executor, call, calls)
                if turn:  # the first warms up
                    found[name].append(value_ms)
    return found


def main() -> None:
    options = read_options(__doc__, rounds=5)
    calls = SHORT_CALLS if options.short else CALLS
    print(f"| threads | urllib3, CPU per call (ms), median of {options.rounds} | httpx |\n|---|---:|---:|")
    for threads in THREADS:
        found = measure(threads, options.rounds, calls)
        told = " | ".join(f"{statistics.median(values):.2f}" for values in found.values())
        print(f"| {threads} | {told} |", flush=True)


if __name__ == "__main__":
    main()
