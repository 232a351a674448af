"""Whether two runs may be compared: only if nothing but the service under test differs.

`plan_differences` lists what else differs in the two plans. Whether the machine was equally fast for both runs is for
`harness.gates.reference.machine` to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from pathlib import PurePath
from typing import Any, Final

from harness.model.frozen import Frozen
from harness.rundir.plan import Plan
from harness.text import cut

_OF_ONE_RUN: Final = {
    # the run itself, and the service, which is what a comparison is about
    "schema_version", "run_id", "stack_id", "cell", "scenario_file", "scenario_sha256", "overrides", "service",
    "toxiproxy_url",
    # ports, addresses and folders
    "network", "gateway.port", "gateway.binary", "gateway.target", "ca_file",
    "upstreams.*.listener", "upstreams.*.origin", "upstreams.*.command.port", "upstreams.*.command.cwd",
    "load.remote.listen", "load.remote.token_file", "load.remote.join_within_ms",
    # what only gates and proofs read
    "gates", "default_gates", "metrics", "times_first_byte", "abort_if", "verdict.inconclusive", "upstreams.*.known_as",
    "upstreams.*.index", "faults.*.proof", "faults.*.met", "load.allowed_targets",
}  # fmt: skip
_FILES: Final = {
    "load.locustfile", "load.data", "upstreams.*.routes.path", "upstreams.*.forward.ca", "upstreams.*.stream.ca",
}  # fmt: skip
"""Paths of which only the file's name is compared, because every checkout has a folder of its own; so it is for the
file of a route's answer."""
_NOT_SHOWN: Final = ("headers", "body", "path")
"""Settings that may contain secrets, so their values are not printed."""
_NOT_THERE: Final = "none"
_VALUE_MOST: Final = 60
_UNPRIVILEGED: Final = 1024
"""A run takes no port below; smaller numbers in texts are something else."""


class Difference(Frozen):
    """A setting that differs: its path in plan.json, and its value in each run. Items of lists go by their names."""

    path: str
    base: str
    head: str

    @property
    def text(self) -> str:
        return f"{self.path} ({self.base} and {self.head})" if self.base != self.head else self.path


def plan_differences(base: Plan, head: Plan) -> tuple[Difference, ...]:
    """The settings that differ between the two plans, those of the service left out; empty if there are none."""
    return tuple(_compare("", _comparable(base), _comparable(head)))


def _comparable(plan: Plan) -> dict[str, Any]:
    """plan.json, with each list of named items as a mapping by name, and a fake's settings beside its upstream's."""
    document = plan.model_dump(mode="json")
    for upstream in document["upstreams"]:
        upstream.update(upstream.pop("fake") or {})
        if upstream["command"] and upstream["forward"]:
            upstream["forward"].pop("port")  # where tailgate starts the real thing, it is a port of this run only
    named = _by_name(_without_ports(document, plan))
    assert isinstance(named, dict)
    return named


def _without_ports(document: dict[str, Any], plan: Plan) -> Any:
    """The document with the ports and the file of this run replaced in every text: in commands, variables, requests."""
    own = {str(port): f"{{{name}}}" for name, port in _ports(plan) if port is not None and port >= _UNPRIVILEGED}
    if plan.ca_file is not None:
        own[plan.ca_file] = "{ca}"
    if not own:
        return document
    longest_first = sorted(own, key=len, reverse=True)
    written = re.compile("|".join(rf"(?<!\d){re.escape(text)}(?!\d)" for text in longest_first))

    def replaced(value: Any) -> Any:
        if isinstance(value, str):
            return written.sub(lambda found: own[found[0]], value)
        if isinstance(value, dict):
            return {key: replaced(item) for key, item in value.items()}
        return [replaced(item) for item in value] if isinstance(value, list) else value

    return replaced(document)


def _ports(plan: Plan) -> Iterator[tuple[str, int | None]]:
    yield "port", plan.service.port
    yield "gateway.port", plan.gateway.port
    for upstream in plan.upstreams:
        yield f"{upstream.name}.port", upstream.listener.port
        yield f"{upstream.name}.origin", upstream.origin.port
        if upstream.command is not None:
            yield f"{upstream.name}.command", upstream.command.port


def _by_name(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _by_name(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_by_name(item) for item in value]
        names = [item.get("name") for item in items if isinstance(item, dict)]
        if items and len(set(names)) == len(items) and all(isinstance(name, str) for name in names):
            return dict(zip(names, items, strict=True))
        return items
    return value


def _compare(path: str, base: Any, head: Any) -> Iterator[Difference]:
    if _is_any_of(path, _OF_ONE_RUN):
        return
    if _is_any_of(path, _FILES) or path.endswith(".file"):
        base, head = (file and PurePath(file).name for file in (base, head))
    if [] in (base, head):  # an empty list does not show that its items would have names
        base, head = (
            {} if side == [] and isinstance(other, dict) else side for side, other in ((base, head), (head, base))
        )
    if isinstance(base, dict) and isinstance(head, dict):
        for key in dict.fromkeys((*base, *head)):
            yield from _compare(f"{path}.{key}" if path else key, base.get(key), head.get(key))
    elif isinstance(base, list) and isinstance(head, list) and len(base) == len(head) and _are_mappings(base + head):
        for index, (one, other) in enumerate(zip(base, head, strict=True)):
            yield from _compare(f"{path}[{index}]", one, other)
    elif base != head:
        yield Difference(path=path, base=_text(path, base), head=_text(path, head))


def _is_any_of(path: str, patterns: Set[str]) -> bool:
    """`*` in a pattern is any one name."""
    # only names of requests may contain dots, and no field of a request is in a pattern
    parts = path.split(".")
    return path in patterns or (len(parts) > 2 and ".".join((parts[0], "*", *parts[2:])) in patterns)


def _are_mappings(items: list[Any]) -> bool:
    return all(isinstance(item, dict) for item in items)


def _text(path: str, value: Any) -> str:
    if value is None or value in ([], {}, ""):
        return _NOT_THERE
    if isinstance(value, dict):
        return cut(str(value.get("text") or value.get("kind") or "present"), _VALUE_MOST)
    if set(path.split(".")) & set(_NOT_SHOWN):
        return "…"
    if isinstance(value, list):
        return f"{len(value)} of them" if len(value) > 3 or _are_mappings(value) else cut(str(value), _VALUE_MOST)
    return cut(f"{value:g}" if isinstance(value, float) else str(value), _VALUE_MOST)
