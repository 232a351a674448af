"""The proxies of a Toxiproxy configuration, as its server takes it by `-config`, each as a borrowed upstream."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic_core import PydanticCustomError

from harness.errors import Problem, ScenarioError
from harness.model.tree import MappingNode, Node, ScalarNode, SequenceNode, Source
from harness.model.value_types import shortened
from harness.model.yaml_parser import parse
from harness.rundir.planned.protocol import ProtocolName
from harness.scenario.draft.parts import DATABASE_RANK, HTTP_RANK, UPSTREAMS_MOST, DraftUpstream, upstream_name
from harness.scenario.draft.source_kind import UNDONE, broken_json, source_text
from harness.upstreams.borrowed import proxy_name
from harness.upstreams.protocols import PROTOCOLS

DEFAULT_URL: Final = "http://127.0.0.1:8474"
"""Where the server has its API unless it is told otherwise."""
_BY_PORT: Final[dict[str, ProtocolName]] = {
    str(traits.default_port): protocol
    for protocol, traits in PROTOCOLS.items()
    if traits.default_port and protocol != "http"
}
"""The protocol that is usual at a port. A borrowed proxy without `protocol` is taken for HTTP."""
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.%]{2,60}\]|[A-Za-z0-9._-]{0,253}):(\d{1,5}|[a-z][a-z0-9-]{0,14})")


def upstreams_of_toxiproxy(
    path: Path, taken: frozenset[str], borrowed: frozenset[str] = frozenset()
) -> tuple[list[DraftUpstream], list[str]]:
    """One for each proxy, and sentences about those that were left out. `taken`: names of upstreams. `borrowed`:
    proxies of other files. Raises UsageError, and ScenarioError with every problem and its position."""
    items = _proxies(path)
    upstreams: list[DraftUpstream] = []
    notes: list[str] = []
    seen = set(borrowed)
    for item in items:
        proxy = _text(item, "name")
        if proxy in seen:
            notes.append(f"a further proxy `{shortened(proxy)}` of {path.name}: a server has one of a name")
            continue
        seen.add(proxy)
        try:
            proxy_name(proxy)
        except PydanticCustomError as exc:
            notes.append(f"a proxy of {path.name}, because {exc.message()}")
            continue
        upstreams.append(_upstream(item, upstream_name(proxy, {*taken, *(each.name for each in upstreams)})))
    return upstreams, notes


def _proxies(path: Path) -> Sequence[Node]:
    """The entries of the configuration. Raises as above."""
    written = source_text(path)
    try:
        json.loads(written)
    except (ValueError, RecursionError):
        raise broken_json(path, written) from None
    text = written.replace("\t", " ")  # which JSON may be indented with, and YAML may not
    tree, found = parse(text, Source(str(path), path.parent, tuple(text.split("\n"))), noun="configuration")
    problems: list[Problem] = list(found)
    items = tree.items if isinstance(tree, SequenceNode) else ()
    if not problems and not 0 < len(items) <= UPSTREAMS_MOST:
        message = f"the configuration is a list of 1 to {UPSTREAMS_MOST} proxies, and this has {len(items)}"
        problems.append(Problem(str(path), 0, 0, "", message, "leave those in that the service calls"))
    for number, item in enumerate(items if not problems else ()):
        problems += _problems(number, item)
    if problems:
        raise ScenarioError(tuple(problems), UNDONE)
    return items


def _problems(number: int, item: Node) -> Iterator[Problem]:
    """What Toxiproxy itself would refuse when it reads the entry."""
    if not _text(item, "name"):
        yield item.place.problem(f"[{number}].name", "a proxy needs a name", 'write "name": "…"')
    for key in ("listen", "upstream"):
        written = item.entries.get(key) if isinstance(item, MappingNode) else None
        address = _text(item, key)
        if key == "listen" and _value(written) in (None, ""):
            continue  # Toxiproxy chooses where to listen
        if not _ADDRESS.fullmatch(address):
            place = written.place if written is not None else item.place
            found = f"`{shortened(address)}` is no address" if address else f"a proxy needs an address as `{key}`"
            yield place.problem(f"[{number}].{key}", found, f'write "{key}": "HOST:PORT"')


def _upstream(item: Node, name: str) -> DraftUpstream:
    listen, target = _text(item, "listen"), _text(item, "upstream")
    comments = [f"from {listen or 'an address that Toxiproxy chooses'} to {target}"]
    if isinstance(item, MappingNode) and _value(item.entries.get("enabled")) is False:
        comments.append("it is disabled in the configuration: enable it before a run")
    fields = {"proxy": _text(item, "name")}
    protocol = _BY_PORT.get(target.rpartition(":")[2])
    if protocol is not None:
        fields["protocol"] = protocol
        comments.append(f"CHECK: does it speak {PROTOCOLS[protocol].title}, as is usual at that port?")
    else:
        comments.append("CHECK: does it speak HTTP? If not, add `protocol`, such as postgres, redis or tcp")
    rank = DATABASE_RANK if protocol not in (None, "https") else HTTP_RANK
    return DraftUpstream(name, fields, tuple(comments), rank)


def _text(node: Node, key: str) -> str:
    value = _value(node.entries.get(key)) if isinstance(node, MappingNode) else None
    return value if isinstance(value, str) else ""


def _value(node: Node | None) -> object:
    return node.value if isinstance(node, ScalarNode) else None
