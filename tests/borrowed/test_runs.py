"""Whole runs with a borrowed proxy: however one ends, their server is as it was, but for what its owner changed."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.rundir.journal import read_journal
from harness.stack.names import SUPERVISOR_MODULE
from tests.borrowed.their_server import LEGACY, NEW, TheirServer
from tests.run.real_runs import Ran, Running, assert_nothing_left
from tests.run.stalling_admin import StallingAdmin

pytestmark = [pytest.mark.stack, pytest.mark.beside]
SERVICE = Path(__file__).parent.parent / "run" / "legacy_service.py"
SLOW = "{name: broken, upstream: legacy, latency: 60s, for: 9s}"
DOWN = "{name: broken, upstream: legacy, down: true, for: 9s}"
SCENARIO = """\
name: legacy
service:
  command: [{python!r}, {service!r}, "{{port}}"]
  env: {{LEGACY_URL: "{{legacy.url}}", LEGACY_PATIENCE_S: "1.3"}}
toxiproxy: {{url: {url}}}
upstreams: {{legacy: {{proxy: legacy_api}}}}
gateway: {{kind: client, timeout: 2s}}
load: {{request: GET /, rate: 20/s, warmup: 500ms, baseline: 1s, recovery: 1s, guard: 1s, complete: none}}
faults: [{fault}]
gates: [p90 < gateway.timeout during broken]
verdict: {{clump: 50ms}}
"""


@pytest.fixture
def theirs(tmp_path: Path, toxiproxy_binary: Path) -> Iterator[TheirServer]:
    with TheirServer(tmp_path, toxiproxy_binary) as server:
        server.begin()
        yield server


def scenario(url: str, fault: str = SLOW) -> str:
    return SCENARIO.format(python=sys.executable, service=str(SERVICE), url=url, fault=fault)


def broken(folder: Path, url: str, fault: str = SLOW) -> Running:
    """A run whose fault is in force."""
    running = Running(folder, scenario(url, fault), env={"TOXIPROXY_URL": None})
    running.wait_for_fault()
    return running


def rig_failure(ran: Ran, *says: str) -> None:
    said = " ".join((ran.stdout + ran.stderr).split())
    assert ran.code == 4, said
    for sentence in says:
        assert sentence in said, said
    assert "Traceback" not in said
    for word in ("kill", "/reset", "restart that"):
        assert word not in said.replace("who kills processes", ""), said


def nothing_left(ran: Ran) -> None:
    assert ran.run_dir is not None
    assert_nothing_left(ran.run_dir)


_AT_NIGHT = pytest.mark.nightly
# each way to end has one of the two faults by day; the kill matrix has both (tests/run/test_kill_matrix.py)
BY_DAY_SLOW = pytest.mark.parametrize(
    "fault", [pytest.param(SLOW, id="delay"), pytest.param(DOWN, id="down", marks=_AT_NIGHT)]
)
BY_DAY_DOWN = pytest.mark.parametrize(
    "fault", [pytest.param(SLOW, id="delay", marks=_AT_NIGHT), pytest.param(DOWN, id="down")]
)


@BY_DAY_SLOW
def test_a_whole_run(tmp_path: Path, theirs: TheirServer, fault: str) -> None:
    ran = Running(tmp_path, scenario(theirs.url, fault), env={"TOXIPROXY_URL": None}).end()
    assert theirs.proxies() == theirs.before
    assert "its connections are closed once" in ran.stderr
    # a service that goes on without the answer shows nothing of a refused connection
    assert (ran.verdict, ran.code) == (("PASS", 0) if fault == SLOW else ("INCONCLUSIVE", 3)), ran.stdout
    nothing_left(ran)


@BY_DAY_DOWN
def test_ctrl_c(tmp_path: Path, theirs: TheirServer, fault: str) -> None:
    running = broken(tmp_path, theirs.url, fault)
    running.process.send_signal(signal.SIGINT)
    ran = running.end()
    assert ran.code == 130, ran.stdout
    assert theirs.proxies() == theirs.before


@BY_DAY_SLOW
def test_a_supervisor_that_is_killed(tmp_path: Path, theirs: TheirServer, fault: str) -> None:
    running = broken(tmp_path, theirs.url, fault)
    assert theirs.proxies() != theirs.before
    running.child(SUPERVISOR_MODULE).kill()
    ran = running.end()
    assert ran.code == 4, ran.stdout
    assert theirs.proxies() == theirs.before
    nothing_left(ran)


@pytest.mark.nightly
@pytest.mark.parametrize("fault", [SLOW, DOWN], ids=["delay", "down"])
def test_both_that_are_killed_and_the_next_start(tmp_path: Path, theirs: TheirServer, fault: str) -> None:
    running = broken(tmp_path, theirs.url, fault)
    supervisor = running.child(SUPERVISOR_MODULE)
    running.process.kill()
    supervisor.kill()
    running.process.communicate(timeout=60)
    assert theirs.proxies() != theirs.before
    folder = tmp_path / "next"
    folder.mkdir()
    ran = Running(folder, scenario(theirs.url), env={"TOXIPROXY_URL": None}).end()
    assert ran.code == 0, ran.stdout
    assert theirs.proxies() == theirs.before


def _toxic_added(theirs: TheirServer) -> None:
    theirs.client.add_toxic(LEGACY, "new", NEW)


def _toxic_removed(theirs: TheirServer) -> None:
    theirs.client.set_enabled(LEGACY, False)
    theirs.client.remove_toxic(LEGACY, "theirs")
    theirs.client.set_enabled(LEGACY, True)


def _deleted(theirs: TheirServer) -> None:
    theirs.client.delete_proxy(LEGACY)


def _restarted(theirs: TheirServer) -> None:
    theirs.restart()


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("meddle", "says"),
    [
        (_toxic_added, "toxic new was added to proxy legacy_api"),
        (_toxic_removed, "theirs of others no longer stand on proxy legacy_api"),
        (_deleted, "legacy_api"),
        (_restarted, "the server was restarted, or they were removed"),
    ],
)
def test_others_at_work(tmp_path: Path, theirs: TheirServer, meddle: Callable[[TheirServer], None], says: str) -> None:
    running = broken(tmp_path, theirs.url)
    meddle(theirs)
    ran = running.end()
    rig_failure(ran, says)
    wanted = {name: dict(proxy) for name, proxy in theirs.before.items()}
    (their_toxic,) = wanted[LEGACY]["toxics"]
    if meddle is _toxic_added:
        upstream_first = {**NEW.model_dump(), "name": "new"}
        wanted[LEGACY]["toxics"] = (upstream_first, their_toxic)
    elif meddle is _toxic_removed:
        wanted[LEGACY]["toxics"] = ()
    elif meddle is _deleted:
        del wanted[LEGACY]
    else:
        wanted = {name: {**proxy, "toxics": ()} for name, proxy in wanted.items()}
    assert theirs.proxies() == wanted
    nothing_left(ran)


@pytest.mark.nightly
def test_a_server_that_does_not_let_a_toxic_go(tmp_path: Path, theirs: TheirServer) -> None:
    with StallingAdmin(theirs.url, lambda method, _: method == "DELETE", passes_on=False) as admin:
        ran = Running(tmp_path, scenario(admin.url), env={"TOXIPROXY_URL": None}).end()
        rig_failure(ran, f"curl -X DELETE {admin.url}/proxies/{LEGACY}/toxics/tailgate-")
    assert ran.run_dir is not None
    now = theirs.proxies()[LEGACY]
    assert now["enabled"], "what was disabled for the removal is enabled again, although the removal failed"
    assert next(toxic["name"] for toxic in now["toxics"]) == "theirs"
    assert not any(entry.event == "verified" for entry in read_journal(ran.run_dir / "faults.ndjson"))


def test_what_cannot_be_borrowed_stops_a_run_before_it_begins(tmp_path: Path, theirs: TheirServer) -> None:
    for spelled, code, says in (("nope", 2, "choose one of `legacy_api`, `other`"), ("other", 4, "is disabled")):
        folder = tmp_path / spelled
        folder.mkdir()
        text = scenario(theirs.url).replace("proxy: legacy_api", f"proxy: {spelled}")
        ran = Running(folder, text, env={"TOXIPROXY_URL": None}).end()
        assert (ran.code, ran.run_dir) == (code, None), ran.stderr
        assert says in ran.stderr
    assert theirs.proxies() == theirs.before
