"""A server that the run has not started: `kill_partner.py` as a real partner of the service."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import trustme

from bench.kill_stacks import PARTNER_PROGRAM
from harness.stack.processes.ports import PortLease

_READY_WITHIN_S: Final = 20.0


class OriginServer:
    """Serves from the moment it is made until `close`. If it speaks TLS, its authority is in `work/ca.pem` below the
    folder."""

    def __init__(self, folder: Path, *, speaks_tls: bool) -> None:
        self._lease = PortLease(folder / "origin-locks")
        self.port = self._lease.take()
        argv = [sys.executable, str(PARTNER_PROGRAM), str(self.port), "as-server"]
        if speaks_tls:
            argv.append(str(_certificate(folder)))
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._await_ready()

    def close(self) -> None:
        self.process.kill()  # works on a stopped one, too
        self.process.wait()
        self._lease.release()

    def _await_ready(self) -> None:
        end = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.close()
                    raise
                time.sleep(0.02)


def _certificate(folder: Path) -> Path:
    """A file with a certificate for localhost and its key."""
    authority = trustme.CA()
    (folder / "work").mkdir()
    authority.cert_pem.write_to_path(str(folder / "work" / "ca.pem"))
    path = folder / "origin.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(path))
    return path
