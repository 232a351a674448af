"""The gates of a scenario: each text of its list is parsed, or refused with its position. Also the default gates."""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.gates import Gate, GateSyntaxError
from harness.model.tree import MappingNode, ScalarNode, SequenceNode
from harness.scenario.names.gate_names import LocatedGate
from harness.scenario.names.resolve import Names, sole_fault
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic

ParseGate = Callable[[str], Gate]
"""`harness.gates.parse.parse_gate`, or a caching version of it."""


def read_gates(tree: MappingNode, names: Names, parse: ParseGate) -> tuple[tuple[LocatedGate, ...], list[Diagnostic]]:
    """Every gate that can be parsed, from the tree, so that the scenario need not be valid; and what is wrong."""
    listing = tree.entries.get("gates")
    if not isinstance(listing, SequenceNode):
        return (), []
    located: list[LocatedGate] = []
    findings: list[Diagnostic] = []
    for index, item in enumerate(listing.items):
        if not isinstance(item, ScalarNode) or not isinstance(item.value, str) or not item.value:
            continue
        text = item.value
        if listing.flow and item.plain and text.count("(") != text.count(")"):
            findings.append(_split_gate(index, text, listing))
            continue
        try:
            located.append(LocatedGate(parse(text), ("gates", index), item.place.line))
        except GateSyntaxError as exc:
            findings.append(Diagnostic(("gates", index), exc.message, with_names(exc.fix, names), offset=exc.offset))
    # the two halves of a split gate are one mistake
    return tuple(located), _each_message_once(findings)


def _split_gate(index: int, text: str, listing: SequenceNode) -> Diagnostic:
    halves = [item.value for item in listing.items if isinstance(item, ScalarNode) and isinstance(item.value, str)]
    opening = next((half for half in halves if half.count("(") > half.count(")")), text)
    closing = next((half for half in halves if half.count("(") < half.count(")")), text)
    return Diagnostic(
        ("gates", halves.index(opening) if opening in halves else index),
        f"a comma inside [ ] begins a new gate: this is read as the two gates `{opening}` and `{closing}`",
        "write each gate on a line of its own, after a dash; a limit is one quantity, there is no max()",
    )


def with_names(fix: str, names: Names) -> str:
    """The fix with FAULT and UPSTREAM replaced by names, if the scenario has only one fault and so there is no
    choice."""
    fault, upstream = sole_fault(names)
    if fault:
        fix = re.sub(r"\bFAULT\b", fault, fix)
    return re.sub(r"\bUPSTREAM\b", upstream, fix) if upstream else fix


def _each_message_once(findings: list[Diagnostic]) -> list[Diagnostic]:
    return list({(found.path, found.message): found for found in findings}.values())


def default_gates(scenario: Scenario, parse: ParseGate) -> tuple[LocatedGate, ...]:
    """The gates of a scenario without `gates`: `p99 < gateway.timeout` during each fault, or in the whole run."""
    if not scenario.faults:
        return (LocatedGate(parse("p99 < gateway.timeout"), ("load",), 0),)
    return tuple(
        LocatedGate(parse(f"p99 < gateway.timeout during {fault.name}"), ("faults", index), 0)
        for index, fault in enumerate(scenario.faults)
    )
