"""The proxies of a Toxiproxy configuration, as its server takes it by `-config`, each as a borrowed upstream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from harness.errors import Problem, ScenarioError
from harness.scenario.draft.parts import DATABASE_RANK, HTTP_RANK, UPSTREAMS_MOST, DraftUpstream, upstream_name
from harness.scenario.draft.source_kind import UNDONE, broken_json, source_text
from harness.scenario.source.tree import MappingNode, Node, ScalarNode, SequenceNode, Source
from harness.scenario.source.yaml_parser import parse
from harness.upstreams.protocols import PROTOCOLS, ProtocolName

DEFAULT_URL: Final = "http://127.0.0.1:8474"
"""Where the server has its API unless it is told otherwise."""
_BY_PORT: Final[dict[str, ProtocolName]] = {
    str(traits.default_port): protocol
    for protocol, traits in PROTOCOLS.items()
    if traits.default_port and protocol != "http"
}
"""The protocol that is usual at a port. A borrowed proxy without `protocol` is taken for HTTP."""


def upstreams_of_toxiproxy(path: Path, taken: frozenset[str]) -> list[DraftUpstream]:
    """One for each proxy. Raises UsageError, and ScenarioError with every problem and its position."""
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
    upstreams: list[DraftUpstream] = []
    for number, item in enumerate(items if not problems else ()):
        proxy = _text(item, "name")
        if not proxy:
            place = item.place
            problems.append(place.problem(f"[{number}].name", "a proxy needs a name", 'write "name": "…"'))
            continue
        name = upstream_name(proxy, {*taken, *(upstream.name for upstream in upstreams)})
        listen, target = _text(item, "listen"), _text(item, "upstream")
        comments = [f"from {listen or 'an address that Toxiproxy chooses'} to {target or 'an unknown address'}"]
        if isinstance(item, MappingNode) and _value(item.entries.get("enabled")) is False:
            comments.append("it is disabled in the configuration: enable it before a run")
        fields = {"proxy": proxy}
        protocol = _BY_PORT.get(target.rpartition(":")[2])
        if protocol is not None:
            fields["protocol"] = protocol
            comments.append(f"CHECK: does it speak {PROTOCOLS[protocol].title}, as is usual at that port?")
        else:
            comments.append("CHECK: does it speak HTTP? If not, add `protocol`, such as postgres, redis or tcp")
        rank = DATABASE_RANK if protocol not in (None, "https") else HTTP_RANK
        upstreams.append(DraftUpstream(name, fields, tuple(comments), rank))
    if problems:
        raise ScenarioError(tuple(problems), UNDONE)
    return upstreams


def _text(node: Node, key: str) -> str:
    value = _value(node.entries.get(key)) if isinstance(node, MappingNode) else None
    return value if isinstance(value, str) else ""


def _value(node: Node | None) -> object:
    return node.value if isinstance(node, ScalarNode) else None
