"""One Toxiproxy proxy for each upstream, for as long as the stack runs: created for it, or borrowed from the user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from harness.errors import RigError
from harness.rundir.journal import BorrowedJournal
from harness.rundir.manifest import HarnessFault
from harness.rundir.plan import StackPlan
from harness.stack.injection.borrowed import BorrowedProxy
from harness.stack.threads import in_thread

if TYPE_CHECKING:
    from harness.toxiproxy.client import ToxiproxyClient

ACT_S: Final = 8.0
"""Time limit of one act, which is a handful of admin calls, each with its own timeout."""

T = TypeVar("T")


class ListenerProxies:
    """`trouble` is called for each proxy that could not be deleted: on a server that is not ours it would stay."""

    def __init__(
        self,
        client: ToxiproxyClient,
        plan: StackPlan,
        trouble: Callable[[HarnessFault], None],
        journal: BorrowedJournal | None = None,
    ) -> None:
        """`journal`: of borrowed proxies; a plan that borrows one needs it."""
        self.trouble = trouble
        self.borrowed: dict[str, BorrowedProxy] = {}
        """By upstream: proxies of the user's, which are never created or deleted."""
        self.names: list[str] = []
        """The proxies whose creation was requested, whether it succeeded or not."""
        self._client = client
        self._plan = plan
        self._journal = journal

    @property
    def needed(self) -> tuple[str, ...]:
        """The names of the proxies without which the run cannot go on."""
        return (*self.names, *(proxy.name for proxy in self.borrowed.values()))

    async def create(self) -> None:
        """Create one proxy per upstream and read it back, or read the borrowed one. Raises RigError; `delete` then
        still deletes those that were created."""
        created = await asyncio.gather(*(self._create(up.name) for up in self._plan.upstreams), return_exceptions=True)
        for failure in created:
            if isinstance(failure, BaseException):
                raise failure

    async def delete(self) -> None:
        """Delete the proxies. A failure is passed to `trouble` and not raised."""
        results = await asyncio.gather(*(self._delete(name) for name in self.names), return_exceptions=True)
        for failure in results:
            if isinstance(failure, RigError):
                self.trouble(HarnessFault(check="rollback", message=failure.message, fix=sweep_command(self._client)))

    async def _create(self, upstream: str) -> None:
        planned, network = self._plan.upstream(upstream), self._plan.network
        if planned.borrowed is not None:
            await self._borrow(upstream)
            return
        name = self._plan.proxy_name(upstream)
        self.names.append(name)
        listen = planned.listener.model_copy(update={"host": network.listen}).address
        origin = planned.origin.model_copy(update={"host": network.origin_as_reached(planned.origin.host)}).address
        await admin_call(self._server, lambda: self._client.create_proxy(name, listen, origin))

    @property
    def _server(self) -> str:
        return f"Toxiproxy at {self._client.url}"

    async def _borrow(self, upstream: str) -> None:
        journal = self._journal
        assert journal is not None, "a plan that borrows a proxy needs the journal of them"
        found = await admin_call(self._server, lambda: BorrowedProxy.find(self._client, journal, self._plan, upstream))
        self.borrowed[upstream] = found

    async def _delete(self, name: str) -> None:
        def delete() -> None:
            if self._client.proxy(name) is not None:
                self._client.delete_proxy(name)

        await admin_call(f"Toxiproxy at {self._client.url}", delete)


async def admin_call(server: str, call: Callable[[], T]) -> T:
    """Run one act on Toxiproxy's admin API in a thread. Raises RigError, also if the act does not end in time.

    `server`: whose act it is, for people.
    """
    try:
        return await in_thread(call, ACT_S)
    except TimeoutError as exc:
        raise RigError(f"{server} did not end an act within {ACT_S:g} s") from exc


def sweep_command(client: ToxiproxyClient) -> str:
    """Tells a user how to remove by hand whatever is left on this server."""
    return f"run `tailgate toxiproxy sweep --url {client.url}`"
