"""Gives the sockets of Locust's RPC the keys of the token file, on both sides.

Locust makes them in `locust.rpc.zmqrpc` and has no setting for it, so the initialiser of their base class is extended:
it is the one place through which every such socket comes, before it is bound or connected.
"""

from __future__ import annotations

from typing import Any

import gevent
import zmq.green as zmq
from locust.exception import RPCError, RPCReceiveError
from locust.rpc import zmqrpc

from harness.remote.curve_keys import CurveKeys

_ZAP = "inproc://zeromq.zap.01"


def secure(keys: CurveKeys) -> None:
    """From now on every socket of Locust's RPC in this process speaks CurveZMQ, and no other."""
    base: Any = zmqrpc.BaseSocket
    plain = base.__init__

    def init(self: Any, sock_type: int, ipv4_only: bool) -> None:
        plain(self, sock_type, ipv4_only)
        if sock_type == zmq.ROUTER:
            _admit_only(self.socket.context, keys.worker_public)
            keys.secure_master(self.socket)
        else:
            keys.secure_worker(self.socket)

    base.__init__ = init
    receive = base.recv_from_client

    def recv_from_client(self: Any) -> Any:
        try:
            return receive(self)
        except (RPCError, RPCReceiveError):
            raise
        except Exception as exc:  # Locust expects a few of the errors that damaged messages cause; others would end it
            raise RPCReceiveError("a message that cannot be read") from exc

    base.recv_from_client = recv_from_client


def _admit_only(context: Any, worker_public: bytes) -> None:
    """Answers ZeroMQ's question who may connect (RFC 27, ZAP): who has the workers' key."""
    from zmq.utils import z85

    socket = context.socket(zmq.REP)
    socket.bind(_ZAP)
    admitted = z85.decode(worker_public)

    def answer() -> None:
        while True:
            version, request, _domain, _address, _identity, mechanism, *credentials = socket.recv_multipart()
            ok = mechanism == b"CURVE" and credentials == [admitted]
            status = (b"200", b"OK") if ok else (b"400", b"not a worker of this run")
            socket.send_multipart([version, request, *status, b"", b""])

    gevent.spawn(answer)
