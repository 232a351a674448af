"""How many bytes a listener has received on each of its connections, as Linux counts them.

A pool of connections to a database may stand for longer than a fault, and then no new connection shows that the service
asked. The kernel's own counters do: `tcpi_bytes_received` of struct tcp_info, which NETLINK_SOCK_DIAG gives to every
user (sock_diag(7); linux/inet_diag.h and linux/tcp.h for the layouts).
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST_AND_DUMP: Final = 0x301
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_INET_DIAG_INFO: Final = 2
_ESTABLISHED: Final = 1 << 1
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBBxI")
_SOCKET_ID_BYTES: Final = 48
_MESSAGE_BYTES: Final = 72
"""struct inet_diag_msg."""
_ATTRIBUTE: Final = struct.Struct("=HH")
_BYTES_RECEIVED_AT: Final = 128
"""Of tcpi_bytes_received in struct tcp_info, since Linux 4.1."""
_ANSWER_BYTES: Final = 1 << 18
_ANSWERS_MOST: Final = 1_000
_WITHIN_S: Final = 1.0


def received_by_peer(port: int) -> dict[int, int] | None:
    """Bytes received on each established connection that was accepted at `port`, by the client's port.

    One that the client has closed is left out: Linux counts the closing as a byte. None if the system does not
    count them, or does not tell.
    """
    if not sys.platform.startswith("linux"):
        return None
    found: dict[int, int] = {}
    try:
        for family in (socket.AF_INET, socket.AF_INET6):
            found.update(_dump(family, port))
    except (OSError, struct.error):
        return None
    return found


def _dump(family: int, port: int) -> Iterator[tuple[int, int]]:
    """Client's port and bytes received, for each connection. Raises OSError."""
    query = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), _ESTABLISHED)
    query += struct.pack("!H", port) + bytes(_SOCKET_ID_BYTES - 2)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as sock:
        sock.settimeout(_WITHIN_S)
        size = _HEADER.size + len(query)
        sock.send(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _REQUEST_AND_DUMP, 1, 0) + query)
        for _ in range(_ANSWERS_MOST):
            for kind, message in _messages(sock.recv(_ANSWER_BYTES)):
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    raise OSError(-struct.unpack_from("=i", message)[0], "sock_diag")
                (own, peer) = struct.unpack_from("!HH", message, 4)
                if own == port and (received := _received(message[_MESSAGE_BYTES:])) is not None:
                    yield peer, received


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, *_ = _HEADER.unpack_from(data, at)
        if size < _HEADER.size:
            return
        yield kind, data[at + _HEADER.size : at + size]
        at += size + -size % 4


def _received(attributes: bytes) -> int | None:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        size, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if size < _ATTRIBUTE.size:
            return None
        if kind == _INET_DIAG_INFO and size >= _ATTRIBUTE.size + _BYTES_RECEIVED_AT + 8:
            (received,) = struct.unpack_from("=Q", attributes, at + _ATTRIBUTE.size + _BYTES_RECEIVED_AT)
            return int(received)
        at += size + -size % 4
    return None
