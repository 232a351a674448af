"""Every kind of fault: what it becomes in Toxiproxy, how long it holds a request, what proves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.faults import FAULTS, Effect, FaultContext, UnobservableFault, parse_fault
from tests.scenario.world import changed, load, only_problem, plan_of

MET = FaultContext(hold_ms=5000, answer_bytes=80_000)
COMMON = {"upstream": "azure", "for": "90s"}


def compiled(**fields: Any) -> Effect:
    return parse_fault({**COMMON, **fields}).compile(MET)


@dataclass(frozen=True, slots=True)
class Kind:
    fields: dict[str, Any]
    type: str
    attributes: dict[str, int]
    held_ms: float
    delay_ms: float | None
    proof: str
    least_ms: float


KINDS = (
    Kind({"latency": "60s"}, "latency", {"latency": 60000, "jitter": 0}, 5000, 60000, "held", 2000),
    Kind({"latency": "300ms"}, "latency", {"latency": 300, "jitter": 0}, 300, 300, "held", 300),
    Kind({"latency": "300ms", "jitter": "100ms"}, "latency", {"latency": 300, "jitter": 100}, 400, 300, "held", 250),
    Kind({"bandwidth": "1kB/s"}, "bandwidth", {"rate": 1}, 5000, None, "held", 2000),
    Kind({"bandwidth": "64kB/s"}, "bandwidth", {"rate": 64}, 5000, None, "held", 1250),
    Kind({"hang": True}, "latency", {"latency": 604_800_000, "jitter": 0}, 5000, None, "held", 2000),
    Kind({"reset": "0s"}, "reset_peer", {"timeout": 0}, 0, None, "failed", 0),
    Kind({"reset": "500ms"}, "reset_peer", {"timeout": 500}, 500, None, "failed", 0),
    Kind({"reset": "10s"}, "reset_peer", {"timeout": 10000}, 5000, None, "held", 2000),
    Kind({"slow_close": "1s"}, "slow_close", {"delay": 1000}, 1000, 1000, "held", 1000),
    Kind(
        {"slicer": {"size": "1kB", "delay": "10ms"}},
        "slicer",
        {"average_size": 1000, "size_variation": 0, "delay": 10000},
        5000,
        None,
        "held",
        800,
    ),
    Kind({"limit_data": "1kB"}, "limit_data", {"bytes": 1000}, 0, None, "failed", 0),
    Kind(
        {"toxic": {"type": "timeout", "attributes": {"timeout": 500}}},
        "timeout",
        {"timeout": 500},
        500,
        None,
        "failed",
        0,
    ),
    Kind({"toxic": {"type": "timeout"}}, "timeout", {}, 5000, None, "held", 2000),
    Kind(
        {"toxic": {"type": "latency", "attributes": {"latency": 400}}},
        "latency",
        {"latency": 400},
        400,
        400,
        "held",
        400,
    ),
    Kind(
        {"toxic": {"type": "bandwidth", "attributes": {"rate": 8}}}, "bandwidth", {"rate": 8}, 5000, None, "held", 2000
    ),
    Kind(
        {"toxic": {"type": "limit_data", "attributes": {"bytes": 9}}}, "limit_data", {"bytes": 9}, 0, None, "failed", 0
    ),
    Kind(
        {"toxic": {"type": "slow_close", "attributes": {"delay": 700}}},
        "slow_close",
        {"delay": 700},
        700,
        700,
        "held",
        700,
    ),
    Kind({"toxic": {"type": "reset_peer"}}, "reset_peer", {}, 0, None, "failed", 0),
    Kind(
        {"toxic": {"type": "slicer", "attributes": {"average_size": 800, "delay": 5000}}},
        "slicer",
        {"average_size": 800, "delay": 5000},
        5000,
        None,
        "held",
        500,
    ),
)


@pytest.mark.parametrize("kind", KINDS, ids=[str(kind.fields) for kind in KINDS])
def test_what_a_kind_compiles_to(kind: Kind) -> None:
    effect = compiled(**kind.fields)
    (toxic,) = effect.toxics
    assert (toxic.type, toxic.attributes) == (kind.type, kind.attributes)
    assert (toxic.stream, toxic.toxicity) == ("downstream", 1.0)
    assert (effect.held_ms, effect.delay_ms) == (kind.held_ms, kind.delay_ms)
    assert (effect.proof.kind, effect.proof.least_ms) == (kind.proof, kind.least_ms)
    assert not effect.disables_proxy


def test_down_disables_the_proxy() -> None:
    effect = compiled(down=True)
    assert effect.disables_proxy
    assert effect.toxics == ()
    assert (effect.held_ms, effect.proof.kind) == (0, "failed")


def test_share_and_stream_go_to_the_toxic() -> None:
    (toxic,) = compiled(latency="1s", share="50%", stream="upstream").toxics
    assert (toxic.toxicity, toxic.stream) == (0.5, "upstream")


@pytest.mark.parametrize(
    "fields",
    [
        {"latency": "10ms"},
        {"bandwidth": "100MB/s"},
        {"bandwidth": "64kB/s", "stream": "upstream"},
        {"slicer": {"size": "100kB", "delay": "10ms"}},
        {"limit_data": "80kB"},
        {"limit_data": "1kB", "stream": "upstream"},
        {"toxic": {"type": "limit_data", "attributes": {"bytes": 10**6}}},
        {"toxic": {"type": "latency"}},
    ],
)
def test_what_no_canary_could_see_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UnobservableFault) as caught:
        compiled(**fields)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bandwidth": "500B/s"}, "whole kilobytes"),
        ({"bandwidth": "1500B/s"}, "whole kilobytes"),
        ({"down": True, "share": "50%"}, "closes the listener, so it breaks every connection"),
        ({"down": True, "stream": "upstream"}, "closes the listener, so it acts in both directions"),
        ({"hang": False}, "expected true"),
        ({"toxic": {"type": "latency", "attributes": {"latencyy": 1}}}, "no attribute `latencyy`"),
        ({"toxic": {"type": "latency", "attributes": {"latency": -1}}}, "out of range"),
        ({"toxic": {"type": "noop"}}, "not the text `noop`"),
        ({"latency": "60s", "size": "1kB"}, "unknown key `size`"),
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_fault({**COMMON, **fields})
    assert message in str(caught.value)


def test_names(tmp_path: Path) -> None:
    names = {
        "slow_close: 1s": "azure-slow-close",
        "limit_data: 1kB": "azure-limit-data",
        "hang: true": "azure-hang",
    }
    for spelled, name in names.items():
        text = changed(("latency: 60s", spelled), ("azure-latency", name))
        assert plan_of(load(tmp_path, text)).faults[0].name == name
    text = changed(("upstream: azure", "upstream: [azure, gcp]"), ("during azure-latency", "during azure-gcp-latency"))
    assert plan_of(load(tmp_path, text)).faults[0].upstreams == ("azure", "gcp")
    text = changed(("upstream: azure", "upstream: all"), ("during azure-latency", "during all-latency"))
    assert plan_of(load(tmp_path, text)).faults[0].upstreams == ("azure", "gcp")


def test_two_faults_of_one_name(tmp_path: Path) -> None:
    text = changed(("for: 90s}\n", "for: 90s}\n  - {upstream: azure, latency: 1s, for: 60s}\n"))
    assert "faults 1 and 2 are both called `azure-latency`" in only_problem(tmp_path, text).message


def test_without_a_gateway_the_client_cap_bounds_what_is_held(tmp_path: Path) -> None:
    text = changed(("timeout: 5s", "kind: none"), ("p99 < gateway.timeout", "p99 < 2s"), ("for: 90s", "for: 2m"))
    assert plan_of(load(tmp_path, text)).faults[0].held_ms == 60_000


def test_the_registry_is_what_the_contract_lists() -> None:
    assert (
        [kind.KIND for kind in FAULTS.values()]
        == list(FAULTS)
        == [
            "latency",
            "bandwidth",
            "hang",
            "reset",
            "slow_close",
            "slicer",
            "limit_data",
            "down",
            "blackhole",
            "toxic",
            "status",
            "drip",
            "truncate",
            "malformed",
            "wrong_schema",
            "empty",
            "huge",
            "redirect_loop",
            "cold_start",
            "slow_spells",
            "ramp",
            "capacity",
            "kill",
            "pause",
            "restart",
        ]
    )
    for kind in FAULTS.values():
        assert kind.KIND in kind.spelled_keys()
