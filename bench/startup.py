"""How long `tailgate --help` and `tailgate validate` take: whole processes, interleaved, medians.

    python bench/startup.py [ROUNDS] [--short]

They are quoted in starts of the same interpreter that do nothing (`python -c pass`), one in each round.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.command_line import read_options
from bench.tailgate_command import TAILGATE, run_command

BARE: Final = "`python -c pass`"
COMMANDS: Final = {
    BARE: (sys.executable, "-c", "pass"),
    "`--help`": (TAILGATE, "--help"),
    "`validate no-fault`": (TAILGATE, "validate", "no-fault"),
    "`validate ladder`": (TAILGATE, "validate", "ladder"),
}
LIMIT_STARTS: Final = {BARE: 1, "`--help`": 5, "`validate no-fault`": 20, "`validate ladder`": 20}


def main() -> int:
    options = read_options(__doc__, rounds=15)
    took_s: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(options.rounds + 1):  # the first turn warms the file cache
        for name, argv in COMMANDS.items():
            start_s = time.perf_counter()
            run_command(argv)
            if turn:
                took_s[name].append(time.perf_counter() - start_s)
    starts = {name: statistics.median(values) / statistics.median(took_s[BARE]) for name, values in took_s.items()}
    print(f"| command | median (s) | worst of {options.rounds} | bare starts, median | limit |\n|---|---|---|---|---|")
    for name, values in took_s.items():
        figures = f"{statistics.median(values):.3f} | {max(values):.3f} | {starts[name]:.1f}"
        print(f"| {name} | {figures} | {LIMIT_STARTS[name]} |")
    return options.exit_code(holds=all(starts[name] <= limit for name, limit in LIMIT_STARTS.items()))


if __name__ == "__main__":
    sys.exit(main())
