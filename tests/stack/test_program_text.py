"""Text of a program is no accusation: tracebacks as programs really print them; code, files, modules in a line."""

from __future__ import annotations

import io
import json
import logging
import sys
import traceback
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.logging import RichHandler
from rich.traceback import Traceback

from harness.stack.detection.log_matcher import LogParser, UpstreamMatcher
from harness.stack.detection.program_text import prose
from tests.core import erring_program
from tests.rundir.recording import make_plan

NAMES = ("azure", "gcp", "lambda", "import", "heapq")


def named(lines: Iterable[str], names: tuple[str, ...] = NAMES) -> set[str]:
    blame = LogParser(UpstreamMatcher(make_plan(upstreams=names).upstreams))
    return {name for line in lines for name in blame.named(line)}


def logged(handler: logging.Handler, out: io.StringIO, message: str, error: str) -> list[str]:
    log = logging.Logger("offers")
    log.addHandler(handler)
    try:
        erring_program.fail(error)
    except TimeoutError:
        log.exception(message)
    return out.getvalue().splitlines()


def by_rich(
    width: int, *, colours: bool, locals_too: bool, message: str, error: str = "no answer in time"
) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colours, color_system="truecolor" if colours else None)
    handler = RichHandler(console=console, rich_tracebacks=True, tracebacks_show_locals=locals_too)
    return logged(handler, out, message, error)


def plain(message: str, error: str = "no answer in time") -> list[str]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return logged(handler, out, message, error)


WIDTHS = (60, 80, 100, 120, 200)


@pytest.mark.parametrize("locals_too", [False, True], ids=["no locals", "locals"])
@pytest.mark.parametrize("colours", [False, True], ids=["plain", "colours"])
@pytest.mark.parametrize("width", WIDTHS)
class TestRich:
    def test_source_names_nobody(self, width: int, colours: bool, locals_too: bool) -> None:
        lines = by_rich(width, colours=colours, locals_too=locals_too, message="offers failed")
        assert width < 80 or any("lambda" in line for line in lines)
        assert named(lines) == set()

    def test_what_is_said_names(self, width: int, colours: bool, locals_too: bool) -> None:
        assert named(by_rich(width, colours=colours, locals_too=locals_too, message="lambda failed")) == {"lambda"}

    def test_the_exceptions_own_line_names(self, width: int, colours: bool, locals_too: bool) -> None:
        lines = by_rich(
            width, colours=colours, locals_too=locals_too, message="offers failed", error="no answer of import"
        )
        assert named(lines) == {"import"}

    def test_the_log_goes_on_after_it(self, width: int, colours: bool, locals_too: bool) -> None:
        lines = by_rich(width, colours=colours, locals_too=locals_too, message="offers failed")
        assert named([*lines, "2026-11-28 22:36:01 ERROR gcp is down"]) == {"gcp"}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_traceback_that_rich_prints_by_itself(width: int) -> None:
    """As `rich.traceback.install` does, below an error of the log."""
    out = io.StringIO()
    try:
        erring_program.fail()
    except TimeoutError:
        kind, value, trace = sys.exc_info()
        assert kind is not None and value is not None
        Console(file=out, width=width).print(Traceback.from_exception(kind, value, trace, show_locals=True))
    assert named(["ERROR offers failed", *out.getvalue().splitlines()]) == set()


def test_a_plain_traceback() -> None:
    lines = plain("offers failed")
    assert any("key=lambda" in line for line in lines)
    assert named(lines) == set()
    assert named(plain("lambda failed")) == {"lambda"}
    assert named(plain("offers failed", "no answer of import")) == {"import"}
    assert named([*lines, "ERROR gcp is down"]) == {"gcp"}


def test_a_group_of_exceptions() -> None:
    def group() -> list[str]:
        errors = []
        for message in ("no answer of gcp", "late"):
            try:
                erring_program.fail(message)
            except TimeoutError as exc:
                errors.append(exc)
        return traceback.format_exception(ExceptionGroup("offers", errors))

    lines = "".join(group()).splitlines()
    assert named(["ERROR offers failed", *lines]) == {"gcp"}


def test_a_traceback_in_json() -> None:
    try:
        erring_program.fail()
    except TimeoutError:
        text = traceback.format_exc()
    for key in ("exc_info", "exception", "traceback", "stack", "stack_trace", "error.stack_trace"):
        line = {"level": "error", "logger": "offers", "event": "offers failed", key: text}
        assert named([json.dumps(line)]) == set(), key
        assert named([json.dumps({**line, "event": "lambda failed"})]) == {"lambda"}, key
        assert named([json.dumps({**line, "backend": "import"})]) == {"import"}, key
    said = text.replace("no answer in time", "no answer of gcp")
    assert named([json.dumps({"level": "error", "event": "offers failed", "exception": said})]) == {"gcp"}


def test_frames_as_structlog_writes_them() -> None:
    frame = {"filename": "/app/azure.py", "lineno": 3, "name": "lambda", "line": "", "locals": {"gcp": "<Offer>"}}
    error = {"exc_type": "TimeoutError", "exc_value": "late", "frames": [frame]}
    line = {"level": "error", "event": "offers failed", "exception": [error]}
    assert named([json.dumps(line)]) == set()
    error["exc_value"] = "no answer of gcp"
    assert named([json.dumps(line)]) == {"gcp"}


def test_a_stack_as_pino_writes_it() -> None:
    stack = "Error: late\n    at azure (/app/azure.js:3:5)\n    at async gcp.ask (/app/gcp.js:7:1)"
    line = {"level": 50, "msg": "offers failed", "err": {"type": "Error", "message": "late", "stack": stack}}
    assert named([json.dumps(line)]) == set()


@pytest.mark.parametrize(
    "text",
    [
        "items = list(heapq.merge(*offers, key=lambda i: i.price))",
        "cannot sort by key=lambda offer: offer.price",
        'File "/app/azure.py", line 3, in gcp',
        "see /app/backends/azure.py:42",
        "azure.py:42 gave up",
        "\tat com.azure.Client.ask(Azure.java:17)",
        "failed in azure.client.ask",
        "cannot import name 'x' from y: from azure import x",
        "gcp() raised",
    ],
)
def test_code_files_and_modules_name_nobody(text: str) -> None:
    assert named([f"ERROR offers: {text}"]) == set()


@pytest.mark.parametrize(
    "text",
    [
        "lambda did not answer",
        "backend=lambda",
        "[lambda] timed out",
        "lambda: no answer in 1 s",
        "lambda failed: it is late",
        "asking lambda, gave up",
        "http://lambda:8080/offers timed out",
        "offers.lambda: timed out",
        "(lambda) is down",
        "error from lambda.",
    ],
)
def test_what_is_said_of_one_called_lambda_names_it(text: str) -> None:
    assert named([f"ERROR offers: {text}"], ("azure", "lambda")) == {"lambda"}


@pytest.mark.parametrize("text", ["import did not answer", "backend=import", "import: timed out", "import failed"])
def test_what_is_said_of_one_called_import_names_it(text: str) -> None:
    assert named([f"ERROR offers: {text}"], ("azure", "import")) == {"import"}


def test_a_traceback_without_an_end_silences_nobody() -> None:
    head = ["ERROR offers failed", "Traceback (most recent call last):", '  File "/app/x.py", line 3, in ask']
    assert named([*head, "2026-11-28 22:36:01,123 ERROR gcp is down"]) == {"gcp"}
    assert named([*head, "ERROR gcp is down"]) == {"gcp"}
    assert named([*head, '{"level": "error", "event": "gcp is down"}']) == {"gcp"}


def test_added_spellings_name() -> None:
    plan = make_plan(upstreams=("azure", "lambda"))
    spelled = plan.upstreams[1].model_copy(update={"known_as": ("BackendType.LAMBDA", "Lambda Cloud")})
    blame = LogParser(UpstreamMatcher((plan.upstreams[0], spelled)))
    assert blame.named("ERROR BackendType.LAMBDA is late") == {"lambda"}
    assert blame.named("ERROR <models.BackendType.LAMBDA: 3> is late") == {"lambda"}
    assert blame.named("ERROR lambda cloud is late") == {"lambda"}
    assert blame.named("ERROR BackendType.LAMBDA_LABS is late") == frozenset()


@given(st.text(max_size=300))
def test_no_letter_moves(text: str) -> None:
    line = " ".join(text.splitlines())
    assert len(prose(line)) == len(line)


@given(
    st.lists(st.sampled_from(plain("lambda") + by_rich(80, colours=False, locals_too=True, message="x")), max_size=60)
)
def test_no_order_of_lines_breaks_the_reader(lines: list[str]) -> None:
    named([*lines, "2026-11-28 22:36:01 ERROR gcp is down"])
