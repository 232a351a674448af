"""Every bench in its short form: the words that make it short, and the lines that it must print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
WITHIN_S: Final = 400.0
RUN_DIR: Final = "RUN_DIR"
"""Stands for a run directory that the test makes."""
N: Final = r"-?[\d,]+(?:\.\d+)?"
"""A number, which neither `nan` nor `inf` is."""


@dataclass(frozen=True, slots=True)
class ShortForm:
    """`lines`: patterns of whole lines of standard output, in this order, with any lines between them."""

    words: tuple[str, ...]
    lines: tuple[str, ...]
    whole_runs: bool = False
    """It needs nginx and Toxiproxy."""
    as_module: bool = False
    """Its page calls it `python -m bench.NAME`."""


def row(*cells: str) -> str:
    """A row of a Markdown table with these cells, each a pattern."""
    return r"\| " + r" \| ".join(cells) + r" \|"


def numbers(count: int) -> tuple[str, ...]:
    return (N,) * count


VERDICTS: Final = r"\d+ / \d+ / \d+"

SHORT_FORMS: Final = {
    "aggregator_cpu": ShortForm(("--short",), (row("distinct", *numbers(4)), row("identical", *numbers(4)))),
    "aggregator_profile": ShortForm(
        ("--short",),
        (
            row("aiohttp", rf"{N}%", rf"{N}%"),
            row("function, in `isolated`", "with all that it calls", "itself"),
            row(r"`[\w.]+ · [\w.<>]+`", rf"{N}%", rf"{N}%"),  # which one comes up, a few samples leave to chance
        ),
    ),
    "blocking_call": ShortForm(("--short",), (row("32", *numbers(2)), row("256", *numbers(2)))),
    "busy_machine": ShortForm(
        ("--short",),
        (
            r"healthy +1  \w+  p99 .+  waited .+  others .+",
            r"burning +1  \w+  p99 .+  waited .+  others .+",
            r"healthy, beside busy loops: 1 \w+",
            r"uses its cores up: 1 \w+",
        ),
        whole_runs=True,
    ),
    "calibration": ShortForm(
        ("--quick",),
        (
            row("independent", "30 s", "0.1 s", *(VERDICTS,) * 5, "", ""),
            row("one stall", "60 s", "0.1 s", *(VERDICTS,) * 6, ""),
            row("total outage", "30 s", "0.1 s", *("",) * 6, "0 / 0 / 100"),
            row("`mean < T`", "independent", "60 s", *(VERDICTS,) * 3),
            row(r"`errors < main \+ 0.5%`", "independent", "300 s", *(VERDICTS,) * 3),
            row("`errors = 0`", "bursts of 5", "60 s", *(VERDICTS,) * 3),
        ),
    ),
    "capacity_odds": ShortForm(
        ("--searches", "10", "--drawn"),
        tuple(row(*lengths, *(rf"{N} %",) * 4) for lengths in (("6 s", "12 s", "12 s"), ("12 s", "120 s", "60 s"))),
        as_module=True,
    ),
    "capacity_truth": ShortForm(
        ("--searches", "1", "--only", "pool"),
        (rf"pool .* truth +{N}/s  found .*", r"1 searches, \d brackets without the truth, \d wrong limiters"),
        whole_runs=True,
        as_module=True,
    ),
    "fake_cpu": ShortForm(("--short",), (row("generic", *numbers(5), ""), row("500 routes", *numbers(5), "1.3"))),
    "forwarder": ShortForm(
        ("--short",),
        (
            row("a fake", *numbers(5), ""),
            row("a real origin, forwarded", *numbers(5), "4"),
            row("of the answer", *numbers(2), "20"),
            row("of the request", *numbers(2), "20"),
        ),
    ),
    "generators": ShortForm(
        ("--short",), (row("tailgate", "1,000", *numbers(6)),), whole_runs=True, as_module=True
    ),
    "healthy_example": ShortForm(("--short",), (r"run +1  \w+.*", r"1 \w+"), whole_runs=True),
    "fuzz_scenarios": ShortForm(("--count", "40", "--seed", "1"), (row("40", "1", N, N, "0", N),)),
    "isolation": ShortForm(
        ("--short",),
        (
            "tailgate run hung-minute --quiet, 1 times",
            rf"\w+: isolated after {N} ms; p99 {N} ms before, .+ {N} incomplete; {N} MB .+ sockets",
            rf"median of 1: isolated after {N} ms, p99 {N} → {N} ms, {N}× of health",
            "the goal is (reached|missed: .+)",
        ),
        whole_runs=True,
    ),
    "judge_speed": ShortForm(("--short",), (row("20,000", "20,000", *numbers(5)),), as_module=True),
    "kill_matrix": ShortForm(
        ("--only", "faked/tailgate/SIGKILL/warm-up", "--jobs", "1"),
        (row("tailgate SIGKILL", rf"killed, judged 130 · {N} s"), "1 of 1 cells as they should be"),
        whole_runs=True,
        as_module=True,
    ),
    "ladder_table": ShortForm(("--short",), (r"\d of 1 cells as expected",), whole_runs=True),
    "many_runs": ShortForm(
        ("--short",),
        (row("run 1", *numbers(7)), row("run 2", *numbers(7)), r"nothing has grown, nothing is left|exit [134]: .*"),
        whole_runs=True,
    ),
    "monitor_times": ShortForm(
        ("1", "--short"),
        (
            row("hangs, deadline 1 s, 20/s", rf"{N} \({N}\)", rf"{N} \({N}\)"),
            row("hangs, deadline 1 s, 1/s", rf"{N} \({N}\)", rf"{N} \({N}\)"),
            row("well, 1,000 calls, .+", r"(never|\d+)") + r" \|",
            rf"every tenth call fails, 20/s: raised {N} times an hour",
            rf"a call costs {N} µs",
        ),
    ),
    "one_request": ShortForm(
        ("--short",),
        (
            row("`sequential`", rf"{N} s", rf"{N} s"),
            row("`parallel`", rf"{N} s", rf"{N} s"),
            row("`threads`", rf"{N} s, partial", rf"{N} s"),
            row("`timeout`", rf"{N} s, partial", rf"{N} s"),
            row("`pushdown`", rf"{N} s, partial", rf"{N} s"),
        ),
    ),
    "overhead": ShortForm(("--short",), (row("8", *numbers(6)),), whole_runs=True),
    "plan_times": ShortForm(
        ("calm", "--short"), (row("calm", *numbers(2), rf"[+]?{N} %"),), whole_runs=True, as_module=True
    ),
    "send_lag": ShortForm(
        ("50", "2", "--short"),
        (rf"50/s for 2 s: {N} arrivals, 0 not ok, send lag p50 {N} ms, p99 {N} ms, .+; {N} µs CPU a request, .+",),
    ),
    "soak_minutes": ShortForm(
        (RUN_DIR,),
        (
            row("minute", "1", "2"),
            row(r"memory \(MB\)", "54.0", "54.0"),
            row("threads", "5", "5"),
            row("TCP sockets", "7", "8"),
        ),
    ),
    "startup": ShortForm(
        ("--short",),
        (
            row("`python -c pass`", *numbers(4)),
            row("`--help`", *numbers(4)),
            row("`validate no-fault`", *numbers(4)),
            row("`validate ladder`", *numbers(4)),
        ),
    ),
    "truth": ShortForm(
        ("--short",),
        (
            r"5 ms service, stalled from 1 to 2 s of 4 s, .+",
            row(r"truth \(the server's log\)", *numbers(4)),
            row("tailgate", *numbers(4)),
            row("stock Locust, 10 users", *numbers(4)),
            "p90, p95, p99 within 1 % or 150 ms of the truth: (yes|NO)",
        ),
    ),
}  # fmt: skip
"""By name: `bench/NAME.py`."""


def command(name: str, run_dir: Path | None) -> list[str]:
    """As its page has it, from the project's folder."""
    form = SHORT_FORMS[name]
    words = [str(run_dir) if word == RUN_DIR else word for word in form.words]
    return [sys.executable, *(("-m", f"bench.{name}") if form.as_module else (f"bench/{name}.py",)), *words]


def play(name: str, run_dir: Path | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(name, run_dir),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def wrong(form: ShortForm, done: subprocess.CompletedProcess[str]) -> Iterator[str]:
    """What is not as it should be: the exit code, a traceback, a line that did not come."""
    if done.returncode:
        yield f"exit code {done.returncode}"
    if "Traceback (most recent call last)" in done.stderr:
        yield "a traceback"
    left = iter(done.stdout.splitlines())
    for pattern in form.lines:
        if not any(re.fullmatch(pattern, line) for line in left):
            yield f"no line like: {pattern}"
            return
