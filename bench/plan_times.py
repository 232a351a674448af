"""How near `tailgate plan` comes to the time that `tailgate run` takes, over the scenarios of the catalog.

    python -m bench.plan_times                          # each but those that last over three minutes
    python -m bench.plan_times calm ladder --at-once 1

A row for each scenario. Exits with 1 if one lasts 15 % longer or shorter than was said.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bench.tailgate_command import run_codes, run_tailgate

CATALOG: Final = Path(__file__).parents[1] / "scenarios" / "catalog"
WITHIN: Final = 0.15
LONGEST_S: Final = 180.0
"""Longer scenarios are run only if they are named."""


def planned_s(scenario: str) -> float:
    (planned,) = json.loads(run_tailgate(["plan", scenario, "--json"]))["scenarios"]
    return float(planned["wall_s"])


def took_s(scenario: str, most_s: float) -> float:
    """How long a run of it takes, however it is judged."""
    with tempfile.TemporaryDirectory(prefix="tailgate-plan-") as folder:
        begun_s = time.monotonic()
        words = ["run", scenario, "--quiet", "--out", folder]
        run_tailgate(words, codes=run_codes(short=True), timeout_s=2 * most_s + 60)
        return time.monotonic() - begun_s


def row(scenario: str, said_s: float, was_s: float) -> str:
    return f"| {scenario} | {said_s:.1f} | {was_s:.1f} | {100 * (was_s / said_s - 1):+.0f} % |"


def measure(scenarios: Sequence[str], *, longest_s: float, at_once: int) -> bool:
    """Prints a row for each, and returns whether what was said of all was near enough."""
    print("| scenario | planned (s) | took (s) | off by |\n|---|---:|---:|---:|", flush=True)
    said = {scenario: planned_s(scenario) for scenario in scenarios}  # with nothing beside it
    short = [scenario for scenario in scenarios if said[scenario] <= longest_s]
    near = True
    with ThreadPoolExecutor(at_once) as pool:
        times = pool.map(lambda scenario: took_s(scenario, said[scenario]), short)
        for scenario, was_s in zip(short, times, strict=True):
            near = near and abs(was_s / said[scenario] - 1) <= WITHIN
            print(row(scenario, said[scenario], was_s), flush=True)
    for scenario in sorted(set(scenarios) - set(short)):
        print(f"{scenario} was left out: {said[scenario]:.0f} s")
    return near


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help="of the catalog; default: all that are short enough")
    parser.add_argument("--at-once", type=int, default=2, help="runs side by side")
    parser.add_argument("--short", action="store_true", help="for the tests: judges nothing")
    options = parser.parse_args()
    named = options.scenarios or sorted(path.stem for path in CATALOG.glob("*.yaml"))
    longest_s = float("inf") if options.scenarios else LONGEST_S
    near = measure(named, longest_s=longest_s, at_once=options.at_once)
    return int(not near and not options.short)


if __name__ == "__main__":
    sys.exit(main())
