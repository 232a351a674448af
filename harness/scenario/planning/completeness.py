"""How upstreams are found in an answer of the service, where the scenario does not say. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.scenario.schema.scenario import JmesPath, Scenario
from harness.scenario.source.diagnostics import Diagnostic
from harness.upstreams.upstream_files import NO_INPUTS, UpstreamInputs


def complete_of(scenario: Scenario, inputs: Mapping[str, UpstreamInputs]) -> str | JmesPath:
    """`load.complete` as it holds: by default `auto` if the answers of every upstream carry its mark, else `none`."""
    written = scenario.load.complete
    if not scenario.upstreams and written in (None, "auto"):
        return "none"
    if written is not None:
        return written
    return "none" if list(unmarked(scenario, inputs)) else "auto"


def unmarked(scenario: Scenario, inputs: Mapping[str, UpstreamInputs]) -> Iterator[str]:
    """The upstreams whose answers do not carry their mark."""
    for name, upstream in scenario.upstreams.items():
        if not upstream.carries_mark(inputs.get(name, NO_INPUTS)):
            yield name


def completeness_findings(scenario: Scenario, inputs: Mapping[str, UpstreamInputs]) -> Iterator[Diagnostic]:
    """`complete: auto` where it cannot find an upstream."""
    if scenario.load.complete != "auto":
        return
    for name in unmarked(scenario, inputs):
        why = "none of its routes has a {mark} in its body"
        if not _may_be_marked(scenario, name):
            why = "what it answers is not written in the scenario, so it carries no {mark}"
        message = f"auto cannot find {name} in an answer: {why}"
        yield Diagnostic(("load", "complete"), message, f"{mark_fix(scenario, (name,))}, or none")


def mark_fix(scenario: Scenario, names: Sequence[str]) -> str:
    """What to write so that these upstreams, which have no mark, are found in an answer; it begins a sentence."""
    jmespath = "write `load.complete: {jmespath: …}`, an expression that lists the upstreams in an answer"
    if all(_may_be_marked(scenario, name) for name in names):
        return f"put {{mark}} into a text of its routes that the service passes on; or {jmespath}"
    return jmespath


def _may_be_marked(scenario: Scenario, name: str) -> bool:
    """Whether the answers of the upstream are written in the scenario."""
    return scenario.upstreams[name].has_written_answers
