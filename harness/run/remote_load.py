"""What a run with workers on other machines needs before it starts: an address to wait at, and a target they reach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.rundir.plan import Plan
from harness.rundir.planned.load import RemoteWorkers
from harness.rundir.planned.upstream import Endpoint
from harness.scenario.planning.gateway_choice import ResolvedGateway, resolve_gateway
from harness.target_allowlist import is_loopback
from harness.units import format_things

if TYPE_CHECKING:
    from harness.scenario.schema.scenario import Scenario

EXAMPLE = "0.0.0.0:5557"


def parse_address(text: str, option: str) -> Endpoint:
    """`HOST:PORT` or `[IPv6]:PORT`. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"{option} needs HOST:PORT, not {text!r}", f"write it like {EXAMPLE} or [::1]:5557")
    return Endpoint(host=host, port=int(port))


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


def gateway_of(scenario: Scenario, remote: RemoteWorkers | None) -> ResolvedGateway:
    """nginx listens on this machine's loopback, where workers on other machines do not reach it."""
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
