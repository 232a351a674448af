"""Asking again, at once: well meant for one request, and a storm when a backend is over its limit.

A backend that answers 429 is asked `times` as often more, by everybody at the same moment, for exactly
as long as it can bear it least. A pause helps only where the backend says how long (Retry-After): many
do not. What does help is a circuit breaker inside of the retries: it counts each try, and its refusals
are not tried again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def retry_blindly(
    times: int,
    call: Callable[[], Coroutine[Any, Any, T]],
    pause_s: Callable[[Exception], float | None],
    patience_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """What `call` returns, made up to `times` times again; its last error where none of it helps.

    `pause_s` tells how long to wait after an error, None where it is not worth another try. A pause that
    does not fit into what is left of `patience_s` is not begun.
    """
    ends_s = clock() + patience_s
    for _ in range(times):
        try:
            return await call()
        except Exception as error:
            wait_s = pause_s(error)
            if wait_s is None or clock() + wait_s >= ends_s:
                raise
        await asyncio.sleep(wait_s)
    return await call()
