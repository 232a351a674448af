"""Immediate retries: they may help one request, and they are a retry storm when a backend is over its limit.

A backend that answers 429 gets up to `times` further calls for each request, from all clients at once, exactly when
it can bear them least. A pause helps only where the backend says how long to wait (Retry-After), and many do not. A
circuit breaker inside the retries does help: it counts each try, and its refusals are not retried.
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
    """The result of `call`, retried up to `times` times. Raises its last error where every try failed.

    `pause_s` returns how long to wait after an error; None: the error is not worth a retry. A pause that would exceed
    what is left of `patience_s` is not begun.
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
