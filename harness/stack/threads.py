"""Run a blocking call from asyncio in a thread, and abandon the thread if the call does not return in time.

`asyncio.to_thread` is no alternative: Python joins the executor's threads at exit, so one call to a Toxiproxy that
hangs would keep the supervisor from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], within_s: float) -> T:
    """What `call` returns or raises. Raises TimeoutError after `within_s` and abandons the thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(give: Callable[[], None]) -> None:
        if not future.done():
            give()

    def work() -> None:
        try:
            result = call()
        except BaseException as exc:  # passed on to the awaiting task, as an executor does
            error = exc
            give: Callable[[], None] = lambda: future.set_exception(error)  # noqa: E731
        else:
            give = lambda: future.set_result(result)  # noqa: E731
        with contextlib.suppress(RuntimeError):  # the loop is closed, so no task waits any more
            loop.call_soon_threadsafe(settle, give)

    threading.Thread(target=work, daemon=True, name="toxiproxy call").start()
    async with asyncio.timeout(within_s):
        return await future
