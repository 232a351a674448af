"""The gates of a scenario: each text of its list read, or refused in its place; default ones where none is written."""

from __future__ import annotations

import re

from harness.fields import NAME_PATTERN
from harness.gates import GateSyntaxError
from harness.scenario.gate_text import parse_gate
from harness.scenario.located import Leaf, Listing, Mapping
from harness.scenario.problems import Finding
from harness.scenario.references import Named
from harness.scenario.schema import Scenario


def read_gates(tree: Mapping, scenario: Scenario | None, *, default: bool) -> tuple[tuple[Named, ...], list[Finding]]:
    """Every gate that can be read, from the tree itself; with `default` the default ones where none is written."""
    listing = tree.entries.get("gates")
    if not isinstance(listing, Listing):
        return (_default_gates(scenario) if scenario and default and scenario.gates is None else ()), []
    named: list[Named] = []
    findings: list[Finding] = []
    for index, item in enumerate(listing.items):
        if not isinstance(item, Leaf) or not isinstance(item.value, str) or not item.value:
            continue
        text = item.value
        if listing.flow and item.plain and text.count("(") != text.count(")"):
            findings.append(_split_gate(index, text, listing))
            continue
        try:
            named.append(Named(parse_gate(text), ("gates", index), item.place.line))
        except GateSyntaxError as exc:
            findings.append(Finding(("gates", index), exc.message, with_names(exc.fix, scenario), offset=exc.offset))
    # two halves of one gate are one mistake
    return tuple(named), _each_message_once(findings)


def _split_gate(index: int, text: str, listing: Listing) -> Finding:
    halves = [item.value for item in listing.items if isinstance(item, Leaf) and isinstance(item.value, str)]
    opening = next((half for half in halves if half.count("(") > half.count(")")), text)
    closing = next((half for half in halves if half.count("(") < half.count(")")), text)
    return Finding(
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


def _each_message_once(findings: list[Finding]) -> list[Finding]:
    return list({(found.path, found.message): found for found in findings}.values())


def _default_gates(scenario: Scenario) -> tuple[Named, ...]:
    if not scenario.faults:
        return (Named(parse_gate("p99 < gateway.timeout"), ("load",), 0),)
    return tuple(
        Named(parse_gate(f"p99 < gateway.timeout during {fault.name}"), ("faults", index), 0)
        for index, fault in enumerate(scenario.faults)
        if re.fullmatch(NAME_PATTERN, fault.name)  # made of the names of upstreams that are none, of which it is told
    )
