"""Checks that a Toxiproxy of the user's can serve the scenario: borrowed proxies, and who reaches whom. Pure: no server
is asked, and no name resolved; `tailgate doctor SCENARIO` does that."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.rundir.planned.toxiproxy_network import ToxiproxyNetwork, is_address, is_loopback_literal
from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.toxiproxy_part import unreachable
from harness.scenario.source.diagnostics import Diagnostic


def toxiproxy_findings(scenario: Scenario) -> Iterator[Diagnostic]:
    """What is wrong with the section `toxiproxy`, or with the upstreams that need it."""
    first: dict[str, str] = {}
    for name, proxy in borrowed_proxies(scenario).items():
        if scenario.toxiproxy.url is None:
            found = f"`{proxy}` is borrowed from a Toxiproxy that runs already, and the scenario names none"
            yield Diagnostic(("upstreams", name, "proxy"), found, "add `toxiproxy: {url: http://HOST:8474}`")
        if proxy in first:
            found = f"`{proxy}` is already the proxy of the upstream `{first[proxy]}`"
            yield Diagnostic(("upstreams", name, "proxy"), found, "keep one of the two, and add `known_as` to it")
        first.setdefault(proxy, name)
    for key, message, fix in _unreachable(scenario, scenario.toxiproxy.network(scenario.toxiproxy.url)):
        yield Diagnostic(("toxiproxy", key if getattr(scenario.toxiproxy, key) else "url"), message, fix)


def _without_address(scenario: Scenario, network: ToxiproxyNetwork) -> Iterator[tuple[str, str, str]]:
    """Databases whose clients must be told the listener's address, while only its name is known."""
    if is_address(network.reach):
        return
    verified = [name for name, each in scenario.upstreams.items() if each.needs_address]
    if verified:
        yield (
            "reach",
            f"with sslmode=verify-full libpq is told the listener's address, and `{network.reach}` is a name "
            f"({', '.join(verified)})",
            "write the address as `reach`, or use sslmode=verify-ca",
        )


def toxiproxy_warnings(scenario: Scenario) -> Iterator[Diagnostic]:
    network = scenario.toxiproxy.network(scenario.toxiproxy.url)
    if network.bind_host is not None and _has_fakes(scenario):
        found = f"the fakes of a run listen on every address of this machine, since {network.origin_host} may be any"
        fix = "write the address instead of the name, if only that network is to reach them"
        yield Diagnostic(("toxiproxy", "origin_host"), found, fix)


def refuse_unreachable(scenario: Scenario, url: str) -> None:
    """Raises UsageError if the server at `url`, which a run found, surely cannot be used as the scenario says."""
    for key, message, fix in _unreachable(scenario, scenario.toxiproxy.network(url)):
        raise UsageError(f"toxiproxy.{key}: {message}", fix)


def borrowed_proxies(scenario: Scenario) -> dict[str, str]:
    """The names of the borrowed proxies by those of their upstreams."""
    proxies = {name: each.borrowed_proxy for name, each in scenario.upstreams.items()}
    return {name: proxy for name, proxy in proxies.items() if proxy is not None}


def _unreachable(scenario: Scenario, network: ToxiproxyNetwork) -> Iterator[tuple[str, str, str]]:
    yield from _without_address(scenario, network)
    borrowed = borrowed_proxies(scenario)
    own_proxies = any(name not in borrowed for name in scenario.upstreams)
    yield from unreachable(network, own_proxies=own_proxies, own_origins=_needs_this_machine(scenario))


def _needs_this_machine(scenario: Scenario) -> bool:
    """Whether Toxiproxy must reach something that listens on this machine."""
    targets = [upstream.target for upstream in scenario.upstreams.values()]
    if _has_fakes(scenario) or any(each.argv for each in scenario.upstreams.values()):
        return True
    return any(is_loopback_literal(urlsplit(each).hostname or "") for each in targets if each)


def _has_fakes(scenario: Scenario) -> bool:
    """Whether the fakes' process listens for some upstream."""
    return any(each.records_calls or each.terminates_tls for each in scenario.upstreams.values())
