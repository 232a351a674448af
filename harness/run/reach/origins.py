"""The real servers that the upstreams of a scenario stand for: each is asked once, as a run asks it before the load.

`fake_backends` connects to those that it would carry calls to, with TLS if a run speaks it. Any other server is asked
by the probe of its protocol, which carries no credential.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from fake_backends.tls.origin_context import check_origin, context_of
from harness.errors import RigError
from harness.run.reach.reached import Reached, failed
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.stack.monitor.observe import observe
from harness.upstreams.probes import Observation, probe_of
from harness.upstreams.protocols import PROTOCOLS

CONNECT_S: Final = 5.0
ANSWER_S: Final = 5.0


async def origin_reach(upstream: PlannedUpstream, *, from_here: bool) -> Reached:
    """`from_here`: whether a run reaches it from this machine. If not, Toxiproxy does, which is in another network."""
    what = f"upstream {upstream.name}"
    spec = upstream.forward or upstream.stream
    host, port = (spec.host, spec.port) if spec else (upstream.origin.host, upstream.origin.port)
    where = Endpoint(host=host, port=port).address
    try:
        context = context_of(spec) if spec else None
        await check_origin(host, port, context, host, CONNECT_S)
        if upstream.forward is not None:
            return Reached(
                what, "ok", f"{upstream.forward.address} takes connections; a run sends it no request itself"
            )
        title = PROTOCOLS[upstream.protocol].title
        if context is not None:  # its certificate was verified; the probes speak TLS with servers of ours only
            return Reached(what, "ok", f"{where} takes connections in TLS")
        await _ask(upstream, host, port, title)
    except RigError as exc:
        if from_here or spec:
            return failed(what, exc)
        return Reached(what, "warn", f"{exc.message}, from here; Toxiproxy may reach it", exc.fix)
    return Reached(what, "ok", f"{where} answers in {title}")


async def _ask(upstream: PlannedUpstream, host: str, port: int, title: str) -> None:
    """Send the probe of the protocol to the first address that takes it. Raises RigError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    seen: Observation | None = None
    for *_, address in found:
        asked = Endpoint(host=str(address[0]), port=port)
        seen = await observe(probe_of(upstream, reads_to_end=False), asked, ANSWER_S * 1000, _NotWatched())
        if seen.outcome == "ok":
            return
        if seen.bytes:
            break
    said = seen.detail if seen else "it has no address"
    raise RigError(
        f"{Endpoint(host=host, port=port).address} takes connections, and did not answer in {title}: {said}",
        f"see that it is {title}, and ready; or mend its URL",
    )


class _NotWatched:
    """Takes the ports of probes where no connections are watched."""

    def opened(self, port: int) -> None: ...

    def closed(self, port: int) -> None: ...
