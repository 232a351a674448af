"""`tailgate worker --keep`: which ends of a load end the worker, and a worker that waits for the next one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.worker import worker_command
from harness.errors import Interrupted, RigError, UsageError
from harness.remote.curve_keys import read_keys
from harness.remote.messages import Join, JoinRefused, Welcome
from harness.rundir.planned.upstream import Endpoint
from harness.worker import agent
from harness.worker.agent import NoRunCame, WorkerOptions
from harness.worker.keeper import serve_many
from tests.remote.remote_world import a_site, make_token

OPTIONS = WorkerOptions(master=Endpoint(port=1), token_file=Path("token"))
NOBODY = NoRunCame("no run of tailgate took this worker", "start one")


class Loads:
    """Loads that end in these ways, one after the other; then none comes any more."""

    def __init__(self, *ends: Exception | None) -> None:
        self.ends = iter((*ends, NOBODY))
        self.asked: list[WorkerOptions] = []
        self.said: list[str] = []

    def serve_one(self, options: WorkerOptions) -> None:
        self.asked.append(options)
        if (end := next(self.ends)) is not None:
            raise end

    def serve(self) -> None:
        serve_many(OPTIONS, 600, self.serve_one, self.said.append)


def test_it_serves_until_none_comes_any_more() -> None:
    loads = Loads(None, None, None)
    loads.serve()
    assert len(loads.asked) == 4
    assert all((each.join_within_s, each.is_patient) == (600, True) for each in loads.asked)
    assert loads.said == ["no further load came within 600 s; 3 loads served"]


def test_a_load_that_failed_ends_only_itself_and_is_not_forgotten() -> None:
    loads = Loads(None, RigError("the run has ended: it was killed", ""), None)
    with pytest.raises(RigError, match="1 of 3 loads failed"):
        loads.serve()
    assert loads.said[0] == "this load failed: the run has ended: it was killed"


def test_without_any_load_it_says_so() -> None:
    with pytest.raises(NoRunCame):
        Loads().serve()


@pytest.mark.parametrize("end", [UsageError("add --allow-target far", ""), Interrupted("stopped")])
def test_what_would_happen_again_ends_it(end: Exception) -> None:
    loads = Loads(None, end, None)
    with pytest.raises(type(end)):
        loads.serve()
    assert len(loads.asked) == 2


def test_the_option_is_a_duration() -> None:
    words = ["far:5557", "--token-file", "token", "--keep", "10m"]
    assert worker_command.make_context("worker", words).params["keep_ms"] == 600_000


# ---------------------------------------------------------------- one that takes no more


class _Full:
    """A connection to a run that has no place twice, and then one."""

    handshakes, refusals = 1, 0

    def __init__(self) -> None:
        self.joins = 0
        self.answers: Iterator[object] = iter(
            (JoinRefused(message="full"), JoinRefused(message="full"), Welcome(index=0, plan=b""))
        )
        self.queue: list[object] = []

    def send(self, message: object) -> None:
        if isinstance(message, Join):
            self.joins += 1
            self.queue.append(next(self.answers))

    def receive(self, _within_s: float) -> list[object]:
        came, self.queue = self.queue, []
        return came


@pytest.mark.parametrize("is_patient", [False, True])
def test_a_run_that_is_full_is_asked_again_by_a_worker_that_is_kept(
    is_patient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(1_000))
    monkeypatch.setattr("harness.worker.agent.time.monotonic", lambda: next(seconds) / 2)
    full = _Full()
    accepted: list[Welcome] = []
    joining = agent._Agent(
        WorkerOptions(master=Endpoint(port=1), token_file=Path("token"), is_patient=is_patient),
        full,  # type: ignore[arg-type]
        Path(),
        None,  # type: ignore[arg-type]
        environ={},
        report=lambda _: None,
        is_stopped=lambda: False,
    )
    monkeypatch.setattr(joining, "_accept", accepted.append)
    if is_patient:
        joining.join()
        assert (full.joins, len(accepted)) == (3, 1)
        return
    with pytest.raises(UsageError, match="does not take this worker: full"):
        joining.join()
    assert full.joins == 1


def test_the_keys_of_a_kept_worker_are_read_for_each_load(tmp_path: Path) -> None:
    """So a token may be changed between two loads."""
    token = make_token(tmp_path / "token")
    first = read_keys(token)
    make_token(token)
    assert read_keys(token) != first


# ---------------------------------------------------------------- whole runs


MATRIX = """\
name: kept
service: {{url: "http://127.0.0.1:{port}", ready: GET / within 10s}}
gateway: {{kind: none}}
load: {{rate: 40/s, request: GET /offers, warmup: 1s, duration: 6s, timeout: 3s}}
verdict: {{clump: 10ms}}
matrix: {{vary: {{load.rate: [40/s, 60/s]}}}}
gates: [p90 < 350ms]
"""


@pytest.mark.alone
@pytest.mark.nightly
def test_kept_workers_serve_the_cells_of_a_matrix_and_the_loads_of_a_search(tmp_path: Path) -> None:
    """By day the tests above represent it, and `test_remote_runs.py` a load."""
    from harness.stack.processes.ports import PortLease
    from tests.remote.remote_world import TrueServer
    from tests.run.real_runs import Running

    with a_site(tmp_path) as site, PortLease() as lease, TrueServer() as server:
        address = f"127.0.0.1:{lease.take()}"
        for _ in range(2):
            site.worker(address, "--keep", "20s")
        words = ("--expect-workers", "2", "--listen", address, "--token-file", str(site.token))
        ran = Running(tmp_path, MATRIX.format(port=server.port), *words).end()
        assert ran.verdict == "PASS", ran.stdout + ran.stderr
        search = tmp_path / "search"
        search.mkdir()
        _searched(search, MATRIX.format(port=server.port), *words)
        assert [worker.end(60) for worker in site.workers] == [0, 0]
        assert site.left() == []
        for worker in site.workers:
            served = worker.stderr.count("the load is over, and every row has arrived")
            assert served >= 4, worker.stderr


def _searched(folder: Path, scenario: str, *words: str) -> None:
    """At least two loads of a search, whose end does not matter here."""
    import subprocess

    from tests.run.real_runs import TAILGATE

    (folder / "s.yaml").write_text(
        scenario.split("matrix:", maxsplit=1)[0] + "gates: [p90 < 350ms]\n", encoding="utf-8"
    )
    options = ("--from", "40/s", "--to", "80/s", "--step", "6s", "--soak", "6s", "--within", "50%", "--json")
    done = subprocess.run(
        [TAILGATE, "capacity", "s.yaml", *options, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode in (0, 1, 3), done.stdout + done.stderr
