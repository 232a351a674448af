"""What a killed supervisor left on borrowed proxies, by their journal, and how tailgate puts it back."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import RigError
from harness.rundir.journal import BorrowedEntry, read_borrowed
from harness.rundir.plan import Plan
from harness.toxiproxy.restore import DISABLED_MARK, by_hand, changes_by_others, steps_back
from harness.toxiproxy.state import Proxy, Toxic

if TYPE_CHECKING:
    from harness.toxiproxy.client import ToxiproxyClient


@dataclass(frozen=True, slots=True)
class BorrowedLeft:
    """One borrowed proxy. `disabled_by_us`: the last line on that says that we were about to disable it."""

    upstream: str
    before: Proxy
    disabled_by_us: bool

    @classmethod
    def of(cls, folders: Iterable[Path]) -> tuple[BorrowedLeft, ...]:
        """Those that the journals in these run directories name. A damaged journal says what its whole lines say."""
        found: dict[str, BorrowedEntry] = {}
        disabled: dict[str, bool] = {}
        for folder in folders:
            with suppress(OSError, ValueError):
                for entry in read_borrowed(folder):
                    if entry.event == "found":
                        found.setdefault(entry.proxy, entry)
                    elif entry.event != "changed":
                        disabled[entry.proxy] = entry.event == "disabling"
        return tuple(
            cls(entry.upstream, _proxy(entry), disabled.get(name, False)) for name, entry in sorted(found.items())
        )

    def put_back(self, client: ToxiproxyClient, run_prefix: str) -> tuple[str, ...]:
        """Undo what the run did. Returns what others did, a sentence each. Raises RigError if something is left."""
        name = self.before.name
        now = client.proxy(name)
        changed = changes_by_others(self.before, now, run_prefix, disabled_by_us=self._known(now))
        client.take(name, steps_back(now, run_prefix, disabled_by_us=self.disabled_by_us))
        now = client.proxy(name)
        if left := [toxic.name for toxic in now.toxics if toxic.name.startswith(run_prefix)] if now else []:
            raise RigError(f"proxy {name} still carries {', '.join(left)}")
        return changed

    def by_hand(self, url: str, plan: Plan) -> str:
        """The calls for a server that did not answer. They name every toxic that the plan might have put there."""
        toxics = [
            f"{plan.prefix}{fault.name}.{window}.{part}"
            for fault in plan.faults
            if self.upstream in fault.upstreams and fault.behaviour is None
            for window in range(len(fault.windows))
            for part in (*range(len(fault.toxics)), *([DISABLED_MARK] if fault.disables_proxy else []))
        ]
        return by_hand(url, self.before.name, toxics[:_NAMED_MOST], is_disabled=self.disabled_by_us)

    def _known(self, now: Proxy | None) -> bool | None:
        """Whether it is disabled by us. Unknown where we were about to and it is not: we may have been killed first."""
        return None if self.disabled_by_us and now is not None and now.enabled else self.disabled_by_us


_NAMED_MOST = 12
"""Toxics that a message names; a fault may have many windows."""


def _proxy(entry: BorrowedEntry) -> Proxy:
    toxics = tuple(Toxic.model_validate(toxic.model_dump()) for toxic in entry.toxics)
    return Proxy(name=entry.proxy, listen=entry.listen, upstream=entry.leads_to, enabled=entry.enabled, toxics=toxics)
