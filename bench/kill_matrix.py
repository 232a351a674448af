"""Each process of a run killed, told to end and stopped, in each phase: what is left after 15 s, and what is said.

    python -m bench.kill_matrix                                   all of it, about forty minutes
    python -m bench.kill_matrix --only 'borrowed/*'               a stack: faked, command, forwarded, borrowed …
    python -m bench.kill_matrix --only 'tailgate/SIGKILL/fault'   cells by pattern, of any stack; may be repeated
    python -m bench.kill_matrix --table docs/kill-matrix.md       puts what was seen into that page, by whole stacks

Needs nginx and Toxiproxy. The exit code is 0 if every cell was as it should be (`expected`).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from bench.kill_cell import Seen, play
from bench.kill_stacks import CELLS, SIGNALS, STACKS, Cell
from harness.toxiproxy.find import find_binary

PASSED, FAILED, RIG, INTERRUPTED, KILLED = 0, 1, 4, 130, -9
END: Final = "<!-- end of seen -->"


@dataclass(frozen=True, slots=True)
class Expected:
    """The exit codes that are right for a cell: of the run, and of `tailgate judge` afterwards."""

    codes: frozenset[int]
    judged: frozenset[int]


def expected(cell: Cell) -> Expected:
    """What a cell should end in; docs/kill-matrix.md says why."""
    if cell.goes_on:
        return _exactly(PASSED)
    if cell.phase == "reporting":
        return _after_the_load(cell)
    if cell.actor == "tailgate":
        code = {"SIGKILL": KILLED, "SIGTERM": INTERRUPTED, "SIGSTOP": RIG}[cell.signal]
        return _exactly(code, INTERRUPTED if code == KILLED else code)
    if cell.actor == "supervisor":
        return _exactly(INTERRUPTED if cell.signal == "SIGTERM" else RIG)
    return _exactly(FAILED if cell.actor == "service" else RIG)


def _after_the_load(cell: Cell) -> Expected:
    """All is measured: what the judge says of whole evidence stands, and whoever makes it whole may be missed."""
    if cell.actor == "tailgate":
        code = {"SIGKILL": KILLED, "SIGTERM": INTERRUPTED, "SIGSTOP": PASSED}[cell.signal]
        return _exactly(code, PASSED)
    if cell.actor == "supervisor":
        codes = {"SIGKILL": {RIG}, "SIGTERM": {INTERRUPTED}, "SIGSTOP": {RIG}}[cell.signal] | {PASSED}
        return Expected(frozenset(codes), frozenset(codes))
    codes = {PASSED, FAILED if cell.actor == "service" else RIG}
    return Expected(frozenset(codes), frozenset(codes))


def _exactly(code: int, judged: int | None = None) -> Expected:
    return Expected(frozenset({code}), frozenset({code if judged is None else judged}))


def wrong(seen: Seen) -> str:
    """What is not as it should be; empty where all is."""
    if seen.broken:
        return seen.broken
    should = expected(seen.cell)
    if seen.left:
        return f"left after 15 s: {', '.join(seen.left)}"
    if seen.gone_already and seen.cell.phase != "reporting":
        return f"{seen.cell.actor} was gone before the signal"
    if seen.code not in (should.codes | ({PASSED} if seen.gone_already else set())):
        return f"exit {seen.code} instead of {_either(should.codes)}"
    if seen.judged not in (should.judged | ({PASSED} if seen.gone_already else set())):
        return f"judged {seen.judged} instead of {_either(should.judged)}: {seen.verdict}"
    if seen.verdict.startswith("PASS ") != (seen.judged == PASSED):
        return f"exit {seen.judged} with {seen.verdict}"
    if "Traceback" in seen.said:
        return f"a traceback: {seen.said[-400:]}"
    return ""


def _either(codes: Iterable[int]) -> str:
    return " or ".join(str(code) for code in sorted(codes))


def table(outcomes: Mapping[Cell, Seen]) -> str:
    """Markdown: exit code and seconds until nothing was left, a cell that is wrong in bold. All are of one stack."""
    (name,) = {cell.stack for cell in outcomes}
    stack = STACKS[name]
    phases = [phase for phase in stack.phases if any(cell.phase == phase for cell in outcomes)]
    rows = ["| | " + " | ".join(phases) + " |", "|---|" + "---|" * len(phases)]
    for actor in stack.phases_of:
        for sig in SIGNALS:
            found = [outcomes.get(Cell(actor, sig, phase, name)) for phase in phases]
            if any(found):
                rows.append(f"| {actor} {sig} | " + " | ".join(_text(seen) if seen else "" for seen in found) + " |")
    return "\n".join(rows)


def _text(seen: Seen) -> str:
    if why := wrong(seen):
        return f"**{why.replace('|', '/')}**"
    if seen.gone_already:
        return "gone already"
    if seen.cell.goes_on:
        return f"{seen.code}, went on"
    code = f"killed, judged {seen.judged}" if seen.code == KILLED else str(seen.code)
    return f"{code} · {seen.clean_s:.1f} s"


def run(cells: Sequence[Cell], folder: Path, *, jobs: int, keep: bool) -> dict[Cell, Seen]:
    """Every cell, `jobs` at a time; tells of each on stderr as it ends."""
    toxiproxy = find_binary().path
    assert toxiproxy is not None

    def one(cell: Cell) -> Seen:
        seen = play(cell, folder, toxiproxy, keep=keep)
        why = wrong(seen)
        text = _text(seen) if not why else f"WRONG {why}\n{seen.said[-1500:]}"
        print(f"{cell}: {text}", file=sys.stderr, flush=True)
        return seen

    with ThreadPoolExecutor(jobs) as pool:
        return {seen.cell: seen for seen in pool.map(one, cells)}


def chosen(patterns: Sequence[str]) -> list[Cell]:
    """The cells that match one of the patterns, with or without their stack; all if there is none."""
    return [
        cell
        for cell in CELLS
        if not patterns or any(fnmatch(str(cell), only) or fnmatch(cell.brief, only) for only in patterns)
    ]


def in_page(page: str, outcomes: Mapping[Cell, Seen]) -> str:
    """The page with the tables of the stacks of `outcomes` in place of its own. Raises ValueError where it has none, or
    where cells of a stack are missing."""
    for name in STACKS:
        of_stack = {cell: seen for cell, seen in outcomes.items() if cell.stack == name}
        if not of_stack:
            continue
        if missing := [str(cell) for cell in CELLS if cell.stack == name and cell not in of_stack]:
            raise ValueError(f"a table needs the whole stack: {missing[0]} was not played")
        before, begin, rest = page.partition(begin_of(name))
        shown, end, after = rest.partition(END)
        if not end or "<!--" in shown:
            raise ValueError(f"the page has no table between {begin_of(name)} and {END}")
        page = f"{before}{begin}\n\n{table(of_stack)}\n\n{END}{after}"
    return page


def begin_of(stack: str) -> str:
    """What stands in a page before the table of the stack."""
    return f"<!-- seen: {stack} -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", action="append", default=[], metavar="[STACK/]ACTOR/SIGNAL/PHASE", help="`*` is anything"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many runs at once")
    parser.add_argument("--table", type=Path, help="a page whose tables are put in place")
    parser.add_argument("--keep", type=Path, help="a folder in which the run directories stay")
    options = parser.parse_args()
    cells = chosen(options.only)
    if not cells:
        parser.error(f"no cell matches; the stacks are {', '.join(STACKS)}")
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run(cells, options.keep or Path(folder), jobs=options.jobs, keep=options.keep is not None)
    for name in dict.fromkeys(cell.stack for cell in cells):
        print(f"{name}:\n\n{table({cell: seen for cell, seen in outcomes.items() if cell.stack == name})}\n")
    bad = [cell for cell, seen in outcomes.items() if wrong(seen)]
    print(f"{len(outcomes) - len(bad)} of {len(outcomes)} cells as they should be")
    if options.table:
        options.table.write_text(in_page(options.table.read_text(encoding="utf-8"), outcomes), encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
