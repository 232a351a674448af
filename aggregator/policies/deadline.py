"""A total deadline for one backend: its whole answer, every page of it, within so many seconds.

A read timeout would not do. It counts from one piece of the body to the next, and a backend that
drips a byte a second walks past a timeout of ten. The deadline stands around everything instead, and
since the call is a coroutine, giving up on it also ends it: its connection is closed, nothing goes
on in the background. (A `wait_for` around a call in a thread ends the waiting, not the call.)
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DeadlineExceeded(Exception):
    """The backend did not answer in full within the time it had."""

    def __init__(self, deadline_s: float) -> None:
        super().__init__(f"no whole answer within {deadline_s:g} s")
        self.deadline_s = deadline_s


def within(deadline_s: float, call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """`call`, but ended after `deadline_s` seconds with DeadlineExceeded."""

    async def bounded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            async with asyncio.timeout(deadline_s) as deadline:
                return await call(*args, **kwargs)
        except TimeoutError as error:
            if not deadline.expired():  # a timeout of the call itself
                raise
            raise DeadlineExceeded(deadline_s) from error

    return bounded
