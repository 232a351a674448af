"""The gates of a scenario: each text of its list read, or refused in its place; default ones where none is written."""

from __future__ import annotations

import re

from harness.gates import GateSyntaxError
from harness.gates.parse import parse_gate
from harness.model.value_types import NAME_PATTERN
from harness.scenario.names.references import LocatedGate
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic
from harness.scenario.source.tree import MappingNode, ScalarNode, SequenceNode


def read_gates(
    tree: MappingNode, scenario: Scenario | None, *, default: bool
) -> tuple[tuple[LocatedGate, ...], list[Diagnostic]]:
    """Every gate that can be read, from the tree itself; with `default` the default ones where none is written."""
    listing = tree.entries.get("gates")
    if not isinstance(listing, SequenceNode):
        return (_default_gates(scenario) if scenario and default and scenario.gates is None else ()), []
    named: list[LocatedGate] = []
    findings: list[Diagnostic] = []
    for index, item in enumerate(listing.items):
        if not isinstance(item, ScalarNode) or not isinstance(item.value, str) or not item.value:
            continue
        text = item.value
        if listing.flow and item.plain and text.count("(") != text.count(")"):
            findings.append(_split_gate(index, text, listing))
            continue
        try:
            named.append(LocatedGate(parse_gate(text), ("gates", index), item.place.line))
        except GateSyntaxError as exc:
            findings.append(Diagnostic(("gates", index), exc.message, with_names(exc.fix, scenario), offset=exc.offset))
    # two halves of one gate are one mistake
    return tuple(named), _each_message_once(findings)


def _split_gate(index: int, text: str, listing: SequenceNode) -> Diagnostic:
    halves = [item.value for item in listing.items if isinstance(item, ScalarNode) and isinstance(item.value, str)]
    opening = next((half for half in halves if half.count("(") > half.count(")")), text)
    closing = next((half for half in halves if half.count("(") < half.count(")")), text)
    return Diagnostic(
        ("gates", halves.index(opening) if opening in halves else index),
        f"a comma inside [ ] begins a new gate: this is read as the two gates `{opening}` and `{closing}`",
        "write each gate on a line of its own, after a dash; a limit is one quantity, there is no max()",
    )


def with_names(fix: str, scenario: Scenario | None) -> str:
    """What a gate's own spelling cannot know, where there is no choice: the one fault, the upstream that it breaks."""
    if scenario is None or len(scenario.faults) != 1:
        return fix
    (fault,) = scenario.faults
    if re.fullmatch(NAME_PATTERN, fault.name):
        fix = re.sub(r"\bFAULT\b", fault.name, fix)
    hit = [name for name in fault.hits(scenario.upstreams) if name in scenario.upstreams]
    return re.sub(r"\bUPSTREAM\b", hit[0], fix) if hit else fix


def _each_message_once(findings: list[Diagnostic]) -> list[Diagnostic]:
    return list({(found.path, found.message): found for found in findings}.values())


def _default_gates(scenario: Scenario) -> tuple[LocatedGate, ...]:
    if not scenario.faults:
        return (LocatedGate(parse_gate("p99 < gateway.timeout"), ("load",), 0),)
    return tuple(
        LocatedGate(parse_gate(f"p99 < gateway.timeout during {fault.name}"), ("faults", index), 0)
        for index, fault in enumerate(scenario.faults)
        if re.fullmatch(NAME_PATTERN, fault.name)  # made of the names of upstreams that are none, of which it is told
    )
