"""Faults on a borrowed proxy: applied beside what others have there, and put back exactly. Blocking.

What the proxy was is in proxies.ndjson before it is touched, and every disabling before it is done, so that tailgate
can put it back if this process is killed. Which steps lead back is decided in `harness.toxiproxy.restore`.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from harness.errors import RigError
from harness.rundir.journal import BorrowedEntry, BorrowedJournal, BorrowedToxic
from harness.rundir.plan import Plan, StackPlan
from harness.rundir.planned.fault import PlannedFault, PlannedToxic
from harness.toxiproxy.borrow import refuse_occupied
from harness.toxiproxy.restore import DISABLED_MARK, Step, by_hand, changes_by_others, steps_back

if TYPE_CHECKING:
    from harness.stack.injection.fault_handle import FaultHandle
    from harness.toxiproxy.client import ToxiproxyClient
    from harness.toxiproxy.state import Proxy

_NO_EFFECT: Final = PlannedToxic(type="latency", stream="downstream", attributes={"latency": 0, "jitter": 0})


@dataclass(slots=True, eq=False)
class BorrowedProxy:
    """One borrowed proxy during a run, with what it was before. Methods raise RigError.

    `is_down`: a fault of the run keeps it disabled. `is_lifting`: it was disabled to lift a delay, and not known to be
    enabled again. The injector calls for one upstream one after the other.
    """

    client: ToxiproxyClient
    journal: BorrowedJournal
    upstream: str
    before: Proxy
    run_prefix: str
    is_down: bool = False
    is_lifting: bool = False
    ours: set[str] = field(default_factory=set)
    """Our toxics that may be on it."""
    reported: set[str] = field(default_factory=set)

    @classmethod
    def find(cls, client: ToxiproxyClient, journal: BorrowedJournal, plan: StackPlan, upstream: str) -> BorrowedProxy:
        """The proxy as it is now, written to the journal. Raises RigError if it cannot be borrowed, or is not where the
        plan says."""
        planned = plan.upstream(upstream)
        name = plan.proxy_name(upstream)
        now = client.proxy(name)
        if now is None:
            raise RigError(f"proxy {name} is gone from Toxiproxy at {client.url}", "create it again, and run again")
        refuse_occupied(now, client.url)
        if now.upstream.rpartition(":")[2] != str(planned.origin.port):
            raise RigError(f"proxy {name} was changed while the run began: it leads to {now.upstream}", "run again")
        found = cls(client, journal, upstream, now, plan.prefix)
        toxics = tuple(BorrowedToxic.model_validate(toxic.model_dump()) for toxic in now.toxics)
        found.note("found", listen=now.listen, leads_to=now.upstream, enabled=now.enabled, toxics=toxics)
        return found

    @property
    def name(self) -> str:
        return self.before.name

    def disable(self, mark: str) -> None:
        """Disable it for a fault. `mark`: the name of the toxic that tells on the server whose doing that is."""
        if not self.is_down:
            self.note("disabling")
            self.is_down = True
            self.client.set_enabled(self.name, False)
        self.add(mark, _NO_EFFECT)

    def add(self, name: str, toxic: PlannedToxic) -> None:
        self.ours.add(name)
        self.client.add_toxic(self.name, name, toxic)

    def take_off(self, prefix: str, *, stays_down: bool) -> None:
        """Take everything off whose name begins with `prefix`, as `steps_back` has it."""
        now = self.client.proxy(self.name)
        ours = self.is_down or self.is_lifting
        steps = steps_back(now, prefix, disabled_by_us=ours, stays_down=stays_down)
        if Step("disable") in steps:
            self._note_if_possible("disabling")
            self.is_lifting = True
        self.client.take(self.name, steps)
        self.is_lifting = False
        self.ours -= {name for name in self.ours if name.startswith(prefix)}
        if (ours and not stays_down) or Step("enable") in steps:
            self.is_down = False
            self._note_if_possible("enabled")

    def changes(self, now: Proxy | None) -> tuple[str, ...]:
        """What others did that was not said before, a sentence each; it is written to the journal as well."""
        down = None if self.is_lifting else self.is_down
        found = changes_by_others(self.before, now, self.run_prefix, disabled_by_us=down)
        new = tuple(each for each in found if each not in self.reported)
        self.reported.update(new)
        for sentence in new:
            self._note_if_possible("changed", detail=sentence)
        return new

    @property
    def fix(self) -> str:
        """The calls that put it back, for a server that does not."""
        return by_hand(self.client.url, self.name, sorted(self.ours), is_disabled=self.is_down or self.is_lifting)

    def _note_if_possible(self, event: str, **what: object) -> None:
        """A full disk must not keep a fault on the proxy."""
        with contextlib.suppress(RigError):
            self.note(event, **what)

    def note(self, event: str, **what: object) -> None:
        """Write a line to the journal. Raises RigError."""
        entry = {"upstream": self.upstream, "proxy": self.name, "event": event, "t_ns": time.monotonic_ns(), **what}
        try:
            self.journal.append(BorrowedEntry.model_validate(entry))
        except OSError as exc:
            raise RigError(f"the journal of borrowed proxies cannot be written: {exc}", "free some disk") from exc


@dataclass(frozen=True, slots=True)
class BorrowedFaultHandle:
    """A fault handle on a borrowed proxy. `prefix` begins the names of this window's toxics, and of no other's."""

    borrowed: BorrowedProxy
    fault: PlannedFault
    window: int
    prefix: str

    @classmethod
    def of(cls, borrowed: BorrowedProxy, plan: Plan, fault: PlannedFault, window: int) -> FaultHandle:
        return cls(borrowed, fault, window, f"{plan.prefix}{fault.name}.{window}.")

    @property
    def upstream(self) -> str:
        return self.borrowed.upstream

    def apply(self, *, disabled_by_other: bool) -> None:
        """Add the toxics, then disable the proxy if the fault does that. If this raises, the undo takes off what is
        there."""
        it = self.borrowed
        now = it.client.proxy(it.name)
        self._refuse_changes(now)
        if now is not None and not disabled_by_other:
            refuse_occupied(now, it.client.url, it.run_prefix)
        try:
            for number, toxic in enumerate(self.fault.toxics):
                it.add(f"{self.prefix}{number}", toxic)
            if self.fault.disables_proxy:
                it.disable(f"{self.prefix}{DISABLED_MARK}")
        except RigError:
            with contextlib.suppress(RigError):  # the first error counts; the undo tries again
                self.remove(disabled_by_other=disabled_by_other)
            raise

    def verify_active(self, *, disabled_by_other: bool) -> None:
        """Raises RigError if the fault is not there as it was applied, or if others changed the proxy."""
        it = self.borrowed
        now = it.client.proxy(it.name)
        self._refuse_changes(now)
        there = {toxic.name: toxic for toxic in now.toxics} if now else {}
        for number, planned in enumerate(self.fault.toxics):
            toxic = there.get(f"{self.prefix}{number}")
            if toxic is None or not toxic.is_as(planned):
                raise RigError(
                    f"toxic {self.prefix}{number} was removed or changed by others, or the server was restarted",
                    "see who else changes this Toxiproxy, and run again",
                )

    def remove(self, *, disabled_by_other: bool) -> None:
        """Remove what is left of the fault. It is no error if nothing is, or if the proxy is gone."""
        self.borrowed.take_off(self.prefix, stays_down=disabled_by_other)

    def verify_removed(self, *, disabled_by_other: bool) -> None:
        """Raises RigError if something of this window is left."""
        it = self.borrowed
        now = it.client.proxy(it.name)
        left = [toxic.name for toxic in now.toxics if toxic.name.startswith(self.prefix)] if now else []
        if left:
            raise RigError(f"proxy {it.name} still carries {', '.join(left)}", it.fix)

    def _refuse_changes(self, now: Proxy | None) -> None:
        if changes := self.borrowed.changes(now):
            raise RigError(
                f"while the run was on, {'; '.join(changes)}; that stands as it is",
                "see who else changes this Toxiproxy, and run again",
            )
