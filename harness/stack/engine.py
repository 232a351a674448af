"""The Toxiproxy of a run: one of ours, started here and killed if it hangs, or one that runs already.

It starts and probes; what is done to proxies is the injector's. A server of others is never reset,
stopped or asked for more than its version here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.manifest import Engine
from harness.stack import probe
from harness.stack.child import Child, Spec
from harness.stack.orders import UpOrder
from harness.toxiproxy.serve import server_argv

NAME: Final = "toxiproxy"
READY_WITHIN_S: Final = 5.0
GRACE_S: Final = 1.0


def admin_url(order: UpOrder) -> str:
    return order.engine_url or f"http://127.0.0.1:{order.admin_port}"


def spec(order: UpOrder, run_dir: Path, environ: Mapping[str, str]) -> Spec | None:
    """None where the server runs already or none is needed."""
    if order.engine_kind == "none" or order.engine_url or order.engine_path is None:
        return None
    argv = tuple(server_argv(order.engine_path, "127.0.0.1", order.admin_port or 0))
    return Spec(NAME, argv, {**environ, "LOG_LEVEL": "warn"}, run_dir, run_dir / "logs" / f"{NAME}.log")


async def ready(order: UpOrder, child: Child | None) -> Engine:
    """Its version, asked of the server that answers. Raises RigError."""
    url = admin_url(order)
    try:
        await probe.until_answered(f"{url}/version", within_s=READY_WITHIN_S, child=child)
        answer = await probe.get(f"{url}/version")
    except (probe.NotReady, OSError, ValueError) as exc:
        tail = "".join(f"\n  {line}" for line in child.log_tail(3)) if child else ""
        raise RigError(f"Toxiproxy at {url} does not answer: {exc or type(exc).__name__}{tail}", _fix(child)) from exc
    return Engine(
        kind="real", version=_version(answer.body) or order.engine_version, source=order.engine_source, url=url
    )


def _version(body: bytes) -> str:
    try:
        return str(json.loads(body)["version"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip()[:32]


def _fix(child: Child | None) -> str:
    if child:
        return f"see {child.log_place}; `tailgate toxiproxy install` builds a server that is known to work"
    return "start it, or unset TOXIPROXY_URL and `toxiproxy.url` to let tailgate start one of its own"
