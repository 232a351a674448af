"""The proxies of a Toxiproxy configuration, as its server takes it by `-config`, each as a borrowed upstream."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from harness.errors import Problem, ScenarioError
from harness.scenario.draft.parts import DATABASE_RANK, HTTP_RANK, UPSTREAMS_MOST, DraftUpstream, upstream_name
from harness.scenario.draft.source_kind import UNDONE, broken_json, source_text
from harness.scenario.source.tree import MappingNode, Node, ScalarNode, SequenceNode, Source
from harness.scenario.source.yaml_parser import parse
from harness.upstreams.protocols import SCHEMES

DEFAULT_URL: Final = "http://127.0.0.1:8474"
"""Where the server has its API unless it is told otherwise."""
_NOT_WEB: Final = frozenset(
    scheme.default_port
    for scheme in SCHEMES.values()
    if scheme.protocol not in ("http", "https") and scheme.default_port
)


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
        port = re.search(r":(\d{1,5})$", target)
        rank = DATABASE_RANK if port and int(port[1]) in _NOT_WEB else HTTP_RANK
        upstreams.append(DraftUpstream(name, {"proxy": proxy}, tuple(comments), rank))
    if problems:
        raise ScenarioError(tuple(problems), UNDONE)
    return upstreams


def _text(node: Node, key: str) -> str:
    value = _value(node.entries.get(key)) if isinstance(node, MappingNode) else None
    return value if isinstance(value, str) else ""


def _value(node: Node | None) -> object:
    return node.value if isinstance(node, ScalarNode) else None
