"""Probes and real servers: what a canary sees of each, and what is left in the server's log."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.stack.monitor.observe import observe
from harness.upstreams.probes import Observation, probe_of
from harness.upstreams.protocols import canary_size
from tests.protocols import servers
from tests.stack.test_observe import Ports

pytestmark = pytest.mark.stack


def asked(protocol: ProtocolName, port: int, *, reads_to_end: bool = True, deadline_ms: float = 5_000) -> Observation:
    endpoint = Endpoint(port=port)
    upstream = PlannedUpstream(name="db", index=0, kind="url", protocol=protocol, listener=endpoint, origin=endpoint)
    return asyncio.run(observe(probe_of(upstream, reads_to_end=reads_to_end), endpoint, deadline_ms, Ports()))


@pytest.fixture(scope="module")
def postgres() -> Iterator[tuple[int, Path]]:
    with servers.postgres() as started:
        yield started


@pytest.fixture(scope="module")
def redis() -> Iterator[int]:
    with servers.redis() as port:
        yield port


@pytest.fixture(scope="module")
def mariadb() -> Iterator[tuple[int, Path]]:
    with servers.mariadb() as started:
        yield started


def well(seen: Observation, protocol: ProtocolName) -> None:
    assert (seen.outcome, seen.detail) == ("ok", "")
    assert canary_size(protocol).least <= seen.bytes <= canary_size(protocol).most


@pytest.mark.parametrize("reads_to_end", [True, False])
def test_a_postgres_that_asks_for_a_password_lives_and_logs_nothing(
    postgres: tuple[int, Path], reads_to_end: bool
) -> None:
    port, log = postgres
    before = log.read_text()
    for _ in range(3):
        well(asked("postgres", port, reads_to_end=reads_to_end), "postgres")
    asyncio.run(asyncio.sleep(0.3))
    assert log.read_text() == before


def test_a_postgres_that_trusts_anyone_lives_and_logs_one_line() -> None:
    with servers.postgres(asks_password=False) as (port, log):
        before = log.read_text()
        well(asked("postgres", port), "postgres")
        asyncio.run(asyncio.sleep(0.3))
        added = [line for line in log.read_text()[len(before) :].splitlines() if "FATAL" in line]
        assert len(added) == 1
        assert 'role "tailgate" does not exist' in added[0]


def test_a_postgres_with_tls_lives_and_logs_nothing() -> None:
    with servers.postgres(tls=True) as (port, log):
        before = log.read_text()
        for reads_to_end in (True, False):
            well(asked("postgres", port, reads_to_end=reads_to_end), "postgres")
        asyncio.run(asyncio.sleep(0.3))
        assert log.read_text() == before


@pytest.mark.parametrize("reads_to_end", [True, False])
def test_a_mariadb_lives_and_blocks_no_host(mariadb: tuple[int, Path], reads_to_end: bool) -> None:
    port, _ = mariadb
    # a server blocks a host after a hundred broken handshakes, as max_connect_errors says
    for _ in range(110):
        well(asked("mysql", port, reads_to_end=reads_to_end), "mysql")


@pytest.mark.parametrize("reads_to_end", [True, False])
def test_a_redis_repeats(redis: int, reads_to_end: bool) -> None:
    well(asked("redis", redis, reads_to_end=reads_to_end), "redis")


def test_a_redis_that_asks_for_a_password_lives() -> None:
    with servers.redis(password="s3cret") as port:
        seen = asked("redis", port)
    assert (seen.outcome, seen.detail) == ("ok", "")
    assert canary_size("redis", has_password=True).least <= seen.bytes < canary_size("redis").least


@pytest.mark.parametrize("reads_to_end", [True, False])
def test_a_kafka_broker_lives_and_goes_on_after_many_canaries(reads_to_end: bool) -> None:
    with servers.kafka() as port:
        for _ in range(20):
            well(asked("kafka", port, reads_to_end=reads_to_end), "kafka")


@pytest.mark.parametrize("reads_to_end", [True, False])
def test_a_grpc_server_lives_and_goes_on_after_many_canaries(reads_to_end: bool) -> None:
    with servers.grpc() as port:
        for _ in range(20):
            well(asked("grpc", port, reads_to_end=reads_to_end), "grpc")
        assert asked("http", port).detail.startswith("not HTTP")


@pytest.mark.parametrize("oldest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("reads_to_end", [True, False])
def test_a_tls_server_lives(tmp_path: Path, oldest: ssl.TLSVersion, reads_to_end: bool) -> None:
    with servers.tls_server(tmp_path, oldest=oldest) as port:
        for _ in range(2):
            well(asked("tls", port, reads_to_end=reads_to_end), "tls")


def test_a_server_of_another_protocol_is_named(mariadb: tuple[int, Path], redis: int) -> None:
    assert asked("postgres", mariadb[0]).detail == "not PostgreSQL: the answer is a greeting of MySQL"
    assert asked("redis", mariadb[0]).detail == "not Redis: the answer is a greeting of MySQL"
    assert asked("http", redis).detail == "closed without an answer"  # it takes a web client for an attack
    # neither side of these two says the first word, or the one that speaks is not understood
    assert asked("mysql", redis, deadline_ms=300).detail == "no answer within 300 ms"
    assert asked("tcp", redis).outcome == "ok"
