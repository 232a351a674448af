"""What a first user did, mistake by mistake: each answer in full, and everything of a file in one go."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import main
from harness.cli.display.output import spell
from tests.scenario.world import LADDER, changed, load, only_problem, problems, write

RUNG = "{rung: timeout}"
LAST = "errors < 1% during azure-latency"
COMMAND = "{command: 'a {port}', env: {A: '{azure.url}'}}"
A_LIST = (
    ("upstreams:\n  azure: {p50: 60ms, p99: 140ms}\n  gcp: {}\n", "upstreams: [azure, gcp]\n"),
    ("GET /v1/offers", "{request: GET /v1/offers, headers: {X: '{azure.url}'}}"),
    (LAST, "p99 of gcp < 1s"),
)

MANY = """\
name: shop
service:
  rung: isolated
  client: requests
  without: [retry]
  ready: GET healthz
upstreams:
  azure: {p50: 200}
  gcp: {}
gateway: {timeout: 5, kind: ngnix}
load:
  request: GET /v1/offers
  rate: 40
faults:
  - {upstream: azure, hang: yes, for: 60s}
  - {upstream: gpc, latency: 10s, for: 60}
gates:
  - p99 < 2
  - named azur within 5s during azure-hang
  - cleared within 30s after azure-slow
  - p99 for x < 1s
  - {errors: 1%}
"""


def test_mistakes_of_form_hide_none_of_meaning(tmp_path: Path) -> None:
    assert [(found.line, found.message) for found in problems(tmp_path, MANY)] == [
        (4, "expected aiohttp or httpx, not the text `requests`"),
        (6, "`healthz` is not a path: it begins with / and has no spaces"),
        (8, "200 has no unit"),
        (10, "5 has no unit"),
        (10, "expected auto or nginx or client or external or none, not the text `ngnix`"),
        (13, "40 has no unit"),
        (15, "expected true, not the text `yes`"),
        (16, "there is no upstream `gpc`"),
        (16, "60 has no unit"),
        (18, "`2` has no unit"),
        (19, "there is no upstream `azur`"),
        (20, "there is no fault `azure-slow`"),
        (21, "there is no request `x`"),
        (22, "expected text, not a mapping"),
    ]


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        # the upstream that a fault breaks is looked up though its kind cannot be read
        ([("azure, latency: 60s", "azur, latncy: 60s")], ["`latncy` is no kind of fault", "no upstream `azur`"]),
        ([("azure, latency: 60s", "azur, latency: 60")], ["60 has no unit", "there is no upstream `azur`"]),
        # which policies there are depends on the rung
        ([(RUNG, "{rung: isolatd, without: [breaker]}")], ["not a rung"]),
        ([(RUNG, "{something: 'a {port}', without: [breaker]}")], ["unknown key `something`", "is missing"]),
        # a fault's upstream that is none: the gates that name the fault, or its upstream, are right
        ([("upstream: azure", "upstream: azuer"), (LAST, "named azure within 5s")], ["no upstream `azuer`"]),
        ([("upstream: azure", 'upstream: "azure, gcp"')], ["no upstream `azure, gcp`"]),
        ([("gcp: {}", "GCP: {}"), (LAST, "p99 of gcp < 1s")], ["`GCP` is not a name"]),
        # nothing says that the service is not told its port, or that it has no alert
        ([(RUNG, "{command: serve, environment: {PORT: '{port}'}}")], ["unknown key `environment`"]),
        ([(RUNG, "{command: serve, env: {PORT: 80, A: '{aws.url}'}}")], ["not the number 80", "no upstream `aws`"]),
        ([("upstreams:", "backends:"), (LAST, "complete > 99%")], ["unknown key `backends`"]),
        ([(LAST, "3")], ["expected text, not the number 3"]),
        (list(A_LIST), ["expected a mapping of names, not a list"]),
        ([*A_LIST, ("upstream: azure", "upstream: azur")], ["not a list", "there is no upstream `azur`"]),
    ],
)
def test_what_is_right_in_itself_is_looked_at_and_nothing_is_told_twice(
    changes: list[tuple[str, str]], messages: list[str], tmp_path: Path
) -> None:
    found = problems(tmp_path, changed(*changes))
    assert len(found) == len(messages), [spell(problem) for problem in found]
    told = " / ".join(problem.message for problem in found)
    assert all(message in told for message in messages), told


@pytest.mark.parametrize(
    ("change", "mended", "told"),
    [
        (
            ("latency: 60s, for: 90s", "latncy: 60s, for: 90"),
            ("latncy", "latency"),
            ("no kind of fault", "90 has no unit"),
        ),
        (("latency: 60s, for: 90s", "latncy: 60s"), ("latncy", "latency"), ("no kind of fault", "`for` is missing")),
        (("for: 90s", "jitter: 61s, fro: 90s"), ("fro:", "for:"), ("unknown key `fro`", "is larger than")),
        (("for: 90s", "fro: 90s, every: 90s"), ("fro:", "for:"), ("unknown key `fro`", "leaves less than a second")),
        ((RUNG, "{rung: isolatd, without: [retry]}"), ("isolatd", "isolated"), ("not a rung", "no policy `retry`")),
        ((RUNG, "{comand: 'a {port}', without: [breaker]}"), ("comand", "command"), ("`comand`", "only a rung")),
    ],
)
def test_a_second_mistake_within_a_broken_part_comes_next(
    change: tuple[str, str], mended: tuple[str, str], told: tuple[str, str], tmp_path: Path
) -> None:
    broken = changed(change)
    assert told[0] in only_problem(tmp_path, broken).message
    assert told[1] in only_problem(tmp_path, changed(mended, text=broken)).message


def test_what_is_reckoned_comes_when_every_name_means_something(tmp_path: Path) -> None:
    broken = changed(("for: 90s", "for: 25s"), (LAST, f"{LAST.removesuffix('latency')}latncy"))
    assert "there is no fault `azure-latncy`" in only_problem(tmp_path, broken).message
    found = problems(tmp_path, changed(("latncy", "latency"), text=broken))
    assert {"a PASS needs 30s" in problem.message for problem in found} == {True}


def service(spelled: str) -> tuple[tuple[str, str], ...]:
    return ((RUNG, spelled),)


def gate(text: str) -> tuple[tuple[str, str], ...]:
    return ((LAST, text),)


MESSAGES: list[tuple[tuple[tuple[str, str], ...], str, str]] = [
    ((("latency: 60s", "name: azure-latency, hang: yes"),), "expected true, not the text `yes`", "write true"),
    ((("latency: 60s", 'name: azure-latency, down: "true"'),), "expected true, not the text `true`", "write true"),
    (
        (("latency: 60s", "name: azure-latency, hang: no"),),
        *("expected true, not the text `no`", "remove the fault, or write true"),
    ),
    ((("for: 90s", "for: 1m30s"),), "`1m30s` is not a duration", "write 90s"),
    ((("rate: 40/s", "rate: 40 req/s"),), "`40 req/s` is not a rate", "write 40/s"),
    ((("rate: 40/s", "rate: 40/sec"),), "`40/sec` is not a rate", "write 40/s"),
    ((("rate: 40/s", "rate: 40/fortnight"),), "`40/fortnight` is not a rate", "write 40/s or 40/m"),
    (
        (("latency: 60s", "name: azure-latency, bandwidth: 5kbps"),),
        *("`5kbps` is not a bandwidth", "write 5kB/s or 625B/s"),
    ),
    (
        (("latency: 60s", "name: azure-latency, status: 5xx"),),
        *("`5xx` is many statuses, and this fault answers with one", "write one, such as 500 or 503"),
    ),
    (
        (("latency: 60s", "name: azure-latency, status: '503'"),),
        *("expected a whole number, not the text `503`", "write 503"),
    ),
    (
        (("p99: 140ms", "p99: 40ms"),),
        "`p99` (40ms) is below `p50` (60ms)",
        "p99 is the slow end: write `p99: 60ms` or more, or `p50: 40ms` or less",
    ),
    (gate("5xx: 0"), "expected text, not a mapping", "write `errors = 0`"),
    (gate("{p99: 2}"), "expected text, not a mapping", "write `p99 < 2ms` or `p99 < 2s`"),
    (A_LIST, "expected a mapping of names, not a list", "write `upstreams: {azure: {}, gcp: {}}`"),
    (gate("{p99: 2s}"), "expected text, not a mapping", "write `p99 < 2s`"),
    (gate("complete: 99%"), "expected text, not a mapping", "write `complete > 99%`"),
    (
        (("rate: 40/s", "rate: 40/s\n  baseline: 0s"), *gate("p99 < 1.5x baseline during azure-latency")),
        *("the plan leaves `baseline` empty, so nothing could be judged", "write load.baseline: 62s"),
    ),
    (
        (("rate: 40/s", "rate: 40/s\n  baseline: 0s"), *gate("recovery < 5s after azure-latency")),
        *("the plan leaves `baseline` empty, so nothing could be judged", "write load.baseline: 60s"),
    ),
    (
        (("for: 90s", "for: 90s, at: 0s"), *gate("threads < 2x baseline")),
        "the plan leaves `baseline` empty, so nothing could be judged",
        "let the first fault begin at 11s, after its guard",
    ),
    (gate("rss < 1.2x"), "the gate ends where `baseline` should follow", "rss < 1.2x baseline"),
    (gate("recovery < 15s"), "a `recovery` gate needs the name of a fault", "recovery < 15s after azure-latency"),
    (gate("p99 of Azure < 1s"), "`Azure` is not an upstream's name", "p99 of azure < 1s"),
    (gate("calls < 1.5x"), "`1.5x`: calls are counted, and compared with no other phase or run", "calls < 1.5"),
    (
        service("{rung: timeout, alerts: GET /metrics foo-bar}"),
        "`foo-bar` is not a metric name (letters, digits, `_`, `:`)",
        "write it as /metrics shows it, such as GET /metrics foo_bar",
    ),
    (
        service("{rung: timeout, alerts: 'GET /metrics foo{backend=\"x\"}'}"),
        '`foo{backend="x"}` has labels, but all samples of the metric are read',
        "write the name without labels: GET /metrics foo",
    ),
    (
        service("{rung: timeout, alerts: GET metrics foo}"),
        *("`metrics` is not a path: it begins with /", "write GET /metrics foo"),
    ),
    (
        service("{command: 'a {port}', env: {A: '{aws.url}'}}"),
        "there is no template `{aws.url}`: there is no upstream `aws`",
        "choose one of `azure`, `gcp`; write {{ for a brace",
    ),
    (
        service("{command: 'a {port}', env: {A: '{azur.host}'}}"),
        "there is no template `{azur.host}`: there is no upstream `azur`",
        "did you mean `azure.host`?; write {{ for a brace",
    ),
    (
        (("upstream: azure", 'name: azure-latency, upstream: "azure, gcp"'),),
        *("there is no upstream `azure, gcp`", "write a list: [azure, gcp]"),
    ),
    (
        service('{command: "PORT={port} npm start"}'),
        "`PORT={port}` before a command needs a shell, and the command runs without one",
        'put it into `env`: {PORT: "{port}"}',
    ),
    (
        service('{command: "app $HOME {port}"}'),
        "`$HOME` needs a shell, and the command runs without one",
        'write ${HOME}, which tailgate fills in, or [sh, -c, "…"]',
    ),
    (
        service('{command: "~/bin/app {port}"}'),
        "the `~` of `~/bin/app` needs a shell, and the command runs without one",
        'write the path out, such as ${HOME}/bin/app, or [sh, -c, "…"]',
    ),
    (
        service('{command: [~me/app, "{port}"]}'),
        "the `~` of `~me/app` needs a shell, and the command runs without one",
        'write the path out, or [sh, -c, "…"]',
    ),
    (
        service('{command: "app --in $(pwd) {port}"}'),
        *("`$(…)` needs a shell, and the command runs without one", 'write [sh, -c, "…"]'),
    ),
    (
        service("{rung: timeout, client: requests}"),
        *("expected aiohttp or httpx, not the text `requests`", "choose one of `aiohttp`, `httpx`"),
    ),
    (
        service("{rung: timeout, without: [breaker]}"),
        "the rung `timeout` has no policy `breaker`: it belongs to `isolated`",
        "remove it, or choose one of `parallel`, `deadline`, `unavailable`",
    ),
    (
        service("{rung: sequential, without: [breaker]}"),
        *("the rung `sequential` has no policy `breaker`: it belongs to `isolated`", "remove `without`"),
    ),
    (
        service("{rung: timeout, without: [retry]}"),
        *("there is no policy `retry`", "choose one of `parallel`, `deadline`, `unavailable`"),
    ),
    (gate("errors for x < 1%"), "there is no request `x`", "there is only `GET /v1/offers`"),
    (
        (("rate: 40/s", "rate: 40/s\n  asks: [azure]"),),
        "`asks` of `load` names the requests of a locustfile",
        "`asks` belongs to a request",
    ),
    ((("name: good", "name: good\nclump: 1s"),), "unknown key `clump`", "`clump` belongs to `verdict`"),
    (
        (("name: good", "name: good\nrate: 40/s"),),
        *("unknown key `rate`", "`rate` belongs to `load`, a stage of `stages` or a request"),
    ),
    (
        (("rate: 40/s", "rate: 40/s\n  duration: 60s"),),
        "the load ends at 60s, before the recovery of `azure-latency` ends at 145s",
        "write load.duration: 145s, or shorten `baseline`, `for` or `recovery`",
    ),
    (
        (("  gcp: {}", "   gcp: {}"),),
        "not YAML: expected <block end>, but found '<block mapping start>'",
        "check the indentation: the keys of a mapping, and the dashes of a list, begin in the same column",
    ),
]


@pytest.mark.parametrize("mistake", MESSAGES, ids=[f"{each[0][-1][1][:50]!r}" for each in MESSAGES])
def test_a_mistake_is_answered(mistake: tuple[tuple[tuple[str, str], ...], str, str], tmp_path: Path) -> None:
    changes, message, fix = mistake
    problem = only_problem(tmp_path, changed(*changes))
    assert (problem.message, problem.fix) == (message, fix)


@pytest.mark.parametrize(
    "command", ["a '$5' {port}", "sh -c 'a $HOME {port}'", "a '$HOME' x=1 {port}", "a \\\\~ {port}"]
)
def test_what_a_shell_would_leave_alone_or_another_program_reads_is_taken(command: str, tmp_path: Path) -> None:
    text = changed((RUNG, f'{{command: "{command}", env: {{A: "{{azure.url}}"}}}}'))
    assert load(tmp_path, text).warnings == ()


def test_a_fault_that_nobody_could_prove_has_no_window_to_look_at(tmp_path: Path) -> None:
    text = changed(("latency: 60s", "name: azure-latency, limit_data: 1GB"), *gate("recovery < 5s after azure-latency"))
    assert "so nothing would be cut" in only_problem(tmp_path, text).message


# ---------------------------------------------------------------- warnings


def warnings(tmp_path: Path, *changes: tuple[str, str]) -> list[tuple[str, str]]:
    return [(warning.message, warning.fix) for warning in load(tmp_path, changed(*changes)).warnings]


def test_a_command_that_is_told_no_address(tmp_path: Path) -> None:
    untold = "nothing gives the service the addresses of `azure`, `gcp`; without a call there a fault cannot be proven"
    fix = "put `{azure.url}` into `env` or `command`, or give `azure` a `port`"
    assert warnings(tmp_path, (RUNG, "{command: 'a {port}'}")) == [(untold, fix)]
    one = changed((RUNG, "{command: 'a {port}'}"), ("  gcp: {}\n", ""))
    (warning,) = load(tmp_path, one).warnings
    assert warning.message.startswith("nothing gives the service the address of `azure`;")


@pytest.mark.parametrize(
    "changes",
    [
        [(RUNG, "{command: 'a {port} --azure {azure.address}'}")],
        [(RUNG, "{command: [sh, -c, 'a {port} {gcp.port}']}")],
        [(RUNG, COMMAND)],
        [(RUNG, "{command: 'a {port}', headers: {X-Azure: '{azure.host}'}}")],
        [(RUNG, "{command: 'a {port}'}"), ("gcp: {}", "gcp: {port: 4001}")],
        [],
    ],
)
def test_a_service_that_may_know_where_to_call(changes: list[tuple[str, str]], tmp_path: Path) -> None:
    assert warnings(tmp_path, *changes) == []


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("10.0.0.7", "10.0.0.7 is not this machine, so `tailgate run` will refuse to send load there"),
        ("offers", "unless offers resolves to this machine, `tailgate run` will refuse to send load there"),
        ("127.0.0.2", ""),
        ("localhost", ""),
        ("[::1]", ""),
    ],
)
def test_a_service_that_load_may_not_go_to(host: str, message: str, tmp_path: Path) -> None:
    ports = (("azure: {p50: 60ms", "azure: {port: 4001, p50: 60ms"), ("gcp: {}", "gcp: {port: 4002}"))
    fix = f"run it with --allow-target {host}, if you own that host"
    found = warnings(tmp_path, (RUNG, f"{{url: 'http://{host}:8000'}}"), *ports)
    assert found == ([(message, fix)] if message else [])


# ---------------------------------------------------------------- the command


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit):
        main(list(words))
    out, err = capsys.readouterr()
    return out + err


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_catalog_scenario_misspelled(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "  fix: did you mean the catalog's `azure-slow`?\n" in told(capsys, command, "azure-slo")
    assert "`tailgate init` writes a scenario" in told(capsys, command, "zzz")
    assert "`tailgate init` writes a scenario" in told(capsys, command, "mine/azure-slo")


def test_one_cell_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = LADDER.replace("[sequential, parallel, timeout, pushdown]", "[timeout]").partition("  expect")[0]
    assert ": ok, 1 cell, about " in told(capsys, "validate", str(write(tmp_path, one)))
