"""The keys of the connections between a run and its workers, derived from a token file that both sides have.

ZeroMQ by itself neither authenticates nor encrypts, and whoever can send messages to a worker decides where it sends
load. So every socket uses CurveZMQ, and there is no way to turn it off. Both key pairs follow from the token: a peer
without it knows neither the master's public key, without which no handshake begins, nor the one key that the master
accepts from workers.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zmq
from zmq.utils import z85

from harness.errors import UsageError

TOKEN_LEAST: Final = 16
"""The least length of a token, in bytes."""
TOKEN_MOST: Final = 4096
DOMAIN: Final = "tailgate"
_SALT: Final = b"tailgate workers 1"
_MESSAGE_BYTES_MOST: Final = 16_000_000
_HANDSHAKE_MS: Final = 5_000
"""A peer that has connected and does not end its handshake is disconnected after this time."""
_BEAT_MS: Final = 2_000
_SILENCE_MS: Final = 8_000
"""ZeroMQ closes a connection on which nothing came for this long, and the worker connects anew."""
_MAKE: Final = "head -c 32 /dev/urandom | base64 > token && chmod 600 token"
_COPY: Final = "copy the token file of `tailgate run --token-file` to this machine"


@dataclass(frozen=True, slots=True, repr=False)
class CurveKeys:
    """Both key pairs in Z85, 40 bytes each. Its `repr` shows no key."""

    master_public: bytes
    master_secret: bytes
    worker_public: bytes
    worker_secret: bytes

    @classmethod
    def of(cls, token: bytes) -> CurveKeys:
        """Derives the keys with scrypt (RFC 7914; N = 2^14, r = 8, p = 1), so that a weak token is slow to guess."""
        derived = hashlib.scrypt(token, salt=_SALT, n=2**14, r=8, p=1, dklen=64)
        master, worker = z85.encode(derived[:32]), z85.encode(derived[32:])
        return cls(zmq.curve_public(master), master, zmq.curve_public(worker), worker)

    def secure_master(self, socket: zmq.Socket[bytes]) -> None:
        """Must be called before `bind`. Who may connect is decided by whoever answers ZAP on the socket's context."""
        socket.curve_secretkey = self.master_secret
        socket.curve_publickey = self.master_public
        socket.curve_server = True
        socket.setsockopt_string(zmq.ZAP_DOMAIN, DOMAIN)
        socket.setsockopt(zmq.ROUTER_HANDOVER, 1)  # a worker that connects anew replaces its dead connection
        _bound(socket)

    def secure_worker(self, socket: zmq.Socket[bytes]) -> None:
        """Must be called before `connect`."""
        socket.curve_serverkey = self.master_public
        socket.curve_secretkey = self.worker_secret
        socket.curve_publickey = self.worker_public
        _bound(socket)


def read_keys(path: Path, *, of_the_run: bool = True) -> CurveKeys:
    """The keys of the token in a file. Raises UsageError if it cannot be used, or if others may read it.

    `of_the_run`: the file is that of the run itself. A worker has a copy of it, for which it cannot make another one.
    """
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            token = file.read(TOKEN_MOST + 1).strip()
    except OSError as exc:
        fix = f"make one: {_MAKE}" if of_the_run else _COPY
        raise UsageError(f"the token file {path} cannot be read: {exc.strerror}", fix) from exc
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"the token file {path} may be read or written by others", f"chmod 600 {path}")
    if not TOKEN_LEAST <= len(token) <= TOKEN_MOST:
        raise UsageError(
            f"the token in {path} has {len(token)} bytes; it must have {TOKEN_LEAST} to {TOKEN_MOST}",
            f"make one, and copy it to every machine: {_MAKE}" if of_the_run else _COPY,
        )
    return CurveKeys.of(token)


def _bound(socket: zmq.Socket[bytes]) -> None:
    """Limits that hold on both sides."""
    socket.setsockopt(zmq.MAXMSGSIZE, _MESSAGE_BYTES_MOST)
    socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, _BEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _SILENCE_MS)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
    socket.setsockopt(zmq.LINGER, 1_000)
