"""Checks that the parts of a scenario fit each other, once all names are resolved; and its `${VAR}`s. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.faults import ALL
from harness.gates.abort_rule import AbortRule
from harness.model.value_types import did_you_mean
from harness.rundir.planned.process_act import SERVICE_TARGET
from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.template_texts import texts_with_variables
from harness.scenario.schema.templates import missing_variables
from harness.scenario.source.diagnostics import Diagnostic, Path
from harness.upstreams.upstream import GENERIC

WITHOUT_OFFSET = ("request", "json")
"""Last steps of paths whose text may differ from the text in the file, so that an offset would point elsewhere."""


def consistency_findings(scenario: Scenario) -> Iterator[Diagnostic]:
    """What is wrong between parts that are each valid, and whose names all exist."""
    yield from _spellings(scenario)
    yield from _faults(scenario)
    yield from _requests(scenario)
    yield from _service(scenario)
    yield from _safety_stops(scenario)


def _faults(scenario: Scenario) -> Iterator[Diagnostic]:
    seen: dict[str, int] = {}
    for index, fault in enumerate(scenario.faults):
        if fault.name in seen:
            yield Diagnostic(
                ("faults", index),
                f"faults {seen[fault.name] + 1} and {index + 1} are both called `{fault.name}`",
                "give one of them a `name`",
            )
        seen.setdefault(fault.name, index)
        if scenario.upstreams and not fault.hits(scenario.upstreams):
            found = "`all but` excludes every upstream, so this fault breaks none"
            yield Diagnostic(("faults", index, "upstream"), found, "exclude fewer, or remove the fault")
        if ALL in fault.targets and not scenario.upstreams:
            yield Diagnostic(("faults", index, "upstream"), "there is no upstream to break", "add `upstreams`")
        yield from _unasked(scenario, index)


def _safety_stops(scenario: Scenario) -> Iterator[Diagnostic]:
    """A phase of `abort_if` that the run does not have."""
    known = ["baseline", "whole", *(fault.name for fault in scenario.faults)]
    for number, text in enumerate(scenario.load.abort_if):
        phase = AbortRule.parse(text).phase
        if phase is not None and phase not in known:
            fix = did_you_mean(phase, known, otherwise="leave the phase out")
            yield Diagnostic(("load", "abort_if", number), f"there is no fault `{phase}`", fix, offset=text.find(phase))


def _spellings(scenario: Scenario) -> Iterator[Diagnostic]:
    """A name in `known_as` that two upstreams share: a log line with it would name both."""
    owner = {name: name for name in scenario.upstreams}
    for name, upstream in scenario.upstreams.items():
        for number, spelling in enumerate(upstream.known_as):
            other = owner.setdefault(spelling.lower(), name)
            if other != name:
                found = f"`{spelling}` is already a name of the upstream `{other}`"
                yield Diagnostic(("upstreams", name, "known_as", number), found, "give it to one of them only")


def _unasked(scenario: Scenario, index: int) -> Iterator[Diagnostic]:
    """A fault on an upstream that no request names in its `asks`.

    One whose calls nothing records, such as a database, need not stand there: no call is tied to a request, and what
    shows that the service met the fault are its connections.
    """
    requests = scenario.load.written_requests
    by_name = scenario.load.asks
    if by_name is None and (not requests or any(request.asks is None for request in requests)):
        return
    asked = {name for request in requests for name in request.asks or ()}
    asked |= {name for names in (by_name or {}).values() for name in names}
    fault = scenario.faults[index]
    for name in fault.hits(scenario.upstreams):
        if name not in asked and name != SERVICE_TARGET and scenario.upstreams[name].records_calls:
            yield Diagnostic(
                ("faults", index, "upstream"),
                f"no request asks `{name}`, so this fault would affect none",
                f"add `{name}` to `load.asks`"
                if by_name is not None
                else f"add `{name}` to the `asks` of a request, or a light request without `asks`",
            )


def _requests(scenario: Scenario) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    for index, request in enumerate(scenario.load.written_requests):
        if request.name in seen:
            path = scenario.load.path_of(index)
            yield Diagnostic(path, f"two requests are called `{request.name}`", "give one of them a `name`")
        seen.add(request.name)


def variable_findings(raw: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Variables without a default that the environment does not have."""
    for path, text in texts_with_variables(raw):
        for name, offset in missing_variables(text, environ):
            yield Diagnostic(
                path,
                f"the environment has no `{name}`",
                f"export {name}=…, or give it a default: ${{{name}:-…}}",
                offset=_shown_offset(path, offset),
            )


def secret_warnings(raw: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Warns of secrets that are too short to be redacted in logs."""
    texts = [(path, text) for path, text in texts_with_variables(raw) if "${" in text]
    if not texts:
        return
    from harness.secrets.expand import (
        WORD_LENGTH,
        short_secrets,
    )  # a late import, since most scenarios have no variable

    for path, text in texts:
        for name, offset in short_secrets(text, environ):
            yield Diagnostic(
                path,
                f"the value of `{name}` has fewer than {WORD_LENGTH} characters, so it cannot be redacted in logs",
                "use a longer value",
                offset=_shown_offset(path, offset),
            )


def _shown_offset(path: Path, offset: int) -> int:
    return 0 if path[-1] in WITHOUT_OFFSET or "command" in path[1:3] else offset


def _service(scenario: Scenario) -> Iterator[Diagnostic]:
    service = scenario.service
    if service.rung is not None and not scenario.upstreams:
        yield Diagnostic(
            ("service", "rung"), "the aggregator has no backends to ask", "add `upstreams`, such as azure: {}"
        )
    if service.rung is not None:
        for name, upstream in scenario.upstreams.items():
            if upstream.wire_shape not in (GENERIC, None):
                yield Diagnostic(
                    ("upstreams", name, "provider"),
                    f"the reference aggregator speaks the {GENERIC} shape only",
                    "remove `provider`, or test a service of yours by `command` or `url`",
                )
    if service.command is not None:
        texts = [*service.command, *service.env.values()]
        if not any("{port}" in text for text in texts):
            yield Diagnostic(
                ("service", "command"),
                "nothing gives the service its port",
                'put {port} into the command, or `PORT: "{port}"` into `env`',
            )
    if scenario.gateway.kind == "external" and service.url is None:
        yield Diagnostic(("gateway", "kind"), "an external gateway needs a service given by `url`", "use auto")
    fixed: dict[int, str] = {}
    for name, upstream in scenario.upstreams.items():
        if upstream.port in fixed:
            path = ("upstreams", name, "port")
            yield Diagnostic(
                path, f"`{fixed[upstream.port]}` listens on {upstream.port} already", "choose another port"
            )
        elif upstream.port is not None:
            fixed[upstream.port] = name
