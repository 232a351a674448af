"""Text of a program names nobody: tracebacks as Python and rich print them, alone, in JSON and in logfmt.

What rich prints is made by rich itself, at several widths; what other languages print is copied from them.
"""

from __future__ import annotations

import io
import json
import logging
import time
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.logging import RichHandler

from harness.stack.detection.log_matcher import LogParser, UpstreamMatcher, plain
from harness.stack.detection.program_text import prose
from harness.stack.detection.tracebacks import LINES_MOST
from tests.rundir.recording import make_plan
from tests.stack.test_log_matcher import upstreams

NAMES = ("azure", "gcp", "lambda", "import", "key")
PROGRAM = """\
import heapq

def lambda_of(offers):
    gcp = {"azure": 1, "lambda": 2, "import": 3}
    return list(heapq.merge(*offers, key=lambda i: i.price))

def ask(error):
    key = azure = gcp = "lambda"
    raise error  # azure, gcp, lambda

def chained(error):
    try:
        lambda_of([[object()], [object()]])
    except AttributeError as exc:
        raise error from exc

def several(error):
    found = []
    for said in (KeyError("lambda"), error):
        try:
            raise said  # azure, import
        except Exception as exc:
            found.append(exc)
    raise ExceptionGroup("two of gcp", found)
"""


@pytest.fixture(scope="session")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exception]:
    """An exception raised by a program in gcp.py, in a folder called azure, with the message `azure did not answer`."""
    folder = tmp_path_factory.mktemp("programs") / "azure"
    folder.mkdir()
    file = folder / "gcp.py"
    file.write_text(PROGRAM, encoding="utf-8")
    program: dict[str, Callable[[Exception], None]] = {}
    exec(compile(PROGRAM, str(file), "exec"), program)

    def made(how: str) -> Exception:
        try:
            program[how](TimeoutError("azure did not answer"))
        except Exception as exc:
            return exc
        raise AssertionError(how)

    return made


def read(lines: list[str], names: tuple[str, ...] = NAMES) -> list[tuple[str, list[str]]]:
    """The lines that name somebody, with whom."""
    blame = LogParser(UpstreamMatcher(upstreams(*names)))
    found = [(plain(line).strip(), sorted(blame.named(line))) for line in lines]
    return [(line, who) for line, who in found if who]


def named(*lines: str, names: tuple[str, ...] = NAMES) -> list[str]:
    """Whom the last of these lines names."""
    blame = LogParser(UpstreamMatcher(upstreams(*names)))
    return sorted([blame.named(line) for line in lines][-1])


# ---------------------------------------------------------------- one line


@pytest.mark.parametrize(
    "line",
    [
        "ERROR bad: items = list(heapq.merge(*parts, key=lambda i: i.price))",
        "ERROR sorted(items, key=lambda i: i.price)",
        "ERROR lambda x: x",
        "ERROR Can't pickle <function offers.<locals>.<lambda> at 0x7f00>",
        "ERROR TypeError: <lambda>() takes 1 positional argument but 2 were given",
        "ERROR import x",
        "ERROR: import azure",
        "ERROR from x import y",
        "ERROR import azure.core as core",
        "ERROR cannot import name 'x' from 'y'",
        "ERROR in azure.py",
        "ERROR azure.py:42 broke",
        "ERROR azure.py:1042 broke",
        "ERROR azure.json is no JSON",
        "ERROR /app/backends/azure.py",
        "ERROR /app/azure/client.py:3: x",
        "ERROR file:///app/azure/client.mjs:3:5",
        "ERROR backends.azure.client: timed out",
        "ERROR azure.core.exceptions.ServiceRequestError",
        "ERROR offers::azure::client: timed out",
        "ERROR azure() returned nothing",
        "ERROR await azure(session)",
        'ERROR File "/x/azure.py", line 42, in azure',
        "ERROR /x/azure.rb:12:in `azure'",
        "2026-11-28 23:31:51.123 | ERROR    | app:lambda:42 - no answer",
        "level=error caller=azure/client.go:12 msg=x",
        'level=error file="azure" func=azure module=azure msg=x',
        '{"level":"error","module":"azure","funcName":"lambda","pathname":"/x/azure.py","message":"x"}',
        '{"level":"error","message":"x","source":{"function":"azure","file":"/a/azure.go","line":3}}',
        '{"level":"error","log.origin":{"file.name":"azure"},"message":"x"}',
        '{"level":"error","message":"x","stack":[{"func":"azure","line":"12","source":"azure.go"}]}',
        '{"level":"error","message":"x","locals":{"azure":{"gcp":"lambda"}}}',
        '{"level":"error","message":"x","stacktrace":"main.azure\\n\\t/src/azure.go:12\\nmain.gcp\\n\\t/src/main.go:5"}',
        'level=error msg=x exc_info="Traceback (most recent call last):\\n  File \\"/x/azure.py\\", line 3, in key\\n'
        '    items = azure(lambda)\\nValueError: no"',
    ],
)
def test_program_text_in_a_line_names_nobody(line: str) -> None:
    assert named(line) == []


@pytest.mark.parametrize(
    ("line", "who"),
    [
        ("ERROR lambda did not answer", "lambda"),
        ("ERROR lambda failed: no answer", "lambda"),
        ("ERROR gave up (lambda failed: timeout)", "lambda"),
        ("ERROR backend=lambda", "lambda"),
        ("ERROR [lambda] gone", "lambda"),
        ("ERROR lambda: timed out", "lambda"),
        ('{"level":"error","backend":"lambda"}', "lambda"),
        ("ERROR import did not answer", "import"),
        ("ERROR import failed", "import"),
        ("ERROR no answer from import today", "import"),
        ("ERROR backend=import timed out", "import"),
        ("ERROR key gave nothing", "key"),
        ("ERROR offers.azure: timed out", "azure"),
        ('{"level":"error","logger":"offers.azure","message":"timed out"}', "azure"),
        ('{"level":"error","source":"azure","message":"timed out"}', "azure"),
        ("2026-11-28 23:31:51.123 | ERROR    | offers.azure:ask:42 - timed out", "azure"),
        ("ERROR GET http://azure.internal:8080/offers.json timed out", "azure"),
        ("ERROR azure.example.com timed out", "azure"),
        ("ERROR Cannot connect to host azure.svc:80", "azure"),
        ("ERROR azure.default.svc refused", "azure"),
        ("ERROR dial azure.prod:8080: refused", "azure"),
        ("ERROR GET /v1/azure/offers.json failed", "azure"),
        ("ERROR /v1/azure/offers failed", "azure"),
        ("ERROR azure(eu-west) timed out", "azure"),
        ("ERROR azure... gone", "azure"),
        ("ERROR azure.error=timeout", "azure"),
        ("ERROR could not ask azure (gcp.py:42)", "azure"),
        ("ERROR azure failed: Traceback (most recent call last):", "azure"),
        ('{"level":"error","errors":{"azure":"timeout"}}', "azure"),
        ('level=error msg=x exc_info="Traceback (most recent call last):\\n  File \\"/x/gcp.py\\", line 3, in lambda\\n'
         '    items = gcp(lambda)\\nValueError: azure said no"', "azure"),
        ('level=error file=gcp.py msg="azure timed out"', "azure"),
    ],
)  # fmt: skip
def test_what_is_said_names(line: str, who: str) -> None:
    assert named(line) == [who]


@pytest.mark.parametrize(
    "frame",
    [
        "\tat com.azure.Azure.ask(Azure.java:17)",
        "\tat azure.Azure.ask(Native Method)",
        "    at azure (/x/azure.js:3:5)",
        "    at async azure (file:///x/azure.mjs:3:5)",
        "    at new azure (<anonymous>)",
        "    at /x/azure.js:3:5",
        "   at Azure.Client.Get(String azure) in /x/Azure.cs:line 12",
        "\t/src/azure.go:12 +0x1d",
        "   3: offers::azure",
        "             at ./src/azure.rs:12:5",
        "\tfrom /x/azure.rb:12:in 'azure'",
        "#3 /x/azure.php(12): azure->get()",
    ],
)
def test_frames_of_other_languages(frame: str) -> None:
    assert named("ERROR x", frame) == []
    line = json.dumps({"level": "error", "error": {"stack_trace": f"Error: no answer\n{frame}"}})
    assert named(line) == []


def test_what_looks_like_a_frame_and_is_none() -> None:
    assert named("ERROR x", "    at azure (127.0.0.1:80)") == ["azure"]
    assert named("ERROR x", "  at 127.0.0.1:20000") == ["azure"]


# ---------------------------------------------------------------- Python's tracebacks


@pytest.mark.parametrize("margin", ["", "offers-1  | ", "Jan  2 03:04:05 host fanout[12]: "])
def test_of_a_traceback_the_exception_alone_names(failing: Callable[[str], Exception], margin: str) -> None:
    for how in ("ask", "chained"):
        lines = [f"{margin}ERROR x", *_printed(failing(how), margin), f"{margin}INFO lambda is well"]
        assert read(lines) == [(f"{margin}TimeoutError: azure did not answer".strip(), ["azure"])]


def test_of_a_group_its_exceptions_name(failing: Callable[[str], Exception]) -> None:
    assert read(["ERROR x", *_printed(failing("several"))]) == [
        ("| ExceptionGroup: two of gcp (2 sub-exceptions)", ["gcp"]),
        ("| KeyError: 'lambda'", ["lambda"]),
        ("| TimeoutError: azure did not answer", ["azure"]),
    ]


def _printed(exc: Exception, margin: str = "") -> list[str]:
    return [f"{margin}{line}" for line in "".join(traceback.format_exception(exc)).rstrip().split("\n")]


def test_a_stack_ends_without_an_exception() -> None:
    stack = ["Stack (most recent call last):", '  File "/x/azure.py", line 3, in gcp', "    lambda: azure(gcp)"]
    assert read(["ERROR x", *stack, "ERROR azure: late"]) == [("ERROR azure: late", ["azure"])]
    assert named("ERROR x", *stack, "azure: asked") == [], "a line of its own, of no level"


def test_a_marker_and_what_python_cannot_compile() -> None:
    lines = ['  File "/x/azure.py", line 3', "    import lambda azure", "           ^^^^^^", "SyntaxError: bad gcp"]
    assert read(["ERROR x", *lines]) == [("SyntaxError: bad gcp", ["gcp"])]


def test_the_type_of_an_exception_is_no_name() -> None:
    traceback_ = ["ERROR x", "Traceback (most recent call last):", '  File "y", line 1, in z']
    assert named(*traceback_, "azure.key: no answer") == []
    assert named(*traceback_, "azure.key: no answer from gcp") == ["gcp"]


# ---------------------------------------------------------------- rich


def _rich(exc: Exception, width: int, **keywords: object) -> list[str]:
    out = io.StringIO()
    coloured = bool(keywords.pop("coloured", False))
    console = Console(file=out, width=width, force_terminal=coloured, color_system="truecolor" if coloured else None)
    handler = RichHandler(console=console, **keywords)  # type: ignore[arg-type]
    for level, said, exc_info in (
        (logging.ERROR, "it failed", exc),
        (
            logging.WARNING,
            "import did not answer, and after many words this line goes on to speak of key as well",
            None,
        ),
        (logging.INFO, "lambda is well", None),
    ):
        info = (type(exc_info), exc_info, exc_info.__traceback__) if exc_info else None
        record = logging.LogRecord("offers", level, "/x/lambda.py", 42, said, None, info)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.emit(record)
    return out.getvalue().split("\n")


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize(
    "keywords",
    [
        {"rich_tracebacks": True},
        {"rich_tracebacks": True, "tracebacks_show_locals": True},
        {"rich_tracebacks": True, "coloured": True},
        {"rich_tracebacks": True, "show_time": False},
        {},
        {"coloured": True},
    ],
    ids=["a box", "locals", "a terminal", "without times", "no box", "no box, a terminal"],
)
def test_what_rich_prints(failing: Callable[[str], Exception], width: int, keywords: dict[str, object]) -> None:
    for how, expected in (("ask", {"azure"}), ("chained", {"azure"}), ("several", {"azure", "gcp", "lambda"})):
        found = read(_rich(failing(how), width, **keywords))
        of_traceback = {name for _, who in found for name in who} - {"import", "key"}
        assert of_traceback == expected, found
        assert [who for _, who in found if "import" in who or "key" in who][-1] in (["import", "key"], ["key"]), found
        assert sum("lambda" in who for _, who in found) == (how == "several"), found


BOX = """\
[11/28/26 23:51:31] ERROR    it failed                               azure.py:42
                             +- Traceback (most recent call last) -+
                             | /app/azure/gcp.py:12 in lambda      |
                             |                                     |
                             | ? 12 items = merge(key=lambda i: i. |
                             +-------------------------------------+
                             TimeoutError: azure did not answer
                    ERROR    gcp failed                               azure.py:43
"""


def test_a_box_without_lines_to_draw_it() -> None:
    assert [who for _, who in read(BOX.split("\n"))] == [["azure"], ["gcp"]]


def test_a_box_of_the_services_own_says_something() -> None:
    box = ["╭──── Alarm ────╮", "│ ERROR azure   │", "╰───────────────╯"]
    assert [who for _, who in read(box)] == [["azure"]]


# ---------------------------------------------------------------- JSON


def test_a_traceback_in_json(failing: Callable[[str], Exception]) -> None:
    for how in ("ask", "chained"):
        text = "\n".join(_printed(failing(how)))
        for key in ("exc_info", "exception", "traceback", "stack_trace", "error.stack_trace", "message"):
            assert named(json.dumps({"level": "error", "event": "x", key: text})) == ["azure"], key
        items = traceback.format_exception(failing(how))
        assert named(json.dumps({"level": "error", "traceback": items})) == ["azure"]
    assert named(
        '{"level":"error","message":"gcp failed: Traceback (most recent call last):\\n  File \\"azure\\""}'
    ) == ["gcp"]


def test_frames_in_json() -> None:
    frame = {"filename": "/x/azure.py", "lineno": 3, "name": "gcp", "line": "key=azure", "locals": {"lambda": "azure"}}
    said = {"exc_type": "TimeoutError", "exc_value": "azure did not answer", "frames": [frame] * 3}
    assert named(json.dumps({"level": "error", "event": "x", "exception": [said]})) == ["azure"]
    assert named(json.dumps({"level": "error", "event": "x", "exception": [said | {"exc_value": "no"}]})) == []
    pino = {"message": "no", "stack": "Error: no\n    at azure (/x/azure.js:3:5)\n    at /x/gcp.js:3:5"}
    assert named(json.dumps({"level": 50, "err": pino})) == []
    assert named(json.dumps({"level": 50, "err": pino | {"message": "azure said no"}})) == ["azure"]


def test_json_that_is_too_long_to_be_whole() -> None:
    frame = {"filename": "/x/azure.py", "locals": {"gcp": "azure", "lambda": "x" * 900}}
    said = {"level": "error", "event": "x", "exception": [{"exc_value": "no", "frames": [frame] * 40}]}
    assert len(json.dumps(said)) > 30_000
    assert named(json.dumps(said)) == []
    assert named(json.dumps({"level": "error", "event": "gcp failed"} | said)) == []
    assert named(json.dumps(said | {"event": "gcp failed"})) == ["gcp"]


# ---------------------------------------------------------------- a log that goes on


def test_a_traceback_that_never_ends_silences_nobody() -> None:
    begun = ["ERROR x", "Traceback (most recent call last):", '  File "y", line 1, in z']
    for line in ("2026-11-28 23:36:01 ERROR azure failed", "ERROR azure failed", "   ERROR azure failed",
                 '{"level":"error","backend":"azure"}', "  2026-11-28T23:36:01Z  WARN azure is slow"):  # fmt: skip
        assert named(*begun, "    source", line) == ["azure"], line
    assert named(*begun, *["    lambda: azure"] * LINES_MOST, "    azure again") == ["azure"], "no traceback is so long"
    box = ["ERROR x", "╭── Traceback (most recent call last) ──╮", "│ azure │"]
    assert named(*box, "ERROR azure failed") == ["azure"]
    assert named(*box, *["│ azure │"] * LINES_MOST, "│ ERROR azure │") == ["azure"]


def test_a_line_of_another_thread_within_a_traceback() -> None:
    begun = ["ERROR x", "Traceback (most recent call last):", '  File "y", line 1, in z']
    other = "2026-11-28 23:36:01 WARNING gcp is slow"
    lines = [*begun, other, "    lambda: azure", '  File "z", line 2, in azure', "    lambda()", "TimeoutError: azure"]
    assert read(lines) == [(other, ["gcp"]), ("TimeoutError: azure", ["azure"])]


LINES = st.text(max_size=60) | st.sampled_from(
    ["Traceback (most recent call last):", '  File "azure", line 1', "    azure", "╭─ Traceback ─╮", "│ azure │",
     "╰──╯", "offers-1  | Traceback (most recent call last):", "  + Exception Group Traceback (most recent call last):",
     "╭─ Sub-exception #1 ─╮", "E: azure", "+- Traceback (most recent call last) -+", "  | azure", '{"a":"\\n', "\\u00"]
)  # fmt: skip


@given(st.lists(LINES, max_size=12))
def test_whatever_came_before_a_line_of_its_own_names(lines: list[str]) -> None:
    assert named(*lines, "2026-11-28 23:36:01 ERROR azure failed") == ["azure"]


@given(LINES | st.lists(LINES).map("\\n".join) | st.lists(LINES).map("\n".join))
def test_what_is_left_stands_where_it_stood(text: str) -> None:
    read = prose(text)
    assert len(read) == len(text)
    assert all(new in (old, "_") for new, old in zip(read, text, strict=True))


@given(st.recursive(LINES | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["stack", "frames", "locals", "message", "file", "azure"]) | st.text(max_size=5), inner)),
    st.booleans())  # fmt: skip
def test_json_stays_json(value: object, ascii_only: bool) -> None:
    line = json.dumps({"level": "error", "value": value}, ensure_ascii=ascii_only)
    assert isinstance(json.loads(prose(line)), dict)


@pytest.mark.parametrize(
    "line",
    ["/a" * 8_000, "a." * 8_000, "a::" * 5_000, "lambda " * 2_300, "key=lambda a" * 1_300, "import a" * 2_000,
     "from a import " * 1_100, "at a(" * 3_000, "\\n" * 8_000, '{"a":"\\n' * 2_000, "x.py:1:" * 2_200,
     "<function " * 1_600, 'File "' * 2_600, "+-" * 8_000, "╭─" * 8_000, "file=" * 3_200, "x" * 16_000,
     '{"' + "x" * 16_000, "\\" * 16_000,
     "(most " * 2_700, "_:" * 8_000, "a" + " " * 16_000, "await " * 2_600, ".rb:1:in `" * 1_600],
)  # fmt: skip
def test_no_line_takes_long(line: str) -> None:
    begin_s = time.process_time()
    named(f"ERROR azure {line}")
    named(f"{line} ERROR azure")
    named("ERROR x", f"  {line} azure")
    named("ERROR x", "╭─ Sub-exception #1 ─╮", f"│ {line} azure │")
    assert time.process_time() - begin_s < 5


# ---------------------------------------------------------------- added spellings


def test_an_added_spelling_names_as_the_name_does() -> None:
    plan = make_plan(upstreams=("lambda", "aws"))
    known = plan.upstreams[0].model_copy(update={"known_as": ("BackendType.LAMBDA", "aws functions", "Λ", "λ.core")})
    blame = LogParser(UpstreamMatcher((known, plan.upstreams[1])))
    for line in (
        "ERROR BackendType.LAMBDA failed",
        "ERROR <BackendType.LAMBDA: 'l'> failed",
        "ERROR models.backendtype.lambda",
        "ERROR AWS Functions timed out",
        '{"level":"error","backend":"Λ"}',
        "ERROR λ.core: timed out",
    ):
        assert blame.named(line) == {"lambda"}, line
    assert blame.named("ERROR aws timed out") == {"aws"}
    for line in ("ERROR BackendType.LAMBDAS", "ERROR aws functions-eu is no spelling of xaws functions"):
        assert "lambda" not in blame.named(line), line
    for line in ("ERROR x", '  File "x", line 1, in y', "    return BackendType.LAMBDA"):
        assert blame.named(line) == frozenset(), "a source line is one, whatever it holds"
