"""Where the aggregator's CPU goes in health, as shares: the rung `isolated` beside `parallel`, eight backends asked.

    python bench/aggregator_profile.py [ROUNDS] [--short]

The load is that of `bench/aggregator_cpu.py`, distinct questions. The service is sampled in its own process each
4 ms of processor time, on the Python function that runs then, with the C that it calls. A profiler that is told each
call (cProfile) makes small functions look three times as dear, so it is not used.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.aggregator_cpu import REQUESTS, SERVICE_MS, SHORT_REQUESTS, aggregator, asking, cpu_ms, distinct
from bench.command_line import read_options
from bench.stub_server import Stub

RUNGS: Final = ("parallel", "isolated")
EVERY_S: Final = 0.004
ROOM_LEAST: Final = 0.01
"""A package or a module with less is not shown."""
FUNCTION_LEAST, FUNCTION_MOST = 0.07, 0.5
"""With all that it calls; what holds more than half is the frame of everything."""
PROGRAM: Final = str(Path(__file__).absolute())
BEGIN, END = signal.SIGUSR1, signal.SIGUSR2
SEPARATOR: Final = " · "


@dataclass(frozen=True, slots=True)
class Shares:
    """Of all samples, by place."""

    own: Mapping[str, float]
    """It ran itself, or C that it called."""
    whole: Mapping[str, float]
    """It was on the stack."""


def sampled(out: Path, argv: list[str]) -> int:
    """The aggregator itself, which writes its samples to `out` when it ends; it counts between two signals."""
    from aggregator.__main__ import main as aggregate

    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        places = list(_places(frame))
        own[places[0]] += 1
        whole.update(set(places))

    signal.signal(signal.SIGPROF, sample)
    signal.signal(BEGIN, lambda *_: signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S))
    signal.signal(END, lambda *_: signal.setitimer(signal.ITIMER_PROF, 0))
    code = aggregate(argv)
    out.write_text(json.dumps([own, whole]), encoding="utf-8")
    return code


def _places(frame: FrameType | None) -> Iterator[str]:
    """`aggregator.backend_pipeline · Lane._call` and its callers, the innermost first."""
    if frame is None or frame.f_globals.get("__name__") == "asyncio.runners":
        yield f"uvloop{SEPARATOR}event loop"  # no Python ran, the loop itself did
    while frame is not None:
        yield f"{frame.f_globals.get('__name__', '?')}{SEPARATOR}{frame.f_code.co_qualname}"
        frame = frame.f_back


async def load(rung: str, rounds: int, requests: int, backend_url: str, out: Path) -> None:
    """Ask the sampled service, and end it."""
    async with (
        aggregator(rung, asking(backend_url), (PROGRAM, "--sampled", str(out))) as (url, process),
        aiohttp.ClientSession() as client,
    ):
        await cpu_ms(client, url, process, distinct, requests)  # warms up
        process.send_signal(BEGIN)
        for _ in range(rounds):
            await cpu_ms(client, url, process, distinct, requests)
        process.send_signal(END)


def profile(rung: str, rounds: int, requests: int) -> Shares:
    with Stub(SERVICE_MS) as stub, tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / rung
        asyncio.run(load(rung, rounds, requests, stub.url, out))
        own, whole = json.loads(out.read_text(encoding="utf-8"))
    samples = sum(own.values())
    return Shares(
        {place: count / samples for place, count in own.items()},
        {place: count / samples for place, count in whole.items()},
    )


def by_room(shares: Mapping[str, float]) -> dict[str, float]:
    """By whom one would ask about it, the most first: a module of ours, or a package of others."""
    found: dict[str, float] = {}
    for place, share in shares.items():
        module = place.partition(SEPARATOR)[0]
        room = module if module.startswith("aggregator.") else module.partition(".")[0]
        found[room] = found.get(room, 0.0) + share
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def main() -> int:
    if sys.argv[1:2] == ["--sampled"]:
        return sampled(Path(sys.argv[2]), sys.argv[3:])
    options = read_options(__doc__, rounds=20)
    requests = SHORT_REQUESTS if options.short else REQUESTS
    found = {rung: profile(rung, options.rounds, requests) for rung in RUNGS}
    rooms = {rung: by_room(shares.own) for rung, shares in found.items()}
    print("| CPU in | " + " | ".join(f"`{rung}`" for rung in RUNGS) + " |\n|---|" + "---:|" * len(RUNGS))
    for name, share in rooms[RUNGS[-1]].items():
        if share >= ROOM_LEAST:
            print(f"| {name} | " + " | ".join(f"{rooms[rung].get(name, 0.0):.0%}" for rung in RUNGS) + " |")
    print(f"\n| function, in `{RUNGS[-1]}` | with all that it calls | itself |\n|---|---:|---:|")
    own, whole = found[RUNGS[-1]].own, found[RUNGS[-1]].whole
    for place in sorted(whole, key=lambda each: -whole[each]):
        if FUNCTION_LEAST <= whole[place] <= FUNCTION_MOST:
            print(f"| `{place}` | {whole[place]:.1%} | {own.get(place, 0.0):.1%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
