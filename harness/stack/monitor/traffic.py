"""The bytes that Toxiproxy received for each broken upstream, read once a second from a server that counts them.

This is the second witness for a Toxiproxy whose connections this machine may not see.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from harness.errors import RigError
from harness.rundir.canaries import Traffic
from harness.stack.threads import in_thread

if TYPE_CHECKING:
    from harness.toxiproxy.client import ToxiproxyClient

INTERVAL_S: Final = 1.0
READ_S: Final = 6.0


class TrafficMonitor:
    """`proxies`: names of proxies by upstream."""

    def __init__(self, client: ToxiproxyClient, proxies: Mapping[str, str]) -> None:
        self._client = client
        self._proxies = proxies

    async def run(self, write: Callable[[Traffic], None]) -> None:
        """Read until cancelled; return at once if the server counts nothing. A reading that fails is left out, since
        others watch whether the server answers."""
        while True:
            try:
                counted = await in_thread(self._client.received_bytes, READ_S)
            except (RigError, TimeoutError):
                counted = {}
            else:
                if counted is None:
                    return
            now_ns = time.monotonic_ns()
            for upstream, proxy in self._proxies.items():
                if proxy in counted:
                    write(Traffic(upstream=upstream, t_ns=now_ns, received_bytes=counted[proxy]))
            await asyncio.sleep(INTERVAL_S)
