"""Checks that the files that a scenario names exist and have the right format. Reads files, never writes."""

from __future__ import annotations

import csv
import math
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

from harness.model.value_types import did_you_mean
from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.template_texts import known_templates, request_texts, texts_with_templates
from harness.scenario.source.diagnostics import Diagnostic, node_at
from harness.scenario.source.diagnostics import Path as TreePath
from harness.scenario.source.tree import MappingNode
from harness.upstreams.recording import Points, points_of

OUR_PACKAGES: Final = ("harness", "scenarios", "fake_backends", "aggregator", "reports")
REPLAY_BYTES_MAX: Final = 50_000_000
LATENCIES_BYTES_MAX: Final = 5_000_000
DAY_S: Final = 86_400.0
OTHER_UNITS: Final = frozenset({"s", "sec", "secs", "second", "seconds", "us", "µs", "ns", "min", "minutes"})

COLUMN: Final = re.compile(r"\{\{[A-Za-z_][A-Za-z0-9_.-]*\}\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
"""`{column}` in a text, with its name as the group; or a name in doubled braces (no group), which is plain text."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The contents of the files that a scenario names; paths are absolute.

    `replay_ms`: the recorded arrivals, sorted, in ms from the recording's beginning. `latencies`: for each upstream
    with a recording, the points of its latency distribution.
    """

    cwd: str = "."
    locustfile: str | None = None
    data: str | None = None
    columns: tuple[str, ...] = ()
    """The columns of the data file."""
    replay_ms: tuple[float, ...] | None = None
    latencies: dict[str, Points] = field(default_factory=dict)


class _Refused(Exception):
    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


def read_inputs(scenario: Scenario, tree: MappingNode) -> tuple[Inputs, list[Diagnostic]]:
    """Reads the files. A relative path is relative to the file that contains it, or to the current folder in
    `--set`."""
    findings: list[Diagnostic] = []

    def used(path: TreePath, text: str | None, use: Callable[[Path], T]) -> T | None:
        if text is None:
            return None
        node = node_at(tree, path)
        folder = node.place.source.folder if node else tree.place.source.folder
        try:
            return use((folder / Path(text).expanduser()).resolve())
        except _Refused as refused:
            findings.append(Diagnostic(path, refused.message, refused.fix))
        except (OSError, ValueError, RuntimeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
            findings.append(Diagnostic(path, f"`{text}` cannot be used: {reason}"))
        return None

    service, load = scenario.service, scenario.load
    data = used(("load", "data"), load.data, _csv)
    cwd = used(("service", "cwd"), service.cwd, _folder) if service.command else tree.place.source.folder
    latencies: dict[str, Points] = {}
    for name, upstream in scenario.upstreams.items():
        points = used(("upstreams", name, "profile", "empirical"), upstream.recording, _points)
        if points is not None:
            latencies[name] = points
    return Inputs(
        cwd=str((cwd or Path()).absolute()),
        locustfile=used(("load", "locustfile"), load.locustfile, _locustfile),
        data=data[0] if data else None,
        columns=data[1] if data else (),
        replay_ms=used(("load", "replay"), load.replay, _arrivals_ms),
        latencies=latencies,
    ), findings


def _folder(found: Path) -> Path:
    if not found.is_dir():
        raise _Refused(f"{found} is not a folder", "the path is relative to this file")
    return found


def _file(found: Path) -> Path:
    if not found.is_file():
        what = "is a folder" if found.is_dir() else "does not exist"
        raise _Refused(f"{found} {what}", "the path is relative to this file")
    return found


def _locustfile(found: Path) -> str:
    """Locust puts the file's folder in front of sys.path, so a package of the same name would hide one of
    tailgate's."""
    _file(found)
    for name in OUR_PACKAGES:
        if (found.parent / name).is_dir() or (found.parent / f"{name}.py").is_file():
            raise _Refused(
                f"the locustfile's folder has a `{name}`, which would hide tailgate's own package of that name",
                f"move the locustfile into a folder without a `{name}`",
            )
    return str(found)


def _csv(found: Path) -> tuple[str, tuple[str, ...]]:
    """Its path and its columns."""
    try:
        with _file(found).open(encoding="utf-8-sig", newline="") as file:
            header, row = file.readline(100_000), file.readline(100_000)
    except UnicodeDecodeError:
        raise _Refused(f"{found.name} is not UTF-8", "save it as UTF-8") from None
    if not header.strip() or not row.strip():
        raise _Refused(f"{found.name} has no row below its header", "write a header line, then one row per line")
    try:
        return str(found), tuple(next(csv.reader([header]), ()))
    except csv.Error as exc:
        raise _Refused(f"{found.name} is not CSV: {exc}", "write a header line, then one row per line") from None


def column_findings(raw: Mapping[str, Any], columns: Sequence[str], upstreams: Sequence[str]) -> Iterator[Diagnostic]:
    """Each `{name}` in requests that is not a column of the data file. `raw`: the scenario's plain tree.

    A header may contain templates as well as columns; request lines and bodies may contain columns only.
    """
    templates = known_templates(raw, upstreams)
    headers = ((path, text) for path, text in texts_with_templates(raw) if path[0] == "load")
    for known, texts in (((*columns, *templates), headers), (columns, request_texts(raw))):
        for path, text in texts:
            for match in COLUMN.finditer(text):
                if match[1] and match[1] not in known:
                    fix = f"{did_you_mean(match[1], known)}; for the text itself write {{{{{match[1]}}}}}"
                    message = f"`{{{match[1]}}}` is not a column of the data file"
                    yield Diagnostic(path, message, fix, offset=0 if path[-1] == "json" else match.start())


def program_findings(command: Sequence[str] | None, env: Mapping[str, str], cwd: str) -> Iterator[Diagnostic]:
    """Checks that the program of a command exists and is executable, unless a template or variable names it."""
    program = command[0] if command else ""
    path = env.get("PATH", os.environ.get("PATH", os.defpath))
    if not program or "{" in program or (os.sep not in program and "{" in path):
        return
    if os.sep not in program:
        if shutil.which(program, path=path) is None:
            fix = "install it, activate its environment, or give its path, such as ./app"
            if (Path(cwd) / program).is_file():
                fix = f"write ./{program}: a program without / in its name is searched on PATH only"
            yield Diagnostic(("service", "command"), f"the program `{program}` was not found on PATH", fix)
        return
    found = Path(cwd) / program
    if not found.is_file():
        what = "is a folder" if found.is_dir() else "does not exist"
        fix = "the path is relative to `service.cwd`, by default this file's folder"
        yield Diagnostic(("service", "command"), f"the program {found} {what}", fix)
    elif not os.access(found, os.X_OK):
        fix = f"chmod +x {shlex.quote(str(found))}, or name its interpreter first"
        yield Diagnostic(("service", "command"), f"the program {found} is not executable", fix)


# ---------------------------------------------------------------- recordings: one number per line


def _arrivals_ms(found: Path) -> tuple[float, ...]:
    _no_larger(found, REPLAY_BYTES_MAX, "replay a shorter part")
    fix = "write one number per line, in seconds from the recording's beginning"
    arrivals_ms = tuple(sorted(seconds * 1000 for seconds in _numbers(found, DAY_S, fix)))
    if not arrivals_ms:
        raise _Refused(f"{found.name} has no arrival", fix)
    return arrivals_ms


def _points(found: Path) -> Points:
    _no_larger(found, LATENCIES_BYTES_MAX, "keep every tenth line or so: the distribution stays the same")
    stat = found.stat()
    return _points_of(found, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)  # each cell of a matrix asks for the same file again
def _points_of(found: Path, _changed_ns: int, _size: int) -> Points:
    fix = "write one latency per line, in milliseconds and without a unit, and no other column"
    latencies_ms = list(_numbers(found, DAY_S * 1000, fix, header=True))
    if not latencies_ms:
        raise _Refused(f"{found.name} has no latency", fix)
    return points_of(latencies_ms)


def _no_larger(found: Path, most: int, fix: str) -> None:
    if _file(found).stat().st_size > most:
        raise _Refused(f"{found.name} is larger than {most // 10**6} MB", fix)


def _numbers(found: Path, most: float, fix: str, *, header: bool = False) -> Iterator[float]:
    """The numbers of a file. `#` begins a comment. `header`: a first line that is not a number is the column's name,
    which may not name another unit than milliseconds."""
    first = True
    with found.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            heading, first = header and first, False
            try:
                value = float(text)
            except ValueError:
                if heading and "," not in text:
                    _in_milliseconds(text, found, fix)
                    continue
                raise _Refused(f"line {number} of {found.name} is not a number: `{text[:40]}`", fix) from None
            if not math.isfinite(value) or not 0 <= value <= most:
                raise _Refused(f"line {number} of {found.name}: {text[:40]} is outside 0 to a day", fix)
            yield value


def _in_milliseconds(column: str, found: Path, fix: str) -> None:
    if OTHER_UNITS.intersection(re.split(r"[^a-zµ]+", column.lower())):
        raise _Refused(f"{found.name} is not in milliseconds: its column is called `{column[:40]}`", fix)
