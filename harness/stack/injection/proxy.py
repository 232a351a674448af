"""One window of one fault on one of Toxiproxy's proxies: applied, verified and removed. Blocking.

It refuses to add a toxic to a proxy that someone else disabled: Toxiproxy would accept the toxic, but it would have no
effect. It keeps no time and no journal; `harness.stack.injection.injector` does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.errors import RigError
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.toxics import TOXICS
from harness.stack.monitor.connections import has_half_closed_peer
from harness.target_allowlist import is_loopback

if TYPE_CHECKING:
    from harness.toxiproxy.client import ToxiproxyClient
    from harness.toxiproxy.state import Proxy, Toxic


@dataclass(frozen=True, slots=True)
class ProxyFaultHandle:
    """A fault handle on Toxiproxy. `prefix` begins the names of this window's toxics, and of no other window's."""

    client: ToxiproxyClient
    fault: PlannedFault
    window: int
    upstream: str
    proxy: str
    prefix: str
    is_elsewhere: bool = False
    """Toxiproxy listens in another network, so its sockets are in none of our tables."""

    @classmethod
    def of(
        cls, client: ToxiproxyClient, plan: Plan, fault: PlannedFault, window: int, upstream: str
    ) -> ProxyFaultHandle:
        # no name has a dot, so window 1 of `a` is not mistaken for a fault `a-1`
        return cls(
            client,
            fault,
            window,
            upstream,
            plan.proxy_name(upstream),
            f"{plan.prefix}{fault.name}.{window}.",
            not plan.network.is_shared,
        )

    def apply(self, *, disabled_by_other: bool) -> None:
        """Add the toxics, then disable the proxy if the fault does that. If this raises RigError, nothing is left
        behind, unless the server refuses to remove it."""
        self._found(enabled=not disabled_by_other)
        names: list[str] = []
        try:
            for number, toxic in enumerate(self.fault.toxics):
                names.append(f"{self.prefix}{number}")
                self.client.add_toxic(self.proxy, names[-1], toxic)
            if self.fault.disables_proxy and not disabled_by_other:
                self.client.set_enabled(self.proxy, False)
        except RigError:
            for name in names:
                with contextlib.suppress(RigError):  # the first error counts; the undo checks again
                    self.client.remove_toxic(self.proxy, name)
            raise

    def verify_active(self, *, disabled_by_other: bool) -> None:
        """Raises RigError if the server does not have the fault as it was applied."""
        proxy = self._found(enabled=not disabled_by_other)
        there = {toxic.name: toxic for toxic in proxy.toxics}
        for number, planned in enumerate(self.fault.toxics):
            toxic = there.get(f"{self.prefix}{number}")
            if toxic is None or not toxic.is_as(planned):
                raise RigError(
                    f"toxic {self.prefix}{number} was removed or changed by someone else while its fault stood",
                    "keep others off this Toxiproxy during a run",
                )

    def remove(self, *, disabled_by_other: bool) -> None:
        """Remove what is left of the fault. It is no error if nothing is. Raises RigError."""
        proxy = self.client.proxy(self.proxy)
        toxics = proxy.toxics if proxy else self.client.toxics(self.proxy)
        own = [toxic for toxic in toxics if toxic.name.startswith(self.prefix)]
        if proxy and own and self._may_lock_up(proxy):
            self._replace(proxy, [toxic for toxic in toxics if toxic not in own])
        else:
            for toxic in own:
                self.client.remove_toxic(self.proxy, toxic.name)
        if self.fault.disables_proxy and not disabled_by_other:
            self.client.set_enabled(self.proxy, True)

    def _may_lock_up(self, proxy: Proxy) -> bool:
        """Whether Toxiproxy may block on a toxic's removal, because a client has closed a connection whose data a toxic
        holds back.

        A client that has had part of an answer closes with a reset, which leaves no trace in any table of sockets. And
        on another host the table cannot be read. Then it is assumed.
        """
        types = [TOXICS[toxic.type] for toxic in proxy.toxics]
        if not proxy.enabled or not any(toxic.keeps_back for toxic in types):
            return False
        host = urlsplit(self.client.url).hostname or ""
        return (
            any(toxic.trickles for toxic in types)
            or self.is_elsewhere
            or not is_loopback(host)
            or has_half_closed_peer(int(proxy.listen.rpartition(":")[2]))
        )

    def _replace(self, proxy: Proxy, others: Sequence[Toxic]) -> None:
        """Release what the toxics hold back by creating the proxy anew, which closes its connections.

        Toxiproxy 2.12 interrupts a link while it holds the lock that an ending link needs. A client that has closed its
        connection leaves a link that still holds the rest of its answer, which no one reads. If the link's delay runs
        out at that moment, removing or changing the toxic never returns, and blocks new connections with it (otherwise
        it waits 5 s for each 32 KiB). Deleting a proxy takes no such lock.

        `others`: toxics of other windows, which the new proxy has before it listens.
        """
        self.client.delete_proxy(self.proxy)
        self.client.create_proxy(self.proxy, proxy.listen, proxy.upstream, enabled=not others)
        for toxic in others:
            self.client.add_toxic(self.proxy, toxic.name, toxic.as_planned())
        if others:
            self.client.set_enabled(self.proxy, True)

    def verify_removed(self, *, disabled_by_other: bool) -> None:
        """Raises RigError unless the server shows no toxic of this window and the proxy enabled as it should be."""
        proxy = self._found(enabled=not disabled_by_other)
        if left := [toxic.name for toxic in proxy.toxics if toxic.name.startswith(self.prefix)]:
            raise RigError(
                f"proxy {self.proxy} still carries {', '.join(left)}",
                f"run `tailgate toxiproxy sweep --url {self.client.url}`",
            )

    def _found(self, *, enabled: bool) -> Proxy:
        proxy = self.client.proxy(self.proxy)
        if proxy is None:
            raise RigError(f"proxy {self.proxy} is gone from Toxiproxy at {self.client.url}", "see logs/toxiproxy.log")
        if proxy.enabled != enabled:
            raise RigError(
                f"proxy {self.proxy} is {'enabled' if proxy.enabled else 'disabled'}, which is not our doing:"
                f" {self.fault.text} would not be what the plan says",
                "keep others off this Toxiproxy during a run",
            )
        return proxy
