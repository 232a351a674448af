"""How long one request takes on each rung of the aggregator, one of eight backends at 20 s, the others well.

    python bench/one_request.py [--short]             two minutes: the lower rungs wait for it

No gateway, a deadline of 1 s. Each rung is asked for everything, then for the offers of `gcp` alone, which is well.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Final

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.aggregator_cpu import NAMES, aggregator
from bench.command_line import bench_parser
from bench.stub_server import Stub

RUNGS: Final = ("sequential", "parallel", "threads", "timeout", "pushdown")
WELL_MS, SLOW_MS, DEADLINE_MS = 50.0, 20_000.0, 1_000
SHORT_SLOW_MS, SHORT_DEADLINE_MS = 600.0, 200
SLOW: Final = "azure"
QUESTIONS: Final = ("/v1/offers", "/v1/offers?backend=gcp")


async def ask(client: aiohttp.ClientSession, url: str) -> str:
    start = time.perf_counter()
    async with client.get(url) as response:
        document = json.loads(await response.read())
    took_s = time.perf_counter() - start
    return f"{took_s:.2f} s{', partial' if document['partial'] else ''}"


async def rung_told(rung: str, well_url: str, slow_url: str, deadline_ms: int) -> list[str]:
    backends = ",".join(f"{name}={slow_url if name == SLOW else well_url}" for name in NAMES)
    env = {"AGGREGATOR_BACKENDS": backends, "AGGREGATOR_BACKEND_DEADLINE_MS": str(deadline_ms)}
    async with aggregator(rung, os.environ | env) as (url, _), aiohttp.ClientSession() as client:
        return [await ask(client, url + question) for question in QUESTIONS]


def main() -> None:
    short = bench_parser(__doc__).parse_args().short
    slow_ms, deadline_ms = (SHORT_SLOW_MS, SHORT_DEADLINE_MS) if short else (SLOW_MS, DEADLINE_MS)
    with Stub(WELL_MS) as well, Stub(slow_ms) as slow:
        print("| rung | all offers | only `backend=gcp`, which is well |\n|---|---:|---:|")
        for rung in RUNGS:
            told = asyncio.run(rung_told(rung, well.url, slow.url, deadline_ms))
            print(f"| `{rung}` | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
