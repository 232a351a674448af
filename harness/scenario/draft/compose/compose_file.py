"""The services of compose files: parsed, interpolated where structure needs it, `extends` followed.

Several files are merged as `docker compose -f A -f B` does it. Reads the files named by `extends` and `env_file` and
the `.env` beside the first file; writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.errors import Problem, ScenarioError, UsageError
from harness.model.tree import MappingNode, Node, ScalarNode, Source
from harness.model.value_types import did_you_mean
from harness.model.yaml_parser import parse
from harness.scenario.draft.compose.compose_service import ComposeService, ServiceReader, raw_text
from harness.scenario.draft.source_kind import UNDONE, source_text

EXTENDS_MOST: Final = 5
"""Services that extend each other."""
SERVICES_MOST: Final = 500
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,200}")


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """`folder`: that of the first file, which relative paths are relative to. `dotenv`: the variables of its `.env`.
    `notes`: sentences about what was not read."""

    folder: Path
    services: Mapping[str, ComposeService]
    dotenv: Mapping[str, str]
    notes: tuple[str, ...]


def read_compose(paths: Sequence[Path], environ: Mapping[str, str]) -> ComposeProject:
    """Raises UsageError, and ScenarioError with every problem of the files and its position."""
    folder = paths[0].parent
    notes: list[str] = []
    dotenv_path = folder / ".env"
    dotenv = _env_file(dotenv_path) if dotenv_path.is_file() else {}
    reader = _ProjectReader({**dotenv, **environ}, notes)
    services: dict[str, ComposeService] = {}
    for path in paths:
        for name, service in reader.services(path).items():
            services[name] = service.on(services[name]) if name in services else service
    if reader.problems:
        raise ScenarioError(tuple(reader.problems), UNDONE)
    with_files = {name: _with_env_files(service, folder, notes) for name, service in services.items()}
    return ComposeProject(folder, with_files, dotenv, tuple(notes))


class _ProjectReader:
    def __init__(self, environ: Mapping[str, str], notes: list[str]) -> None:
        self._environ = environ
        self._notes = notes
        self._trees: dict[Path, Mapping[str, Node]] = {}
        self.problems: list[Problem] = []

    def services(self, path: Path) -> dict[str, ComposeService]:
        nodes = self._nodes(path)
        if not nodes and not self.problems:
            raise UsageError(
                f"{path} has no service", "name the file that has `services`, also with the others it includes"
            )
        return {name: self._service(path, name, ()) for name in nodes}

    def _nodes(self, path: Path) -> Mapping[str, Node]:
        if path not in self._trees:
            self._trees[path] = self._parsed(path)
        return self._trees[path]

    def _parsed(self, path: Path) -> Mapping[str, Node]:
        text = source_text(path)
        source = Source(str(path), path.parent, tuple(text.split("\n")))
        tree, problems = parse(text, source, noun="compose file", merges=True)
        self.problems += problems
        if not isinstance(tree, MappingNode):
            if tree is not None:
                self.problems.append(tree.place.problem("", "a compose file is a mapping", "begin with `services:`"))
            return {}
        if "include" in tree.entries:
            self._notes.append(f"`include` of {path.name} is not followed: give its files with --from as well")
        services = tree.entries.get("services")
        if isinstance(services, MappingNode) and len(services.entries) <= SERVICES_MOST:
            return services.entries
        if services is not None and not (isinstance(services, ScalarNode) and services.value is None):
            message = f"`services` is a mapping with at most {SERVICES_MOST} entries"
            self.problems.append(services.place.problem("services", message, "write `NAME: {image: …}` below it"))
        return {}

    def _service(self, path: Path, name: str, chain: tuple[tuple[Path, str], ...]) -> ComposeService:
        node = self._nodes(path)[name]
        reader = ServiceReader(self._environ)
        own = reader.read(name, node)
        self.problems += reader.problems
        extends = node.entries.get("extends") if isinstance(node, MappingNode) else None
        if extends is None:
            return own
        base_path, base = self._extended(path, extends)
        here = (path, name)

        def refused(message: str, fix: str) -> ComposeService:
            self.problems.append(extends.place.problem(f"services.{name}.extends", message, fix))
            return own

        if (base_path, base) in (*chain, here) or len(chain) >= EXTENDS_MOST:
            return refused(f"services extend each other in a circle, or more than {EXTENDS_MOST} times", "remove one")
        try:
            known = self._nodes(base_path)
        except UsageError as exc:
            self._notes.append(f"`{name}` extends a service that cannot be read, and is used without it: {exc.message}")
            return own
        if base not in known:
            return refused(f"there is no service `{base}` in {base_path}", did_you_mean(base, known))
        below = self._service(base_path, base, (*chain, here))
        # neither is inherited: they would name services of the other file
        return own.on(replace(below, depends_on=(), aliases=()))

    def _extended(self, path: Path, node: Node) -> tuple[Path, str]:
        if not isinstance(node, MappingNode):
            return path, raw_text(node) or ""
        file = raw_text(node.entries.get("file"))
        return path.parent / file if file else path, raw_text(node.entries.get("service")) or ""


def _with_env_files(service: ComposeService, folder: Path, notes: list[str]) -> ComposeService:
    """With the variables of its files, below those of its `environment`."""
    read: dict[str, str | None] = {}
    for name in service.env_files:
        try:
            read |= _env_file(folder / name)
        except UsageError as exc:
            notes.append(f"`env_file` of {service.name} was not read: {exc.message}")
    return replace(service, environment={**read, **service.environment})


def _env_file(path: Path) -> dict[str, str]:
    """The variables of a file of NAME=VALUE lines; other lines are passed over. Raises UsageError."""
    found: dict[str, str] = {}
    for line in source_text(path).split("\n"):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and _VARIABLE_NAME.fullmatch(name.strip()):
            found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text.partition(" #")[0].rstrip()
