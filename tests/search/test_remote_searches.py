"""Searches with workers on other machines: what is refused before anything is made, and who is said to have joined."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli.capacity import capacity_command
from harness.cli.frontier import frontier_command
from harness.errors import UsageError
from harness.run.progress import NullDisplay
from harness.run.run import Options, Session
from harness.run.signals import Stopper
from harness.rundir import handshake
from harness.rundir.plan import Plan
from harness.rundir.planned.load import RemoteWorkers
from harness.rundir.planned.upstream import Endpoint
from harness.scenario import load_scenario
from harness.scenario.planner import cells
from harness.search import stack_loads
from harness.search.stack_loads import LoadSpec, StackLoads
from tests.remote.remote_world import make_token

SCENARIO = """\
name: far
service: {url: "http://URL"}
upstreams: UPSTREAMS
gateway: {kind: client, timeout: 2s}
load: {request: GET /, rate: 10/s}
gates: [p50 < 400ms]
"""
FRONTIER = ("--upstream", "azure", "--kind", "latency")


def scenario(folder: Path, url: str = "192.0.2.1:80", upstreams: str = "{azure: {}}") -> Path:
    path = folder / "far.yaml"
    path.write_text(SCENARIO.replace("URL", url).replace("UPSTREAMS", upstreams))
    return path


@pytest.mark.parametrize(("command", "words"), [(capacity_command, ()), (frontier_command, FRONTIER)])
@pytest.mark.parametrize(
    ("far", "says"),
    [
        (("192.0.2.1:80", ""), "the port is in use by "),
        (("192.0.2.1:80", "192.0.2.77:5557"), "cannot be listened on"),
        (("127.0.0.1:80", "0.0.0.0:5557"), "workers on other machines cannot reach http://127.0.0.1:80"),
        (("192.0.2.1:80", "5557"), "--listen needs HOST:PORT"),
    ],
)
def test_workers_that_cannot_be_waited_for_are_refused_before_anything_is_made(
    command: Any, words: tuple[str, ...], far: tuple[str, str], says: str, tmp_path: Path
) -> None:
    """`far`: the target, and `--listen`; empty: a port that is taken."""
    url, listen = far
    token, out = make_token(tmp_path / "token"), tmp_path / "runs"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = listen or f"127.0.0.1:{taken.getsockname()[1]}"
        options = (
            "--expect-workers",
            "2",
            "--listen",
            address,
            "--token-file",
            str(token),
            "--allow-target",
            "192.0.2.1",
        )
        found = CliRunner().invoke(
            command, [str(scenario(tmp_path, url)), *words, *options, "--out", str(out)], standalone_mode=False
        )
    assert isinstance(found.exception, UsageError), found.exception
    assert says in found.exception.message
    assert not out.exists()


class MadeUpStack:
    """A stack whose workers join while a load is awaited."""

    def __init__(self, run_dir: Path, *_: object) -> None:
        self._run_dir = run_dir

    def up(self, watch: Callable[[object], None]) -> None:
        watch(None)
        handshake.prepare(self._run_dir)
        for names in (["worker 1 (a)"], ["worker 1 (a)", "worker 2 (b)"]):
            handshake.write_joined(self._run_dir, names)
            watch(None)

    def load(self, _plan: Plan, run_dir: Path, watch: Callable[[object], None]) -> None:
        self._run_dir = run_dir
        self.up(watch)

    def go(self) -> None: ...

    def events(self, _seconds: float) -> Iterator[object]:
        yield SimpleNamespace(event="load_done")

    def end_load(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Says(NullDisplay):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_who_has_joined_is_said_of_each_load_and_not_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_loads, "StackClient", MadeUpStack)
    far = RemoteWorkers(listen=Endpoint(host="127.0.0.1", port=5557), token_file=str(make_token(tmp_path / "token")))
    display = Says()
    session = Session(Options(tmp_path, workers=2, remote=far), display, Stopper())
    (cell,) = cells(load_scenario(scenario(tmp_path, upstreams="{}")))
    spec = LoadSpec(10, 0.0, 1_000.0, ())
    with StackLoads(session, cell, tmp_path / "search", seed=1, most_per_s=10) as loads:
        for _ in range(3):
            loads.run(spec)
    waiting, *said = display.said
    assert waiting.startswith("waiting up to 120 s for 2 workers at 127.0.0.1:5557")
    assert said == ["worker 1 (a) is here, 1 of 2", "worker 2 (b) is here, 2 of 2"]
