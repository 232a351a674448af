"""Checks that the files that a scenario names exist and have the right format. Reads files, never writes."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from harness.model.tree import MappingNode
from harness.model.value_types import did_you_mean
from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.template_texts import (
    LOGIN_REQUEST,
    known_templates,
    request_texts,
    saved_names,
    texts_with_templates,
)
from harness.scenario.source.diagnostics import Diagnostic, node_at
from harness.scenario.source.diagnostics import Path as TreePath
from harness.upstreams.number_files import DAY_S, RELATIVE, existing_file, existing_folder, no_larger, numbers_in
from harness.upstreams.upstream_files import KeyPath, UnreadableFile, UpstreamInputs

REPLAY_BYTES_MAX: Final = 50_000_000

COLUMN: Final = re.compile(r"\{\{[A-Za-z_][A-Za-z0-9_.-]*\}\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
"""`{column}` in a text, with its name as the group; or a name in doubled braces (no group), which is plain text."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The contents of the files that a scenario names; paths are absolute.

    `replay_ms`: the recorded arrivals, sorted, in ms from the recording's beginning. `upstreams`: what each upstream's
    files contain.
    """

    cwd: str = "."
    locustfile: str | None = None
    data: str | None = None
    columns: tuple[str, ...] = ()
    """The columns of the data file."""
    replay_ms: tuple[float, ...] | None = None
    upstreams: dict[str, UpstreamInputs] = field(default_factory=dict)


def read_inputs(scenario: Scenario, tree: MappingNode) -> tuple[Inputs, InputFindings]:
    """Reads the files. A relative path is relative to the file that contains it, or to the current folder in
    `--set`."""
    findings = InputFindings()

    def used(path: TreePath, text: str | None, use: Callable[[Path], T]) -> T | None:
        return findings.use(tree, path, text, use)

    service, load = scenario.service, scenario.load
    data = used(("load", "data"), load.data, _csv)
    cwd = used(("service", "cwd"), service.cwd, existing_folder) if service.command else tree.place.source.folder
    recorded = _recorded_hosts(scenario, tree)
    upstreams = {
        name: upstream.read_inputs(_UpstreamReader(tree, ("upstreams", name), findings, scenario.seed, recorded))
        for name, upstream in scenario.upstreams.items()
    }
    return Inputs(
        cwd=str((cwd or Path()).absolute()),
        locustfile=used(("load", "locustfile"), load.locustfile, _locustfile),
        data=data[0] if data else None,
        columns=data[1] if data else (),
        replay_ms=used(("load", "replay"), load.replay, _arrivals_ms),
        upstreams=upstreams,
    ), findings


@dataclass(slots=True)
class InputFindings:
    """What is wrong with the files, and what is only worth knowing of them."""

    mistakes: list[Diagnostic] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)

    def use(self, tree: MappingNode, path: TreePath, text: str | None, read: Callable[[Path], T]) -> T | None:
        """What `read` makes of the file at `path`; None if there is none, or with a mistake if it cannot be read."""
        if text is None:
            return None
        try:
            return read(_resolved(tree, path, text))
        except UnreadableFile as refused:
            self.mistakes.append(Diagnostic(path, refused.message, refused.fix))
        except (OSError, ValueError, RuntimeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
            is_path = isinstance(exc, OSError)
            self.mistakes.append(Diagnostic(path, f"`{text}` cannot be used: {reason}", RELATIVE if is_path else ""))
        return None


def _resolved(tree: MappingNode, path: TreePath, text: str) -> Path:
    """Raises OSError and RuntimeError."""
    return (folder_at(tree, path) / Path(text).expanduser()).resolve()


def _recorded_hosts(scenario: Scenario, tree: MappingNode) -> Mapping[Path, Sequence[str]]:
    """As UpstreamReader has it. A path that cannot be resolved is passed over; its use says why."""
    found: dict[Path, list[str]] = {}
    for name, upstream in scenario.upstreams.items():
        if upstream.recording is not None:
            har, host = upstream.recording
            with suppress(OSError, RuntimeError, ValueError):
                path = _resolved(tree, ("upstreams", name, "har"), har)
                found.setdefault(path, []).append(host)
    return found


def folder_at(tree: MappingNode, path: TreePath) -> Path:
    """The folder of the file that contains the text at `path`."""
    node = node_at(tree, path)
    return node.place.source.folder if node else tree.place.source.folder


@dataclass(frozen=True, slots=True)
class _UpstreamReader:
    """`harness.upstreams.upstream_files.UpstreamReader` for the upstream at `path`."""

    tree: MappingNode
    path: TreePath
    findings: InputFindings
    seed: int
    recorded_hosts: Mapping[Path, Sequence[str]]

    def use(self, key: KeyPath, written: str | None, read: Callable[[Path], T]) -> T | None:
        return self.findings.use(self.tree, (*self.path, *key), written, read)

    def folder(self, key: KeyPath) -> Path:
        return folder_at(self.tree, (*self.path, *key))

    def refuse(self, key: KeyPath, message: str, fix: str = "", offset: int = 0) -> None:
        self.findings.mistakes.append(Diagnostic((*self.path, *key), message, fix, offset=offset))

    def note(self, key: KeyPath, message: str) -> None:
        self.findings.notes.append(Diagnostic((*self.path, *key), message, at_key=True))


def _locustfile(found: Path) -> str:
    from harness.scenario.names.locustfile_imports import check_locustfile  # a late import: most loads have none

    return check_locustfile(found)


def _csv(found: Path) -> tuple[str, tuple[str, ...]]:
    """Its path and its columns."""
    try:
        with existing_file(found).open(encoding="utf-8-sig", newline="") as file:
            header, row = file.readline(100_000), file.readline(100_000)
    except UnicodeDecodeError:
        raise UnreadableFile(f"{found.name} is not UTF-8", "save it as UTF-8") from None
    if not header.strip() or not row.strip():
        raise UnreadableFile(f"{found.name} has no row below its header", "write a header line, then one row per line")
    try:
        return str(found), tuple(next(csv.reader([header]), ()))
    except csv.Error as exc:
        raise UnreadableFile(f"{found.name} is not CSV: {exc}", "write a header line, then one row per line") from None


def column_findings(raw: Mapping[str, Any], columns: Sequence[str], upstreams: Sequence[str]) -> Iterator[Diagnostic]:
    """Each `{name}` in requests that is neither a column of the data file nor saved by the login. `raw`: the scenario's
    plain tree.

    A header may contain templates as well; request lines and bodies may not. The login itself has nothing saved yet.
    """
    saved = saved_names(raw.get("load"))
    both = [name for name in saved if name in columns]
    for name in both:
        found = f"`{{{name}}}` would be a column of the data file as well as saved by the login"
        yield Diagnostic(("load", "login", "save", name), found, "choose another name")
    templates = known_templates(raw, upstreams)
    headers = ((path, text) for path, text in texts_with_templates(raw) if path[0] == "load")
    for of_headers, texts in ((templates, headers), ((), request_texts(raw))):
        for path, text in texts:
            is_login = path[:3] == LOGIN_REQUEST
            if is_login and not columns:
                continue  # nothing is filled in there but templates, which are checked as such
            known = (*columns, *(() if is_login else saved), *of_headers)
            for match in COLUMN.finditer(text):
                if match[1] and match[1] not in known:
                    offset = 0 if path[-1] == "json" else match.start()
                    yield Diagnostic(path, *_not_filled(match[1], known, saved, columns, is_login), offset=offset)


def _not_filled(
    name: str, known: Sequence[str], saved: Sequence[str], columns: Sequence[str], is_login: bool
) -> tuple[str, str]:
    """The message and the fix for a name that nothing fills in."""
    fix = f"{did_you_mean(name, known)}; for the text itself write {{{{{name}}}}}"
    if is_login and name in saved:
        return f"the login saves `{{{name}}}`, so it has none yet when it is sent", "remove it here"
    if not columns:
        return f"`{{{name}}}` is not saved by the login", fix
    return f"`{{{name}}}` is not a column of the data file" + (", nor saved by the login" if saved else ""), fix


def login_warnings(raw: Mapping[str, Any], inputs: Inputs, users: int) -> Iterator[Diagnostic]:
    """A data file with fewer rows than there are sessions, whose logins take a row each."""
    texts = [*texts_with_templates(raw), *request_texts(raw)]
    own = [text for path, text in texts if path[: len(LOGIN_REQUEST)] == LOGIN_REQUEST]
    if inputs.data is None or not any(match[1] in inputs.columns for text in own for match in COLUMN.finditer(text)):
        return
    with suppress(OSError, ValueError, csv.Error), Path(inputs.data).open(encoding="utf-8-sig", newline="") as file:
        rows = sum(1 for _ in islice(csv.DictReader(file), users))
        if rows < users:
            message = (
                f"{Path(inputs.data).name} has {rows} rows for {users} sessions, so several sign in as the same user"
            )
            yield Diagnostic(("load", "login"), message, f"write users: {rows}, or add rows")


def warnings_without_data(raw: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Each `{name}` in a request's path or query, where no data file says what to send for it."""
    lines = ((path, text) for path, text in request_texts(raw) if path[-1] not in ("body", "json"))
    for path, text in lines:
        for match in COLUMN.finditer(text):
            if match[1]:
                message = f"without `load.data`, `{match[0]}` is sent as it stands"
                fix = f"write `data: FILE.csv`, with a column `{match[1]}`; for the text itself write %7B{match[1]}%7D"
                yield Diagnostic(path, message, fix, offset=match.start())


# ---------------------------------------------------------------- recordings: one number per line


def _arrivals_ms(found: Path) -> tuple[float, ...]:
    no_larger(found, REPLAY_BYTES_MAX, "replay a shorter part")
    fix = "write one number per line, in seconds from the recording's beginning"
    arrivals_ms = tuple(sorted(seconds * 1000 for seconds in numbers_in(found, DAY_S, fix)))
    if not arrivals_ms:
        raise UnreadableFile(f"{found.name} has no arrival", fix)
    return arrivals_ms
