"""Callers that take the beginning of each answer and close, over and over, so that their connections are reset."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

_ANSWER_BYTES = 200_000
_HELD_S = 0.15


@contextlib.contextmanager
def origin() -> Iterator[int]:
    """A server whose answers are longer than anybody waits for; gives its port."""
    server = socket.create_server(("127.0.0.1", 0), backlog=128)

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(100)
            connection.sendall(b"x" * _ANSWER_BYTES)
            connection.recv(1)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def callers(port: int, count: int = 10) -> Iterator[None]:
    done = threading.Event()

    def call() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as caller:
                caller.sendall(b"?")
                done.wait(_HELD_S)
            done.wait(0.01)  # the proxy may be away for a moment

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(5)
