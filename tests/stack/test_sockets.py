"""Sockets by state: of real processes, and of a made-up /proc."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from harness.stack.monitor.sockets import SocketCounter, from_proc, from_psutil

WAYS = [from_psutil, *([from_proc] if sys.platform == "linux" else [])]
Way = Callable[[Iterable[int]], dict[str, int] | None]


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _pair(held: ExitStack) -> tuple[socket.socket, socket.socket]:
    listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
    ours = held.enter_context(socket.create_connection(listener.getsockname(), timeout=5))
    theirs, _ = listener.accept()
    return ours, held.enter_context(theirs)


def _more(after: dict[str, int] | None, before: dict[str, int] | None) -> dict[str, int]:
    """What has come since: the test's own process may hold other sockets."""
    assert after is not None and before is not None
    return {state: count - before.get(state, 0) for state, count in after.items() if count != before.get(state, 0)}


@pytest.mark.parametrize("way", WAYS)
def test_sockets_are_counted_by_state_and_others_are_not(way: Way, held: ExitStack) -> None:
    before = way([os.getpid()])
    ours, theirs = _pair(held)
    held.enter_context(socket.socket(socket.AF_UNIX))
    held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    assert _more(way([os.getpid()]), before) == {"ESTABLISHED": 2, "LISTEN": 1}
    ours.close()
    assert theirs.recv(1) == b""  # now the other side knows, and has not closed
    assert _more(way([os.getpid()]), before) == {"CLOSE_WAIT": 1, "LISTEN": 1}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system tells")
def test_one_that_was_reset_and_never_closed_is_held_all_the_same(held: ExitStack) -> None:
    before = from_proc([os.getpid()])
    ours, theirs = _pair(held)
    held.enter_context(socket.socket(socket.AF_UNIX))
    held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    with pytest.raises(ConnectionResetError):
        ours.recv(1)
    assert _more(from_proc([os.getpid()]), before) == {"CLOSE": 1, "LISTEN": 1}
    ours.close()
    assert _more(from_proc([os.getpid()]), before) == {"LISTEN": 1}


@pytest.mark.parametrize("way", WAYS)
def test_ipv6_is_counted_too(way: Way, held: ExitStack) -> None:
    before = way([os.getpid()])
    try:
        held.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
    except OSError:
        pytest.skip("no IPv6 here")
    assert _more(way([os.getpid()]), before) == {"LISTEN": 1}


@pytest.mark.stack
@pytest.mark.parametrize("way", WAYS)
def test_what_a_fork_shares_counts_once_and_who_has_ended_is_no_error(way: Way, held: ExitStack) -> None:
    listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    heir = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[listener.fileno()],
    )
    with heir:
        assert heir.stdout is not None and heir.stdin is not None
        assert heir.stdout.readline() == b"up\n"
        assert way([heir.pid]) == {"LISTEN": 1}
        assert _more(way([os.getpid(), heir.pid]), way([os.getpid()])) == {}
        heir.kill()
        assert os.waitid(os.P_PID, heir.pid, os.WEXITED | os.WNOWAIT) is not None
        assert way([heir.pid]) == {}  # a zombie
    assert way([heir.pid]) == {}


# ---------------------------------------------------------------- a made-up /proc

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 101 1 0000 20 4 30 10 -1
   2: 0100007F:1F90 0100007F:C002 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000
   3: 0100007F:1F90 0100007F:C003 01 00000000:00000000 00:00000000 00000000     0        0 999 1 0000 20 4 30 10 -1
"""


def _process(proc: Path, pid: int, space: str, inodes: Iterable[int], table: str = TABLE) -> None:
    home = proc / str(pid)
    for name in ("fd", "ns", "net"):
        (home / name).mkdir(parents=True)
    (home / "ns" / "net").symlink_to(space)
    (home / "net" / "tcp").write_text(table)
    for number, inode in enumerate(inodes):
        (home / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
    (home / "fd" / "90").symlink_to("/dev/null")
    (home / "fd" / "91").symlink_to("pipe:[101]")


def test_each_network_namespace_has_a_table_of_its_own(tmp_path: Path) -> None:
    _process(tmp_path, 1, "net:[1]", [100, 101])
    _process(tmp_path, 2, "net:[1]", [100])
    _process(tmp_path, 3, "net:[2]", [100], TABLE.replace(" 0A ", " 08 "))
    # no process has a tcp6: this system has no IPv6; the fourth process has ended
    assert from_proc([1, 2, 3, 4], tmp_path) == {"CLOSE_WAIT": 1, "ESTABLISHED": 1, "LISTEN": 1}


def _end(proc: Path, pid: int) -> None:
    """After its descriptors were listed: its table can no longer be read."""
    for table in (proc / str(pid) / "net").iterdir():
        table.unlink()


@pytest.mark.parametrize("ended", [1, 2])
def test_one_that_ends_while_sockets_are_counted_takes_nobody_elses_with_it(ended: int, tmp_path: Path) -> None:
    for pid in (1, 2):
        _process(tmp_path, pid, "net:[1]", [100, 101])
    _end(tmp_path, ended)
    assert from_proc([1, 2], tmp_path) == {"ESTABLISHED": 1, "LISTEN": 1}


def test_where_all_of_a_namespace_have_ended_its_sockets_are_unknown(tmp_path: Path) -> None:
    _process(tmp_path, 1, "net:[1]", [100, 101])
    _process(tmp_path, 2, "net:[2]", [100])
    _process(tmp_path, 3, "net:[3]", [])
    _end(tmp_path, 3)
    assert from_proc([1, 2, 3], tmp_path) == {"ESTABLISHED": 1, "LISTEN": 2}  # the third held none
    _end(tmp_path, 1)
    assert from_proc([1, 2], tmp_path) is None


def test_our_own_table_serves_where_the_namespace_is_ours(tmp_path: Path) -> None:
    _process(tmp_path, 1, "net:[1]", [100, 101])
    _process(tmp_path, 2, "net:[1]", [])
    (tmp_path / "2").rename(tmp_path / "self")
    _end(tmp_path, 1)
    assert from_proc([1], tmp_path) == {"ESTABLISHED": 1, "LISTEN": 1}


def test_one_that_ends_between_its_two_tables_is_not_taken_for_a_system_without_ipv6(tmp_path: Path) -> None:
    for pid in (1, 2):
        _process(tmp_path, pid, "net:[1]", [100, 101, 7])
    (tmp_path / "2" / "net" / "tcp6").write_text(TABLE.replace(" 100 1 ", " 7 1 "))
    first = tmp_path / "1" / "net" / "tcp"
    first.unlink()
    os.mkfifo(first)

    def ends() -> None:
        text = TABLE.encode()
        with first.open("wb") as table:
            first.unlink()
            table.write(text)

    ending = threading.Thread(target=ends)
    ending.start()
    try:
        assert from_proc([1, 2], tmp_path) == {"ESTABLISHED": 1, "LISTEN": 2}
    finally:
        ending.join(10)


def test_a_socket_that_the_table_tells_twice_counts_once(tmp_path: Path) -> None:
    row = next(line for line in TABLE.splitlines(keepends=True) if " 101 1 " in line)
    _process(tmp_path, 1, "net:[1]", [101], TABLE + row)
    assert from_proc([1], tmp_path) == {"ESTABLISHED": 1}


def test_one_whose_first_thread_has_ended_is_looked_at_by_another(tmp_path: Path) -> None:
    _process(tmp_path, 1, "net:[1]", [100, 101])
    (tmp_path / "5" / "task").mkdir(parents=True)
    for dead in ("5", "6"):
        (tmp_path / "5" / "task" / dead).mkdir()
        (tmp_path / "5" / "task" / dead / "statm").write_text("0 0 0 0 0 0 0\n")
    (tmp_path / "1" / "statm").write_text("900 500 10 1 0 70 0\n")
    (tmp_path / "1").rename(tmp_path / "5" / "task" / "7")
    assert from_proc([5], tmp_path) == {"ESTABLISHED": 1, "LISTEN": 1}


def test_sockets_without_an_address_are_not_all_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = SimpleNamespace(laddr=("127.0.0.1", 1), raddr=("127.0.0.1", 2), status="ESTABLISHED", fd=3)
    bare = [SimpleNamespace(laddr=(), raddr=(), status="CLOSE", fd=fd) for fd in (4, 5)]
    monkeypatch.setattr(psutil, "Process", lambda _: SimpleNamespace(net_connections=lambda _: [pair, *bare]))
    assert from_psutil([1, 2]) == {"CLOSE": 4, "ESTABLISHED": 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_process_that_may_not_be_looked_at_makes_it_unknown(tmp_path: Path) -> None:
    _process(tmp_path, 1, "net:[1]", [100])
    (tmp_path / "1" / "fd").chmod(0)
    assert from_proc([1], tmp_path) is None


def test_a_table_that_cannot_be_read_makes_it_unknown(tmp_path: Path) -> None:
    _process(tmp_path, 1, "net:[1]", [100])
    (tmp_path / "1" / "net" / "tcp").unlink()
    (tmp_path / "1" / "net" / "tcp").mkdir()
    assert from_proc([1], tmp_path) is None


# ---------------------------------------------------------------- not too often


class Costly:
    """Counts that take `cost_s` of processor time each."""

    def __init__(self, cost_s: float) -> None:
        self.cost_s = cost_s
        self.spent_s = 0.0
        self.counter = SocketCounter(self._count, spent=lambda: self.spent_s)

    def _count(self, pids: Iterable[int]) -> dict[str, int]:
        self.spent_s += self.cost_s
        return {"ESTABLISHED": len(list(pids))}

    def looks(self, count: int) -> list[bool]:
        """At which of them it counted."""
        return [self.counter.count([1, 2]) is not None for _ in range(count)]


def test_counting_is_done_at_every_look_while_it_is_cheap() -> None:
    assert Costly(0.09).looks(5) == [True] * 5


@pytest.mark.parametrize("cost_s", [0.11, 30.0])
def test_after_a_costly_count_one_look_is_left_out_and_never_two(cost_s: float) -> None:
    assert Costly(cost_s).looks(5) == [True, False, True, False, True]
