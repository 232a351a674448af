"""Removes from a Toxiproxy server the proxies and toxics that dead runs left on it, and verifies that they are gone.

Everything that tailgate creates has a prefix with its run's id. What has no such prefix is never touched, nor are the
runs in `alive`, nor, where runs are chosen, any other run. `/reset` is never used: it would remove the toxics of other
users and enable proxies that they disabled.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.errors import RigError
from harness.toxiproxy.restore import is_mark, steps_back

if TYPE_CHECKING:
    from harness.toxiproxy.client import ToxiproxyClient

RETRY: Final = "run the command again; if nothing changes, whoever runs that server can see why in its log"
_OURS: Final = re.compile(r"tailgate-(\d{8}-\d{6}-[0-9a-f]{4})-")
"""As `Plan.prefix` spells it."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A proxy of ours, or a toxic of ours on someone else's (`toxic` is then set)."""

    run_id: str
    proxy: str
    toxic: str | None = None

    def __str__(self) -> str:
        return f"toxic {self.toxic} on proxy {self.proxy}" if self.toxic else f"proxy {self.proxy}"


@dataclass(frozen=True, slots=True)
class SweepResult:
    removed: tuple[Leftover, ...]
    spared: tuple[Leftover, ...]
    """Of runs that are alive, or were not chosen."""


def sweep(client: ToxiproxyClient, alive: Collection[str], chosen: Collection[str] | None = None) -> SweepResult:
    """`alive`: ids of the runs to spare; `chosen`: those to take away, all others by default.

    Raises RigError if anything that should be gone is still there afterwards.
    """
    found = tuple(_found(client))
    doomed = tuple(each for each in found if each.run_id not in alive and (chosen is None or each.run_id in chosen))
    for each in doomed:
        if each.toxic is None:
            client.delete_proxy(each.proxy)
    _clear_borrowed(client, {(each.proxy, each.run_id) for each in doomed if each.toxic is not None})
    if left := [str(each) for each in _found(client) if each in doomed]:
        raise RigError(f"Toxiproxy at {client.url} still has {', '.join(left)}", RETRY)
    return SweepResult(doomed, tuple(each for each in found if each not in doomed))


def run_of(name: str) -> str:
    """The id of the run to which a proxy or toxic of this name belongs; empty: it is not ours."""
    match = _OURS.match(name)
    return match[1] if match else ""


def _clear_borrowed(client: ToxiproxyClient, places: Collection[tuple[str, str]]) -> None:
    """Take the toxics of dead runs off the proxies of others. `places`: names of proxies, each with a run's id.

    A proxy is enabled only where a mark of the run says that the run has disabled it.
    """
    for name, run_id in sorted(places):
        now = client.proxy(name)
        prefix = f"tailgate-{run_id}-"
        marked = now is not None and any(is_mark(toxic.name, prefix) for toxic in now.toxics)
        client.take(name, steps_back(now, prefix, disabled_by_us=marked))


def _found(client: ToxiproxyClient) -> Iterator[Leftover]:
    for name, proxy in client.proxies().items():
        if match := _OURS.match(name):
            yield Leftover(match[1], name)  # its toxics go with it
            continue
        for toxic in proxy.toxics:
            if match := _OURS.match(toxic.name):
                yield Leftover(match[1], name, toxic.name)
