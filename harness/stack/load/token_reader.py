"""Reads what the logins of Locust processes saved, so that it is redacted in the logs of all processes.

The tokens come through a pipe and stay in memory, because no file of the run directory may hold one.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import replace
from typing import Final

from harness.rundir.planned.login import TOKENS_FD_VARIABLE
from harness.stack.process_spec import ProcessSpec

_CHUNK_BYTES: Final = 65_536
_LINE_MOST: Final = 1_000_000
"""A longer line is dropped: it is no token, and nothing here may grow without bound."""


class TokenReader:
    """The reading end of one pipe for all workers. `secrets`: where every token is added.

    `loop`: reads what comes as soon as it comes; without one, `read` does when it is called.
    Workers write whole lines, of which those up to PIPE_BUF bytes never mix. A longer one that does is no JSON, and its
    parts are added as they are.
    """

    def __init__(self, secrets: set[str], loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.secrets = secrets
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        self._rest = b""
        self._loop = loop
        if loop is not None:
            loop.add_reader(self._read_fd, self.read)

    @property
    def variable(self) -> dict[str, str]:
        """What tells a process its end of the pipe, which it must inherit."""
        return {TOKENS_FD_VARIABLE: str(self.write_fd)}

    def lent(self, spec: ProcessSpec) -> ProcessSpec:
        """The process with an end of the pipe."""
        return replace(spec, env={**spec.env, **self.variable}, pass_fds=(*spec.pass_fds, self.write_fd))

    def release_writer(self) -> None:
        """The workers have inherited their end; ours is closed, so that the pipe ends with them."""
        os.close(self.write_fd)

    def read(self) -> None:
        """Adds what has come."""
        while True:
            try:
                found = os.read(self._read_fd, _CHUNK_BYTES)
            except BlockingIOError:
                return
            if not found:
                self._unwatch()
                return
            *lines, rest = (self._rest + found).split(b"\n")
            self._rest = rest if len(rest) <= _LINE_MOST else b""
            for line in lines:
                self._add(line)

    def close(self) -> None:
        """Reads what is left. Called once the workers have ended."""
        with suppress(OSError):
            self.read()
        self._unwatch()
        os.close(self._read_fd)

    def _unwatch(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._read_fd)

    def _add(self, line: bytes) -> None:
        try:
            token = json.loads(line)
        except ValueError:
            token = line.decode("utf-8", "replace").strip('"')
        if isinstance(token, str) and token:
            self.secrets.add(token)
