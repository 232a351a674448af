"""Every way in which a stack may not come up: a clear message, a way out, the right code, nothing left."""

from __future__ import annotations

import os
import re
import socket
import sys
import time

import pytest

from harness.errors import RigError, UsageError
from harness.rundir.manifest import Manifest
from harness.rundir.plan import Plan
from harness.rundir.planned.service import PlannedService
from harness.rundir.planned.upstream import Endpoint
from harness.stack.events import ChildReady, Event
from harness.toxiproxy.find import EngineChoice
from tests.stack.stack_scene import Scene, assert_nothing_left

pytestmark = pytest.mark.stack


def _refused(scene: Scene, plan: Plan, pattern: str) -> RigError:
    """The error with which `up` fails; nothing is left of what it had started."""
    with pytest.raises(RigError, match=pattern) as caught:
        scene.up(plan)
    assert_nothing_left(plan, scene.run_dir)
    assert caught.value.exit_code == 4
    assert caught.value.fix
    return caught.value


def _with_service(plan: Plan, **changes: object) -> Plan:
    return plan.model_copy(update={"service": plan.service.model_copy(update=changes)})


def _nothing_was_started(scene: Scene) -> bool:
    return not (scene.run_dir / "logs").exists()


def test_a_service_that_ends_before_it_is_ready(scene: Scene) -> None:
    plan = _with_service(scene.plan(stub=("crash",)), ready_within_ms=60_000)
    plan.write(scene.run_dir)
    begin = time.monotonic()
    error = _refused(scene, plan, "the service ended with exit code 1 before it was ready")
    assert time.monotonic() - begin < 40, "its end is noticed at once, not after `ready within`"
    assert "offers: cannot reach the price list" in error.message
    assert "run it by hand" in error.fix
    ended = Manifest.read(scene.run_dir).ended
    assert ended is not None and ended.reason == "never_ready"
    assert [fault.message for fault in ended.rig] == [error.message]


def test_a_service_that_is_never_ready(scene: Scene) -> None:
    plan = _with_service(scene.plan(stub=("mute",)), ready_within_ms=4_000)  # time to start
    plan.write(scene.run_dir)
    error = _refused(scene, plan, r"not ready within 4s: GET /healthz on port \d+: answered 503")
    assert "starting with no token" in error.message


def test_a_service_by_url_that_nobody_started(scene: Scene) -> None:
    url = f"http://127.0.0.1:{scene.lease.take()}"
    plan = scene.plan(service=PlannedService(kind="url", url=url, ready_within_ms=300))
    _refused(scene, plan, rf"the service at {url} was never ready: GET /healthz: connection refused")


@pytest.mark.parametrize("word", ["no-such-command", "./no-such-file"])
def test_a_command_that_does_not_exist(scene: Scene, word: str) -> None:
    service = PlannedService(kind="command", argv=(word,), url="http://127.0.0.1:1", port=1)
    _refused(scene, scene.plan(service=service), re.escape(word.removeprefix("./")))
    assert _nothing_was_started(scene)


def test_a_working_folder_that_does_not_exist(scene: Scene) -> None:
    _refused(scene, _with_service(scene.plan(), cwd="/no-such-folder"), "/no-such-folder does not exist")
    assert _nothing_was_started(scene)


def test_a_variable_that_is_not_set(scene: Scene) -> None:
    plan = _with_service(scene.plan(), argv=(sys.executable,), env={"A": "${TG_UNSET}"})
    with pytest.raises(UsageError, match="TG_UNSET"):
        scene.up(plan)
    assert _nothing_was_started(scene)


def test_a_secret_reaches_the_service_and_no_file(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TG_TOKEN", "very-secret-word")
    plan = scene.plan(stub=("crash",))
    plan = _with_service(plan, env={**plan.service.env, "TOKEN": "${TG_TOKEN}"})
    plan.write(scene.run_dir)
    _refused(scene, plan, r"starting with \*\*\*")
    assert "starting with ***" in (scene.run_dir / "logs" / "sut.log").read_text()
    assert "TOKEN=${TG_TOKEN}" in (scene.run_dir / "sut.env").read_text()
    for path in scene.run_dir.rglob("*"):
        assert path.is_dir() or b"very-secret-word" not in path.read_bytes(), path


def test_a_listener_port_in_use(scene: Scene) -> None:
    plan = scene.plan()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        fixed = plan.upstreams[0].model_copy(update={"listener": Endpoint(port=taken.getsockname()[1])})
        plan = plan.model_copy(update={"upstreams": (fixed,)})
        with pytest.raises(RigError, match=rf"upstream azure\) is in use by .*pid {os.getpid()}"):
            scene.up(plan)
    assert _nothing_was_started(scene)


def test_a_port_that_is_taken_after_it_was_leased(scene: Scene) -> None:
    plan = scene.plan()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", plan.gateway.port or 0))
        taken.listen()
        with pytest.raises(RigError, match=r"gateway .* did not get ready: ended with exit code 1") as caught:
            scene.up(plan)
    assert "Address already in use" in caught.value.message


def test_a_toxiproxy_that_does_not_answer(scene: Scene) -> None:
    scene.toxiproxy = EngineChoice("real", "TOXIPROXY_URL", url=f"http://127.0.0.1:{scene.lease.take()}")
    error = _refused(scene, scene.plan(), "Toxiproxy at .* does not answer: connection refused")
    assert "unset TOXIPROXY_URL" in error.fix


def test_a_toxiproxy_that_is_something_else(scene: Scene) -> None:
    scene.toxiproxy = EngineChoice("real", "PATH", path=scene.run_dir / "not-a-server")
    (scene.run_dir / "not-a-server").write_text("#!/bin/sh\necho I am a text editor; exit 3\n")
    (scene.run_dir / "not-a-server").chmod(0o755)
    error = _refused(scene, scene.plan(), "ended with exit code 3")
    assert "I am a text editor" in error.message


def test_an_exception_in_the_users_locustfile(scene: Scene) -> None:
    locustfile = scene.run_dir / "my_locustfile.py"
    locustfile.write_text("def broken():\n    raise ValueError('no such price list')\n\nbroken()\n")
    error = _refused(scene, scene.plan(locustfile=str(locustfile)), "no such price list")
    assert "locustfile" in error.fix


def test_giving_up_while_it_comes_up(scene: Scene) -> None:
    plan = scene.plan(stub=("mute",))

    def impatient(event: Event | None) -> None:
        if isinstance(event, ChildReady):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scene.up(plan, impatient)
    assert_nothing_left(plan, scene.run_dir)
    ended = Manifest.read(scene.run_dir).ended
    assert ended is not None and ended.reason == "interrupted"
