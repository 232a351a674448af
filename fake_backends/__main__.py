"""The process of the fake backends: `python -P -m fake_backends RUN_DIR`.

It reads plan.json, binds the port of every backend, serves until SIGTERM or until its parent has ended, and closes
`calls-0.bin` with its footer. It is ready when `GET /-/ready` answers. If something keeps it from starting or from
recording, that is the last line on stderr, and the exit code is above zero.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from fake_backends.backend import Backend, FakeBackend
from fake_backends.forwarding.forwarded_backend import ForwardedBackend
from fake_backends.forwarding.noticed import NoticedOfOrigins
from fake_backends.load_records import LoadRecords
from fake_backends.server import FakeBackends
from fake_backends.serving import StartStream, rows_lost, serve
from fake_backends.tls.origin_context import check_origin, context_of
from fake_backends.tls.stream_proxy import serve as carry
from fake_backends.tls.terminating import listener_contexts
from fake_backends.unmatched import UnmatchedCalls
from harness.correlation import run_hash
from harness.errors import RigError, TailgateError, UsageError
from harness.model.plugins import leave_out_plugins
from harness.rundir.manifest import part_of_upstream
from harness.rundir.origin_notes import OriginNoteKind
from harness.rundir.plan import Plan
from harness.rundir.planned.behaviours import ANSWERING
from harness.rundir.planned.forwarding import StreamSpec
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.rows import CALLS, RowWriter
from harness.secrets.expand import known_secrets

CHECK_S: Final = 10.0
"""For a connection to a real server, before anything else."""
ROWS_BUFFERED: Final = 65_536
"""More than arrive between two flushes, so that a call never waits for the disk."""


def prepare() -> None:
    """What can be done before the run directory is known. `main` does it otherwise."""
    leave_out_plugins()
    Plan.model_rebuild()


def main(argv: list[str]) -> int:
    parent = os.getppid()
    leave_out_plugins()
    try:
        if len(argv) != 1:
            raise UsageError("the run directory is needed, and nothing else")
        run_dir = Path(argv[0])
        plan = _read_plan(run_dir)
        asyncio.run(_check_origins(plan))  # before anything listens, so what listens can be used
        contexts = listener_contexts(plan, os.environ)
        with bound(_at_origins(plan), plan.network.bind_host) as sockets:

            def open_load(of: Path) -> LoadRecords:
                return _open_load(of, sockets)

            app = FakeBackends(open_load(run_dir), run_hash(plan.stack_id), open_load=open_load)
            for name, context in contexts.items():
                context.tell = functools.partial(_note, app, name, "handshake")
            plain = [sockets[planned.name] for planned in _ours(plan) if not planned.terminates_tls]
            secure = [([sockets[p.name]], contexts[p.name]) for p in _ours(plan) if p.terminates_tls]
            carried = [
                _stream(app, planned, planned.stream, sockets[planned.name], contexts.get(planned.name))
                for planned in plan.upstreams
                if planned.stream
            ]
            serve(app, ((plain, None), *secure), parent, carried)
            _close(app.load)
    except TailgateError as error:
        at = f" at {error.part}" if isinstance(error, RigError) and error.part else ""
        print(f"error{at}: {error.message}{f' (fix: {error.fix})' if error.fix else ''}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


def _read_plan(run_dir: Path) -> Plan:
    try:
        plan = Plan.read(run_dir)
    except OSError as error:
        raise RigError(f"{run_dir / 'plan.json'} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RigError(f"{run_dir / 'plan.json'} is no plan: {place}: {first['msg']}") from error
    if not _at_origins(plan):
        raise RigError("the plan has neither fake nor forwarded upstreams, so there is nothing to serve")
    return plan


async def _check_origins(plan: Plan) -> None:
    """Raises RigError that names the first upstream whose real origin cannot be used."""
    checks = [_check_origin(planned) for planned in plan.upstreams]
    for failure in await asyncio.gather(*checks, return_exceptions=True):
        if isinstance(failure, BaseException):
            raise failure


async def _check_origin(planned: PlannedUpstream) -> None:
    try:
        if spec := planned.forward or planned.stream:
            await check_origin(spec.host, spec.port, context_of(spec), spec.host, CHECK_S)
    except RigError as error:
        part = part_of_upstream(planned.name)
        raise RigError(f"upstream `{planned.name}`: {error.message}", error.fix, part=part) from error


def _stream(
    app: FakeBackends,
    planned: PlannedUpstream,
    spec: StreamSpec,
    listener: socket.socket,
    server_context: ssl.SSLContext | None,
) -> StartStream:
    client_context = context_of(spec)
    return lambda: carry(
        listener,
        spec,
        server_context=server_context,
        client_context=client_context,
        server_name=spec.host,
        tell=functools.partial(_note, app, planned.name),
    )


def _note(app: FakeBackends, upstream: str, kind: OriginNoteKind, text: str, fix: str = "") -> None:
    """In the records of the load that is under way then."""
    app.load.noticed.note(upstream, kind, text, fix)


def _ours(plan: Plan) -> tuple[PlannedUpstream, ...]:
    return tuple(upstream for upstream in plan.upstreams if upstream.answers_http)


def _at_origins(plan: Plan) -> tuple[PlannedUpstream, ...]:
    """The upstreams at whose origin this process listens."""
    return tuple(upstream for upstream in plan.upstreams if upstream.answers_http or upstream.stream)


def _backend(plan: Plan, planned: PlannedUpstream) -> Backend:
    in_flight = plan.load.max_in_flight
    try:
        if planned.forward is None:
            return FakeBackend(planned, seed=plan.seed, in_flight=in_flight)
        replaces = any(isinstance(f.behaviour, ANSWERING) and planned.name in f.upstreams for f in plan.faults)
        of = run_hash(plan.run_id)
        return ForwardedBackend(planned, seed=plan.seed, in_flight=in_flight, run=of, remembers=replaces)
    except ValueError as error:
        raise RigError(f"backend `{planned.name}`: {error}") from error


@contextlib.contextmanager
def bound(upstreams: tuple[PlannedUpstream, ...], bind_host: str | None = None) -> Iterator[dict[str, socket.socket]]:
    """A listening socket for each upstream, by name, at `bind_host` if that is given. Raises RigError that names the
    backend that cannot listen."""
    with contextlib.ExitStack() as opened:
        sockets: dict[str, socket.socket] = {}
        for planned in upstreams:
            try:
                listener = socket.create_server((bind_host or planned.origin.host, planned.origin.port), backlog=2048)
            except OSError as error:  # its own text repeats the address
                raise RigError(
                    f"backend `{planned.name}` cannot listen on {planned.origin.address}: {_why(error)}",
                    "run again: each run takes free ports",
                ) from error
            sockets[planned.name] = opened.enter_context(listener)
        yield sockets


def _open_load(run_dir: Path, sockets: Mapping[str, socket.socket]) -> LoadRecords:
    """The records of the load in a run directory. Raises RigError. After a crash the row file has no footer."""
    plan = _read_plan(run_dir)
    path = run_dir / "calls-0.bin"
    try:
        rows = RowWriter(path, CALLS, ROWS_BUFFERED)
    except OSError as error:
        raise RigError(f"{path} cannot be written: {error.strerror}") from error
    backends = {sockets[planned.name].getsockname()[1]: _backend(plan, planned) for planned in _ours(plan)}
    return LoadRecords(
        backends,
        rows,
        UnmatchedCalls(run_dir, {each.name: each for each in backends.values()}, known_secrets(plan, os.environ)),
        NoticedOfOrigins(run_dir),
        run_hash(plan.run_id),
        plan.faults,
        plan.load.first_seq,
    )


def _close(load: LoadRecords) -> None:
    try:
        load.close()
    except OSError as error:
        raise rows_lost(error) from error


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
