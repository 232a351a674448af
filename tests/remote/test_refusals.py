"""Who may take part in a load, asked of the real master: nobody without the key, no other version, none too many."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zmq

from harness import __version__
from harness.errors import UsageError
from harness.model.frozen import Frozen
from harness.remote.curve_keys import read_keys
from harness.remote.messages import Join, JoinRefused, Ping, ToWorker, Welcome, pack
from harness.rundir import handshake
from harness.rundir.planned.load import RemoteWorkers
from harness.rundir.planned.upstream import Endpoint
from harness.stack.processes.ports import PortLease
from harness.worker import agent
from harness.worker.agent import WorkerOptions
from harness.worker.connection import MasterConnection
from scenarios.drive.command import master_argv
from tests.remote.remote_world import kill_tree, make_token
from tests.rundir.recording import make_plan

pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class Listening:
    folder: Path
    address: Endpoint

    @property
    def token(self) -> Path:
        return self.folder / "token"

    def connected(self) -> MasterConnection:
        return MasterConnection(self.address, read_keys(self.token))


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """Expects one worker."""
    folder = tmp_path_factory.mktemp("master")
    make_token(folder / "token")
    handshake.prepare(folder)
    with PortLease() as lease:
        address = Endpoint(port=lease.take())
        plan = make_plan()
        remote = RemoteWorkers(listen=address, token_file=str(folder / "token"))
        plan.model_copy(update={"load": plan.load.model_copy(update={"remote": remote})}).write(folder)
        process = subprocess.Popen(
            master_argv(folder), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )
        try:
            _await_listening(address)
            yield Listening(folder, address)
        finally:
            kill_tree(process)
            process.wait(timeout=20)


def _await_listening(address: Endpoint) -> None:
    end_s = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((address.host, address.port), 1).close()
            return
        except OSError:
            assert time.monotonic() < end_s, "the master did not listen within 60 s"
            time.sleep(0.05)


def _answer(connection: MasterConnection, *messages: Frozen, within_s: float = 30.0) -> ToWorker | None:
    """The first answer that is no ping."""
    for message in messages:
        connection.send(message)
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        for answer in connection.receive(0.05):
            if not isinstance(answer, Ping):
                return answer
    return None


def test_another_version_is_refused(master: Listening) -> None:
    with master.connected() as connection:
        answer = _answer(connection, Join(version="0.0.1", host="old"))
    assert isinstance(answer, JoinRefused)
    assert answer.message == f"this worker is tailgate 0.0.1, and the run is {__version__}"


def test_one_too_many_is_refused_and_one_that_asks_twice_is_one(master: Listening) -> None:
    with master.connected() as first, master.connected() as second:
        asks = Join(version=__version__, host="a")
        welcome = _answer(first, asks)
        assert isinstance(welcome, Welcome) and welcome.index == 0
        refused = _answer(second, asks)
        assert isinstance(refused, JoinRefused), refused


def test_a_peer_without_the_key_gets_no_answer(master: Listening) -> None:
    context = zmq.Context()
    plain = context.socket(zmq.DEALER)
    try:
        plain.connect(f"tcp://{master.address.address}")
        plain.send(pack(Join(version=__version__, host="stranger"), "stranger"))
        assert plain.poll(1_500) == 0
    finally:
        plain.close(linger=0)
        context.term()


def test_another_token_is_noticed_and_named(master: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "REFUSED_S", 0.5)
    token = make_token(tmp_path / "token")
    said: list[str] = []
    options = WorkerOptions(master.address, token)
    with pytest.raises(UsageError, match="does not accept the token in"):
        agent.serve(options, os.environ, said.append, lambda: False, tmp_path)
    assert said[1].endswith("answers, but does not accept this token, or no run is behind it yet")
    assert list(tmp_path.iterdir()) == [token]


def test_garbage_and_messages_of_strangers_do_not_end_the_master(master: Listening) -> None:
    """Whoever has the key may still be a broken program. The master goes on to answer others."""
    with master.connected() as connection:
        connection._socket.send(b"\xc1 no msgpack")
        connection._socket.send(pack(Ping(number=1), "x"))
        answer = _answer(connection, Join(version="0.0.1", host="old"))
        assert isinstance(answer, JoinRefused)
