"""CPU of the aggregator's process for one request in health, eight backends asked: `isolated` against `parallel`.

    python bench/aggregator_cpu.py [ROUNDS] [--short]

Each round asks both rungs the same, one after the other, with distinct questions (no two alike, so that each is
worked on) and with identical ones (which `single_flight` works on once). The backends are one stub of 60 offers
under eight names, which costs the service the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Final

import aiohttp
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.command_line import read_options
from bench.stub_server import Stub

REQUESTS, SHORT_REQUESTS, AT_ONCE = 300, 30, 6
SERVICE_MS = 20.0
LIMIT: Final = 1.3
NAMES: Final = ("aws", "azure", "gcp", "oci", "lambda", "nebius", "runpod", "vastai")
_numbers = count(1)


def distinct() -> str:
    """Every offer costs less, so the answers are alike and the questions are not."""
    return f"/v1/offers?max_price={1000 + next(_numbers)}"


def identical() -> str:
    return "/v1/offers?max_price=1000"


QUESTIONS: Final = (distinct, identical)


def asking(backend_url: str) -> dict[str, str]:
    """The aggregator's environment, with one backend under all names."""
    return os.environ | {"AGGREGATOR_BACKENDS": ",".join(f"{name}={backend_url}" for name in NAMES)}


@contextlib.asynccontextmanager
async def aggregator(
    rung: str, env: Mapping[str, str], program: Sequence[str] = ("-m", "aggregator")
) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Its address and process. `program`: what Python is to run with the aggregator's own words."""
    argv = (sys.executable, *program, "--rung", rung, "--port", "0")
    process = await asyncio.create_subprocess_exec(*argv, env=env, stderr=asyncio.subprocess.PIPE)
    assert process.stderr
    try:
        started = json.loads(await process.stderr.readline())
        yield f"http://{started['message'].removeprefix('listening on ')}", psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.communicate()


async def cpu_ms(
    client: aiohttp.ClientSession,
    url: str,
    process: psutil.Process,
    ask: Callable[[], str],
    requests: int = REQUESTS,
) -> float:
    """Milliseconds of CPU for one request, over so many of them."""
    left = iter(range(requests))

    async def user() -> None:
        for _ in left:
            async with client.get(url + ask()) as response:
                document = json.loads(await response.read())
                assert (response.status, document["partial"], len(document["offers"])) == (200, False, 60 * len(NAMES))

    before = process.cpu_times()
    await asyncio.gather(*(user() for _ in range(AT_ONCE)))
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / requests * 1000


async def measure(rounds: int, requests: int) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    with Stub(SERVICE_MS) as stub:
        async with (
            aggregator("parallel", asking(stub.url)) as parallel,
            aggregator("isolated", asking(stub.url)) as isolated,
            aiohttp.ClientSession() as client,
        ):
            for turn in range(rounds + 1):
                for ask in QUESTIONS:
                    for rung, (url, process) in (("parallel", parallel), ("isolated", isolated)):
                        value_ms = await cpu_ms(client, url, process, ask, requests)
                        if turn:  # the first warms up
                            found.setdefault((ask.__name__, rung), []).append(value_ms)
    return found


def main() -> int:
    options = read_options(__doc__, rounds=9)
    found = asyncio.run(measure(options.rounds, SHORT_REQUESTS if options.short else REQUESTS))
    ratios = {}
    print(f"| questions | parallel (ms of CPU per request) | isolated | ratio, median of {options.rounds} | limit |")
    print("|---|---:|---:|---:|---:|")
    for ask in QUESTIONS:
        parallel, isolated = found[ask.__name__, "parallel"], found[ask.__name__, "isolated"]
        ratio = ratios[ask] = statistics.median(b / a for a, b in zip(parallel, isolated, strict=True))
        medians = f"{statistics.median(parallel):.2f} | {statistics.median(isolated):.2f}"
        print(f"| {ask.__name__} | {medians} | {ratio:.2f} | {LIMIT} |")
    return options.exit_code(holds=max(ratios.values()) <= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
