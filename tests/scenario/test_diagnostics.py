"""Every mistake a scenario can hold: its place, its words, its way out, and all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.display.output import spell
from harness.errors import ScenarioError
from harness.scenario import load_scenario
from tests.scenario.world import GOOD, changed, only_problem, problems, write

# (change, line, col, part of the message, part of the fix); each is the only problem of its scenario
SINGLE = [
    (("name: good", "nam: good\nname: good"), 1, 1, "unknown key `nam`", "did you mean `name`?"),
    (("rate: 40/s", "rate: 40"), 9, 9, "40 has no unit", "write 40/s or 40/m"),
    (("rate: 40/s", "rate: 40rps"), 9, 9, "`40rps` is not a rate", "write 40/s"),
    (("rate: 40/s", "rate: 0/s"), 9, 9, "a rate of 0/s sends nothing", "at least 1/s"),
    (("rate: 40/s", "rate: 40/s\n  users: 3"), 10, 3, "`users` and `rate` exclude each other", "keep one"),
    (("  rate: 40/s\n", ""), 7, 1, "one of `rate`, `users`, `stages` or `replay` is missing", "add rate"),
    (("for: 90s", "for: 90 seconds"), 11, 42, "`90 seconds` is not a duration", "write 90s"),
    (("for: 90s", "for: 9s"), 11, 42, "too short for `azure-latency`: requests are held", "`for: 35s` is the least"),
    (("for: 90s", "for: 25s"), 13, 5, "is 20s long; a PASS needs 30s, 299 clumps of 100ms", "for: 55s"),
    (("for: 90s", "fro: 90s"), 11, 37, "unknown key `fro`", "did you mean `for`?"),
    (("upstream: azure", "upstream: azuer, name: azure-latency"), 11, 16, "no upstream `azuer`", "mean `azure`?"),
    (("latency: 60s", "latncy: 60s"), 11, 5, "`latncy` is no kind of fault", "did you mean `latency`?"),
    (("latency: 60s", "latency: 60s, hang: true"), 11, 5, "two faults in one", "an entry of its own"),
    (("latency: 60s", "name: azure-latency, status: 200"), 11, 52, "200 is too small here", "write at least 400"),
    (("latency: 60s", "latency: 60s, jitter: 61s"), 11, 45, "`jitter` is larger than `latency`", "lower it"),
    (("latency: 60s", "name: azure-latency, reset: 0s, share: 1%"), 11, 62, "observes is not proven", "for: 344s"),
    (("latency: 60s", "latency: 60s, share: 0%"), 11, 44, "a share of 0% breaks nothing", "remove the fault"),
    (("for: 90s", "for: 90s, every: 90s"), 11, 54, "less than a second between two windows", "`for` + 1s"),
    (("for: 90s", "for: 90s, every: 2m"), 11, 47, "needs to know until when", "load.duration"),
    (("rung: timeout", "rung: thread"), 2, 17, "`thread` is not a rung", "did you mean `threads`?"),
    (("rung: timeout", "rung: timeout, client: htpx"), 2, 34, "`htpx`", "`httpx`"),
    (("rung: timeout", "rung: threads, client: httpx"), 2, 34, "has a blocking client of its own", "remove `client`"),
    (("{rung: timeout}", "{command: 'a {port}', client: httpx}"), 2, 40, "only a rung", "remove `client`"),
    (("rung: timeout", "rung: isolated, without: [braker]"), 2, 36, "no policy `braker`", "mean `breaker`?"),
    (("rung: timeout", "rung: timeout, without: [breaker]"), 2, 35, "`breaker`: it belongs to `isolated`", "deadline"),
    (("{rung: timeout}", "{command: 'a {port}', without: [breaker]}"), 2, 41, "only a rung", "remove"),
    (("rung: timeout", "rung: tiemout"), 2, 17, "`tiemout` is not a rung", "did you mean `timeout`?"),
    (("{rung: timeout}", "{}"), 2, 1, "one of `command`, `rung` or `url` is missing", "add command"),
    (("{rung: timeout}", "{url: 127.0.0.1:8000}"), 2, 16, "is not an http:// or https:// URL", "http://HOST:PORT"),
    (("{rung: timeout}", "{url: http://a:b@h:1}"), 2, 16, "may not contain credentials", "header"),
    (("{rung: timeout}", "{command: serve}"), 2, 20, "nothing gives the service its port", "{port}"),
    (("{rung: timeout}", '{command: "a {port} | b"}'), 2, 20, "`|` needs a shell", "[sh, -c"),
    (("{rung: timeout}", '{command: "a {port} \'b"}'), 2, 20, "no closing quotation", "close the quote"),
    (("{rung: timeout}", '{command: "a {port} {azure.uri}"}'), 2, 20, "no template `{azure.uri}`", "azure.url"),
    (("{rung: timeout}", "{command: [a, {port}]}"), 2, 20, "the unquoted {port} as a mapping", '"{port}"'),
    (("{rung: timeout}", '{command: "a {port}", ready: soon}'), 2, 39, "is not a readiness probe", "within 10s"),
    (("{rung: timeout}", "{command: 'a {port}', cwd: nowhere}"), 2, 37, "is not a folder", "relative to this file"),
    (("azure: {p50: 60ms", "azure: {p50: 200ms"), 4, 28, "`p99` (140ms) is below `p50` (200ms)", "slow end"),
    (("gcp: {}", "gcp: {port: 99999}"), 5, 15, "99999 is too large here", "65535"),
    (("gcp: {}", "gcp: postgres://${DB}"), 5, 8, "host and port must be known", "--set"),
    (("gcp: {}", "gcp: {proxy: redis}"), 5, 16, "the scenario names none", "add `toxiproxy: {url:"),
    (("gcp: {}", "GCP: {}"), 5, 3, "`GCP` is not a name", "write `gcp`"),
    (("gcp: {}", "guard: {}"), 5, 3, "`guard` is a reserved name", "choose another"),
    (("gcp: {}", "gcp:"), 5, 3, "expected a mapping, not nothing", "{} is a fake"),
    (("timeout: 5s", "timeout: 5s, kind: ngnix"), 6, 30, "not the text `ngnix`", "did you mean `nginx`?"),
    (("request: GET /v1/offers", "request: /v1/offers"), 8, 12, "has no method", "GET /v1/offers"),
    (("request: GET /v1/offers", "request: get /v1"), 8, 12, "`get` is not a method", "write GET /v1"),
    (("request: GET /v1/offers", "request: GET http://h/a"), 8, 12, "a path without a host", "write GET /a"),
    (
        ("request: GET /v1/offers", "request: {request: GET /, asks: [gcp]}"),
        *(11, 16, "no request asks `azure`", "add `azure` to the `asks`"),
    ),
    (("errors < 1%", "errors < 1"), 14, 14, "`1`", "%"),
    (("errors < 1% during azure-latency", "errors < 1% during azur"), 14, 24, "no fault `azur`", "choose one of"),
    (("errors < 1%", "errors for x < 1%"), 14, 16, "there is no request `x`", "GET /v1/offers"),
    (("errors < 1%", "p99 of aws < 1s"), 14, 12, "there is no upstream `aws`", "`azure`"),
    (("errors < 1%", "rss < 1%"), 14, 11, "`1%` is not a size", "300MB"),
    (("  - errors < 1% during azure-latency\n", "  - 3\n"), 14, 5, "expected text, not the number 3", 'quotes: "3"'),
    (("gates:\n", "verdict: {clump: 1s}\ngates:\n"), 14, 5, "a PASS needs 299s", "clump: 170ms"),
    (("gates:\n", "verdict: {confidence: 10%}\ngates:\n"), 12, 23, "a confidence lies between 50%", "write 95%"),
    (("name: good", "name: a/b"), 1, 7, "it names a folder", "write it without"),
    (("name: good", "name: 12"), 1, 7, "expected text, not the number 12", 'put it in quotes: "12"'),
    (("name: good", "name: good\nseed: 1.5"), 2, 7, "expected a whole number, not the number 1.5", ""),
    (("name: good", "name: good\ntags: x"), 2, 7, "expected a list, not the text `x`", "[ ]"),
    (("name: good", "name: good\nextends: nope.yaml"), 2, 10, "there is no such file", "relative to this file"),
    (("name: good", "name: good\ntoxiproxy: {url: 8474}"), 2, 18, "expected a URL, not the number 8474", "http://"),
    (("rate: 40/s", "rate: 40/s\n  drain: 30s"), 10, 10, "nothing is open 11s after the end", "at most 11s"),
    (("rate: 40/s", "rate: 40/s\n  ok: 2xx"), 10, 7, "not a set of status codes", '"200-399"'),
    (("rate: 40/s", "rate: 40/s\n  complete: {jmespath: 'a['}"), 10, 24, "not a JMESPath expression", "offers[]"),
    (("rate: 40/s", "rate: 2/s"), 13, 5, "sees about 170 arrivals", "raise the rate to 4/s"),
    (("rate: 40/s", "stages: [{rate: 40/s, for: 60s}]"), 11, 5, "the load ends at 60s, before", "last 145s"),
    (("rate: 40/s", "rate: 40/s\n  duration: 60s"), 12, 5, "before the recovery of `azure-latency` ends at", "145s"),
    (("rate: 40/s", "rate: 40/s\n  headers: {a: '${NO_SUCH_VAR}'}"), 10, 16, "has no `NO_SUCH_VAR`", "export"),
    (("rate: 40/s", "rate: 40/s\n  headers: {a: '${oops'}"), 10, 16, "`${` does not begin a variable", "${NAME}"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", SINGLE, ids=[repr(mistake[0][1][:40]) for mistake in SINGLE])
def test_one_mistake(tmp_path: Path, mistake: tuple[tuple[str, str], int, int, str, str]) -> None:
    (old, new), line, col, message, fix = mistake
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new, 1))
    # some mistakes trip both gates of the scenario, in the same words
    problem = next((each for each in found if message in each.message), None)
    assert problem, [spell(each) for each in found]
    assert (problem.line, problem.col) == (line, col), spell(problem)
    assert fix in problem.fix
    assert {each.message.split("`")[0] for each in found} == {problem.message.split("`")[0]}, found


def test_all_mistakes_come_at_once_and_look_like_this(tmp_path: Path) -> None:
    text = changed(
        ("name: good", "name: good\nservce: {}"),
        ("rate: 40/s", "rate: 40"),
        ("azure: {p50: 60ms", "azure: {p50: 60"),
        ("for: 90s", "for: 90s, fr: 1"),
        ("  - errors < 1% during azure-latency", "  - errors < 1% during azure-latncy\n  - p99 of gpc < 1s"),
    )
    path = write(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    shown = "\n".join(spell(problem) for problem in caught.value.problems).replace(str(path), "s.yaml")
    assert shown == (
        "s.yaml:2:1: error: unknown key `servce`\n"
        "    2 | servce: {}\n"
        "      | ^\n"
        "  fix: did you mean `service`?\n"
        "s.yaml:5:16: error: 60 has no unit\n"
        "    5 |   azure: {p50: 60, p99: 140ms}\n"
        "      |                ^\n"
        "  fix: write 60s or 60ms\n"
        "s.yaml:10:9: error: 40 has no unit\n"
        "   10 |   rate: 40\n"
        "      |         ^\n"
        "  fix: write 40/s or 40/m\n"
        "s.yaml:12:47: error: unknown key `fr`\n"
        "   12 |   - {upstream: azure, latency: 60s, for: 90s, fr: 1}\n"
        "      |                                               ^\n"
        "  fix: did you mean `for`?\n"
        "s.yaml:15:24: error: there is no fault `azure-latncy`\n"
        "   15 |   - errors < 1% during azure-latncy\n"
        "      |                        ^\n"
        "  fix: did you mean `azure-latency`?\n"
        "s.yaml:16:12: error: there is no upstream `gpc`\n"
        "   16 |   - p99 of gpc < 1s\n"
        "      |            ^\n"
        "  fix: did you mean `gcp`?"
    )
    assert str(caught.value) == "6 problems; nothing was started"


def test_a_fault_that_cannot_be_read_does_not_make_its_gates_wrong(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, changed(("latency: 60s", "latency: 60")))
    assert problem.message == "60 has no unit"


def test_a_comma_splits_a_gate(tmp_path: Path) -> None:
    text = changed(
        ("gates:\n  - p99 < gateway.timeout during azure-latency\n", "gates: [p99 < max(a, b), errors < 1%]\n"),
        ("  - errors < 1% during azure-latency\n", ""),
    )
    problem = only_problem(tmp_path, text)
    assert "read as the two gates `p99 < max(a` and `b)`" in problem.message
    assert "a line of its own" in problem.fix
    assert (problem.line, problem.col) == (12, 9)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"- a\n", "a scenario is a mapping"),
        (b"hello", "a scenario is a mapping"),
        (b"name: \xff\xfe", "not UTF-8 (byte 0xff on line 1)"),
        (b"\0\0\0", "YAML allows no character 0x00"),
        (b"x" * 10_000_000, "a scenario has at most a megabyte"),
    ],
)
def test_a_file_that_is_no_scenario(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert message in caught.value.problems[0].message
    assert caught.value.problems[0].file == str(path)


def test_no_file_and_a_directory(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "no.yaml", "there is no such file"), (tmp_path, "this is a directory")):
        with pytest.raises(ScenarioError) as caught:
            load_scenario(path)
        assert message in caught.value.problems[0].message
        assert caught.value.problems[0].fix


def test_warnings_are_not_errors(tmp_path: Path) -> None:
    path = write(
        tmp_path, changed(("latency: 60s, for: 90s", "name: azure-latency, bandwidth: 1kB/s, for: 45s, share: 50%"))
    )
    warnings = load_scenario(path).warnings
    assert [(warning.line, warning.col) for warning in warnings] == [(11, 79), (13, 5), (14, 5)]
    assert "not a share of the requests" in warnings[0].message
    assert "it can pass only if next to no request is slow" in warnings[1].message
    assert warnings[1].fix == "write `for: 55s` for `azure-latency`"
