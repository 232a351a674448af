"""The files a scenario names: they must exist and be what they are named for. Reads, never writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.scenario.located import Mapping
from harness.scenario.problems import Finding, node_at
from harness.scenario.problems import Path as TreePath
from harness.scenario.schema import Scenario

OUR_PACKAGES: Final = ("harness", "scenarios", "fake_backends", "aggregator", "reports")
REPLAY_BYTES_MAX: Final = 50_000_000
REPLAY_S_MAX: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Inputs:
    """Absolute paths, and a recording's arrivals in ms from its own beginning, sorted."""

    cwd: str = "."
    locustfile: str | None = None
    data: str | None = None
    replay_ms: tuple[float, ...] | None = None


class _Refused(Exception):
    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


def read_inputs(scenario: Scenario, tree: Mapping) -> tuple[Inputs, list[Finding]]:
    """Relative paths are relative to the file in which they are written, to the current folder for `--set`."""
    findings: list[Finding] = []

    def checked(path: TreePath, text: str | None) -> Path | None:
        if text is None:
            return None
        node = node_at(tree, path)
        folder = node.place.source.folder if node else tree.place.source.folder
        try:
            found = (folder / Path(text).expanduser()).resolve()
            _check(path, found)
        except _Refused as refused:
            findings.append(Finding(path, refused.message, refused.fix))
            return None
        except (OSError, ValueError, RuntimeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
            findings.append(Finding(path, f"`{text}` cannot be used: {reason}"))
            return None
        return found

    cwd = checked(("service", "cwd"), scenario.service.cwd) if scenario.service.command else tree.place.source.folder
    locustfile = checked(("load", "locustfile"), scenario.load.locustfile)
    data = checked(("load", "data"), scenario.load.data)
    recording = checked(("load", "replay"), scenario.load.replay)
    replay_ms = None
    if recording:
        try:
            replay_ms = tuple(sorted(_offsets_ms(recording)))
        except _Refused as refused:
            findings.append(Finding(("load", "replay"), refused.message, refused.fix))
    return Inputs(
        cwd=str((cwd or Path()).absolute()),
        locustfile=str(locustfile) if locustfile else None,
        data=str(data) if data else None,
        replay_ms=replay_ms,
    ), findings


def _check(path: TreePath, found: Path) -> None:
    if path == ("service", "cwd"):
        if not found.is_dir():
            raise _Refused(f"{found} is not a folder", "the path is relative to this file")
        return
    if not found.is_file():
        what = "is a folder" if found.is_dir() else "does not exist"
        raise _Refused(f"{found} {what}", "the path is relative to this file")
    if path == ("load", "locustfile"):
        _check_locustfile(found)
    if path == ("load", "data"):
        _check_csv(found)


def _check_locustfile(found: Path) -> None:
    """Locust puts the file's folder in front of sys.path, where a namesake would hide a package of ours."""
    for name in OUR_PACKAGES:
        if (found.parent / name).is_dir() or (found.parent / f"{name}.py").is_file():
            raise _Refused(
                f"beside this locustfile lies a `{name}`, which would hide tailgate's own package of that name",
                f"move the locustfile into a folder without a `{name}`",
            )


def _check_csv(found: Path) -> None:
    try:
        with found.open(encoding="utf-8-sig", newline="") as file:
            header, row = file.readline(100_000), file.readline(100_000)
    except UnicodeDecodeError:
        raise _Refused(f"{found.name} is not UTF-8", "save it as UTF-8") from None
    if not header.strip() or not row.strip():
        raise _Refused(f"{found.name} holds no row below its header", "write a header line, then one row a line")


def _offsets_ms(found: Path) -> Iterator[float]:
    if found.stat().st_size > REPLAY_BYTES_MAX:
        raise _Refused(f"{found.name} is larger than {REPLAY_BYTES_MAX // 10**6} MB", "replay a shorter part")
    fix = "write one number of seconds a line, counted from the recording's beginning"
    none = True
    with found.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            try:
                seconds = float(text)
            except ValueError:
                raise _Refused(f"line {number} of {found.name} is not a number: `{text[:40]}`", fix) from None
            if not math.isfinite(seconds) or not 0 <= seconds <= REPLAY_S_MAX:
                raise _Refused(f"line {number} of {found.name}: {text[:40]} is outside 0 to a day", fix)
            none = False
            yield seconds * 1000
    if none:
        raise _Refused(f"{found.name} holds no arrival", fix)
