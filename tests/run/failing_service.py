"""A small service of which nothing good comes.

    python failing_service.py PORT WAY NAME=URL…

WAY is `refuses` (answers 503 to everything), `wrong-path` (asks its backends for /v2/offers, which they do not have,
and answers 200 all the same) or `hangs-up` (closes every connection without a word).
"""

from __future__ import annotations

import contextlib
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.run.small_service import Handler, serve

_way = sys.argv[2]
_backends = dict(word.split("=", 1) for word in sys.argv[3:])


class Service(Handler):
    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.answer(b"well")
        elif _way == "hangs-up":
            self.close_connection = True
        elif _way == "refuses":
            self.answer(b"no", 503)
        else:
            self._ask("/v2/offers")
            self.answer(b"nothing")

    def _ask(self, path: str) -> None:
        for url in _backends.values():
            request = urllib.request.Request(url + path, headers={"X-Tailgate-Seq": self.headers["X-Tailgate-Seq"]})
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=1) as answer:
                answer.read()


if __name__ == "__main__":
    serve(Service)
