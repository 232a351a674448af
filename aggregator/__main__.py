"""The aggregator's process: `python -m aggregator --rung RUNG --port PORT`. Ends within 2 s of SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
from typing import Any, Final, NoReturn

from aggregator.settings import Settings, SettingsError, parse_settings

STOP_WITHIN_S: Final = 1
"""Requests under way may end within this time, then they are cancelled: a hung call must not delay a restart."""
KEEP_ALIVE_S: Final = 75
"""Longer than gateways keep idle connections (nginx: 60 s): the service must not close one that a gateway is about to
use."""


def main(argv: list[str]) -> int:
    try:
        settings = parse_settings(argv, os.environ)
        listener = _listen(settings.host, settings.port)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    _raise_open_file_limit()
    with listener:
        _run(settings, listener)
    return 0


def _leave(code: int) -> NoReturn:
    """End at once, since everything is closed by now. Python would take apart all that was imported, and join the
    threads of a pool, of which one that sits in a read ends when its backend does: a service that cannot be stopped is
    worse than a call cut off.
    """
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


def leave_out_httpx_cli() -> None:
    """Let httpx be imported without its command line, as where it is installed without one; call it before that import.

    With its command line it imports rich, pygments and click, which takes a tenth of the time that the service needs to
    start.
    """
    modules: dict[str, Any] = sys.modules
    modules["httpx._main"] = None


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        # a system error's own text repeats the address; a name that is not found has a number below zero
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise SettingsError(f"cannot listen on {host}:{port}: {why}") from error


def _run(settings: Settings, listener: socket.socket) -> None:
    gc.disable()  # what is imported stays, so a search for garbage in it finds nothing
    leave_out_httpx_cli()
    # late, so that `--help` and a mistake in the settings answer at once
    import uvicorn

    from aggregator.monitoring import log_to_stderr

    log_to_stderr()
    loop_factory = uvicorn.Config("", loop="auto", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    import uvicorn

    from aggregator.app import App
    from aggregator.backends.connect import connected
    from aggregator.monitoring import FaultLog, Metrics, log
    from aggregator.server import Server
    from aggregator.service import Service

    names = [address.name for address in settings.backends]
    metrics, fault_log = Metrics(names), FaultLog()
    async with connected(settings) as backends:
        service = Service(
            backends,
            settings.policies,
            deadline_s=settings.deadline_ms / 1000,
            gateway_timeout_s=settings.gateway_timeout_ms / 1000,
            metrics=metrics,
            fault_log=fault_log,
            habits=settings.habits,
        )
        config = uvicorn.Config(
            App(service, names, metrics, fault_log),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
        server = Server(config)
        gc.freeze()
        gc.enable()
        # uvicorn raises the signal it was stopped by once more when it is done; there is more to close
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        started: dict[str, object] = {
            "rung": settings.rung,
            "policies": sorted(settings.policies),
            "client": "urllib3" if "threads" in settings.policies else settings.client,
            "backends": names,
            "deadline_ms": settings.deadline_ms if "deadline" in settings.policies else None,
            "read_timeout_ms": settings.habits.read_timeout_ms or None,
        }
        log.info("listening on %s:%d", *listener.getsockname()[:2], extra={"fields": started})
        await server.serve(sockets=[listener])
        if server.server_state.tasks:  # cancelled by now: they still answer 503
            await asyncio.wait(server.server_state.tasks, timeout=STOP_WITHIN_S)


def _raise_open_file_limit() -> None:
    """Every waiting request holds two sockets: take all that the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "infinity"; what was allowed before stays
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    _leave(main(sys.argv[1:]))
