"""What a run with workers on other machines needs before it starts: an address to wait at, and a target they reach."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.rundir.handshake import read_joined
from harness.rundir.plan import Plan
from harness.rundir.planned.load import RemoteWorkers
from harness.rundir.planned.upstream import Endpoint
from harness.scenario.planning.gateway_choice import ResolvedGateway, resolve_gateway
from harness.stack.processes.ports import holder_of
from harness.target_allowlist import is_loopback
from harness.units import format_things

if TYPE_CHECKING:
    from harness.scenario.schema.scenario import Scenario

EXAMPLE = "0.0.0.0:5557"


def parse_address(text: str, option: str, examples: str = f"{EXAMPLE} or [::1]:5557") -> Endpoint:
    """`HOST:PORT` or `[IPv6]:PORT`. `option`: what has this address, for people. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"{option} needs HOST:PORT, not {text!r}", f"write it like {examples}")
    return Endpoint(host=host, port=int(port))


def parse_master(text: str) -> Endpoint:
    """Where a worker finds its run. Raises UsageError."""
    host = text if text and ":" not in text else "192.0.2.10"
    return parse_address(text, "the address of the run", f"{host}:5557, with the host and the port of its --listen")


def workers_of(
    workers: int, expected: int | None, listen: str | None, token_file: Path | None
) -> tuple[int, RemoteWorkers | None]:
    """How many workers a run has, and where they come from: `--workers`, or the options with `--expect-workers`.

    Raises UsageError if these exclude each other, or one is missing.
    """
    if expected is None:
        if listen or token_file:
            raise UsageError("--listen and --token-file are for --expect-workers", "add --expect-workers N")
        return workers, None
    if workers != 1:
        raise UsageError("--workers and --expect-workers exclude each other", "leave --workers out")
    return expected, remote_workers(listen, token_file)


def remote_workers(listen: str | None, token_file: Path | None) -> RemoteWorkers:
    """The options that belong to `--expect-workers`. Raises UsageError for one that is missing or cannot be used."""
    from harness.remote.curve_keys import read_keys

    if listen is None or token_file is None:
        missing = "--listen HOST:PORT" if listen is None else "--token-file FILE"
        raise UsageError(f"--expect-workers needs {missing} as well", f"--listen {EXAMPLE} --token-file FILE")
    address = parse_address(listen, "--listen")
    read_keys(token_file)
    return RemoteWorkers(listen=address, token_file=str(token_file.absolute()))


def with_remote_workers(plan: Plan, remote: RemoteWorkers) -> Plan:
    """The plan with its workers elsewhere. Raises UsageError if they could not reach its target."""
    target = urlsplit(plan.gateway.target).hostname or ""
    if is_loopback(target) and not is_loopback(remote.listen.host):
        raise UsageError(
            f"workers on other machines cannot reach {plan.gateway.target}, which is on this machine's loopback",
            "give `service.url` an address that they reach, with gateway: {kind: client}; or --listen 127.0.0.1:PORT",
        )
    return plan.model_copy(update={"load": plan.load.model_copy(update={"remote": remote})})


def refuse_unusable(address: Endpoint) -> None:
    """Raises UsageError if workers cannot be waited for there: another process listens on the port, or the address is
    not of this machine. Only a test of that: the port is free again when this returns."""
    try:
        (family, kind, protocol, _, place), *_ = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            by = f" by {holder}" if (holder := holder_of(address.port)) else ""
            raise UsageError(
                f"--listen {address.address}: the port is in use{by}", "give --listen another port"
            ) from exc
        raise UsageError(
            f"--listen {address.address}: cannot be listened on: {exc.strerror}",
            "give --listen an address of this machine, or 0.0.0.0 for all of them",
        ) from exc


def refuse_unusable_workers(plan: Plan, remote: RemoteWorkers | None) -> None:
    """For a search, before its directory is made and anything is started. `plan`: a dry one of the scenario. Raises
    UsageError if workers on other machines could not reach the target, or cannot be waited for."""
    if remote is not None:
        with_remote_workers(plan, remote)
        refuse_unusable(remote.listen)


class JoinedWatch:
    """Says which workers have joined, as they do."""

    def __init__(self, plan: Plan, run_dir: Path, say: Callable[[str], None]) -> None:
        self._of = plan.load.workers if plan.load.remote is not None else 0
        self._run_dir = run_dir
        self._say = say
        self._known: tuple[str, ...] = ()

    def look(self) -> None:
        """Says what is new since the last call: `worker 1 (host-b) is here, 1 of 2`."""
        if len(self._known) == self._of:
            return
        here = read_joined(self._run_dir)
        for number, name in enumerate(here, 1):
            if name not in self._known:
                self._say(f"{name} is here, {number} of {self._of}")
        self._known = here


def gateway_of(scenario: Scenario, remote: RemoteWorkers | None) -> ResolvedGateway:
    """The gateway of a run. `auto` means `client` if workers run on other machines, since nginx listens on this
    machine's loopback, which they do not reach; a `--listen` on loopback means workers on this machine."""
    is_elsewhere = remote is not None and not is_loopback(remote.listen.host)
    return resolve_gateway("client" if is_elsewhere and scenario.gateway.kind == "auto" else scenario.gateway.kind)


def waiting_note(plan: Plan) -> str | None:
    """How the workers are started; None if they are children of the run."""
    remote = plan.load.remote
    if remote is None:
        return None
    return (
        f"waiting up to {remote.join_within_ms / 1000:.0f} s for {format_things(plan.load.workers, 'worker')} at "
        f"{remote.listen.address}: tailgate worker HOST:{remote.listen.port} --token-file FILE"
    )
