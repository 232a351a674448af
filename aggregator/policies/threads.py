"""Blocking calls in one fixed pool of threads: the obvious way to make an old client awaitable, leak included.

A deadline around such a call (`asyncio.wait_for`, or the policy `deadline`) ends the waiting and not the
thread: Python cannot end a thread that blocks in a read. A call that still queues for a thread is taken
out of the queue. One that runs keeps its thread until the backend answers or closes the connection, although
no caller waits for the answer any more.

How many threads that takes is Little's law: calls begun a second, times the seconds each is held. With
one backend's calls held for 12 s and a deadline of 1.5 s, ten closed users begin ten of them each 1.5 s
and hold about 80 threads: all is well. 60 arrivals a second want 720 of 256; from the fifth second on
the pool is full of the abandoned, every other call queues for a thread until its own deadline, and
*healthy* backends go missing from the answers. The response time shows nothing: the deadline holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

THREADS_MAX: Final = 256


def pool_of_threads(threads: int = THREADS_MAX) -> ThreadPoolExecutor:
    """One for all backends. Its queue has no bound: what keeps it short is that who waits gives up."""
    return ThreadPoolExecutor(threads, thread_name_prefix="backend")


def in_a_thread(pool: Executor, call: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The blocking `call`, awaitable. Cancelled while it queues, it never runs; later, it runs on."""

    async def moved(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(pool.submit(call, *args, **kwargs))

    return moved
