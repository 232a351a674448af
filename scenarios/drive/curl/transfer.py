"""One of libcurl's handles with its own connection, used for one arrival after another.

Each handle has a connection cache to itself: from one that all share, libcurl would choose by looking at every
connection in use, which costs 0.5 ms a request while 10,000 hang.
"""

from __future__ import annotations

import _socket
import errno
import ipaddress
from collections.abc import Sequence
from typing import Any, Final

import pycurl

from scenarios.drive.arrival import Exchange
from scenarios.drive.curl.answer_buffer import AnswerBuffer
from scenarios.drive.curl.wire import Wire, host_of
from scenarios.drive.recorder import die

BUFFER_BYTES: Final = 64 * 1024


class Transfer:
    """Free or in use: `exchange` is the request under way. `target`: the host that the run may send load to."""

    def __init__(self, answer: AnswerBuffer, *, deadline_ms: int, target: str, user_agent: str) -> None:
        self.answer = answer
        self.exchange: Exchange | None = None
        self.first: Wire | None = None
        self.wire: Wire | None = None
        self.hops = 0
        self._sent = 0
        self._deadline_ms = deadline_ms
        self._target = target
        self._connecting_to = target
        self._share = pycurl.CurlShare()
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_CONNECT)
        self.curl = _handle(self._share, user_agent)
        self.curl.transfer = self
        self.curl.setopt(pycurl.WRITEFUNCTION, answer.write)
        self.curl.setopt(pycurl.HEADERFUNCTION, answer.head_lines.append)
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self.open_socket)
        self.limit_ms(deadline_ms)
        self._method: tuple[str, bool] = ("GET", False)

    def aim(self, wire: Wire, lines: Sequence[bytes]) -> None:
        """Sets what is sent next. `lines`: further headers. Raises pycurl.error for a URL that libcurl refuses."""
        curl = self.curl
        if wire is not self.wire:
            self._set_method(wire)
            if self.wire is None or wire.url != self.wire.url:
                curl.setopt(pycurl.URL, wire.url.encode())
                self._connecting_to = host_of(wire.url)
            self.wire = wire
        self._sent = 0
        curl.setopt(pycurl.HTTPHEADER, [*wire.lines, *lines])

    def limit_ms(self, total_ms: int) -> None:
        """The deadline of the next request, from its start to its last byte."""
        self.curl.setopt(pycurl.TIMEOUT_MS, max(1, total_ms))
        self.curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, total_ms))

    def release(self) -> None:
        """Makes it fit for the next arrival."""
        if self.hops:
            self.hops = 0
            self.limit_ms(self._deadline_ms)
        self.exchange = None
        self.answer.clear()

    def open_socket(self, _purpose: int, address: Any) -> Any:
        """A new socket, for libcurl; SOCKET_BAD where a redirect leads to a host that the run may not send load to."""
        if self._connecting_to != self._target and not ipaddress.ip_address(address.addr[0]).is_loopback:
            return pycurl.SOCKET_BAD
        try:
            return _socket.socket(address.family, address.socktype, address.protocol)
        except OSError as exc:
            if exc.errno in (errno.EMFILE, errno.ENFILE):
                die(f"no connection can be opened: {exc.strerror}")  # our own limit, not the service's fault
            return pycurl.SOCKET_BAD

    def _set_method(self, wire: Wire) -> None:
        curl, shape = self.curl, (wire.method, wire.body is not None)
        if shape != self._method:
            self._method = shape
            if wire.is_idempotent:
                curl.unsetopt(pycurl.PREREQFUNCTION)
            else:
                curl.setopt(pycurl.PREREQFUNCTION, self._before_sending)
            curl.setopt(pycurl.HTTPGET, 1)  # ends NOBODY and POST
            curl.unsetopt(pycurl.CUSTOMREQUEST)
            if wire.method == "HEAD":
                curl.setopt(pycurl.NOBODY, 1)
            elif wire.body is not None:
                curl.setopt(pycurl.POST, 1)
            if wire.method not in ("GET", "HEAD") or wire.body is not None:
                curl.setopt(pycurl.CUSTOMREQUEST, wire.method)
        if wire.body is not None:
            curl.setopt(pycurl.POSTFIELDS, wire.body)

    def _before_sending(self, *_: object) -> int:
        """libcurl sends a request again where a kept connection was closed without an answer; this one must not be
        (RFC 9110, 9.2.2)."""
        self._sent += 1
        return int(pycurl.PREREQFUNC_OK if self._sent == 1 else pycurl.PREREQFUNC_ABORT)


def _handle(share: Any, user_agent: str) -> Any:
    curl = pycurl.Curl()
    for option, value in (
        (pycurl.SHARE, share),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.NOSIGNAL, 1),
        (pycurl.PROXY, ""),  # whatever the environment says
        (pycurl.PATH_AS_IS, 1),
        (pycurl.USERAGENT, user_agent),
        (pycurl.BUFFERSIZE, BUFFER_BYTES),
        (pycurl.SSL_VERIFYPEER, 0),  # as FastHttpUser does
        (pycurl.SSL_VERIFYHOST, 0),
    ):
        curl.setopt(option, value)
    return curl
