"""The options of both commands, as far as nothing is started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from harness.cli import main
from harness.cli.worker import worker_command
from harness.errors import ScenarioError, UsageError
from harness.run.invocation import load_all
from harness.run.remote_load import (
    JoinedWatch,
    parse_address,
    parse_master,
    refuse_unusable,
    remote_workers,
    waiting_note,
    with_remote_workers,
)
from harness.rundir import handshake
from harness.rundir.plan import Plan
from harness.rundir.planned.load import RemoteWorkers
from harness.rundir.planned.upstream import Endpoint
from tests.remote.remote_world import make_token
from tests.rundir.recording import make_plan


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("0.0.0.0:5557", "0.0.0.0", 5557), ("[::1]:1", "::1", 1), ("a.example:65535", "a.example", 65535)],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text, "--listen") == Endpoint(host=host, port=port)


@pytest.mark.parametrize("text", ["", "5557", ":5557", "host:", "host:0", "host:65536", "host:x", "host:٣"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--listen needs HOST:PORT"):
        parse_address(text, "--listen")


def test_a_worker_is_told_which_address_to_write() -> None:
    with pytest.raises(UsageError, match=r"^the address of the run needs HOST:PORT, not '10\.1\.2\.3'") as refused:
        parse_master("10.1.2.3")
    assert refused.value.fix == "write it like 10.1.2.3:5557, with the host and the port of its --listen"
    assert parse_master("[::1]:5557") == Endpoint(host="::1", port=5557)


def test_a_port_that_another_process_listens_on_is_refused_before_the_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Endpoint(host="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(UsageError) as refused:
            refuse_unusable(address)
    assert refused.value.message.startswith(f"--listen {address.address}: the port is in use by ")
    assert f"(pid {os.getpid()})" in refused.value.message
    refuse_unusable(address)
    with pytest.raises(UsageError, match="cannot be listened on") as foreign:
        refuse_unusable(Endpoint(host="192.0.2.1", port=address.port))
    assert "an address of this machine" in foreign.value.fix


def test_who_has_joined_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    far = RemoteWorkers(listen=Endpoint(host="0.0.0.0", port=5557), token_file="/t/token")
    plan = with_remote_workers(_plan("http://10.1.1.1:80"), far)
    plan = plan.model_copy(update={"load": plan.load.model_copy(update={"workers": 2})})
    watch = JoinedWatch(plan, tmp_path, said.append)
    watch.look()
    handshake.prepare(tmp_path)
    handshake.write_joined(tmp_path, ["worker 1 (a)"])
    watch.look()
    watch.look()
    handshake.write_joined(tmp_path, ["worker 1 (a)", "worker 2 (b)"])
    watch.look()
    assert said == ["worker 1 (a) is here, 1 of 2", "worker 2 (b) is here, 2 of 2"]
    said.clear()
    JoinedWatch(plan, tmp_path, said.append).look()
    assert said == ["worker 1 (a) is here, 1 of 2", "worker 2 (b) is here, 2 of 2"]


def test_options_that_belong_together(tmp_path: Path) -> None:
    token = make_token(tmp_path / "token")
    with pytest.raises(UsageError, match="needs --listen"):
        remote_workers(None, token)
    with pytest.raises(UsageError, match="needs --token-file"):
        remote_workers("0.0.0.0:1", None)
    assert remote_workers("0.0.0.0:1", token).token_file == str(token)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--listen", "0.0.0.0:1"], "--listen and --token-file are for --expect-workers"),
        (["--expect-workers", "2", "--workers", "2"], "--workers and --expect-workers exclude each other"),
        (["--expect-workers", "2"], "--expect-workers needs --listen HOST:PORT as well"),
    ],
)
def test_the_command_says_which_option_is_missing(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "ladder", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_variables_of_the_load_need_not_be_set_here_if_the_workers_are_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: s\nservice: {url: 'http://127.0.0.1:9'}\ngateway: {kind: none}\ngates: [p50 < 1s]\n"
        "load: {request: GET /, rate: 20/s, duration: 30s, headers: {X-Key: '${FAR_AWAY_KEY}'}}\n"
    )
    with pytest.raises(ScenarioError) as refused:
        load_all([str(path)], (), ())
    assert refused.value.problems[0].message == "the environment has no `FAR_AWAY_KEY`"
    (loaded,) = load_all([str(path)], (), (), load_is_elsewhere=True)
    assert loaded.scenario.name == "s"


def _plan(target: str) -> Plan:
    plan = make_plan()
    return plan.model_copy(update={"gateway": plan.gateway.model_copy(update={"target": target})})


def test_a_target_on_loopback_is_refused_if_the_workers_are_elsewhere() -> None:
    far = RemoteWorkers(listen=Endpoint(host="0.0.0.0", port=5557), token_file="/t/token")
    with pytest.raises(UsageError, match="which is on this machine's loopback"):
        with_remote_workers(_plan("http://127.0.0.1:80"), far)
    plan = with_remote_workers(_plan("http://10.1.1.1:80"), far)
    assert plan.load.remote == far
    assert (waiting_note(plan) or "").endswith("at 0.0.0.0:5557: tailgate worker HOST:5557 --token-file FILE")
    near = RemoteWorkers(listen=Endpoint(port=5557), token_file="/t/token")
    assert with_remote_workers(_plan("http://127.0.0.1:80"), near).load.remote == near


def test_the_compose_file_starts_three_workers_with_options_that_exist() -> None:
    document = YAML(typ="safe").load(Path("examples/three-workers/compose.yaml").read_text(encoding="utf-8"))
    services = list(document["services"].values())
    assert len(services) == 3
    for service in services:
        program, command, *words = service["command"].split()
        assert (program, command) == ("tailgate", "worker")
        context = worker_command.make_context("worker", words)
        assert parse_address(context.params["master"], "HOST:PORT").port == 5557
        assert context.params["token_file"] == Path("/run/secrets") / service["secrets"][0]["source"]
    assert set(document["secrets"]) == {"token"}


def test_neither_command_imports_an_event_loop_of_its_own(tmp_path: Path) -> None:
    """Locust patches the standard library when it is imported, so only its own processes may do that."""
    program = (
        "import sys, harness.worker.agent, harness.run.remote_load; "
        "print('gevent' in sys.modules, 'locust' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == ["False", "False"]
