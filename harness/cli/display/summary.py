"""A verdict for people, as lines of text: gates, whether to trust them, why and what next. Decides nothing.

`paint` colours a word by its style (`pass`, `fail` …) where the terminal wants colour; the text is the
same without. The last line is always `VERDICT NAME DIRECTORY`.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import click

from harness.gates.wording.figures import format_figure
from harness.rundir.results import VERDICT_WORD, GateResult, MatrixResults, Results
from harness.text import cut, one_line, sanitize_document
from harness.units import format_count, format_duration
from reports import detections, present, unmatched
from reports.redacted import redacted_document

Paint = Callable[[str, str], str]
T = TypeVar("T", Results, MatrixResults)
WIDTH: Final = 110
PATH_MOST: Final = 4_096
GATE_MOST: Final = 120
_MARGIN: Final = 7
_MARK: Final = {"pass": "✓ pass", "fail": "✗ FAIL", "inconclusive": "? undecided", "rig_failure": "! rig failure"}
_HEAD: Final = ("gate", "observed", "bounds", "limit", "n", "withstands", "verdict")
NOT_COUNTED: Final = "does not count"
"""In place of a gate's verdict in a rig failure."""
_COLOUR: Final = {
    "pass": "green",
    "fail": "red",
    "inconclusive": "yellow",
    "rig_failure": "magenta",
    "dim": "bright_black",
}


def plain(text: str, _style: str) -> str:
    return text


def painter() -> Paint:
    """Colours where stdout is a terminal and NO_COLOR is not set."""
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return plain
    return lambda text, style: click.style(text, fg=_COLOUR[style], bold=style in ("fail", "rig_failure"))


def verdict_line(results: Results | MatrixResults, directory: Path) -> str:
    """The line that scripts read."""
    return f"{VERDICT_WORD[results.verdict]} {one_line(results.scenario.name)} {one_line(str(directory), PATH_MOST)}"


def legible_results(results: T) -> T:
    """The same with every text fit for a terminal: they come from scenarios, services and run directories of others."""
    return type(results).model_validate(sanitize_document(redacted_document(results.model_dump())))


def run_lines(results: Results, directory: Path, paint: Paint = plain) -> list[str]:
    """The summary of one run, or of a pool of runs."""
    results = legible_results(results)
    return [
        *(_measured(results, paint) if results.verdict == "rig_failure" else _gates(results, paint)),
        *_trust(results, paint),
        *_calls(results),
        *(line for note in results.notes for line in hanging("note", note)),
        *_named(results),
        *_present(results),
        *_unmatched(results),
        "",
        *hanging("what", results.reason),
        *quoted(results.log_lines),
        *hanging("why", results.why),
        *hanging("next", results.next),
        *quoted((results.next_command,) if results.next_command else ()),
        f"again  {results.replay}",
        *([f"report {report}"] if (report := directory / "report.html").exists() else []),
        *(["note   interrupted: judged by what was known when it stopped"] if results.interrupted else []),
        "",
        painted_line(verdict_line(results, directory), results.verdict, paint),
    ]


def format_value(value: float | None, gate: GateResult) -> str:
    """A figure of a gate in its own unit; `?` where it is unknown."""
    return "?" if value is None else format_figure(gate.unit, value)


def format_observed(gate: GateResult) -> str:
    """The observed value; an infinite latency by where it was cut off, never as if it were one."""
    if gate.observed is None and gate.censored_at_ms is not None:
        return f"≥ {format_duration(gate.censored_at_ms)}"
    if gate.failed_at_rank:
        return "an error"
    return "–" if gate.observed is None else format_value(gate.observed, gate)


def _gates(results: Results, paint: Paint) -> list[str]:
    """The table of all gates, then why those failed or are undecided that did not pass."""
    rows = [(*_gate_row(gate), _MARK[gate.verdict]) for gate in results.gates]
    lines = table(_HEAD, rows, [gate.verdict for gate in results.gates], paint)
    return [*lines, *([""] if rows else []), *_undecided_reasons(results)]


def _measured(results: Results, paint: Paint) -> list[str]:
    """What the gates of a rig failure measured, without their verdicts, which do not count there."""
    if not results.phases:
        return hanging("gates", "no gate was judged, since no load was sent")
    decided = [
        gate for gate in results.gates if gate.verdict == "fail" or (gate.verdict == "pass" and gate.limit is not None)
    ]
    left = sum(gate.verdict == "inconclusive" for gate in results.gates)
    if not decided:
        return hanging("gates", "no gate could be judged") if left else []
    rows = [(*_gate_row(gate), NOT_COUNTED) for gate in decided]
    lines = [*table(_HEAD, rows, ["dim" for _ in rows], paint), ""]
    return [*lines, *(hanging("gates", f"{left} more could not be judged") if left else [])]


def _gate_row(gate: GateResult) -> tuple[str, ...]:
    bounded = gate.low is not None or gate.high is not None
    low, high = (format_value(bound, gate) for bound in (gate.low, gate.high))
    return (
        cut(gate.text, GATE_MOST),
        format_observed(gate),
        f"[{low}, {'∞' if gate.is_infinite and gate.high is None else high}]" if bounded else "",
        "" if gate.limit is None else f"{gate.op} {format_value(gate.limit, gate)}",
        format_count(gate.n),
        "" if gate.withstands_ms is None else format_duration(gate.withstands_ms),
    )


def _undecided_reasons(results: Results) -> list[str]:
    lines: list[str] = []
    for gate in results.gates:
        if gate.verdict != "pass":
            lines += hanging("", f"{_MARK[gate.verdict].split()[0]} {gate.text}: {gate.reason}")
    return [*lines, ""] if lines else []


def _trust(results: Results, paint: Paint) -> Iterable[str]:
    """The checks in one line each where something is wrong, else in one line."""
    broken = results.failed_checks
    for place, check in enumerate(broken):
        said = f": {check.detail}" if place else ""  # `what` says below what the first one found
        yield from hanging("rig", f"{paint('✗', 'rig_failure')} {check.part or check.check}{said}")
    if not broken:
        lag = next((check.detail for check in results.validity if check.check == "lag"), "")
        landed = [fault.name for fault in results.faults if fault.landed]
        faults = f"; proven: {', '.join(dict.fromkeys(landed))}" if landed else ""
        yield from hanging("trust", f"✓ every check of the rig held (send lag {lag}{faults})")


def _calls(results: Results) -> list[str]:
    calls = _calls_per_arrival(results)
    return [f"calls  {calls} for each arrival, over the whole run"] if calls else []


def _named(results: Results) -> list[str]:
    """Whom the service named during each fault, and outside of all."""
    return [line for text in detections.summarize(results) for line in hanging("named", text)]


def _present(results: Results) -> list[str]:
    """Who was missing from the answers, phase by phase, and where such answers can be read."""
    lines = [line for when, text in present.describe(results) for line in hanging("complete ", f"{when}: {text}")]
    kept = present.kept(results.incomplete_answers)
    return [*lines, *(hanging("answers ", f"the first incomplete ones: {kept}") if kept else [])]


def _unmatched(results: Results) -> list[str]:
    return [line for text in unmatched.describe(results.unmatched) for line in hanging("unmatched: ", text)]


def _calls_per_arrival(results: Results) -> str:
    whole = [u for u in results.upstreams if u.phase == "whole" and u.calls_per_arrival is not None]
    per = [f"{u.name} {u.calls_per_arrival:.2f}" for u in whole]
    if len(per) <= 3:
        return " · ".join(per)
    return f"{sum(u.calls_per_arrival or 0.0 for u in whole):.2f} to {len(per)} upstreams"


def hanging(name: str, text: str) -> list[str]:
    """A paragraph with a hanging name."""
    first = f"{name:<{_MARGIN}}"
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first)) or [first.rstrip()]


def quoted(lines: Iterable[str]) -> list[str]:
    """Lines of a log, or a command, as they are: a line that is wrapped can be neither read nor copied."""
    return [f"{' ' * _MARGIN}  {line}" for line in lines]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str], paint: Paint) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()

    return [paint(line(head), "dim"), *(paint(line(row), style) for row, style in zip(rows, styles, strict=True))]


def painted_line(line: str, verdict: str, paint: Paint) -> str:
    word, _, rest = line.partition(" ")
    return f"{paint(word, verdict)} {rest}"
