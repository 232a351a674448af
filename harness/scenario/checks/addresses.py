"""Warns if the service may not know its upstreams' addresses, or if it is on another host. Pure: no DNS lookups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from harness.rundir.planned.toxiproxy_network import is_loopback_literal
from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.template_texts import texts_with_templates
from harness.scenario.schema.templates import names_in, upstream_names
from harness.scenario.source.diagnostics import Diagnostic, Path


def address_warnings(scenario: Scenario, raw: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """`raw`: the scenario's plain tree."""
    yield from _without_port(scenario)
    yield from _unmentioned(scenario, raw)
    yield from _other_hosts(scenario)


def _without_port(scenario: Scenario) -> Iterator[Diagnostic]:
    """tailgate cannot give its upstreams' addresses to a service that runs already."""
    for name, upstream in scenario.upstreams.items() if scenario.service.url is not None else ():
        if not upstream.has_known_address:
            message = (
                f"the service runs already, so tailgate cannot give it the address of `{name}`; without a call there "
                "the run is a rig failure"
            )
            yield Diagnostic(
                ("upstreams", name), message, f"give `{name}` the `port` that the service is configured with"
            )


def _unmentioned(scenario: Scenario, raw: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Warns only if no upstream at all is mentioned: a service need not call all of them."""
    if scenario.service.command is None or not scenario.upstreams:
        return
    if any(upstream.has_known_address for upstream in scenario.upstreams.values()):
        return
    named = {name for _, text in texts_with_templates(raw) for name in names_in(text)}
    if named.isdisjoint(part for name in scenario.upstreams for part in upstream_names(name)):
        first, *others = scenario.upstreams
        listed = f"address of `{first}`"
        if others:
            listed = f"addresses of {', '.join(f'`{name}`' for name in (first, *others))}"
        yield Diagnostic(
            ("service", "command"),
            f"nothing gives the service the {listed}; without a call there a fault cannot be proven",
            f"put `{{{first}.url}}` into `env` or `command`, or give `{first}` a `port`",
        )


def _other_hosts(scenario: Scenario) -> Iterator[Diagnostic]:
    parts: list[tuple[Path, str | None]] = [
        (("service", "url"), scenario.service.url),
        (("toxiproxy", "url"), scenario.toxiproxy.url),
        *((("upstreams", name), upstream.target) for name, upstream in scenario.upstreams.items()),
    ]
    for path, url in parts:
        host = urlsplit(url).hostname or "" if url else ""
        if not host or is_loopback_literal(host):
            continue
        is_name = not re.fullmatch(r"[0-9.]+|[0-9a-f:.]+", host)
        where = f"unless {host} resolves to this machine," if is_name else f"{host} is not this machine, so"
        found = f"{where} `tailgate run` will refuse to send load there"
        yield Diagnostic(path, found, f"run it with --allow-target {host}, if you own that host")
