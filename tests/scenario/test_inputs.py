"""Files that a scenario names: recordings, locustfiles, data; each looked at before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.scenario.world import changed, load, only_problem, plan_of, write


def replaying(name: str = "times.txt") -> str:
    return changed(("rate: 40/s", f"replay: {name}"))


def locustfile(name: str) -> str:
    return changed(("request: GET /v1/offers", f"locustfile: {name}"))


def test_a_recording_begins_with_the_warm_up(tmp_path: Path) -> None:
    times = [number / 40 for number in range(40 * 170)]
    write(tmp_path, "# recorded on a tuesday\n" + "\n".join(map(str, reversed(times))), "times.txt")
    plan = plan_of(load(tmp_path, replaying()))
    assert plan.load.schedule is not None
    replay_ms = plan.load.schedule.replay_ms
    assert replay_ms is not None
    assert (len(replay_ms), replay_ms[0]) == (6800, -10_000)
    assert replay_ms[-1] == pytest.approx(159_975)
    assert plan.load.duration_ms == pytest.approx(159_976)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no arrival"),
        ("# nothing\n", "has no arrival"),
        ("1\n2\nx\n", "line 3 of times.txt is not a number: `x`"),
        ("-1\n", "is outside 0 to a day"),
        ("nan\n", "is outside 0 to a day"),
        ("1e9\n", "is outside 0 to a day"),
    ],
)
def test_a_recording_that_is_none(tmp_path: Path, content: str, message: str) -> None:
    write(tmp_path, content, "times.txt")
    problem = only_problem(tmp_path, replaying())
    assert message in problem.message
    assert (problem.line, problem.col) == (9, 11)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert "does not exist" in only_problem(tmp_path, replaying()).message
    assert "does not exist" in only_problem(tmp_path, locustfile("mine.py")).message
    (tmp_path / "mine").mkdir()
    assert "is a folder" in only_problem(tmp_path, locustfile("mine")).message
    data = changed(("rate: 40/s", "rate: 40/s\n  data: rows.csv"))
    assert "does not exist" in only_problem(tmp_path, data).message


def test_a_locustfile_beside_a_namesake_of_ours(tmp_path: Path) -> None:
    write(tmp_path, "x = 1\n", "mine.py")
    plan = plan_of(load(tmp_path, locustfile("mine.py")))
    assert plan.load.locustfile == str((tmp_path / "mine.py").resolve())
    assert [request.asks for request in plan.load.requests] == [("azure", "gcp")]
    (tmp_path / "harness").mkdir()
    load(tmp_path, locustfile("mine.py"))
    write(tmp_path, "import harness\n", "mine.py")
    assert "mine.py:1 imports `harness`" in only_problem(tmp_path, locustfile("mine.py")).message


def test_data_needs_a_header_and_a_row(tmp_path: Path) -> None:
    text = changed(
        ("rate: 40/s", "rate: 40/s\n  data: rows.csv\n  headers: {X: '{gpu}', Y: '{gateway.timeout}', Z: '{{a}}'}")
    )
    write(tmp_path, "gpu\n", "rows.csv")
    assert "has no row below its header" in only_problem(tmp_path, text).message
    write(tmp_path, "gpu\nA100\n", "rows.csv")
    plan = plan_of(load(tmp_path, text))
    assert plan.load.data == str((tmp_path / "rows.csv").resolve())
    # columns are the load generator's to fill in
    assert plan.load.requests[0].headers == {"X": "{gpu}", "Y": "5s", "Z": "{{a}}"}


def test_names_that_no_file_system_takes(tmp_path: Path) -> None:
    assert "a text may not contain the character U+0000" in only_problem(tmp_path, locustfile('"a\\0b"')).message
    assert only_problem(tmp_path, locustfile("x" * 5000)).line == 8


# ---------------------------------------------------------------- columns


def with_rows(folder: Path, request: str, *, headers: str = "") -> str:
    write(folder, "gpu,from,to\nA100,1,2\n", "rows.csv")
    return changed(
        ("rate: 40/s", f"rate: 40/s\n  data: rows.csv{headers}"), ("request: GET /v1/offers", f"request: {request}")
    )


@pytest.mark.parametrize(
    "request_part",
    [
        '"GET /v1?from={fron}"',
        '{request: "GET /v1?from={fron}"}',
        "{request: POST /v1, body: 'x {fron} y'}",
        "{request: POST /v1, json: {f: '{fron}'}}",
        "{request: GET /v1, headers: {X-From: '{fron}'}}",
    ],
)
def test_a_column_that_the_data_does_not_have(request_part: str, tmp_path: Path) -> None:
    problem = only_problem(tmp_path, with_rows(tmp_path, request_part))
    assert problem.message == "`{fron}` is not a column of the data file"
    assert problem.fix == "did you mean `from`?; for the text itself write {{fron}}"
    assert problem.line == 8


def test_a_column_in_the_headers_of_all_requests(tmp_path: Path) -> None:
    text = with_rows(tmp_path, "GET /v1", headers="\n  headers: {X: '{gateway.timeout} {azure.url} {gpuu}'}")
    problem = only_problem(tmp_path, text)
    assert (problem.line, problem.message) == (11, "`{gpuu}` is not a column of the data file")


@pytest.mark.parametrize(
    "request_part",
    [
        '"GET /v1?from={from}&to={to}"',
        "{request: POST /v1, body: '{{fron}} {from} { fron }'}",
        "{request: POST /v1, json: {fron: ['{gpu}'], a: {b: {}}}}",
        "{request: GET /v1, headers: {X: '{port} {azure.address} {gpu}'}}",
    ],
)
def test_columns_that_the_data_has_and_what_is_none(request_part: str, tmp_path: Path) -> None:
    load(tmp_path, with_rows(tmp_path, request_part))


# ---------------------------------------------------------------- programs


def commanded(command: str, more: str = "") -> str:
    return changed(("{rung: timeout}", f"{{command: {command}, env: {{A: '{{azure.url}}'{more}}}}}"))


def test_a_program_that_is_not_on_the_path(tmp_path: Path) -> None:
    for command in ("[no-such-program, '{port}']", "'no-such-program {port}'"):
        problem = only_problem(tmp_path, commanded(command))
        assert problem.message == "the program `no-such-program` was not found on PATH"
        assert "install it" in problem.fix
        assert (problem.line, problem.path) == (2, "service.command")
    write(tmp_path, "#!/bin/sh\n", "no-such-program")
    assert "write ./no-such-program" in only_problem(tmp_path, commanded("'no-such-program {port}'")).fix
    assert "not found on PATH" in only_problem(tmp_path, commanded("'sh {port}'", f", PATH: {tmp_path}")).message


def test_a_program_by_its_path(tmp_path: Path) -> None:
    text = commanded("'./bin/app {port}'")
    assert "bin/app does not exist" in only_problem(tmp_path, text).message
    (tmp_path / "bin").mkdir()
    assert "bin is a folder" in only_problem(tmp_path, commanded("'./bin {port}'")).message
    program = write(tmp_path / "bin", "#!/bin/sh\n", "app")
    problem = only_problem(tmp_path, text)
    assert "bin/app is not executable" in problem.message
    assert "chmod +x" in problem.fix
    program.chmod(0o755)
    load(tmp_path, text)
    below = changed(("command: './bin/app {port}'", "cwd: bin, command: './app {port}'"), text=text)
    load(tmp_path, below)


@pytest.mark.parametrize("command", ["'${APP:-x} {port}'", "'sh {port}'", "[/bin/sh, '{port}']"])
def test_a_program_that_is_there_or_known_only_by_the_run(command: str, tmp_path: Path) -> None:
    load(tmp_path, commanded(command))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("'python3 gone.py {port}'", "the script FOLDER/gone.py does not exist, so `python3` cannot start it"),
        ("'/bin/sh gone.sh {port}'", "the script FOLDER/gone.sh does not exist, so `sh` cannot start it"),
        ("[sh, /gone/app.sh, '{port}']", "the script /gone/app.sh does not exist, so `sh` cannot start it"),
        ("'env A=1 python3 gone.py {port}'", "the script FOLDER/gone.py does not exist, so `python3` cannot start it"),
        ("'env no-such-program {port}'", "`env` cannot find the program `no-such-program`"),
        ("'env A=1 B= ./no-such {port}'", "`env` cannot find the program `./no-such`"),
    ],
)
def test_what_another_program_would_start_must_exist(command: str, message: str, tmp_path: Path) -> None:
    problem = only_problem(tmp_path, commanded(command))
    assert problem.message == message.replace("FOLDER", str(tmp_path))
    assert (problem.line, problem.path) == (2, "service.command")


@pytest.mark.parametrize(
    "command",
    [
        "'python3 here.py {port}'",
        "'sh on-path.sh {port}'",
        "'python3 -m no_such_mod {port}'",
        "'python3 -u gone.py {port}'",
        "'sh -c gone.sh {port}'",
        "'python3 ${APP:-x}.py {port}'",
        "'python3 folder-or-zip {port}'",
        "'env -S no-such-program {port}'",
        "'env PATH=/elsewhere no-such-program {port}'",
        "'env A=1 sh here.sh {port}'",
        "'echo gone.py {port}'",
        "'sh {port}.sh'",
    ],
)
def test_what_may_start_is_left_to_the_run(command: str, tmp_path: Path) -> None:
    for name in ("here.py", "here.sh"):
        write(tmp_path, "", name)
    (tmp_path / "bin").mkdir()
    write(tmp_path / "bin", "", "on-path.sh")
    load(tmp_path, commanded(command, f", PATH: '{tmp_path}/bin:{os.environ['PATH']}'"))


@pytest.mark.parametrize("request_part", ['"GET /v1?from={fron}"', '{request: "GET /v1?from={fron}"}'])
def test_a_column_without_any_data(request_part: str, tmp_path: Path) -> None:
    (warning,) = load(tmp_path, changed(("GET /v1/offers", request_part))).warnings
    assert warning.message == "without `load.data`, `{fron}` is sent as it stands"
    assert warning.fix == "write `data: FILE.csv`, with a column `fron`; for the text itself write %7Bfron%7D"
    assert warning.source[warning.col - 1 :].lstrip('"').startswith("{fron}")


@pytest.mark.parametrize("body", ["body: 'query {user{name}}'", "json: {f: '{fron}'}"])
def test_braces_in_a_body_without_data_are_text(body: str, tmp_path: Path) -> None:
    text = changed(("GET /v1/offers", f"{{request: POST /v1, {body}}}"))
    assert load(tmp_path, text).warnings == ()
