"""What is kept of the ladder's table: the cells, the file and the page that hold them, and how two of them differ.

It runs nothing: `bench/ladder_table.py` does, and the tests. A cell holds its verdict and the gates that failed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
KEPT: Final = ROOT / "tests" / "run" / "ladder_verdicts.csv"
PAGE: Final = ROOT / "docs" / "ladder.md"
BEGIN, END = "<!-- seen -->", "<!-- end of seen -->"

RUNGS: Final = ("sequential", "parallel", "threads", "timeout", "pushdown", "isolated")
MODELS: Final = ("open", "closed")


CLOSED_FOR: Final = "40s"
"""How long a fault lasts with closed load: ten users that wait for a second each send ten requests a second, not
forty, and a verdict needs three hundred."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A row of the table. `closed_for`: its one fault with closed load; empty: as in the catalog."""

    name: str
    shows: str
    closed_for: str = CLOSED_FOR
    client: str = ""
    """The table varies rungs alone, so a scenario about the client is run with the one that falls."""


SCENARIOS: Final = (
    Scenario("calm", "health", closed_for=""),
    Scenario("ladder", "azure answers after 60 s: the incident"),
    Scenario("read-timeout", "1: the incident, with a timeout of 1 s for each read", closed_for="80s"),
    Scenario("slow-drip", "1: the same timeout, a body that drips"),
    Scenario("thread-pool", "2: bystanders of a full pool of threads"),
    Scenario("session-pool", "3: sessions held while waiting"),
    Scenario("threads-leak", "4: calls that nobody can end"),
    Scenario("httpx-pool", "5: a client's pool of connections", client="httpx"),
    Scenario("warm-cache", "6: azure down, its offers known"),
    Scenario("cold-cache", "6: azure down, nothing known yet"),
    Scenario("retry-storm", "6: 429 without Retry-After, retried at once"),
    Scenario("bystanders", "requests for gcp alone while azure hangs"),
    Scenario("flapping", "azure hangs 6 s of every 9", closed_for=""),
    Scenario("slow-start", "azure hangs, then warms up", closed_for=""),
    Scenario("garbage", "azure answers what is no JSON"),
    Scenario("half-down", "four of eight hang"),
    Scenario("all-down", "all refuse connections"),
)


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    scenario: str
    model: str
    rung: str

    def __str__(self) -> str:
        return f"{self.scenario}/{self.model}/{self.rung}"


@dataclass(frozen=True, slots=True)
class Seen:
    """`failed`: the gates that failed, by metric, in the scenario's order; `threads after` is one on what comes after
    the fault.
    """

    verdict: str
    failed: tuple[str, ...] = ()
    is_busy: bool = False
    """It is a rig failure for nothing but a machine that was busy with something else."""

    def __str__(self) -> str:
        return f"{self.verdict} ({', '.join(self.failed)})" if self.failed else self.verdict


EITHER_WAY: Final = (
    (Cell("slow-start", "closed", "sequential"), "p75"),
    (Cell("slow-start", "closed", "parallel"), "p75"),
)
"""Gates that may fail or stay undecided beside others that do fail: ten users who all wait for azure send so few
requests that the share of slow ones is near a quarter."""


def difference(cell: Cell, seen: Seen, kept: Seen | None) -> str:
    """What is not as kept, in words; empty where all is. The verdict, and each gate that failed or did not."""
    if kept is None:
        return f"{seen}, and nothing is kept"
    if seen.verdict != kept.verdict:
        return f"{seen}, expected {kept}"
    told = [f"{name} did not fail" for name in kept.failed if name not in seen.failed and not _may(cell, name)]
    told += [f"{name} failed as well" for name in seen.failed if name not in kept.failed and not _may(cell, name)]
    return f"{seen}, expected {kept}: {', '.join(told)}" if told else ""


def _may(cell: Cell, metric: str) -> bool:
    return (cell, metric) in EITHER_WAY


def rungs_of(scenario: Scenario) -> tuple[str, ...]:
    """Those that can be put into it: `threads` has a blocking client of its own."""
    return tuple(rung for rung in RUNGS if not (scenario.client and rung == "threads"))


def cells() -> Iterator[Cell]:
    """All, in the table's order."""
    for scenario in SCENARIOS:
        for model in MODELS:
            for rung in rungs_of(scenario):
                yield Cell(scenario.name, model, rung)


def read_kept() -> dict[Cell, Seen]:
    with KEPT.open(encoding="utf-8", newline="") as file:
        return {
            Cell(row["scenario"], row["model"], row["rung"]): Seen(row["verdict"], _split(row["failed"]))
            for row in csv.DictReader(file)
        }


def _split(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split("; ")))


def write_kept(seen: Mapping[Cell, Seen]) -> None:
    """The file and the page. Cells that no scenario has any more are left out."""
    with KEPT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("scenario", "model", "rung", "verdict", "failed"))
        for cell in (cell for cell in cells() if cell in seen):
            one = seen[cell]
            writer.writerow((cell.scenario, cell.model, cell.rung, one.verdict, "; ".join(one.failed)))
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), seen), encoding="utf-8")


def page_with(text: str, seen: Mapping[Cell, Seen]) -> str:
    """The page's text with this table between its marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table(seen)}\n\n{END}{rest.partition(END)[2]}"


def table(seen: Mapping[Cell, Seen]) -> str:
    """Markdown: for each rung open load above closed load, the gates that failed in place of `fail`."""
    rows = [
        "| scenario | load | " + " | ".join(f"`{rung}`" for rung in RUNGS) + " |",
        "|---|---|" + "---|" * len(RUNGS),
    ]
    for scenario in SCENARIOS:
        for model in MODELS:
            first = f"`{scenario.name}`: {scenario.shows}" if model == MODELS[0] else ""
            row = [seen.get(Cell(scenario.name, model, rung)) for rung in RUNGS]
            rows.append(f"| {first} | {model} | " + " | ".join(_text(one) for one in row) + " |")
    return "\n".join(rows)


def _text(seen: Seen | None) -> str:
    if seen is None:
        return ""
    if seen.verdict == "fail":
        return f"**{', '.join(seen.failed) or 'fail'}**"
    return seen.verdict.replace("_", " ")
