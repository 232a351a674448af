"""The report in a real Chromium with every hostile text in it: no script of theirs runs, no request leaves."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reports.report import write_reports
from tests.browser import chromium
from tests.hostile.test_outputs import report_of
from tests.hostile.texts import ALL

pytestmark = pytest.mark.browser


@pytest.fixture
def beacon() -> Iterator[tuple[str, list[str]]]:
    """A server that the page must never ask for anything, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_nothing_of_theirs_runs_and_nothing_leaves(tmp_path: Path, beacon: tuple[str, list[str]]) -> None:
    if chromium.BINARY is None:
        reason = "no chromium on PATH (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    host, asked = beacon
    phone = f"fetch('http://{host}/')"
    text = ALL.replace("alert(1)", f"(alerted=true,{phone})").replace("127.0.0.1:1", host)
    text += (
        f"<link rel=stylesheet href=http://{host}/a><iframe src=http://{host}/b></iframe><svg onload=alerted=true>"
        f"<style>@import 'http://{host}/c';body{{background:url(http://{host}/d)}}</style><meta http-equiv=refresh "
        f"content='0;url=http://{host}/e'><base href=http://{host}/><form action=http://{host}/f><object data=http://{host}/g>"
    )
    page = write_reports(report_of(tmp_path / "run", text), ["html"])[0].read_text(encoding="utf-8")
    seen, console = chromium.ask(page, tmp_path / "profile", dark=False, widths=(1440,))
    assert console == []
    assert [(answer["alerted"], answer["resources"]) for answer in seen] == [(False, [])]
    assert asked == []
    # with its policy gone and one element let in it is seen to call: beacon and probe work
    broken = page.replace('http-equiv="Content-Security-Policy"', 'name="policy"')
    broken = broken.replace("</header>", f"<img src=http://{host}/seen onerror=alerted=true></header>", 1)
    seen, _ = chromium.ask(broken, tmp_path / "profile-2", dark=False, widths=(1440,))
    assert asked == ["/seen"]
    assert seen[0]["alerted"]
