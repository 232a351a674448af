"""`tailgate doctor SCENARIO`: what a run would need is tried, all at once and without a run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from harness.cli import main
from harness.run.reach import origins
from harness.run.reach import scenario as of_scenario
from harness.run.reach.reached import Reached
from harness.run.reach.scenario import check_reach
from harness.scenario import load_scenario
from harness.toxiproxy.find import EngineChoice
from tests.protocols.test_contract import ANSWERS, Serve, speaks
from tests.scenario.world import write
from tests.stack.test_observe import served
from tests.toxiproxy.world import free_port

REST = """\
gateway: {kind: client, timeout: 5s}
load: {request: GET /, rate: 40/s}
faults: [{upstream: UPSTREAM, down: true, for: 90s}]
"""
SERVICE = '{command: [sh, -c, "x {port}"]}'


@pytest.fixture(autouse=True)
def _toxiproxy_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `find_engine` finds is tested elsewhere."""
    monkeypatch.setattr(
        "harness.run.reach.toxiproxy.find_engine", lambda *_: EngineChoice("real", "2.12.0", "PATH", Path("t"), None)
    )
    monkeypatch.chdir(tmp_path)


def scenario(folder: Path, upstreams: str, service: str = SERVICE, *, faulted: str = "pay") -> Path:
    """`upstreams`: their lines, without the indentation."""
    lines = "".join(f"  {line}\n" for line in upstreams.splitlines())
    rest = REST.replace("UPSTREAM", faulted)
    return write(folder, f"name: reach\nservice: {service}\nupstreams:\n{lines}{rest}")


def reached(path: Path, environ: Mapping[str, str] | None = None, *allowed: str) -> dict[str, Reached]:
    found = check_reach(load_scenario(path), {"PATH": "/usr/bin:/bin", **(environ or {})}, allowed)
    assert len({each.what for each in found}) == len(found)
    return {each.what: each for each in found}


@contextlib.asynccontextmanager
async def listening(*serve: Serve) -> AsyncIterator[list[int]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [(await stack.enter_async_context(served(each))).port for each in serve]


def asked(folder: Path, upstreams: str, *serve: Serve) -> dict[str, Reached]:
    """PORT0, PORT1 … in `upstreams` are the ports of the servers."""

    async def main() -> dict[str, Reached]:
        async with listening(*serve) as ports:
            text = upstreams
            for number, port in enumerate(ports):
                text = text.replace(f"PORT{number}", str(port))
            path = scenario(folder, text)
            return await asyncio.to_thread(reached, path)

    return asyncio.run(main())


# ---------------------------------------------------------------- real servers


def test_servers_that_answer_in_their_protocol(tmp_path: Path) -> None:
    lines = (
        "pay: http://127.0.0.1:PORT0\ncache: redis://127.0.0.1:PORT1\ndb: postgres://localhost:PORT2/app\n"
        "raw: tcp://127.0.0.1:PORT3"
    )
    found = asked(
        tmp_path,
        lines,
        speaks("http"),
        speaks("redis", *ANSWERS["redis"]),
        speaks("postgres", *ANSWERS["postgres"]),
        speaks("tcp"),
    )
    assert {what: each.state for what, each in found.items()} == dict.fromkeys(
        ["toxiproxy", "service", "upstream pay", "upstream cache", "upstream db", "upstream raw"], "ok"
    ), found
    assert "answers in Redis" in found["upstream cache"].detail
    assert "answers in PostgreSQL" in found["upstream db"].detail


def test_a_server_that_speaks_something_else(tmp_path: Path) -> None:
    found = asked(tmp_path, "pay: redis://127.0.0.1:PORT0", speaks("http", b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert found["upstream pay"].state == "fail"
    assert "takes connections, and did not answer in Redis" in found["upstream pay"].detail
    assert found["upstream pay"].fix


@pytest.mark.parametrize("scheme", ["http", "https", "redis", "postgres", "amqp", "tcp"])
def test_a_server_that_refuses_connections(scheme: str, tmp_path: Path) -> None:
    port = free_port()
    found = reached(scenario(tmp_path, f"pay: {scheme}://127.0.0.1:{port}"))["upstream pay"]
    assert (found.state, found.detail) == ("fail", f"127.0.0.1:{port} refused the connection")
    assert found.fix == "start what should listen there, or mend the port"


def test_a_host_off_this_machine_is_asked_only_with_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def noted(host: str, *_: object) -> None:
        seen.append(host)

    monkeypatch.setattr(origins, "check_origin", noted)
    path = scenario(tmp_path, "pay: https://192.0.2.1", "{url: 'http://192.0.2.2:80'}")
    found = reached(path, {}, "192.0.2.1")
    assert found["upstream pay"].state == "ok"
    assert found["service"].state == "warn"
    assert "--allow-target 192.0.2.2" in found["service"].fix
    assert seen == ["192.0.2.1"]


def test_servers_that_say_nothing_are_waited_for_at_once_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origins, "ANSWER_S", 2.0)
    names = ["pay", *(f"n{number}" for number in range(7))]
    lines = "\n".join(f"{name}: redis://127.0.0.1:PORT{number}" for number, name in enumerate(names))
    begin = time.monotonic()
    found = asked(tmp_path, lines, *(speaks("redis") for _ in names))
    assert time.monotonic() - begin < 15.9, "one after the other they take sixteen seconds and more"
    assert {found[f"upstream {name}"].state for name in names} == {"fail"}
    assert "no answer within 2000 ms" in found["upstream pay"].detail


def test_what_finds_nothing_out_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> Reached:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(of_scenario, "origin_reach", never)
    monkeypatch.setattr(of_scenario, "WHOLE_S", 0.2)
    found = reached(scenario(tmp_path, "pay: http://127.0.0.1:1"))["upstream pay"]
    assert (found.state, found.detail) == ("fail", "nothing was found out within 0.2 s")


# ---------------------------------------------------------------- programs


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that the check of the scenario finds, and the doctor's own environment does not have."""
    program = tmp_path_factory.mktemp("bin") / "gone-program"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("service", "environ", "said"),
    [
        ("{command: [gone-program, '{port}']}", {}, "the service's command `gone-program` was not found on PATH"),
        ("{command: [sh, '{port}', '${KEY_OF_TEST}']}", {}, "uses ${KEY_OF_TEST}, which is not set"),
        ("{url: 'http://127.0.0.1:1'}", {}, "GET /healthz: connection refused"),
    ],
)
def test_a_service_that_cannot_be_used(
    service: str, environ: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_TEST", "value-of-the-test")  # for the checks of the scenario, and not for the doctor
    monkeypatch.setattr("harness.run.reach.programs.ANSWER_S", 0.3)
    found = reached(scenario(tmp_path, "pay: {routes: {GET /: {}}}", service), environ)["service"]
    assert found.state == "fail"
    assert said in found.detail
    assert found.fix


def test_a_service_that_runs_already_is_asked_whether_it_is_ready(tmp_path: Path) -> None:
    async def main() -> dict[str, Reached]:
        async with listening(speaks("http", b"HTTP/1.1 204 No Content\r\n\r\n")) as (port,):
            path = scenario(tmp_path, "pay: {port: 19001, routes: {GET /: {}}}", f"{{url: 'http://127.0.0.1:{port}'}}")
            return await asyncio.to_thread(reached, path)

    assert asyncio.run(main())["service"].detail.endswith("answers GET /healthz")


@pytest.mark.usefixtures("elsewhere")
def test_the_programs_of_upstreams(tmp_path: Path) -> None:
    lines = 'pay: {command: [sh, -c, "x {port}"]}\ncars: {command: [gone-program, "{port}"]}'
    found = reached(scenario(tmp_path, lines))
    assert found["upstream pay"].state == "ok"
    assert found["upstream cars"].state == "fail"
    assert "the upstream `cars`'s command `gone-program` was not found" in found["upstream cars"].detail
    assert [path.name for path in tmp_path.iterdir()] == ["scenario.yaml"], "nothing was started, nothing written"


def test_what_the_cells_of_a_matrix_have_in_common_is_tried_once(tmp_path: Path) -> None:
    path = scenario(tmp_path, "pay: http://127.0.0.1:1")
    matrix = "matrix: {vary: {load.rate: [40/s, 50/s]}}\n"
    path.write_text(path.read_text(encoding="utf-8") + matrix, encoding="utf-8")
    assert list(reached(path)) == ["toxiproxy", "service", "upstream pay"]


# ---------------------------------------------------------------- the command


def doctor(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_exit_code_follows_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = scenario(tmp_path, "pay: {routes: {GET /: {}}}")
    assert doctor(str(good)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "this machine can run this scenario"
    bad = scenario(tmp_path, "pay: http://127.0.0.1:1")
    assert doctor(str(bad)) == 4
    out = capsys.readouterr().out
    assert "✗ upstream pay 127.0.0.1:1 refused the connection\n  fix: start what should listen there" in out
    assert out.splitlines()[-1] == "this machine cannot run this scenario yet"
    assert doctor(str(bad), "--json") == 4
    document = json.loads(capsys.readouterr().out)
    assert not document["fit"]
    assert {each["check"]: each["state"] for each in document["findings"]}["upstream pay"] == "fail"
    assert doctor(str(bad), str(good)) == 4
    assert "reach: upstream pay" in capsys.readouterr().out


def test_what_was_not_asked_does_not_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(str(scenario(tmp_path, "pay: https://192.0.2.1"))) == 0
    assert "! upstream pay 192.0.2.1 is not on this machine, so it was not asked" in capsys.readouterr().out
