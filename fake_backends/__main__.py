"""The process of the fake backends: `python -P -m fake_backends RUN_DIR`.

It reads plan.json, binds the port of every backend, serves until SIGTERM or until its parent has ended, and closes
`calls-0.bin` with its footer. It is ready when `GET /-/ready` answers. If something keeps it from starting or from
recording, that is the last line on stderr, and the exit code is above zero.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import uvicorn
from pydantic import ValidationError

from fake_backends.backend import Backend, FakeBackend
from fake_backends.breaking import BreakableProtocol
from fake_backends.forwarding.forwarded_backend import ForwardedBackend
from fake_backends.forwarding.noticed import NoticedOfOrigins
from fake_backends.load_records import Address, LoadRecords
from fake_backends.server import FakeBackends
from fake_backends.unmatched import UnmatchedCalls
from harness.correlation import run_hash
from harness.errors import RigError, TailgateError, UsageError
from harness.rundir.plan import Plan, PlannedUpstream
from harness.rundir.planned.behaviours import ANSWERING
from harness.rundir.rows import CALLS, RowWriter
from harness.secrets.expand import known_secrets

FLUSH_EVERY_S: Final = 1.0
KEEP_ALIVE_S: Final = 3600
"""Longer than any run: to close an idle connection under a client would look like a fault."""
ROWS_BUFFERED: Final = 65_536
"""More than arrive between two flushes, so that a call never waits for the disk."""
STOP_WITHIN_S: Final = 1.0
"""How long calls that are still open may take to answer once the server has stopped."""


def main(argv: list[str]) -> int:
    parent = os.getppid()
    try:
        if len(argv) != 1:
            raise UsageError("the run directory is needed, and nothing else")
        run_dir = Path(argv[0])
        plan = _read_plan(run_dir)
        _raise_open_file_limit()
        with bound(_ours(plan)) as sockets:

            def open_load(of: Path) -> LoadRecords:
                return _open_load(of, sockets)

            app = FakeBackends(open_load(run_dir), run_hash(plan.stack_id), open_load=open_load)
            _serve(app, list(sockets.values()), parent)
            _close(app.load)
    except TailgateError as error:
        print(f"error: {error.message}{f' (fix: {error.fix})' if error.fix else ''}", file=sys.stderr)  # noqa: T201
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
    if not _ours(plan):
        raise RigError("the plan has neither fake nor forwarded upstreams, so there is nothing to serve")
    return plan


def _ours(plan: Plan) -> tuple[PlannedUpstream, ...]:
    return tuple(upstream for upstream in plan.upstreams if upstream.is_ours)


def _backend(plan: Plan, planned: PlannedUpstream) -> Backend:
    in_flight = plan.load.max_in_flight
    try:
        if planned.forward is None:
            return FakeBackend(planned, seed=plan.seed, in_flight=in_flight)
        replaces = any(isinstance(f.behaviour, ANSWERING) and planned.name in f.upstreams for f in plan.faults)
        of = run_hash(plan.run_id)
        return ForwardedBackend(planned, seed=plan.seed, in_flight=in_flight, run=of, remembers=replaces)
    except (ValueError, OSError) as error:
        raise RigError(f"backend `{planned.name}`: {error}") from error


@contextlib.contextmanager
def bound(upstreams: tuple[PlannedUpstream, ...]) -> Iterator[dict[str, socket.socket]]:
    """A listening socket for each upstream, by name. Raises RigError that names the backend that cannot listen."""
    with contextlib.ExitStack() as opened:
        sockets: dict[str, socket.socket] = {}
        for planned in upstreams:
            try:
                listener = socket.create_server((planned.origin.host, planned.origin.port), backlog=2048)
            except OSError as error:  # its own text repeats the address
                raise RigError(
                    f"backend `{planned.name}` cannot listen on {planned.origin.address}: {_why(error)}",
                    "end the process that holds this port, or run again: each run takes free ports",
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
    backends = {_address(sockets[planned.name]): _backend(plan, planned) for planned in _ours(plan)}
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
        raise _rows_lost(error) from error


def _rows_lost(error: OSError) -> RigError:
    return RigError(f"call records cannot be written: {error.strerror}", "free some disk space and run again")


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _address(listener: socket.socket) -> Address:
    host, port = listener.getsockname()[:2]
    return host, port


def server_config(app: FakeBackends) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="auto",
        http=BreakableProtocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=0,
    )


def _serve(app: FakeBackends, sockets: list[socket.socket], parent: int) -> None:
    config = server_config(app)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_serve_until_stopped(uvicorn.Server(config), app, sockets, parent))


async def _serve_until_stopped(
    server: uvicorn.Server, app: FakeBackends, sockets: list[socket.socket], parent: int
) -> None:
    # uvicorn raises the signal that stopped it once more when it is done; the rows are closed after that
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # what start-up created lives to the end; full collections that skip it cost next to nothing
    gc.collect()
    gc.freeze()
    watch = asyncio.create_task(_flush_and_watch(server, app, parent))
    await server.serve(sockets=sockets)
    if server.server_state.tasks:
        # calls that are still open: when they are cancelled, they answer and leave their rows
        await asyncio.wait(server.server_state.tasks, timeout=STOP_WITHIN_S)
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch
    if app.broken:
        raise _rows_lost(app.broken) from app.broken


async def _flush_and_watch(server: uvicorn.Server, app: FakeBackends, parent: int) -> None:
    """Every second: flush, and stop the server once rows cannot be kept or the parent has ended."""
    while not server.should_exit:
        await asyncio.sleep(FLUSH_EVERY_S)
        try:
            app.load.flush()
        except OSError as error:
            app.broken = app.broken or error
        if app.broken or os.getppid() != parent:
            server.should_exit = True


def _raise_open_file_limit() -> None:
    """Calls that are held keep sockets open, so take all that the system allows, as a service started by Go or systemd
    would."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "infinity"; the old limit then stays
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
