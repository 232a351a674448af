"""How upstreams are found in an answer of the service, where the scenario does not say. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
        yield Diagnostic(
            ("load", "complete"),
            f"auto cannot find {name} in an answer: none of its routes has a {{mark}} in its body",
            "put {mark} into a text that the service passes on, or write {jmespath: …} or none",
        )
