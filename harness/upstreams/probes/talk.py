"""A probe whose protocol is told as a conversation: a generator that takes what it needs of the answer, says what comes
next, and returns what is wrong with the server, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final, TypeVar

from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.probe import Probe

START_BYTES: Final = 24
"""As many of the first bytes are kept, to say what a server speaks that does not speak the expected protocol."""

Returned = TypeVar("Returned")
Talking = Generator[None, None, Returned]
"""It stops at each `yield` until more was received."""


class Talk:
    """Both directions of one exchange, as a conversation sees them."""

    def __init__(self) -> None:
        self.start = b""
        """The first bytes of the whole answer."""
        self.received = 0
        self._waiting = bytearray()
        self._said = bytearray()

    def hear(self, data: bytes) -> None:
        """Take what was received."""
        self.start = (self.start + data[:START_BYTES])[:START_BYTES]
        self.received += len(data)
        self._waiting += data

    def drain(self) -> bytes:
        """What was said since the last call."""
        said = bytes(self._said)
        self._said.clear()
        return said

    @property
    def waiting(self) -> int:
        """How many bytes were received and not yet taken."""
        return len(self._waiting)

    def say(self, data: bytes) -> None:
        self._said += data

    def take(self, size: int) -> Talking[bytes]:
        """The next `size` bytes."""
        while len(self._waiting) < size:
            yield
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken

    def take_any(self) -> Talking[bytes]:
        """All that waits, at least one byte."""
        while not self._waiting:
            yield
        return (yield from self.take(len(self._waiting)))

    def take_line(self, most: int) -> Talking[bytes]:
        """The bytes before the next CR LF, which is taken as well; or `most` bytes where there is none in them."""
        while (end := self._waiting.find(b"\r\n")) < 0:
            if len(self._waiting) >= most:
                return (yield from self.take(most))
            yield
        line = yield from self.take(end)
        yield from self.take(2)
        return line


Conversation = Callable[[Talk, PlannedUpstream], Talking[str]]
"""Returns what is wrong with the server; empty: it lives."""


class TalkProbe(Probe):
    """A conversation as a probe.

    The exchange is over when the conversation is. If it reads to the end, the canary then hangs up and waits for the
    end of the connection.
    """

    def __init__(self, conversation: Conversation, upstream: PlannedUpstream, *, reads_to_end: bool) -> None:
        self._talk = Talk()
        self._reads_to_end = reads_to_end
        self._verdict: str | None = None
        self._conversation = conversation(self._talk, upstream)
        self._go_on()
        self._request = self._talk.drain()

    @property
    def request(self) -> bytes:
        return self._request

    def _go_on(self) -> None:
        if self._verdict is not None:
            return
        try:
            next(self._conversation)
        except StopIteration as end:
            self._verdict = end.value

    @property
    def received(self) -> int:
        return self._talk.received

    def feed(self, data: bytes) -> bytes:
        self._talk.hear(data)
        self._go_on()
        return self._talk.drain()

    @property
    def is_over(self) -> bool:
        return self._verdict is not None and not self.hangs_up

    @property
    def hangs_up(self) -> bool:
        return self._verdict == "" and self._reads_to_end

    @property
    def fault(self) -> str:
        if self._verdict is not None:
            return self._verdict
        return f"cut short after {self.received} bytes" if self.received else "closed without an answer"
