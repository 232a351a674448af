"""Reports what logins saved to the supervisor, through a pipe: it redacts the logs of all processes, and no file may
ever hold a token."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Collection, Mapping

import gevent

from harness.rundir.planned.login import TOKENS_FD_VARIABLE

WITHIN_S = 5.0
"""How long the supervisor may take to read."""


class TokenPipe:
    """The worker's end. Without a supervisor, as in a test of the worker alone, nothing is reported."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        given = environ.get(TOKENS_FD_VARIABLE)
        self._fd = int(given) if given else None
        if self._fd is not None:
            os.set_blocking(self._fd, False)

    def report(self, tokens: Collection[str]) -> None:
        """Returns when all are in the pipe. Raises OSError if the supervisor does not read it."""
        if self._fd is None:
            return
        give_up = time.monotonic() + WITHIN_S
        for token in tokens:  # a line at a time, since workers share the pipe and a short write is not torn apart
            left = f"{json.dumps(token)}\n".encode()
            while left:
                try:
                    left = left[os.write(self._fd, left) :]
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        raise OSError(errno.ETIMEDOUT, "the supervisor does not read the pipe of tokens") from None
                    gevent.sleep(0.01)
