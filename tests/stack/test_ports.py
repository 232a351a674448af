"""Port leases: exclusive between processes, never handed out while somebody listens, gone with their holder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import RigError
from harness.stack.processes import ports
from harness.stack.processes.ports import RUN_PORTS, PortLease

HOLDER = """
import sys, pathlib
from harness.stack.processes.ports import PortLease
lease = PortLease(pathlib.Path(sys.argv[1]))
print(lease.take(), flush=True)
sys.stdin.read()
"""


def test_ports_differ_and_lie_below_the_ephemeral_range(tmp_path: Path) -> None:
    with PortLease(tmp_path / "locks") as lease:
        taken = [lease.take() for _ in range(50)]
    assert len(set(taken)) == 50
    assert all(port in RUN_PORTS for port in taken)


def test_two_leases_never_share_a_port(tmp_path: Path) -> None:
    with PortLease(tmp_path / "locks") as one, PortLease(tmp_path / "locks") as other:
        pairs = [(one.take(), other.take()) for _ in range(30)]
    flat = [port for pair in pairs for port in pair]
    assert len(set(flat)) == 60


def test_nothing_is_left_after_release(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    with PortLease(folder) as lease:
        lease.take()
        assert len(list(folder.iterdir())) == 1
    assert not folder.exists()
    lease.release()


def test_a_port_that_somebody_listens_on_is_passed_over(tmp_path: Path) -> None:
    with PortLease(tmp_path / "a") as lease:
        first = lease.take()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first))
        listener.listen()
        with PortLease(tmp_path / "a") as lease:
            assert lease.take() != first
            assert lease.lock_files == tuple(tmp_path / "a" / f"{port}.lock" for port in lease.ports)


def test_a_claimed_port_in_use_names_its_holder(tmp_path: Path) -> None:
    with socket.socket() as listener, PortLease(tmp_path / "locks") as lease:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(RigError, match=rf"port {port} \(upstream azure\) is in use.*pid {os.getpid()}") as caught:
            lease.claim(port, "upstream azure")
        assert caught.value.fix
        assert lease.ports == ()


def test_a_port_claimed_by_another_run_says_so(tmp_path: Path) -> None:
    with PortLease(tmp_path / "locks") as one, PortLease(tmp_path / "locks") as other:
        port = one.take()
        with pytest.raises(RigError, match="another tailgate run"):
            other.claim(port, "upstream azure")
        one.claim(port, "its own")


def test_a_claim_overlooks_connections_that_are_closing(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        server, _ = listener.accept()
        server.close()  # first to close: its end stays in TIME_WAIT
        client.close()
    with PortLease(tmp_path / "locks") as lease:
        lease.claim(port, "upstream azure")
        assert lease.ports == (port,)


def test_a_lease_outlives_its_taker_with_whoever_inherited_it(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    taker = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert taker.stdin and taker.stdout
    port = int(taker.stdout.readline())
    assert ports.remove_stale(folder) == []
    taker.kill()
    taker.wait()
    taker.stdin.close()
    taker.stdout.close()
    lock_file = folder / f"{port}.lock"
    assert lock_file.exists()
    assert ports.remove_stale(folder) == [lock_file]
    assert not folder.exists()


def test_descriptors_hold_the_lock_in_another_process(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    lease = PortLease(folder)
    lease.take()
    heir = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=lease.descriptors)
    for descriptor in lease.descriptors:
        os.close(descriptor)  # as a kill -9 would
    try:
        assert ports.remove_stale(folder) == []
    finally:
        heir.communicate(b"\n")
    assert ports.remove_stale(folder) == list(lease.lock_files)


def test_a_lock_given_up_by_name_may_be_somebody_elses_when_its_first_holder_leaves(tmp_path: Path) -> None:
    """The supervisor gives ports up while tailgate is stopped, which must not free the next run's when it goes on."""
    folder = tmp_path / "locks"
    with PortLease(folder) as first:
        port = first.take()
        ports.unlink_all(first.lock_files)
        assert not folder.exists()
        with PortLease(folder) as second:
            second.claim(port, "the listener of upstream azure")
            first.release()
            assert second.lock_files[0].exists()
            assert ports.lock(second.lock_files[0]) is None


def test_too_few_open_files_are_told_as_such(tmp_path: Path) -> None:
    program = """
import pathlib, resource, sys
from harness.errors import RigError
from harness.stack.processes.ports import PortLease
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
with PortLease(pathlib.Path(sys.argv[1])) as lease:
    try:
        for _ in range(30):
            lease.take()
    except RigError as exc:
        print(exc)
"""
    argv = [sys.executable, "-c", program, str(tmp_path / "locks")]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout
    assert said == "too few open files to hold ports: Too many open files\nfix: ulimit -n 1024\n"
    assert not (tmp_path / "locks").exists()
