"""Toxiproxy's own log tells whom it accepted, however briefly."""

from __future__ import annotations

from pathlib import Path

from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedToxic
from harness.stack.monitor.accepted_clients import AcceptedClients
from tests.rundir.recording import make_plan, slow_fault


def plan(stream: str = "upstream") -> Plan:
    toxic = PlannedToxic.model_validate({"type": "reset_peer", "stream": stream})
    return make_plan(faults=[slow_fault().model_copy(update={"toxics": (toxic,)})])


def line(proxy: str, client: str, message: str = "Accepted client") -> str:
    return f'{{"level":"info","name":"{proxy}","listen":"127.0.0.1:20000","client":"{client}","message":"{message}"}}\n'


def test_each_client_is_told_once_with_its_upstream(tmp_path: Path) -> None:
    log, the_plan = tmp_path / "toxiproxy.log", plan()
    clients = AcceptedClients.of(the_plan, log)
    assert clients is not None
    assert clients.since_last() == {}, "there is no log yet"
    azure, gcp = the_plan.proxy_name("azure"), the_plan.proxy_name("gcp")
    log.write_text(line(azure, "127.0.0.1:50001") + line(gcp, "[::1]:50002") + line("others", "127.0.0.1:50003"))
    assert clients.since_last() == {"azure": {50001}, "gcp": {50002}}
    assert clients.since_last() == {}
    half = line(azure, "127.0.0.1:50004")
    with log.open("a") as file:
        file.write(line(azure, "127.0.0.1:50005", "Terminating client") + "Accepted client\n" + half[:40])
    assert clients.since_last() == {}
    with log.open("a") as file:
        file.write(half[40:])
    assert clients.since_last() == {"azure": {50004}}


def test_a_plan_that_leaves_requests_alone_needs_none_of_it(tmp_path: Path) -> None:
    assert AcceptedClients.of(plan("downstream"), tmp_path / "toxiproxy.log") is None
    elsewhere = plan().model_copy(update={"toxiproxy_url": "http://127.0.0.1:8474"})
    assert AcceptedClients.of(elsewhere, tmp_path / "toxiproxy.log") is None
