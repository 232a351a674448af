"""A service that asks its one backend in a thread and gives up waiting after 200 ms.

    python holding_service.py PORT URL [keeps]

Its calls end then as well; with `keeps` they have no timeout of their own, so each goes on holding its thread and
its socket for as long as the backend hangs, while every caller is answered in time.
"""

from __future__ import annotations

import queue
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GIVE_UP_S = 0.2
LONGEST_S = 60.0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"ready" if self.path == "/healthz" else self._offers()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _offers(self) -> bytes:
        answers: queue.Queue[bytes] = queue.Queue(maxsize=1)
        url = f"{sys.argv[2]}/offers"
        request = urllib.request.Request(url, headers={"X-Tailgate-Seq": self.headers.get("X-Tailgate-Seq", "")})
        threading.Thread(target=_ask, args=(request, answers), daemon=True).start()
        try:
            return answers.get(timeout=GIVE_UP_S)
        except queue.Empty:
            return b"none yet"

    def log_message(self, format: str, *args: object) -> None:
        return


def _ask(request: urllib.request.Request, answers: queue.Queue[bytes]) -> None:
    within_s = LONGEST_S if "keeps" in sys.argv else GIVE_UP_S
    try:
        with urllib.request.urlopen(request, timeout=within_s) as answer:
            answers.put_nowait(answer.read())
    except (OSError, queue.Full):
        return  # nobody waits for it any more


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
