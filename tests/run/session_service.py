"""A service with sessions: POST /login asks gcp and gives a token, and everything else needs one. It logs each token.

GET /offers asks azure with a deadline, and gcp; GET /orders asks gcp alone.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from http import HTTPStatus
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.run.small_service import Handler, serve

DEADLINE_S = 0.5
TOKENS: dict[str, str] = {}
NUMBERS = count()


class Sessions(Handler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._ask("GCP_URL")
        token = f"t0ken-{next(NUMBERS)}-{body['user']}"
        TOKENS[token] = body["user"]
        print(f"INFO gave {token} to {body['user']}", file=sys.stderr, flush=True)
        self.answer(json.dumps({"access_token": token}).encode(), HTTPStatus.CREATED)

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.answer(b"ok")
            return
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in TOKENS:
            self.answer(b"who are you?", HTTPStatus.UNAUTHORIZED)
            return
        print(f"INFO {self.path} by {token}", file=sys.stderr, flush=True)
        asked = ("AZURE_URL", "GCP_URL") if self.path == "/offers" else ("GCP_URL",)
        self.answer(b"[" + b", ".join(self._ask(name) or b"null" for name in asked) + b"]")

    def _ask(self, variable: str) -> bytes | None:
        headers = {"x-tailgate-seq": self.headers.get("x-tailgate-seq", "")}
        request = urllib.request.Request(f"{os.environ[variable]}/offers", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                found: bytes = answer.read()
                return found
        except OSError:
            return None


if __name__ == "__main__":
    serve(Sessions)
