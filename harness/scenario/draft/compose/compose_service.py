"""One service of a compose file, whatever of the short and long forms it was written in. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from harness.errors import Problem
from harness.model.tree import MappingNode, Node, Position, ScalarNode, SequenceNode
from harness.scenario.draft.compose.interpolation import evaluated

RANGE_MOST: Final = 1_000
"""Ports of one range."""
_PORT: Final = re.compile(
    r"(?:(?:(?P<ip>\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]*):)?(?P<published>\d{1,5}(?:-\d{1,5})?)?:)?"
    r"(?P<target>\d{1,5}(?:-\d{1,5})?)(?:/(?P<protocol>tcp|udp|sctp))?"
)
_HEALTH_URL: Final = re.compile(r"https?://[^\s/\"']{1,200}(/[^\s\"'|;&)$]{0,500})?")


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """`target`: in the container. `published`: on this machine, None if compose chooses one. `host`: where it listens
    on this machine."""

    target: int
    published: int | None = None
    host: str = "localhost"


@dataclass(frozen=True, slots=True)
class ComposeService:
    """`environment`, `entrypoint`, `command`: as written, not interpolated. A variable is None where compose takes the
    value from its own environment. `dockerfile`: relative to `build`.

    `mounts`: what is on this machine by its path in the container. `depends_on`: services that must run meanwhile."""

    name: str
    place: Position
    image: str = ""
    build: str | None = None
    dockerfile: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    env_files: tuple[str, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    exposed: tuple[int, ...] = ()
    mounts: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    health_path: str = ""

    @property
    def is_published(self) -> bool:
        return any(port.published for port in self.ports)

    def on(self, below: ComposeService) -> ComposeService:
        """This service over another: single values replace, the others are added, as compose merges them."""
        return replace(
            self,
            image=self.image or below.image,
            build=below.build if self.build is None else self.build,
            dockerfile=self.dockerfile or below.dockerfile,
            entrypoint=self.entrypoint or below.entrypoint,
            command=self.command or below.command,
            environment={**below.environment, **self.environment},
            env_files=(*below.env_files, *self.env_files),
            ports=tuple(dict.fromkeys((*self.ports, *below.ports))),
            exposed=tuple(dict.fromkeys((*self.exposed, *below.exposed))),
            mounts={**below.mounts, **self.mounts},
            profiles=self.profiles or below.profiles,
            depends_on=tuple(dict.fromkeys((*below.depends_on, *self.depends_on))),
            aliases=tuple(dict.fromkeys((*below.aliases, *self.aliases))),
            health_path=self.health_path or below.health_path,
        )


class ServiceReader:
    """Reads the nodes of services. `environ`: what variables stand for. `problems`: what could not be read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[Problem] = []

    def read(self, name: str, node: Node) -> ComposeService:
        place = node.place
        if not isinstance(node, MappingNode):
            if not (isinstance(node, ScalarNode) and node.value is None):
                self._report(
                    node, f"services.{name}", "a service is a mapping", "write its `image` or `build` below it"
                )
            return ComposeService(name, place)
        entries = node.entries
        where = f"services.{name}"
        build = entries.get("build")
        context = build.entries.get("context") if isinstance(build, MappingNode) else build
        return ComposeService(
            name=name,
            place=place,
            image=self._text(entries.get("image")),
            build=None if build is None else self._text(context) or ".",
            dockerfile=self._dockerfile(build),
            entrypoint=self._words(entries.get("entrypoint"), f"{where}.entrypoint"),
            command=self._words(entries.get("command"), f"{where}.command"),
            environment=self._environment(entries.get("environment"), f"{where}.environment"),
            env_files=tuple(self._env_files(entries.get("env_file"))),
            ports=tuple(self._ports(entries.get("ports"), f"{where}.ports")),
            exposed=tuple(port.target for port in self._ports(entries.get("expose"), f"{where}.expose")),
            mounts=dict(self._mounts(entries.get("volumes"))),
            profiles=tuple(self._texts(entries.get("profiles"))),
            depends_on=tuple(self._depends_on(entries.get("depends_on"))),
            aliases=tuple(self._aliases(entries)),
            health_path=self._health_path(entries.get("healthcheck")),
        )

    def _dockerfile(self, build: Node | None) -> str:
        """Relative to the folder that is built; empty if a stage other than the last is the target."""
        entries = build.entries if isinstance(build, MappingNode) else {}
        inline = "dockerfile_inline" in entries or "target" in entries
        return "" if build is None or inline else self._text(entries.get("dockerfile")) or "Dockerfile"

    def _report(self, node: Node, path: str, message: str, fix: str) -> None:
        self.problems.append(node.place.problem(path, message, fix))

    def _text(self, node: Node | None) -> str:
        return evaluated(raw_text(node) or "", self._environ)

    def _texts(self, node: Node | None) -> Iterator[str]:
        items = node.items if isinstance(node, SequenceNode) else (node,) if node else ()
        yield from filter(None, map(self._text, items))

    def _words(self, node: Node | None, path: str) -> tuple[str, ...]:
        """As written: what variables stand for may be a secret."""
        if isinstance(node, SequenceNode):
            return tuple(raw_text(item) or "" for item in node.items)
        try:
            return tuple(shlex.split((raw_text(node) or "")[:16_384]))
        except ValueError as exc:
            assert node is not None
            self._report(node, path, f"cannot be split into words: {str(exc).lower()}", "close the quote, or escape it")
            return ()

    def _environment(self, node: Node | None, path: str) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        if isinstance(node, MappingNode):
            for key, value in node.entries.items():
                if isinstance(value, ScalarNode):
                    found[key] = raw_text(value)
                else:
                    self._report(value, f"{path}.{key}", "the value of a variable is a text", "put it in quotes")
        elif isinstance(node, SequenceNode):
            for item in node.items:
                key, equals, text = (raw_text(item) or "").partition("=")
                if not isinstance(item, ScalarNode) or not key:
                    self._report(item, path, "a variable is NAME=VALUE", "write `- NAME=VALUE`")
                else:
                    found[key] = text if equals else None
        elif node is not None and not _is_empty(node):
            self._report(node, path, "an environment is a mapping or a list", "write `NAME: value` below it")
        return found

    def _env_files(self, node: Node | None) -> Iterator[str]:
        for item in node.items if isinstance(node, SequenceNode) else (node,) if node else ():
            path = item.entries.get("path") if isinstance(item, MappingNode) else item
            if text := self._text(path):
                yield text

    def _ports(self, node: Node | None, path: str) -> Iterator[PublishedPort]:
        if node is not None and not isinstance(node, SequenceNode) and not _is_empty(node):
            self._report(node, path, "ports are a list", 'write `- "8080:80"` below it')
        for item in node.items if isinstance(node, SequenceNode) else ():
            if isinstance(item, MappingNode):
                short = ":".join(
                    filter(None, (self._text(item.entries.get("published")), self._text(item.entries.get("target"))))
                )
                ip, protocol = self._text(item.entries.get("host_ip")), self._text(item.entries.get("protocol"))
                text = f"{ip}:{short}" if ip and ":" in short else short
                text = f"{text}/{protocol}" if protocol else text
            else:
                text = self._text(item)
            ports = _ports_of(text)
            if ports is None:
                self._report(item, path, f"`{text}` is not a port", 'write "8080:80", the port of this machine first')
            yield from ports or ()

    def _mounts(self, node: Node | None) -> Iterator[tuple[str, str]]:
        for item in node.items if isinstance(node, SequenceNode) else ():
            if isinstance(item, MappingNode):
                source, target = self._text(item.entries.get("source")), self._text(item.entries.get("target"))
            else:
                source, _, rest = self._text(item).partition(":")
                target = rest.partition(":")[0]
            if target and source.startswith((".", "/")):
                yield target.rstrip("/") or "/", source

    def _depends_on(self, node: Node | None) -> Iterator[str]:
        if not isinstance(node, MappingNode):
            yield from self._texts(node)
            return
        for name, how in node.entries.items():
            condition = how.entries.get("condition") if isinstance(how, MappingNode) else None
            if self._text(condition) != "service_completed_successfully":
                yield name

    def _aliases(self, entries: Mapping[str, Node]) -> Iterator[str]:
        yield from self._texts(entries.get("container_name"))
        yield from self._texts(entries.get("hostname"))
        networks = entries.get("networks")
        for network in networks.entries.values() if isinstance(networks, MappingNode) else ():
            if isinstance(network, MappingNode):
                yield from self._texts(network.entries.get("aliases"))

    def _health_path(self, node: Node | None) -> str:
        """The path of the URL that the health check asks; empty if it asks none."""
        test = node.entries.get("test") if isinstance(node, MappingNode) else None
        words = map(raw_text, test.items) if isinstance(test, SequenceNode) else (raw_text(test),)
        found = _HEALTH_URL.search(" ".join(filter(None, words))[:5_000])
        return (found[1] or "/") if found else ""


def raw_text(node: Node | None) -> str | None:
    """A scalar as the text that compose passes on; None for nothing and for what is no scalar."""
    if not isinstance(node, ScalarNode) or node.value is None:
        return None
    if isinstance(node.value, bool):
        return str(node.value).lower()
    return f"{node.value:g}" if isinstance(node.value, float) else str(node.value)


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is None


def _ports_of(text: str) -> tuple[PublishedPort, ...] | None:
    """The ports of one entry, none for UDP; None if it is not one."""
    found = _PORT.fullmatch(text.strip())
    if not found:
        return None
    if found["protocol"] in ("udp", "sctp"):
        return ()
    targets, published = _range_of(found["target"]), _range_of(found["published"])
    if not targets or (published and len(published) != len(targets)):
        # a range of published ports for one port of the container: compose chooses among them
        published = ()
    host = found["ip"] or ""
    host = "localhost" if host in ("", "0.0.0.0", "[::]") else host
    return tuple(
        PublishedPort(target, published[index] if published else None, host) for index, target in enumerate(targets)
    )


def _range_of(text: str | None) -> tuple[int, ...]:
    low, dash, high = (text or "").partition("-")
    first, last = int(low or 0), int((high if dash else low) or 0)
    return tuple(range(first, min(last, first + RANGE_MOST) + 1)) if 0 < first <= last <= 65_535 else ()
