"""Does the service know where its upstreams listen, and may load go to where it is? Pure; no name is looked up."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.template_texts import texts_with_templates
from harness.scenario.schema.templates import names_in, upstream_names
from harness.scenario.source.diagnostics import Diagnostic


def address_warnings(scenario: Scenario, raw: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """`raw`: the scenario's plain tree."""
    yield from _untold(scenario)
    yield from _unmentioned(scenario, raw)
    yield from _foreign(scenario)


def _untold(scenario: Scenario) -> Iterator[Diagnostic]:
    """A service that runs already cannot be told where its upstreams listen."""
    for name, upstream in scenario.upstreams.items() if scenario.service.url is not None else ():
        if upstream.port is None:
            message = (
                f"the service runs already, so nobody tells it where `{name}` listens; without a call there it fails"
            )
            yield Diagnostic(("upstreams", name), message, f"give `{name}` the `port` that the service knows")


def _unmentioned(scenario: Scenario, raw: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Only where no upstream at all is mentioned: which of them a service asks is its own business."""
    if scenario.service.command is None or not scenario.upstreams:
        return
    if any(upstream.port is not None for upstream in scenario.upstreams.values()):
        return
    named = {name for _, text in texts_with_templates(raw) for name in names_in(text)}
    if named.isdisjoint(part for name in scenario.upstreams for part in upstream_names(name)):
        first, *others = scenario.upstreams
        whom = f"`{first}` listens" if not others else f"{', '.join(f'`{name}`' for name in (first, *others))} listen"
        yield Diagnostic(
            ("service", "command"),
            f"nothing tells the service where {whom}; without a call there a fault cannot be proven",
            f"put `{{{first}.url}}` into `env` or `command`, or give `{first}` a `port`",
        )


def _foreign(scenario: Scenario) -> Iterator[Diagnostic]:
    parts: tuple[tuple[str, str | None], ...] = (
        ("service", scenario.service.url),
        ("toxiproxy", scenario.toxiproxy.url),
    )
    for section, url in parts:
        host = urlsplit(url).hostname or "" if url else ""
        if not host or host == "localhost" or host.endswith(".localhost"):
            continue
        try:
            here = ipaddress.ip_address(host).is_loopback
            where = f"{host} is not on this machine, so"
        except ValueError:
            here, where = False, f"unless {host} turns out to be this machine,"
        if not here:
            found = f"{where} `tailgate run` refuses to send load there by itself"
            yield Diagnostic((section, "url"), found, f"run it with --allow-target {host}, if you own it and mean it")
