"""Canaries to real servers through a real Toxiproxy: what they see of every fault on the wire.

Each fault is compiled as a scenario's would be, so what its proof asks for is what a run asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from harness.faults import FaultContext, parse_fault
from harness.faults.fault import UnobservableFault
from harness.rundir.canaries import Canary
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.toxiproxy.client import ToxiproxyClient
from harness.upstreams.protocols import canary_size
from tests.protocols import servers
from tests.toxiproxy.conftest import toxiproxy, toxiproxy_binary
from tests.toxiproxy.wire import Seen, play
from tests.toxiproxy.world import fault, free_port, plan

__all__ = ["toxiproxy", "toxiproxy_binary"]

pytestmark = pytest.mark.stack

WINDOW_MS: Final = (800.0, 9_800.0)
"""Long, since forty canaries at once are late on a busy machine."""


class Shown(NamedTuple):
    """A fault of a scenario, how a canary that was sent and done during it may end, and how its detail begins."""

    wire: dict[str, object]
    outcomes: tuple[str, ...]
    detail: str = ""


# a fault that adds less than a canary's patience ends in time for an exchange with one reply, and not with two
HELD: Final = ("held",)
LATE: Final = ("held", "ok")
FAILS: Final = ("failed",)


FAULTS: Final = {
    "latency": Shown({"latency": "60s"}, HELD),
    "late": Shown({"latency": "300ms"}, LATE),
    "latency-up": Shown({"latency": "60s", "stream": "upstream"}, HELD),
    "hang": Shown({"hang": True}, HELD),
    "timeout": Shown({"toxic": {"type": "timeout", "attributes": {"timeout": 0}}}, HELD),
    # the port of a disabled proxy is ours meanwhile, to see who tries it: refused, or reset
    "down": Shown({"down": True}, FAILS, "Connection re"),
    "reset": Shown({"reset": "0s"}, FAILS, "Connection reset by peer"),
    "bandwidth": Shown({"bandwidth": "1kB/s"}, LATE),
    "bandwidth-up": Shown({"bandwidth": "1kB/s", "stream": "upstream"}, LATE),
    "limit": Shown({"limit_data": "60B"}, FAILS, "cut short after 60 bytes"),
    "slicer": Shown({"slicer": {"size": "10B", "delay": "100ms"}}, HELD),
    "slow-close": Shown({"slow_close": "60s"}, HELD),
}
SPOKEN: Final[tuple[ProtocolName, ...]] = ("postgres", "redis", "mysql", "kafka", "grpc")
TOO_SMALL: Final = ("grpc-bandwidth", "grpc-limit", "grpc-slicer")
"""A canary of gRPC gets 9 bytes at least, so no fault that counts bytes can be seen by it, and none is planned."""
CASES: Final = [
    *(f"{protocol}-{name}" for protocol in ("postgres", "redis", "mysql") for name in FAULTS),
    # one each that holds, refuses and cuts: more exchanges at once would be late by themselves on a busy machine
    *(f"kafka-{name}" for name in ("latency", "down", "limit")),
    *(f"grpc-{name}" for name in ("latency", "down", "reset")),
]


def planned(case: str, protocol: ProtocolName, shown: Shown) -> PlannedFault:
    parsed = parse_fault({"upstream": case, "for": "60s", **shown.wire})
    size = canary_size(protocol)
    ctx = FaultContext(hold_ms=5_000, answer_bytes=size.least, request_bytes=size.sent, fakes=False)
    effect = parsed.compile(ctx)
    return fault(
        *effect.toxics,
        name=case,
        upstreams=(case,),
        windows=(WINDOW_MS,),
        down=effect.disables_proxy,
        proof=effect.proof,
    )


@pytest.fixture(scope="module")
def seen(toxiproxy: ToxiproxyClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Every fault at once, each on a listener of its own before the same servers."""
    upstreams: list[PlannedUpstream] = []
    faults: list[PlannedFault] = []
    with contextlib.ExitStack() as started:
        ports: dict[ProtocolName, int] = {
            "postgres": started.enter_context(servers.postgres())[0],
            "redis": started.enter_context(servers.redis()),
            "mysql": started.enter_context(servers.mariadb())[0],
            "kafka": started.enter_context(servers.kafka()),
            "grpc": started.enter_context(servers.grpc()),
        }
        for case in CASES:
            protocol = _protocol(case)
            upstreams.append(
                PlannedUpstream(
                    name=case,
                    index=len(upstreams),
                    kind="url",
                    protocol=protocol,
                    listener=Endpoint(port=free_port()),
                    origin=Endpoint(port=ports[protocol]),
                    canary_bytes=canary_size(protocol).least,
                )
            )
            faults.append(planned(case, protocol, FAULTS[case.partition("-")[2]]))
        the_plan = plan(*faults, upstreams=tuple(upstreams))

        async def run() -> Seen:
            async with asyncio.timeout(60):
                return await play(toxiproxy, the_plan, tmp_path_factory.mktemp("wire"))

        yield asyncio.run(run())
    assert toxiproxy.proxies() == {}


def during(seen: Seen, case: str) -> list[Canary]:
    (applied,), (removing,) = seen.at(case, "applied"), seen.at(case, "removing")
    mine = [c for c in seen.canaries if c.upstream == case]
    return [c for c in mine if applied.t_ns <= c.sent_ns and c.done_ns < removing.t_ns]


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_observed_while_it_stands_and_free_after_it(seen: Seen, case: str) -> None:
    (applied,), (observed,), (removed,) = (seen.at(case, event) for event in ("applied", "observed", "removed"))
    assert applied.t_ns < observed.t_ns < removed.t_ns
    (freed,) = [line for line in seen.freed if line.upstream == case]
    assert removed.t_ns < freed.t_ns
    assert seen.at(case, "verified")


@pytest.mark.parametrize("case", CASES)
def test_before_and_after_the_fault_the_server_is_well(seen: Seen, case: str) -> None:
    (requested,), (removed,) = seen.at(case, "requested"), seen.at(case, "removed")
    mine = [c for c in seen.canaries if c.upstream == case]
    before = [c for c in mine if c.done_ns < requested.t_ns]
    after = [c for c in mine if c.sent_ns > removed.t_ns]
    assert before
    assert after
    assert {(c.outcome, c.detail) for c in (*before, *after)} == {("ok", "")}
    assert all(c.bytes >= canary_size(_protocol(case)).least for c in before)


@pytest.mark.parametrize("case", CASES)
def test_a_canary_ends_as_the_fault_says(seen: Seen, case: str) -> None:
    shown = FAULTS[case.partition("-")[2]]
    ended = [(c.outcome, c.detail) for c in during(seen, case)]
    assert len(ended) >= 2
    assert {outcome for outcome, _ in ended} <= set(shown.outcomes), ended
    assert all(detail.startswith(shown.detail) for _, detail in ended), ended


def test_a_real_server_is_asked_seldom(seen: Seen) -> None:
    # two when the fault is applied, one in two seconds during it; on a busy machine it is removed late
    for case in CASES:
        (applied,), (removing,) = seen.at(case, "applied"), seen.at(case, "removing")
        assert len(during(seen, case)) <= 2 + math.ceil((removing.t_ns - applied.t_ns) / 2e9), case
    assert seen.trouble == []
    assert seen.free_again


def _protocol(case: str) -> ProtocolName:
    return next(protocol for protocol in SPOKEN if case.startswith(protocol))


@pytest.mark.parametrize("case", TOO_SMALL)
def test_a_fault_that_no_canary_can_see_is_refused(case: str) -> None:
    with pytest.raises(UnobservableFault):
        planned(case, _protocol(case), FAULTS[case.partition("-")[2]])
