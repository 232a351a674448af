"""Names that must mean something: upstreams, faults, requests and templates, wherever a scenario uses them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from harness.faults import ALL, BUT
from harness.scenario.names.gate_names import LocatedGate, adrift_faults, gate_findings, known_upstream
from harness.scenario.names.unsure import Unsure
from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.templates import missing_variables, template_faults, upstream_names
from harness.scenario.source.diagnostics import Diagnostic, Path
from harness.secrets.expand import WORD_LENGTH, short_secrets
from harness.upstreams import GENERIC

__all__ = ["LocatedGate", "known_templates", "reference_findings", "secret_warnings", "texts_with_templates"]


def reference_findings(
    scenario: Scenario, gates: Sequence[LocatedGate], environ: Mapping[str, str], unsure: Unsure
) -> Iterator[Diagnostic]:
    """Each name once where it is wrong, and none that may be right."""
    yield from _spellings(scenario)
    yield from _faults(scenario, unsure)
    yield from _requests(scenario, unsure)
    adrift = adrift_faults(scenario)
    for named in gates:
        yield from gate_findings(scenario, named, unsure, adrift)
    yield from _templates(scenario, unsure)
    yield from _variables(scenario, environ)
    yield from _service(scenario, unsure)


def _faults(scenario: Scenario, unsure: Unsure) -> Iterator[Diagnostic]:
    seen: dict[str, int] = {}
    for index, fault in enumerate(scenario.faults):
        if fault.name in seen:
            yield Diagnostic(
                ("faults", index),
                f"faults {seen[fault.name] + 1} and {index + 1} are both called `{fault.name}`",
                "give one of them a `name`",
            )
        seen.setdefault(fault.name, index)
        for number, name in enumerate(fault.targets):
            known = name.removeprefix(BUT)
            if name != ALL and known not in scenario.upstreams and not unsure.upstream(known):
                path = ("faults", index, "upstream", *((number,) if known == name else ()))
                yield Diagnostic(path, f"there is no upstream `{known}`", _upstream_meant(known, scenario.upstreams))
        if scenario.upstreams and not fault.hits(scenario.upstreams):
            found = "`all but` spares every upstream there is, so this fault breaks none"
            yield Diagnostic(("faults", index, "upstream"), found, "spare fewer, or remove the fault")
        if ALL in fault.targets and not scenario.upstreams:
            yield Diagnostic(("faults", index, "upstream"), "there is no upstream to break", "add `upstreams`")
        yield from _unasked(scenario, index)


def _spellings(scenario: Scenario) -> Iterator[Diagnostic]:
    """A spelling that means two upstreams would blame both."""
    owner = {name: name for name in scenario.upstreams}
    for name, upstream in scenario.upstreams.items():
        for number, spelling in enumerate(upstream.known_as):
            other = owner.setdefault(spelling.lower(), name)
            if other != name:
                found = f"`{spelling}` means the upstream `{other}` already"
                yield Diagnostic(("upstreams", name, "known_as", number), found, "leave it to one of them")


def _unasked(scenario: Scenario, index: int) -> Iterator[Diagnostic]:
    requests = scenario.load.written_requests
    if not requests or any(request.asks is None for request in requests):
        return
    asked = {name for request in requests for name in request.asks or ()}
    fault = scenario.faults[index]
    for name in fault.hits(scenario.upstreams):
        if name in scenario.upstreams and name not in asked:
            yield Diagnostic(
                ("faults", index, "upstream"),
                f"no request asks `{name}`, so this fault could not be felt",
                f"add `{name}` to the `asks` of a request, or a light request without `asks`",
            )


def _requests(scenario: Scenario, unsure: Unsure) -> Iterator[Diagnostic]:
    load = scenario.load
    seen: dict[str, Path] = {}
    for index, request in enumerate(load.written_requests):
        path: Path = ("load", "request") if load.request else ("load", "requests", index)
        if request.name in seen:
            yield Diagnostic(path, f"two requests are called `{request.name}`", "give one of them a `name`")
        seen[request.name] = path
        for number, name in enumerate(request.asks or ()):
            if name not in scenario.upstreams and not unsure.upstream(name):
                found = f"there is no upstream `{name}`"
                yield Diagnostic((*path, "asks", number), found, known_upstream(name, scenario.upstreams))


def _upstream_meant(name: str, upstreams: Mapping[str, object]) -> str:
    several = re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", name)
    return f"write a list: [{', '.join(several)}]" if len(several) > 1 else known_upstream(name, upstreams)


def texts_with_templates(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """Every text in which templates and variables mean something."""
    service, load = scenario.service, scenario.load
    for number, word in enumerate(service.command or ()):
        yield ("service", "command", number), word
    for name, value in service.env.items():
        yield ("service", "env", name), value
    yield from ((("service", "headers", name), value) for name, value in service.headers.items())
    yield from ((("load", "headers", name), value) for name, value in load.headers.items())
    for index, request in enumerate(load.written_requests):
        path: Path = ("load", "request") if load.request else ("load", "requests", index)
        yield from (((*path, "headers", name), value) for name, value in request.headers.items())


def known_templates(scenario: Scenario) -> tuple[str, ...]:
    names = [part for upstream in scenario.upstreams for part in upstream_names(upstream)]
    port = ["port"] if scenario.service.url is None else []
    timeout = ["gateway.timeout"] if scenario.gateway.deadline_ms is not None else []
    return (*port, *names, "gateway.url", *timeout)


def _templates(scenario: Scenario, unsure: Unsure) -> Iterator[Diagnostic]:
    known = known_templates(scenario)
    for path, text in texts_with_templates(scenario):
        # a column of the data file may stand in a request's headers
        columns = path[0] == "load" and scenario.load.data is not None
        for fault in template_faults(text, known, scenario.upstreams, keep_unknown=columns):
            if fault.upstream and unsure.upstream(fault.upstream):
                continue
            yield Diagnostic(path, fault.message, fault.fix, offset=0 if path[1] == "command" else fault.offset)


def _texts_with_variables(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """Where the load generator fills variables in, but no templates, besides."""
    yield from texts_with_templates(scenario)
    for index, request in enumerate(scenario.load.written_requests):
        path: Path = ("load", "request") if scenario.load.request else ("load", "requests", index)
        yield (*path, "request"), request.request
        if request.body is not None:
            yield (*path, "body"), request.body
        if request.json_body is not None:
            yield (*path, "json"), json.dumps(request.json_body, ensure_ascii=False)


def _variables(scenario: Scenario, environ: Mapping[str, str]) -> Iterator[Diagnostic]:
    for path, text in _texts_with_variables(scenario):
        for name, offset in missing_variables(text, environ):
            yield Diagnostic(
                path,
                f"the environment has no `{name}`",
                f"export {name}=…, or give it a default: ${{{name}:-…}}",
                offset=0 if path[-1] in ("request", "json") or path[1] == "command" else offset,
            )


def secret_warnings(scenario: Scenario, environ: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Secrets that could not be taken out of logs again."""
    for path, text in _texts_with_variables(scenario):
        for name, offset in short_secrets(text, environ):
            yield Diagnostic(
                path,
                f"the value of `{name}` has fewer than {WORD_LENGTH} characters: a log that shows it will keep it",
                "use a longer one",
                offset=0 if path[-1] in ("request", "json") or path[1] == "command" else offset,
            )


def _service(scenario: Scenario, unsure: Unsure) -> Iterator[Diagnostic]:
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
                    f"the reference aggregator speaks the {GENERIC} shape alone",
                    "remove `provider`, or test a service of yours by `command` or `url`",
                )
    if service.command is not None:
        texts = [*service.command, *service.env.values()]
        if not any("{port}" in text for text in texts) and not unsure.port:
            yield Diagnostic(
                ("service", "command"),
                "nothing tells the service its port",
                'put {port} into the command, or `PORT: "{port}"` into `env`',
            )
    if scenario.gateway.kind == "external" and service.url is None:
        yield Diagnostic(("gateway", "kind"), "an external gateway stands before a service given by `url`", "use auto")
    fixed: dict[int, str] = {}
    for name, upstream in scenario.upstreams.items():
        if upstream.port in fixed:
            path = ("upstreams", name, "port")
            yield Diagnostic(
                path, f"`{fixed[upstream.port]}` listens on {upstream.port} already", "choose another port"
            )
        elif upstream.port is not None:
            fixed[upstream.port] = name
