"""The command line that most benches share: how many rounds, and `--short`.

The short form takes the same path with less of everything, in a few seconds, and judges nothing: it exits with 0 as
soon as all is measured and printed. `tests/bench` runs every bench in it, so that one that broke is found.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Final

LIMIT_MISSED: Final = 1
"""All was measured, and a limit does not hold. A bench that cannot measure ends with a traceback, or with 2."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    rounds: int
    short: bool

    def exit_code(self, *, holds: bool) -> int:
        return exit_code(holds=holds, short=self.short)


def exit_code(*, holds: bool, short: bool) -> int:
    """0, or 1 where a limit does not hold; the short form is too small to judge by."""
    return 0 if holds or short else LIMIT_MISSED


def bench_parser(description: str | None) -> argparse.ArgumentParser:
    """With `--short`. `description` is the bench's docstring, for `--help`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few seconds, nothing is judged")
    return parser


def read_options(description: str | None, *, rounds: int, short_rounds: int = 1) -> BenchOptions:
    """From the command line: `[ROUNDS] [--short]`."""
    parser = bench_parser(description)
    parser.add_argument("rounds", nargs="?", type=int, metavar="ROUNDS", help=f"{rounds}, or {short_rounds} in short")
    given = parser.parse_args()
    return BenchOptions(given.rounds or (short_rounds if given.short else rounds), given.short)
