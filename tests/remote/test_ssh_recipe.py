"""The recipe of docs/workers.md for three hosts by ssh, as it stands there; the hosts are network namespaces."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from harness.stack.processes.ports import PortLease
from tests.remote.remote_world import TrueServer, machines, make_token, why_no_machines
from tests.remote.test_remote_runs import SCENARIO, _route
from tests.run.real_runs import TAILGATE

pytestmark = [pytest.mark.alone, pytest.mark.nightly]

HOSTS = ("load-a", "load-b", "load-c")
HERE = "10.77.1.1"
"""Our address, which every namespace reaches."""


def recipe() -> str:
    """The shell commands of the page."""
    page = Path("docs/workers.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"## Three hosts by ssh.*?```\n(.*?)```", page, flags=re.DOTALL)
    return str(found)


@contextmanager
def ssh_hosts(folder: Path, inside: list[tuple[str, ...]]) -> Iterator[Path]:
    """A server of ssh in each namespace, whose users are in a folder of their own, and the folder of an `ssh` and an
    `scp` that know the hosts by name."""
    sshd, sftp = shutil.which("sshd", path="/usr/sbin:/usr/bin"), "/usr/lib/openssh/sftp-server"
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20)
    shutil.copy(folder / "key.pub", folder / "authorized")
    Path("/run/sshd").mkdir(exist_ok=True)
    known, servers = [], []
    try:
        for number, (host, prefix) in enumerate(zip(HOSTS, inside, strict=True), 1):
            home = folder / host
            home.mkdir()
            entry = home / "entry.sh"
            entry.write_text(
                f"#!/bin/sh\ncd {home}\nexport PATH={Path(TAILGATE).parent}:$PATH\n"
                f'case "$SSH_ORIGINAL_COMMAND" in *sftp-server*) exec {sftp} -d {home};; esac\n'
                'exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
            )
            entry.chmod(0o755)
            config = home / "sshd_config"
            config.write_text(
                f"Port 22\nHostKey {key}\nAuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nUsePAM no\n"
                f"PasswordAuthentication no\nPermitRootLogin yes\nPidFile none\nForceCommand {entry}\n"
                f"Subsystem sftp {sftp}\n"
            )
            argv = [*prefix, str(sshd), "-D", "-e", "-f", str(config)]
            servers.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
            _await_listener(f"10.77.{number}.2")
            known.append(
                f"Host {host}\n  HostName 10.77.{number}.2\n  User root\n  IdentityFile {key}\n  BatchMode yes\n"
                f"  StrictHostKeyChecking no\n  UserKnownHostsFile {folder / 'known'}\n  LogLevel ERROR\n"
            )
        (folder / "ssh_config").write_text("".join(known))
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        for name in ("ssh", "scp"):
            (bin_folder / name).write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {folder / "ssh_config"} "$@"\n')
            (bin_folder / name).chmod(0o755)
        yield bin_folder
    finally:
        for server in servers:
            server.terminate()
            server.wait(timeout=10)


def _await_listener(host: str) -> None:
    end_s = time.monotonic() + 20
    while True:
        with suppress(OSError), socket.create_connection((host, 22), timeout=1):
            return
        assert time.monotonic() < end_s, f"no sshd at {host}"
        time.sleep(0.1)


def test_the_recipe_serves_a_load_from_three_hosts(tmp_path: Path) -> None:
    """By day three workers in namespaces, started without ssh, represent it (`test_remote_runs.py`)."""
    if why := why_no_machines():
        pytest.skip(why)
    if not shutil.which("sshd", path="/usr/sbin:/usr/bin"):
        pytest.skip("no sshd (Debian: apt-get install openssh-server)")
    make_token(tmp_path / "token")
    with machines(3, "tgssh") as inside, PortLease() as lease, TrueServer("0.0.0.0") as server:
        for number in ("2", "3"):
            _route(inside[int(number) - 1], number)
        port = lease.take()
        (tmp_path / "far.yaml").write_text(SCENARIO.format(host=HERE, port=server.port, duration="16s"))
        script = recipe().replace("judge.example", HERE).replace("shop.example", HERE).replace("5557", str(port))
        with ssh_hosts(tmp_path, inside) as bin_folder:
            begun_s = time.monotonic()
            done = subprocess.run(
                ["sh", "-c", f"PATH={bin_folder}:{Path(TAILGATE).parent}:$PATH\n{script}"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=200,
                check=False,
            )
    said = done.stdout + done.stderr
    assert "PASS far " in done.stdout, said
    assert said.count("the load is over, and every row has arrived") == 3, said
    assert time.monotonic() - begun_s < 200
    for host in HOSTS:
        assert (tmp_path / host / "token").stat().st_mode & 0o777 == 0o600
