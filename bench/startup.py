"""How long `tailgate --help` and `tailgate validate` take: whole processes, interleaved, medians.

python bench/startup.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "`--help`": ["--help"],
    "`validate no-fault`": ["validate", "no-fault"],
    "`validate ladder`": ["validate", "ladder"],
}
LIMIT_S = 0.3


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    tailgate = Path(sys.executable).with_name("tailgate")
    took_s: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(rounds + 1):  # the first turn warms the file cache
        for name, words in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([tailgate, *words], check=True, stdout=subprocess.DEVNULL)
            if turn:
                took_s[name].append(time.perf_counter() - start)
    print(f"| command | median (s) | worst of {rounds} | limit |\n|---|---|---|---|")
    for name, values in took_s.items():
        print(f"| {name} | {statistics.median(values):.3f} | {max(values):.3f} | {LIMIT_S} |")
    return 0 if all(statistics.median(values) < LIMIT_S for values in took_s.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
