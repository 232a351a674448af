"""A Toxiproxy that somebody else runs, with proxies and toxics of theirs on it, and whether they are as they were.

It can be restarted, which makes it forget everything.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.rundir.planned.fault import PlannedToxic
from harness.stack.processes.ports import PortLease
from harness.toxiproxy.client import ToxiproxyClient, ToxiproxyError
from harness.toxiproxy.serve import server_argv

THEIRS: Final = PlannedToxic(type="latency", stream="downstream", attributes={"latency": 7})
_READY_WITHIN_S: Final = 20.0


class OthersToxiproxy:
    """Serves from the moment it is made until `close`.

    `lent`: names of proxies that a run may borrow, with the port to which each leads.
    """

    def __init__(self, folder: Path, toxiproxy: Path, lent: Mapping[str, int] | None = None) -> None:
        self._lease = PortLease(folder / "their-locks")
        self._port = self._lease.take()
        self._binary = toxiproxy
        self.url = f"http://127.0.0.1:{self._port}"
        self.client = ToxiproxyClient(self.url)
        self.process = self._start()
        self.client.create_proxy("theirs", f"127.0.0.1:{self._lease.take()}", "127.0.0.1:9")
        self.client.add_toxic("theirs", "their-own", THEIRS)
        self.client.set_enabled("theirs", False)
        for name, port in (lent or {}).items():
            self.client.create_proxy(name, f"127.0.0.1:{self._lease.take()}", f"127.0.0.1:{port}")
            self.client.add_toxic(name, "their-own", THEIRS)
        self._before = self.client.proxies()

    def restart(self) -> None:
        """Empty, as any Toxiproxy is after its start."""
        self.process.kill()
        self.process.wait()
        self.process = self._start()
        self._before = {}

    def changed(self) -> list[str]:
        """What is there now and was not, or the other way round."""
        now = self.client.proxies()
        return [
            f"on the server of others: {name}"
            for name in sorted({*now, *self._before})
            if now.get(name) != self._before.get(name)
        ]

    def close(self) -> None:
        self.process.kill()  # works on a stopped one, too
        self.process.wait()
        self._lease.release()

    def _start(self) -> subprocess.Popen[bytes]:
        argv = server_argv(self._binary, "127.0.0.1", self._port)
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                self.client.version()
                return process
            except ToxiproxyError:
                if time.monotonic() > end:
                    process.kill()
                    process.wait()
                    raise
                time.sleep(0.05)
