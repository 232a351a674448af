"""summary.md: the verdict, the gates and the phases in GitHub's Markdown, for a job summary or a comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from harness.rundir.results import Results
from reports import formatting, present, unmatched, validity
from reports.detections import named_without_fault, who_was_named
from reports.formats import github
from reports.redacted import shown
from reports.subject import Subject

FILES: Final = ("summary.md",)
_SPECIAL: Final = re.compile(r"([\\`*_\[\]|~$#!])")
_ENTITY: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_UPSTREAMS_MOST: Final = 20
_MARK: Final = {"good": "✓", "warn": "!", "bad": "✕"}


def write(subject: Subject, out: Path) -> list[Path]:
    """Writes the file; in GitHub Actions also tells the job, unless a matrix or a pool will speak for this run."""
    path = out / FILES[0]
    text = summary(subject)
    path.write_text(text, encoding="utf-8")
    if not subject.is_part:
        github.append_summary(text)
        github.annotate(github.gate_errors(subject.results))
    return [path]


def summary(subject: Subject) -> str:
    results = subject.results
    verdict = f"{formatting.ICON[results.verdict]} {formatting.WORD[results.verdict].upper()}"
    lines = [f"## {verdict}: {escaped(results.scenario.name)}", "", f"**{prose(results.reason)}**", ""]
    lines += [*block(results.log_lines), ""] if results.log_lines else []
    if subject.plan and subject.plan.default_gates:
        lines += [
            "No gate was written: the default, p99 under the gateway timeout, is a floor, not a service level.",
            "",
        ]
    for label, text in (("Why", results.why), ("Next", results.next)):
        lines += [f"- **{label}**: {prose(text)}"] if text else []
    lines += [f"- **By hand**: {code(results.next_command)}"] if results.next_command else []
    lines += [f"- **Stopped early**: {prose(results.run.stopped)}"] if results.run.stopped else []
    lines += [f"- **Replay**: {code(results.replay)}", ""]
    if results.gates:
        lines += [*_gates(results), ""]
    if results.phases:
        lines += [*_phases(results), ""]
    if present_lines := list(_present(results)):
        lines += ["Who was in the answers", "", *present_lines, ""]
    if asked := unmatched.describe(results.unmatched):
        lines += ["What the fakes do not have", "", *(f"- {escaped(text)}" for text in asked), ""]
    if named := list(_named(results)):
        lines += ["Whom the service named", "", *named, ""]
    lines += ["Can I trust this run?", ""]
    for answer in validity.check_rows(subject):
        detail = f": {prose(answer.detail)}" if answer.detail else ""
        lines.append(f"- {_MARK[answer.state]} {escaped(answer.name)}{detail}")
    lines += [
        "",
        f"run {escaped(results.run.id)} · seed {results.scenario.seed} · tailgate {escaped(results.tool.version)}",
    ]
    return "\n".join(lines) + "\n"


def _gates(results: Results) -> Iterable[str]:
    rows = []
    for gate in results.gates:
        interval = formatting.interval(gate, results.run.gateway.timeout_ms)
        rows.append(
            (
                f"{formatting.ICON[gate.verdict]} {formatting.WORD[gate.verdict]}",
                code(gate.text),
                escaped(formatting.observed(gate)) + (f" ({escaped(interval)})" if interval else ""),
                escaped(formatting.limit(gate)),
                str(gate.n),
                formatting.ms(gate.withstands_ms),
                prose(gate.reason) if gate.verdict != "pass" else "",
            )
        )
    return table(("result", "gate", "observed", "limit", "n", "withstands", "reason"), rows)


def _phases(results: Results) -> Iterable[str]:
    rows = [
        (
            escaped(phase.name),
            str(phase.n),
            formatting.rank(
                phase.latency_ms.p50, phase.n, formatting.cut_off_ms(phase, results.run.gateway.timeout_ms)
            ),
            formatting.rank(
                phase.latency_ms.p99, phase.n, formatting.cut_off_ms(phase, results.run.gateway.timeout_ms)
            ),
            escaped(formatting.losses(phase)),
            formatting.share(phase.complete_share),
        )
        for phase in results.phases
    ]
    return table(("phase", "n", "p50", "p99", "not ok", "complete"), rows)


def _present(results: Results) -> Iterable[str]:
    found = present.table(results)
    if found.rows:
        yield from table(
            ("upstream", *map(escaped, found.phases)),
            [(escaped(name), *(escaped(cell.text) for cell in cells)) for name, cells in found.rows[:_UPSTREAMS_MOST]],
        )
        if len(found.rows) > _UPSTREAMS_MOST:
            yield from ("", f"{len(found.rows) - _UPSTREAMS_MOST} more upstreams in results.json.")
    if kept := present.kept(results.incomplete_answers):
        yield from ("", f"The first incomplete answers: {escaped(kept)}")


def _named(results: Results) -> Iterable[str]:
    for fault in results.faults:
        yield from (
            f"- {escaped(fault.name)}, {escaped(fault.upstream)}: {escaped(text)}" for text in who_was_named(fault)
        )
    yield from (f"- {escaped(text)}" for text in named_without_fault(results.false_alarms))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def escaped(text: str) -> str:
    """Text that Markdown leaves as it is: no markup, no HTML, no mention, one line."""
    return _escaped_as_is(" ".join(text.split()))


def _escaped_as_is(text: str) -> str:
    flat = re.sub(r"\s", " ", shown(text))
    flat = re.sub(r"[&<>]", lambda match: _ENTITY[match[0]], flat)
    # an @mention would notify a person, and #1 would link to an issue
    return _SPECIAL.sub(r"\\\1", flat).replace("@", "&#64;")


def prose(text: str) -> str:
    """A sentence of ours around names of theirs: what stands between backticks becomes a code span."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escaped(text)
    spaced = (code(piece) if index % 2 else _escaped_as_is(piece) for index, piece in enumerate(pieces))
    return "".join(spaced)


def block(lines: Sequence[str]) -> list[str]:
    """Lines of a log as they are. The fence is longer than any in them."""
    shown_lines = [re.sub(r"\s", " ", shown(line)) for line in lines]
    longest = max((len(run) for line in shown_lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *shown_lines, fence]


def code(text: str) -> str:
    """A code span, also within a table."""
    flat = " ".join(shown(text).split())
    if "\\|" in flat:  # within a table no backslash could tell this pipe from the end of a cell
        inner = re.sub(r"[^\w .,:;=/()-]", lambda match: f"&#{ord(match[0])};", flat)
        return f"<code>{inner}</code>"
    flat = flat.replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"
