"""The Toxiproxy of a run: the run's own, which is started here, or a shared one that runs already (`toxiproxy.url`).

This module starts, probes and watches the server. `harness.stack.injection` works on its proxies. A shared Toxiproxy is
never reset, stopped or changed here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import RigError
from harness.rundir.manifest import HarnessFault, ToxiproxyInfo, part_of
from harness.rundir.plan import StackPlan
from harness.stack.commands import UpCommand
from harness.stack.process_spec import ProcessSpec
from harness.stack.processes import probe
from harness.stack.processes.process import ChildProcess
from harness.stack.threads import in_thread
from harness.toxiproxy.serve import server_argv

if TYPE_CHECKING:
    from harness.toxiproxy.client import ToxiproxyClient

NAME: Final = "toxiproxy"
READY_WITHIN_S: Final = 5.0
GRACE_S: Final = 1.0
LOG_LEVEL: Final = "error"
"""At `warn` Toxiproxy writes a line for every connection that ends."""
LOG_LEVEL_OF_CLIENTS: Final = "info"
"""At `info` it also writes a line for every connection that it accepts. `harness.stack.monitor.accepted_clients` reads
them."""
CHECK_EVERY_S: Final = 1.0
CHECK_TIMEOUT_S: Final = 1.5
CHECKS_FAILED_MOST: Final = 3
"""A server is given up after so many failed checks in a row: a busy server answers the next one, and the injector may
be creating a proxy again at that moment."""
AGAIN_S: Final = 0.3


def admin_url(order: UpCommand) -> str:
    """The URL of the admin API."""
    return order.engine_url or f"http://127.0.0.1:{order.admin_port}"


def spec(order: UpCommand, plan: StackPlan, run_dir: Path, environ: Mapping[str, str]) -> ProcessSpec | None:
    """How the server is started; None if it runs already or none is needed."""
    if order.engine_kind == "none" or order.engine_url or order.engine_path is None:
        return None
    argv = tuple(server_argv(order.engine_path, "127.0.0.1", order.admin_port or 0))
    level = LOG_LEVEL_OF_CLIENTS if plan.logs_clients else LOG_LEVEL
    return ProcessSpec(NAME, argv, {**environ, "LOG_LEVEL": level}, run_dir, run_dir / "logs" / f"{NAME}.log")


async def ready(order: UpCommand, child: ChildProcess | None) -> ToxiproxyInfo:
    """Wait until the server answers. Returns what it is, with its own version. Raises RigError."""
    url = admin_url(order)
    try:
        await probe.until_answered(f"{url}/version", within_s=READY_WITHIN_S, child=child)
        answer = await probe.get(f"{url}/version")
    except (probe.NotReady, OSError, ValueError) as exc:
        tail = "".join(f"\n  {line}" for line in child.log_excerpt()) if child else ""
        said = f"Toxiproxy at {url} does not answer: {exc or type(exc).__name__}{tail}"
        raise RigError(said, _fix(child), part=part_of(NAME)) from exc
    return ToxiproxyInfo(
        kind="real", version=_version(answer.body) or order.engine_version, source=order.engine_source, url=url
    )


async def watch(client: ToxiproxyClient, names: Collection[str], lost: Callable[[HarnessFault], None]) -> None:
    """Check a shared Toxiproxy until cancelled. If it hangs or has lost the proxies `names`, call `lost` and return."""
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        for _ in range(CHECKS_FAILED_MOST):
            wrong = await _find_problem(client, names)
            if not wrong:
                break
            await asyncio.sleep(AGAIN_S)
        else:
            fix = f"see what happened to that server, then run `tailgate toxiproxy sweep --url {client.url}`"
            lost(HarnessFault(check="faults", message=wrong, fix=fix, part=part_of(NAME)))
            return


async def _find_problem(client: ToxiproxyClient, names: Collection[str]) -> str:
    """What is wrong with the server; empty if nothing is."""
    try:
        there = await in_thread(client.proxies, 2 * CHECK_TIMEOUT_S)
    except (RigError, TimeoutError) as exc:
        return (
            f"Toxiproxy at {client.url} does not answer any more: {exc.message if isinstance(exc, RigError) else exc}"
        )
    gone = ", ".join(name for name in names if name not in there)
    why = "it was restarted, or they were deleted"
    return f"Toxiproxy at {client.url} has lost the proxies of this run ({gone}): {why}" if gone else ""


def _version(body: bytes) -> str:
    try:
        return str(json.loads(body)["version"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip()[:32]


def _fix(child: ChildProcess | None) -> str:
    if child:
        return f"see {child.log_place}; `tailgate toxiproxy install` builds a server that is known to work"
    return "start it, or unset TOXIPROXY_URL and `toxiproxy.url` to let tailgate start one of its own"
