"""A worker's connection to the master of a load: CurveZMQ, made anew by ZeroMQ whenever it breaks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Final, Self

import zmq
from zmq.utils.monitor import parse_monitor_message

from harness.model.frozen import Frozen
from harness.remote.curve_keys import CurveKeys
from harness.remote.messages import BrokenMessage, ToWorker, pack, unpack_for_worker
from harness.rundir.planned.upstream import Endpoint

_FAILED: Final = (
    zmq.Event.HANDSHAKE_FAILED_AUTH | zmq.Event.HANDSHAKE_FAILED_PROTOCOL | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
)


class MasterConnection:
    """A context manager. `handshakes`: how often both sides agreed on the keys; `refusals`: how often they did not."""

    def __init__(self, master: Endpoint, keys: CurveKeys) -> None:
        self.id = f"worker-{uuid.uuid4().hex}"
        self.handshakes = 0
        self.refusals = 0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, self.id.encode())
        self._socket.setsockopt(zmq.IPV6, 1)
        keys.secure_worker(self._socket)
        self._monitor = self._socket.get_monitor_socket(zmq.Event.HANDSHAKE_SUCCEEDED | _FAILED)
        self._socket.connect(f"tcp://{master.address}")
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Sends for at most a second what is still queued."""
        self._socket.disable_monitor()
        self._monitor.close(linger=0)  # `term` waits for every socket of the context
        self._socket.close(linger=1_000)
        self._context.term()

    def send(self, message: Frozen) -> None:
        """Queues a message. If the queue is full it is dropped: whatever matters is sent again."""
        try:
            self._socket.send(pack(message, self.id), zmq.NOBLOCK)
        except zmq.Again:
            return

    def receive(self, within_s: float) -> Iterator[ToWorker]:
        """Yields what has come, waiting for the first message at most `within_s`."""
        self._poller.poll(round(within_s * 1000))
        self._read_monitor()
        while True:
            try:
                raw = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                message = unpack_for_worker(raw)
            except BrokenMessage:
                continue
            if message is not None:
                yield message

    def _read_monitor(self) -> None:
        while True:
            try:
                parts = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            event = parse_monitor_message(parts)["event"]
            if event == zmq.Event.HANDSHAKE_SUCCEEDED:
                self.handshakes += 1
            elif event & _FAILED:
                self.refusals += 1
