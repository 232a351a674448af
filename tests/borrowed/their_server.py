"""A Toxiproxy that somebody else runs, with a proxy that a run may borrow, one that it may not, and an API behind."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from harness.rundir.planned.fault import PlannedToxic
from harness.stack.processes.ports import PortLease
from harness.toxiproxy.client import ToxiproxyClient, ToxiproxyError
from tests.own_ports import own_lease

LEGACY: Final = "legacy_api"
THEIRS: Final = PlannedToxic(type="latency", stream="downstream", attributes={"latency": 3, "jitter": 0})
NEW: Final = PlannedToxic(type="latency", stream="upstream", attributes={"latency": 2, "jitter": 0})
_READY_WITHIN_S: Final = 20.0


class _Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"ok")

    do_HEAD = do_GET

    def handle(self) -> None:
        with suppress(ConnectionError):  # a caller has hung up
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        return


class TheirServer:
    """A context manager. `before`: what /proxies said when everything stood as its owner wants it.

    `counts`: it has metrics. `prefix`: words before the server's command, such as `ip netns exec NAME`.
    """

    def __init__(
        self, folder: Path, binary: Path, *, counts: bool = False, prefix: tuple[str, ...] = (), host: str = "127.0.0.1"
    ) -> None:
        # ports of another network can be bound here, so the runs of this user must see that they are taken
        self._lease = PortLease() if prefix else own_lease(folder / "their-locks")
        self._api = ThreadingHTTPServer((host if prefix else "127.0.0.1", 0), _Api)
        self._api.daemon_threads = True
        self._config = folder / "their-proxies.json"
        self.port, self.listen, other = (self._lease.take() for _ in range(3))
        self.host = host
        leads_to = f"{host if prefix else '127.0.0.1'}:{self._api.server_port}"
        listening = "127.0.0.1" if not prefix else "0.0.0.0"
        self._config.write_text(
            json.dumps(
                [
                    {"name": LEGACY, "listen": f"{listening}:{self.listen}", "upstream": leads_to, "enabled": True},
                    {"name": "other", "listen": f"{listening}:{other}", "upstream": leads_to, "enabled": False},
                ]
            )
        )
        words = ["-host", listening, "-port", str(self.port), "-config", str(self._config)]
        self._argv = [*prefix, str(binary), *words, *(["-proxy-metrics"] if counts else [])]

        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        threading.Thread(target=lambda: self._api.serve_forever(0.05), daemon=True).start()
        self.reached_at("127.0.0.1")
        return self

    def reached_at(self, host: str) -> None:
        self.url = f"http://{host}:{self.port}"
        self.client = ToxiproxyClient(self.url)

    def begin(self) -> None:
        """Start it, and put their toxics there."""
        self._process = self._start()
        for proxy in (LEGACY, "other"):
            self.client.add_toxic(proxy, "theirs", THEIRS)
        self.before = self.proxies()

    def restart(self) -> None:
        """From its config, which knows no toxics."""
        assert self._process
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    def proxies(self) -> dict[str, Any]:
        return {name: proxy.model_dump() for name, proxy in self.client.proxies().items()}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        self._api.shutdown()
        self._api.server_close()
        self._lease.release()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                if len(self.client.proxies()) == 2:  # the config is read after it has begun to listen
                    return process
            except ToxiproxyError:
                pass
            if time.monotonic() > end:
                process.kill()
                process.wait()
                raise TimeoutError("their Toxiproxy did not start")
            time.sleep(0.05)
