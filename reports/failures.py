"""What broke in a run that cannot be trusted or lost a child: findings with their fixes, and the ends of logs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.text import split_quote
from reports.subject import Subject

_END_BYTES: Final = 6_000
_MOST_LINES: Final = 25


def findings(subject: Subject) -> list[tuple[str, str]]:
    """(what, fix) pairs; nothing where the run ended as it should."""
    found: list[tuple[str, str]] = []
    ended = subject.manifest.ended if subject.manifest else None
    if ended:
        # the end of a log, and a command, stand at the top of the report
        found.extend((split_quote(fault.message)[0], split_quote(fault.fix)[0]) for fault in ended.rig)
        for death in ended.deaths:
            end = f"signal {-death.code}" if death.code < 0 else f"exit code {death.code}"
            how = death.how if death.stopped else f"ended by itself with {end}"
            last = f"; its last line: {death.last_line}" if death.last_line else ""
            found.append((f"{death.child} {how}{last}", ""))
    elif subject.results.verdict == "rig_failure":
        what = (
            "manifest.json was never finished: the run was cut short"
            if subject.manifest
            else "manifest.json is missing"
        )
        found.append((what, ""))
    found.extend((check.detail, "") for check in subject.results.validity if not check.ok)
    if subject.trouble:
        found.append((f"the rows cannot be read: {subject.trouble}", ""))
    listed = "\n".join(what for what, _ in found)
    broken = subject.evidence.broken if subject.evidence else ()
    found.extend((what, "") for what in broken if what not in listed)
    return list(dict.fromkeys(found))


def log_ends(subject: Subject) -> list[tuple[str, str]]:
    """The last lines of every log, for a run that broke. They are untrusted text."""
    ended = subject.manifest.ended if subject.manifest else None
    if subject.results.verdict != "rig_failure" and not (ended and ended.deaths):
        return []
    logs = sorted((subject.rows_dir / "logs").glob("*.log"))
    return [(path.name, text) for path in logs if (text := _end(path))]


def _end(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _END_BYTES))
            text = file.read(_END_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_MOST_LINES:]).strip()
