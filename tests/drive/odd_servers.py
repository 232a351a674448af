"""Servers that answer in forty-odd ways, as data, and one raw socket server that plays them all.

Each entry is a script: what the server does after it has read a request (or instead of reading it). Bytes are sent as
they stand.
"""

from __future__ import annotations

import gzip
import select
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

import brotli

LIMIT_S: Final = 20.0

JSON: Final = b'{"offers": [{"name": "a-1-tg-azure."}, {"name": "b-1-tg-gcp."}]}'
LONG: Final = b"x" * 300_000 + JSON + b"y" * 300_000


def answer(body: bytes = JSON, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """A whole answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def head(*headers: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *headers, "", ""]).encode()


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


CLOSE: Final = "close"
RESET: Final = "reset"
Step = bytes | float | str
"""Bytes to send, seconds to wait, or how to end the connection. Without an end, it is kept."""


@dataclass(frozen=True, slots=True)
class Odd:
    """`paths`: what other paths answer. `later`: what second and further requests on one connection are answered."""

    steps: tuple[Step, ...]
    method: str = "GET"
    body: str | None = None
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    paths: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    later: tuple[Step, ...] | None = None
    deadline_s: float = 15.0
    """Of each request of both clients."""
    reads: bool = True
    """Reads the request before it answers."""
    tls: bool = False
    host: str = "127.0.0.1"
    times: int = 2
    """Requests in turn: the second finds a connection, if the server kept it."""
    contains: str | None = None
    outcomes: tuple[str, ...] = ("ok",)
    """What libcurl's requests must end as, each; the last one repeats."""
    rest_ms: float = 0.0
    """How much later than the first byte of the body the last one comes, at least."""
    differs: Mapping[str, str] = field(default_factory=dict)
    """The fields of a row in which FastHttpUser may differ, each with the reason. `seen`: what the server saw."""

    @property
    def keeps_connections(self) -> bool:
        """Whether it ends none. Else a client must wait before its next request, until the end has reached it."""
        paths = (self.steps, self.later or (), *self.paths.values())
        return self.reads and not any(step in (CLOSE, RESET) for steps in paths for step in steps)


_DEFLATED: Final = zlib.compress(JSON)
_RAW_DEFLATED: Final = _DEFLATED[2:-4]
_GZIP: Final = gzip.compress(JSON)
_MOVED: Final[Mapping[str, tuple[Step, ...]]] = {"/end": (answer(),)}
_NO_STATUS: Final = {"status": "FastHttpUser loses the status where it cannot decode or parse the rest"}
_RESENT: Final = {"seen": "geventhttpclient sends a request a second time even where the connection was a new one"}
_EXCESS: Final = {
    "outcome": "libcurl takes what the length says, as browsers do, and closes the connection",
    "status": "the same",
    "bytes": "the same",
    "answered": "the same",
}
_LATE: Final[Mapping[str, Any]] = {"outcomes": ("client_timeout",), "times": 1, "deadline_s": 1.5}
_BROKEN: Final[Mapping[str, Any]] = {"outcomes": ("connection_error",)}
_ODD_HEADERS: Final = (
    ("X-Empty", ""),
    ("User-Agent", "mine/1"),
    ("Host", "offers.example"),
    ("X-Latin", "é"),
    ("Accept", "text/html"),
)

SERVERS: Final[dict[str, Odd]] = {
    # whole answers
    "length": Odd((answer(),)),
    "chunked": Odd((head("Transfer-Encoding: chunked") + chunked(JSON[:10], JSON[10:]),)),
    "chunked-in-pieces": Odd(
        (head("Transfer-Encoding: chunked"), 0.3, chunked(JSON, end=b""), 0.3, b"0\r\n\r\n"), rest_ms=100
    ),
    "chunked-trailer": Odd((head("Transfer-Encoding: chunked") + chunked(JSON, end=b"0\r\nX-Sum: 1\r\n\r\n"),)),
    "chunked-extension": Odd((head("Transfer-Encoding: chunked") + b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(JSON), JSON),)),
    "until-close": Odd((head() + JSON, CLOSE)),
    "closes-after-each": Odd((answer(JSON, "200 OK", "Connection: close"), CLOSE), times=4),
    "closes-without-a-word": Odd((answer(), 0.01, CLOSE), times=4),
    "http-1.0": Odd((head("Content-Length: 2", version="1.0") + b"ok", CLOSE)),
    "http-1.0-keep-alive": Odd(
        (head("Content-Length: 2", "Connection: keep-alive", version="1.0") + b"ok",),
        differs={"seen": "libcurl speaks HTTP/1.0 to a server that does"},
    ),
    "byte-by-byte-head": Odd((*(bytes([byte]) for byte in head("Content-Length: 2")), b"ok")),
    "late-body": Odd((head(f"Content-Length: {len(JSON)}"), 0.1, JSON)),
    "dripping-body": Odd((head(f"Content-Length: {len(JSON)}"), JSON[:5], 0.3, JSON[5:]), rest_ms=100),
    "long-body": Odd((answer(LONG),)),
    "no-content": Odd((head(status="204 No Content"),)),
    "not-modified": Odd((head("ETag: x", status="304 Not Modified"),)),
    "empty-body": Odd((answer(b""),)),
    "empty-chunked": Odd((head("Transfer-Encoding: chunked") + chunked(),)),
    "head": Odd((head(f"Content-Length: {len(JSON)}"),), method="HEAD"),
    "continue-first": Odd((head(status="100 Continue") + answer(),)),
    "early-hints": Odd((head("Link: </a>", status="103 Early Hints") + answer(),)),
    "no-reason": Odd((answer(JSON, "200"),)),
    "lower-case-and-tabs": Odd((b"HTTP/1.1 200 OK\r\ncontent-length:\t2\r\nx-empty:\r\n\r\nok",)),
    "bytes-beyond-the-length": Odd((answer(JSON + b"more", length=len(JSON)), CLOSE), differs=_EXCESS),
    "tls": Odd((answer(),), tls=True),
    "by-name": Odd((answer(), 0.01, CLOSE), host="localhost", times=4),
    # encodings
    "gzip": Odd((answer(_GZIP, "200 OK", "Content-Encoding: gzip"),)),
    "gzip-long": Odd((answer(gzip.compress(LONG), "200 OK", "Content-Encoding: gzip"),)),
    "brotli": Odd((answer(brotli.compress(JSON), "200 OK", "Content-Encoding: br"),)),
    "deflate": Odd((answer(_DEFLATED, "200 OK", "Content-Encoding: deflate"),)),
    "deflate-raw": Odd((answer(_RAW_DEFLATED, "200 OK", "Content-Encoding: deflate"),)),
    "gzip-chunked": Odd(
        (head("Transfer-Encoding: chunked", "Content-Encoding: gzip") + chunked(_GZIP[:9], _GZIP[9:]),)
    ),
    "not-gzip": Odd(
        (answer(b"not gzip", "200 OK", "Content-Encoding: gzip"),), outcomes=("bad_answer",), differs=_NO_STATUS
    ),
    "gzip-cut": Odd(
        (answer(_GZIP[:-12], "200 OK", "Content-Encoding: gzip"),), outcomes=("bad_answer",), differs=_NO_STATUS
    ),
    "unknown-encoding": Odd(
        (answer(JSON, "200 OK", "Content-Encoding: zstd"),), outcomes=("bad_answer",), differs=_NO_STATUS
    ),
    "gzip-in-pieces": Odd(
        (answer(_GZIP, "200 OK", "Content-Encoding: gzip")[: -len(_GZIP) + 10], 0.3, _GZIP[10:]), rest_ms=100
    ),
    "gzip-members": Odd(
        (answer(gzip.compress(JSON[:20]) + gzip.compress(JSON[20:]), "200 OK", "Content-Encoding: gzip"),),
        differs={"bytes": "FastHttpUser reads the first member only", "answered": "the same"},
    ),
    "gzip-empty": Odd(
        (answer(b"", "200 OK", "Content-Encoding: gzip"),),
        differs={"outcome": "FastHttpUser wants a gzip header in no bytes", "status": "the same"},
    ),
    "brotli-cut": Odd(
        (answer(brotli.compress(LONG)[:-9], "200 OK", "Content-Encoding: br"),),
        outcomes=("bad_answer",),
        differs=_NO_STATUS,
    ),
    # statuses
    "not-found": Odd((answer(b"no", "404 Not Found"),), outcomes=("http_error",)),
    "unavailable": Odd((answer(b"busy", "503 Service Unavailable", "Retry-After: 1"),), outcomes=("http_error",)),
    "gateway-timeout": Odd((answer(b"", "504 Gateway Timeout"),), outcomes=("gateway_timeout",)),
    "binary-error": Odd(
        (answer(b"\xff\xfe\x00", "500 Oops"),),
        outcomes=("http_error",),
        differs={"outcome": "Locust decodes the body of an error as UTF-8", "status": "the same", "bytes": "the same"},
    ),
    "lacks-a-word": Odd((answer(),), contains="absent", outcomes=("bad_answer",)),
    "contains-a-word": Odd((answer(LONG),), contains="offers"),
    # redirects
    "moved": Odd((answer(b"", "302 Found", "Location: /end"),), paths=_MOVED),
    "moved-in-no-gzip": Odd((answer(b"no", "302 Found", "Location: /end", "Content-Encoding: gzip"),), paths=_MOVED),
    "moved-with-credentials": Odd(
        (answer(b"", "302 Found", "Location: /end"),), host="user:p%40ss@127.0.0.1", paths=_MOVED
    ),
    "moved-post": Odd((answer(b"", "302 Found", "Location: end"),), method="POST", body="a=1", paths=_MOVED),
    "moved-post-307": Odd(
        (answer(b"", "307 Temporary Redirect", "Location: /end"),), method="POST", body="a=1", paths=_MOVED
    ),
    "moved-put-301": Odd((answer(b"", "301 Moved", "Location: /end"),), method="PUT", body="a=1", paths=_MOVED),
    "moved-without-a-place": Odd((answer(b"", "302 Found"),)),
    "moved-for-ever": Odd((answer(b"", "302 Found", "Location: /"),), **_BROKEN),
    "moved-to-another-scheme": Odd((answer(b"", "302 Found", "Location: ftp://127.0.0.1/x"),), **_BROKEN),
    "moved-then-slow": Odd(
        (0.5, answer(b"", "302 Found", "Location: /end")),
        paths={"/end": (LIMIT_S,)},
        differs={"seen": "on a busy machine the deadline may come before the second request"},
        **_LATE,
    ),
    # requests
    "post": Odd((answer(),), method="POST", body='{"a": "ü"}', headers=(("content-type", "application/json"),)),
    "post-plain": Odd((answer(),), method="POST", body="a=1"),
    "post-empty": Odd((answer(),), method="POST"),
    "delete": Odd((answer(),), method="DELETE"),
    "options": Odd((answer(),), method="OPTIONS"),
    "odd-path": Odd((answer(),), path="/a b/../%7Euser/ü?q=[1]&r=a+b%20c#part"),
    "odd-headers": Odd((answer(),), headers=_ODD_HEADERS),
    "answers-before-it-reads": Odd(
        (answer(JSON, "200 OK", "Connection: close"), 0.2, CLOSE),
        method="POST",
        body="z" * 200_000,
        reads=False,
        times=1,
    ),
    # what fails
    "closes-at-once": Odd((CLOSE,), **_BROKEN, differs=_RESENT),
    "resets-at-once": Odd((RESET,), **_BROKEN, differs=_RESENT),
    "second-request-is-reset": Odd((answer(), 0.02, RESET), times=3),
    "closes-instead-of-a-second-answer": Odd((answer(),), later=(CLOSE,)),
    "closes-instead-of-a-second-answer-to-a-post": Odd(
        (answer(),), later=(CLOSE,), method="POST", body="a=1", outcomes=("ok", "connection_error")
    ),
    "closes-a-post": Odd((CLOSE,), method="POST", body="a=1", **_BROKEN),
    "cut-body": Odd((answer(JSON, length=500), CLOSE), **_BROKEN),
    "cut-chunk": Odd((head("Transfer-Encoding: chunked") + b"ff\r\nabc", CLOSE), **_BROKEN),
    "cut-head": Odd((b"HTTP/1.1 200 OK\r\nContent-", CLOSE), **_BROKEN, differs=_NO_STATUS),
    "reset-in-the-body": Odd((answer(JSON[:9], length=500), 0.05, RESET), **_BROKEN),
    "no-http": Odd((b"SSH-2.0-OpenSSH_9.6\r\n", CLOSE), **_BROKEN),
    "bad-chunk": Odd((head("Transfer-Encoding: chunked") + b"zz\r\nabc\r\n", CLOSE), **_BROKEN, differs=_NO_STATUS),
    "bad-length": Odd((head("Content-Length: many") + b"ok", CLOSE), **_BROKEN, differs=_NO_STATUS),
    "two-lengths": Odd((head("Content-Length: 2", "Content-Length: 3") + b"oks", CLOSE), **_BROKEN, differs=_NO_STATUS),
    "header-without-end": Odd((b"HTTP/1.1 200 OK\r\nX-Long: ", b"a" * 2_000_000, CLOSE), **_BROKEN, differs=_NO_STATUS),
    "headers-without-end": Odd(
        (b"HTTP/1.1 200 OK\r\n", b"X-Next: aaaaaaaaaaaa\r\n" * 100_000, CLOSE), **_BROKEN, differs=_NO_STATUS
    ),
    "never-answers": Odd((LIMIT_S,), **_LATE),
    "never-ends": Odd((answer(JSON, length=500), LIMIT_S), **_LATE),
    "drips": Odd((head("Content-Length: 99"), *(b"x", 0.15) * 60), **_LATE),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the server saw it; header names in lower case."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class OddServer:
    """Plays one entry of SERVERS on a port of its own, a thread for each connection."""

    def __init__(self, odd: Odd, context: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self._odd = odd
        self._context = context
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        scheme = "https" if odd.tls else "http"
        self.url = f"{scheme}://{odd.host}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(LIMIT_S)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.settimeout(LIMIT_S)
        with suppress(OSError, ssl.SSLError), self._wrapped(peer) as connection:
            reader = _Reader(connection)
            for turn in count():
                path = "/"
                if self._odd.reads:
                    asked = reader.request()
                    if asked is None:
                        return
                    self.seen.append(asked)
                    path = asked.line.split(" ")[1]
                elif not select.select([connection], [], [], LIMIT_S)[0]:
                    return
                steps = self._odd.later if turn and self._odd.later is not None else self._odd.steps
                if not self._play(connection, self._odd.paths.get(path, steps)) or not self._odd.reads:
                    return

    def _wrapped(self, peer: socket.socket) -> socket.socket:
        if not self._odd.tls:
            return peer
        assert self._context is not None
        return self._context.wrap_socket(peer, server_side=True)

    def _play(self, connection: socket.socket, steps: tuple[Step, ...]) -> bool:
        for step in steps:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, float):
                self._over.wait(step)
            elif step == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                return False
            else:
                return False
        return True


class _Reader:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def request(self) -> Seen | None:
        """The next one; None at the end of the connection."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        top, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *lines = top.decode("latin-1").split("\r\n")
        pairs = tuple((name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines))
        length = int(dict(pairs).get("content-length", "0"))
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Seen(line, pairs, body)

    def _more(self) -> bool:
        data = self._connection.recv(65536)
        self._buffer += data
        return bool(data)
