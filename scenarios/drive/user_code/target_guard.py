"""Refuses connections of the worker to hosts that are neither on this machine nor allowed by `--allow-target`.

A locustfile is code, so it may ask any host. `connect` of every Python socket is checked; clients that are not written
in Python, such as gRPC's, make their own connections and are not covered.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final, NoReturn

from gevent.socket import socket as GeventSocket

from harness.target_allowlist import is_loopback

RESOLVE_AGAIN_S: Final = 5.0
"""How long the addresses of the allowed hosts are remembered when an unknown address is connected to."""

Refuse = Callable[[str], NoReturn]


class TargetGuard:
    """`refuse` is called with a host or an address that must not be asked, before anything is sent to it."""

    def __init__(self, allowed: Collection[str], refuse: Refuse) -> None:
        self._allowed = frozenset(allowed)
        self._refuse = refuse
        self._known: dict[str, bool] = {}
        self._addresses: frozenset[str] = frozenset()
        self._resolved_s: float | None = None

    def check(self, host: str) -> None:
        """Calls `refuse` for a host, or an address, that is neither on this machine nor allowed."""
        known = self._known.get(host)
        if known is None:
            known = host in self._allowed or is_loopback(host) or self._is_allowed_address(host)
            if known:
                self._known[host] = known
        if not known:
            self._refuse(host)

    def install(self) -> None:
        """Checks every connection from now on, until the process ends."""
        check = self.check

        def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
            def guarded_connect(self: Any, address: Any) -> Any:
                if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
                    check(str(address[0]).partition("%")[0])
                return connect(self, address)

            return guarded_connect

        for name in ("connect", "connect_ex"):
            setattr(GeventSocket, name, guarded(getattr(GeventSocket, name)))

    def _is_allowed_address(self, host: str) -> bool:
        now_s = time.monotonic()
        if self._allowed and (self._resolved_s is None or now_s - self._resolved_s > RESOLVE_AGAIN_S):
            self._resolved_s = now_s
            found: set[str] = set()
            for name in self._allowed:
                with suppress(OSError):
                    entries = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
                    found |= {str(entry[4][0]).partition("%")[0] for entry in entries}
            self._addresses = frozenset(found)
        return host in self._addresses
