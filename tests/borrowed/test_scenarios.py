"""Borrowed proxies and the section `toxiproxy` as scenarios spell them: refused, planned, placed."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from harness.errors import RigError, UsageError
from harness.rundir.plan import Plan
from harness.rundir.planned.toxiproxy_network import ToxiproxyNetwork
from harness.rundir.planned.upstream import Endpoint
from harness.scenario.checks.toxiproxy_server import refuse_unreachable
from harness.scenario.planner import RunningToxiproxy, make_plan
from harness.scenario.planning.gateway_choice import ResolvedGateway
from harness.toxiproxy.borrow import addresses_of
from harness.toxiproxy.client import ToxiproxyClient
from harness.upstreams.upstream_files import ProxyAddresses
from tests.scenario.world import changed, load, only_problem, plan_of
from tests.toxiproxy.pretender import Pretender
from tests.toxiproxy.world import latency

SERVICE = ("{rung: timeout}", "{command: [serve, '{port}'], env: {LEGACY: '{gcp.url}', AT: '{gcp.address}'}}")
URL = ("gateway:", "toxiproxy: {url: 'http://127.0.0.1:8474'}\ngateway:")
HERE = ToxiproxyNetwork()


def borrowing(spelled: str = "{proxy: legacy_api}", *more: tuple[str, str], url: tuple[str, str] = URL) -> str:
    return changed(("gcp: {}", f"gcp: {spelled}"), SERVICE, url, *more)


def planned(folder: Path, text: str, proxies: dict[str, ProxyAddresses], url: str = "http://127.0.0.1:8474") -> Plan:
    ports = count(20_000)
    return make_plan(
        load(folder, text),
        run_id="20260101-000000-abcd",
        seed=0,
        ports=lambda: next(ports),
        gateway=ResolvedGateway("client"),
        toxiproxy=RunningToxiproxy(url, proxies),
    )


def test_the_plan_has_the_proxys_name_and_what_the_server_said_of_it(tmp_path: Path) -> None:
    found = ProxyAddresses(Endpoint(host="10.0.0.7", port=6432), Endpoint(host="db", port=5432))
    plan = planned(tmp_path, borrowing("{proxy: legacy_api, protocol: postgres}"), {"gcp": found})
    gcp = plan.upstream("gcp")
    assert (gcp.kind, gcp.protocol, gcp.borrowed, gcp.records_calls) == ("borrowed", "postgres", "legacy_api", False)
    assert (gcp.listener, gcp.origin) == (found.listener, found.origin)
    assert (plan.proxy_name("gcp"), plan.proxy_name("azure")) == ("legacy_api", f"{plan.prefix}azure")
    assert plan.service.env["LEGACY"] == "postgres://10.0.0.7:6432"
    assert not plan.sees_every_connection


def test_a_published_port_stands_for_the_listeners_own(tmp_path: Path) -> None:
    found = ProxyAddresses(Endpoint(port=6432), Endpoint(port=5432))
    plan = planned(tmp_path, borrowing("{proxy: legacy_api, port: 16432}"), {"gcp": found})
    assert plan.service.env["AT"] == "127.0.0.1:16432"


def test_validate_asks_no_server(tmp_path: Path) -> None:
    assert plan_of(load(tmp_path, borrowing())).upstream("gcp").borrowed == "legacy_api"


@pytest.mark.parametrize(
    ("text", "says", "fix"),
    [
        (changed(("gcp: {}", "gcp: {proxy: legacy_api}"), SERVICE), "the scenario names none", "toxiproxy: {url"),
        (borrowing("{proxy: a/b}"), "cannot be the name of a proxy", "without slashes"),
        (borrowing("{proxy: ''}"), "cannot be the name of a proxy", "without slashes"),
        (borrowing("{proxy: 5}"), "expected the name of a proxy, not the number 5", "GET /proxies"),
        (borrowing("{proxy: tailgate-20260101-120000-beef-x}"), "is the proxy of a run of tailgate", "your own"),
        (borrowing("{proxy: a, p50: 20ms}"), "a borrowed proxy has no `p50`", ""),
        (borrowing("{proxy: a, protocol: smtp}"), "smtp", "http"),
        (
            borrowing("{proxy: a}", ("azure: {p50: 60ms, p99: 140ms}", "azure: {proxy: a}")),
            "`a` is already the proxy of the upstream `azure`",
            "known_as",
        ),
        (
            borrowing(
                "{proxy: a}", ("{upstream: azure, latency", "{name: azure-latency, upstream: gcp, status: 503")
            ).replace("503: 60s", "503"),
            "`status` breaks single answers, and those of gcp pass unseen",
            "latency",
        ),
        (
            borrowing(
                "{proxy: a}", ("{upstream: azure, latency: 60s", "{name: azure-latency, upstream: gcp, blackhole: true")
            ),
            "that of gcp, a borrowed proxy, is not ours",
            "use `hang` or `down`",
        ),
        (
            changed(
                URL, ("8474'}", "8474', origin_host: h}"), ("latency: 60s", "name: azure-latency, blackhole: true")
            ),
            "listens in another network",
            "use `hang` or `down`",
        ),
        (
            borrowing("{proxy: a}", ("  - errors <", "  - calls to gcp < 2\n  - errors <")),
            "calls",
            "",
        ),
        (
            changed(
                URL,
                ("8474'}", "8474', listen: 0.0.0.0, reach: tox.internal, origin_host: 10.0.0.5}"),
                ("gcp: {}", "gcp: 'postgres://a@localhost/a?sslmode=verify-full'"),
                SERVICE,
            ),
            "`tox.internal` is a name (gcp)",
            "write the address",
        ),
        (changed(URL, ("8474'}", "8474', listen: 8}")), "expected an IP address, not the number 8", "0.0.0.0"),
        (changed(URL, ("8474'}", "8474', listen: h}")), "`h` is no IP address", "0.0.0.0"),
        (changed(URL, ("8474'}", "8474', reach: 'http://h'}")), "is no host", "without scheme"),
        (changed(URL, ("8474'}", "8474', reach: 0.0.0.0}")), "cannot be connected to", "own address"),
        (changed(("gateway:", "toxiproxy: {reach: h}\ngateway:")), "runs already", "add its `url`"),
        (changed(URL, ("127.0.0.1:8474", "tp:8474")), "which cannot be reached as tp", "listen: 0.0.0.0"),
        (
            changed(URL, ("127.0.0.1:8474'", "tp:8474', listen: 0.0.0.0")),
            "cannot reach what listens on 127.0.0.1 here",
            "origin_host",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_a_way_out(tmp_path: Path, text: str, says: str, fix: str) -> None:
    if says == "which cannot be reached as tp":
        text = text.replace("8474'}", "8474', origin_host: h}")
    problem = only_problem(tmp_path, text)
    assert says in problem.message
    assert fix in problem.fix


def test_a_server_elsewhere_listens_and_is_reached_as_the_scenario_says(tmp_path: Path) -> None:
    part = "8474', listen: 0.0.0.0, reach: 10.9.0.2, origin_host: 10.9.0.1}"
    plan = planned(tmp_path, changed(URL, ("8474'}", part)), {})
    azure = plan.upstream("azure")
    assert (azure.listener.host, azure.origin.host) == ("10.9.0.2", "10.9.0.1")
    assert (plan.network.listen, plan.network.bind_host, plan.network.is_shared) == ("0.0.0.0", None, False)
    named = changed(URL, ("8474'}", "8474', listen: 0.0.0.0, origin_host: host.docker.internal}"))
    loaded = load(tmp_path, named)
    network = plan_of(loaded).network
    assert (network.reach, network.bind_host) == ("127.0.0.1", "0.0.0.0")
    assert network.origin_as_reached("127.0.0.1") == "host.docker.internal"
    assert network.origin_as_reached("db.example") == "db.example"
    assert any("listen on every address" in warning.message for warning in loaded.warnings)


def test_the_server_that_a_run_found_is_checked_as_well(tmp_path: Path) -> None:
    scenario = load(tmp_path).scenario
    refuse_unreachable(scenario, "http://localhost:8474")
    with pytest.raises(UsageError, match="which cannot be reached as tp"):
        refuse_unreachable(scenario, "http://tp:8474")


def test_without_a_server_of_the_users_nothing_is_elsewhere() -> None:
    assert HERE.is_shared
    assert HERE.bind_host is None
    assert HERE.origin_as_reached("127.0.0.1") == "127.0.0.1"


def test_where_a_proxy_listens_and_leads_to_is_read_from_the_server() -> None:
    elsewhere = ToxiproxyNetwork(listen="0.0.0.0", reach="tp", origin_host="h")
    with Pretender() as server:
        client = ToxiproxyClient(server.url)
        server.proxies["a"] = {"name": "a", "listen": "[::]:6379", "upstream": "r:6380", "enabled": True, "toxics": []}
        for network, host in ((HERE, "127.0.0.1"), (elsewhere, "tp")):
            found = addresses_of(client, {"cache": "a"}, network)["cache"]
            assert found.listener == Endpoint(host=host, port=6379)
            assert found.origin == Endpoint(host="r", port=6380)
        server.proxies["a"]["listen"] = "127.0.0.1:6379"
        with pytest.raises(UsageError, match="which cannot be reached as tp"):
            addresses_of(client, {"cache": "a"}, elsewhere)


def test_a_proxy_that_cannot_be_borrowed_is_refused_and_the_others_are_named() -> None:
    with Pretender() as server:
        client = ToxiproxyClient(server.url)
        with pytest.raises(UsageError) as none:
            addresses_of(client, {"legacy": "legacy_api"}, HERE)
        assert "that server has no proxy" in none.value.fix
        client.create_proxy("legacy-api", "127.0.0.1:1", "127.0.0.1:2")
        with pytest.raises(UsageError) as missing:
            addresses_of(client, {"legacy": "legacy_api"}, HERE)
        assert "legacy-api" in missing.value.fix
        client.set_enabled("legacy-api", False)
        with pytest.raises(RigError, match="is disabled, and it is not ours to enable"):
            addresses_of(client, {"legacy": "legacy-api"}, HERE)
        client.set_enabled("legacy-api", True)
        client.add_toxic("legacy-api", "tailgate-20260101-120001-dead-slow.0.0", latency())
        with pytest.raises(RigError, match="another run of tailgate breaks it") as occupied:
            addresses_of(client, {"legacy": "legacy-api"}, HERE)
        assert "--run 20260101-120001-dead" in occupied.value.fix
        server.mood = "error"
        with pytest.raises(RigError):
            addresses_of(client, {"legacy": "legacy-api"}, HERE)
