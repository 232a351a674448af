"""What reaches what around the Toxiproxy of a scenario: its API, its listeners, what is behind them.

A proxy is created for a moment and deleted again. Borrowed proxies are looked at and connected to, and not changed.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from harness.errors import TailgateError
from harness.run.reach.reached import Reached, failed
from harness.run.run_id import new_run_id
from harness.rundir.planned.toxiproxy_network import LOOPBACK, ToxiproxyNetwork
from harness.rundir.planned.upstream import Endpoint
from harness.scenario.checks.toxiproxy_server import borrowed_proxies, refuse_unreachable
from harness.stack.processes.ports import PortLease
from harness.toxiproxy.borrow import addresses_of
from harness.toxiproxy.find import EngineChoice, find_engine

if TYPE_CHECKING:
    from harness.scenario.schema.scenario import Scenario
    from harness.toxiproxy.client import ToxiproxyClient

CONNECT_S: Final = 3.0
AT_ONCE: Final = 16
"""Borrowed proxies that are connected to at the same time."""
_GREETING: Final = b"tailgate"


def toxiproxy_reach(scenario: Scenario, env: Mapping[str, str]) -> Iterator[Reached]:
    """Each thing as it is tried; ends after the first without which the others cannot be tried."""
    if not scenario.upstreams:
        yield Reached("toxiproxy", "ok", "not needed: the scenario has no upstream")
        return
    try:
        choice = find_engine(scenario.toxiproxy.url, env)
        if choice.url is not None:
            refuse_unreachable(scenario, choice.url)
    except TailgateError as exc:
        yield failed("toxiproxy", exc)
        return
    if choice.url is None:
        yield Reached("toxiproxy", "ok", f"a run starts its own, {choice.version} from {choice.source}")
        return
    yield from _of_server(scenario, choice, choice.url)


def _of_server(scenario: Scenario, choice: EngineChoice, url: str) -> Iterator[Reached]:
    from harness.toxiproxy.client import ToxiproxyClient

    yield Reached("toxiproxy", "ok", f"{url} answers: version {choice.version}, from {choice.source}")
    client, network, borrowed = ToxiproxyClient(url), scenario.toxiproxy.network(url), borrowed_proxies(scenario)
    own = [upstream for name, upstream in scenario.upstreams.items() if name not in borrowed]
    if own:
        yield _through_a_proxy(client, network, next((each.port for each in own if each.port), None))
    if borrowed:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(
                lambda name: _borrowed(client, network, name, borrowed[name], scenario.upstreams[name].port), borrowed
            )


def _through_a_proxy(client: ToxiproxyClient, network: ToxiproxyNetwork, port: int | None) -> Reached:
    """Whether we reach something of ours through a proxy on that server, as a run would."""
    run_id = new_run_id()
    name = f"tailgate-{run_id}-doctor"  # as a run's, so that `toxiproxy sweep` removes it if this is killed
    fix = (
        "see `listen`, `reach` and `origin_host` of `toxiproxy` in docs/scenarios.md, and a container's published ports"
    )
    with PortLease() as lease:
        listen = Endpoint(host=network.listen, port=port or lease.take())
        try:
            with _answering(network, lease.take()) as origin:
                listener = Endpoint(host=network.reach, port=listen.port)
                way = f"{listener.address} → Toxiproxy → {origin.address}"
                client.create_proxy(name, listen.address, origin.address)
                try:
                    _exchange(listener)
                finally:
                    client.delete_proxy(name)
        except TailgateError as exc:
            return failed("a proxy", exc, fix)
        except OSError as exc:
            return Reached("a proxy", "fail", f"nothing came through {way}: {exc}", fix)
    return Reached("a proxy", "ok", f"created and deleted again; {way} works")


def _borrowed(
    client: ToxiproxyClient, network: ToxiproxyNetwork, upstream: str, proxy: str, port: int | None
) -> Reached:
    what = f"borrowed {proxy}"
    try:
        found = addresses_of(client, {upstream: proxy}, network)[upstream]
    except TailgateError as exc:
        return failed(what, exc)
    listener = found.listener.model_copy(update={"port": port}) if port else found.listener
    try:
        with socket.create_connection((listener.host, listener.port), CONNECT_S):
            return Reached(what, "ok", f"{listener.address} → {found.origin.address}, enabled")
    except OSError as exc:
        fix = "if a container publishes another port, write it as `port:` of the upstream; see `toxiproxy.reach` too"
        return Reached(what, "fail", f"its listener is not reached at {listener.address}: {exc}", fix)


@contextmanager
def _answering(network: ToxiproxyNetwork, port: int) -> Iterator[Endpoint]:
    """Something that greets whoever connects, where a fake would listen. Yields how Toxiproxy is to reach it."""
    host = network.bind_host or network.own_address or LOOPBACK
    with _greeter(host, port):
        own = network.own_address or LOOPBACK
        yield Endpoint(host=network.origin_as_reached(own), port=port)


@contextmanager
def _greeter(host: str, port: int) -> Iterator[None]:
    try:
        server = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as exc:
        raise OSError(f"the fakes could not listen on {host}: {exc.strerror}") from exc

    def greet() -> None:
        with suppress(OSError):  # the server was closed
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(_GREETING)

    with server:
        threading.Thread(target=greet, daemon=True).start()
        yield
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def _exchange(listener: Endpoint) -> None:
    """Raises OSError unless the greeting comes."""
    with socket.create_connection((listener.host, listener.port), CONNECT_S) as connection:
        connection.settimeout(CONNECT_S)
        came = b""
        while len(came) < len(_GREETING) and (chunk := connection.recv(len(_GREETING))):
            came += chunk
    if came != _GREETING:
        raise OSError("Toxiproxy accepted the connection, and could not reach what is behind the proxy")
