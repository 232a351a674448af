"""Linux' table of sockets: the columns that are used, of lines as the kernel writes them, and of the real one."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from harness.stack.monitor.socket_table import STATES, read_table, rows

OURS, MAPPED = "0100007F", "0000000000000000FFFF00000100007F"


def line(number: int, remote: str, state: str, inode: int, *, ours: str = OURS, timer: int = 0, uid: int = 0) -> bytes:
    """As the kernel formats it (get_tcp4_sock)."""
    return (
        f"{number:4d}: {ours}:1F90 {remote} {state} 00000000:00000000 02:{timer:08X} 00000000 {uid:5d} {0:8d} {inode}"
        f" 1 0000000000000000 20 4 30 10 -1\n"
    ).encode()


LINES = (
    line(0, "00000000:0000", "0A", 100),
    line(12_345, f"{OURS}:C001", "01", 4_294_967_295, timer=0xA3C, uid=4_294_967_294),
    line(2, f"{OURS}:C002", "06", 0),
    line(3, f"{OURS}:C003", "08", 999, timer=0xA3C00000000),
    line(4, f"{MAPPED}:C001", "01", 7, ours=MAPPED),
)
HEAD = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
TABLE = HEAD + b"".join(LINES)


def test_the_columns_that_are_used() -> None:
    found = [(row.local, row.remote, row.state, row.inode) for row in rows(TABLE)]
    ours = ("0100007F", 8080)
    assert found == [
        (ours, ("00000000", 0), "LISTEN", "100"),
        (ours, ("0100007F", 0xC001), "ESTABLISHED", "4294967295"),
        (ours, ("0100007F", 0xC003), "CLOSE_WAIT", "999"),
        (ours, ("0100007F", 0xC001), "ESTABLISHED", "7"),  # IPv4 in an IPv6 socket
    ]


def test_only_the_states_that_are_asked_for() -> None:
    assert [row.inode for row in rows(TABLE, "LISTEN", "CLOSE_WAIT")] == ["100", "999"]
    assert "TIME_WAIT" not in STATES.values()


@pytest.mark.parametrize("text", LINES)
def test_a_line_that_is_cut_raises_nothing(text: bytes) -> None:
    whole = [row.inode for row in rows(text)]
    for size in range(len(text)):
        for row in rows(text[:size]):
            assert row.local == (OURS, 8080) and row.state in STATES.values()
            assert whole[0].startswith(row.inode)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no such table")
def test_the_real_one_has_our_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            inode = str(os.fstat(caller.fileno()).st_ino)
            found = [row for row in rows(read_table(Path("/proc/self"))) if port in (row.local[1], row.remote[1])]
    assert any(row.state == "LISTEN" for row in found)
    (ours,) = [row for row in found if row.inode == inode]
    assert (ours.state, ours.remote[1]) == ("ESTABLISHED", port)


def test_where_there_is_no_such_table_it_is_empty(tmp_path: Path) -> None:
    assert read_table(tmp_path) == b""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_bytes(TABLE)
    assert read_table(tmp_path) == TABLE
    (tmp_path / "net" / "tcp6").mkdir()
    with pytest.raises(IsADirectoryError):
        read_table(tmp_path)
