"""Faults that a fake does itself: what each compiles to, whom it hits, how its share is drawn, what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.faults import Effect, Fault, FaultContext, UnobservableFault, parse_fault
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import Proof
from tests.scenario.world import changed, load, only_problem, plan_of

MET = FaultContext(hold_ms=5000, answer_bytes=80_000, answer_bytes_most=800_000, seed=3)
COMMON = {"upstream": "azure", "for": "90s"}


def parsed(**fields: Any) -> Fault:
    return parse_fault({**COMMON, **fields})


def compiled(**fields: Any) -> Effect:
    return parsed(**fields).compile(MET)


KINDS: tuple[tuple[dict[str, Any], behaviours.Behaviour, float, Proof], ...] = (
    ({"status": 503}, behaviours.Status(status=503), 0, Proof(kind="answered", status=503)),
    (
        {"status": 429, "retry_after": "2s"},
        behaviours.Status(status=429, retry_after_s=2),
        0,
        Proof(kind="answered", status=429),
    ),
    ({"drip": "30s"}, behaviours.Drip(over_ms=30_000), 5000, Proof(kind="held", least_ms=2000)),
    ({"drip": "300ms"}, behaviours.Drip(over_ms=300), 300, Proof(kind="held", least_ms=300)),
    ({"truncate": "50%"}, behaviours.Truncate(keep=0.5), 0, Proof(kind="failed")),
    ({"malformed": True}, behaviours.Malformed(), 0, Proof(kind="answered", status=200, looks="no_json")),
    ({"wrong_schema": True}, behaviours.WrongSchema(), 0, Proof(kind="answered", status=200, looks="no_offers")),
    ({"empty": True}, behaviours.Empty(), 0, Proof(kind="answered", status=200, looks="no_offers")),
    (
        {"huge": "20MB"},
        behaviours.Huge(size_bytes=20_000_000),
        5000,
        Proof(kind="answered", status=200, least_bytes=4_000_000),
    ),
    ({"redirect_loop": True}, behaviours.RedirectLoop(), 0, Proof(kind="answered", status=302)),
    (
        {"cold_start": "8s"},
        behaviours.ColdStart(up_after_ms=8000),
        5000,
        Proof(kind="held", least_ms=2000, passing=True),
    ),
    (
        {"ramp": "0ms → 3s over 60s"},
        behaviours.Ramp(from_ms=0, to_ms=3000, over_ms=60_000),
        3000,
        Proof(kind="held", least_ms=1500, passing=True),
    ),
    ({"capacity": 5}, behaviours.Capacity(limit=5), 5000, Proof(kind="called")),
    (
        {"latency": "1s", "jitter": "200ms", "share": "10%"},
        behaviours.Late(latency_ms=1000, jitter_ms=200),
        1200,
        Proof(kind="held", least_ms=900),
    ),
    ({"hang": True, "share": "10%"}, behaviours.Hang(), 5000, Proof(kind="held", least_ms=2000)),
)


@pytest.mark.parametrize(("fields", "does", "held_ms", "proof"), KINDS, ids=[str(kind[0]) for kind in KINDS])
def test_what_a_kind_compiles_to(
    fields: dict[str, Any], does: behaviours.Behaviour, held_ms: float, proof: Proof
) -> None:
    effect = compiled(**fields)
    assert effect.behaviour == does
    assert (effect.toxics, effect.disables_proxy, effect.delay_ms) == ((), False, None)
    assert effect.held_ms == held_ms
    assert effect.proof == proof


def test_every_kind_has_a_text_of_its_own() -> None:
    texts = [parsed(**fields).text for fields, *_ in KINDS]
    assert len(set(texts)) == len(texts)
    assert parsed(status=429, retry_after="2s").text == "status 429, Retry-After 2s"


def test_spells_come_again_with_the_seed_and_the_first_comes_soon() -> None:
    fault = parsed(slow_spells={"latency": "2s", "every": "10s", "last": "2s"})

    def spells(seed: int) -> tuple[tuple[float, float], ...]:
        told = fault.compile(FaultContext(hold_ms=5000, answer_bytes=80_000, seed=seed)).behaviour
        assert isinstance(told, behaviours.SlowSpells)
        return told.spells_ms

    assert spells(1) == spells(1) != spells(2)
    for seed in range(50):
        drawn = spells(seed)
        assert drawn[0][0] <= 2500
        assert all(1000 <= end - start <= 3000 for start, end in drawn)
        assert all(after[0] > before[1] for before, after in itertools.pairwise(drawn))
        assert 6 <= len(drawn) <= 13


@pytest.mark.parametrize("text", ["0ms → 5s over 60s", "0ms -> 5s over 60s", " 0ms->5s  over 60s "])
def test_a_ramp_is_spelled_with_either_arrow(text: str) -> None:
    assert compiled(ramp=text).behaviour == behaviours.Ramp(from_ms=0, to_ms=5000, over_ms=60_000)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"status": 503, "stream": "upstream"}, "changes a backend's answers"),
        ({"status": 503, "retry_after": "1500ms"}, "whole seconds"),
        ({"truncate": "100%"}, "is not cut"),
        ({"huge": "2GB"}, "above 1 GB"),
        ({"cold_start": "91s"}, "takes 91s to start, and the fault ends before"),
        ({"ramp": "0ms to 5s"}, "is not a ramp"),
        ({"ramp": "0 → 5 over 60"}, "is not a ramp: one of its three values is not a duration"),
        ({"ramp": "5s → 5s over 60s"}, "begins and ends with the same delay"),
        ({"ramp": "0ms → 5s over 0ms"}, "out of bounds"),
        ({"ramp": "0ms → 5s over 91s"}, "takes 91s, and the fault ends before it is over"),
        ({"ramp": 5}, "expected a ramp, not the number 5"),
        ({"capacity": 5, "share": "50%"}, "the whole backend"),
        ({"capacity": 5, "met": "optional"}, "only calls that had to wait can show"),
        ({"status": 503, "met": "never"}, "required"),
        ({"slow_spells": {"latency": "2s", "every": "3s", "last": "2s"}}, "run into each other"),
        ({"slow_spells": {"latency": "2s", "every": "89s", "last": "2s"}}, "no two spells fit"),
        ({"slow_spells": {"latency": "2s", "every": "10s", "last": "1s"}}, "could miss such short spells"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parsed(**fields)


@pytest.mark.parametrize("fields", [{"huge": "1MB"}, {"drip": "10ms"}, {"ramp": "0ms → 30ms over 5s"}])
def test_what_nobody_could_see_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UnobservableFault):
        compiled(**fields)


def test_a_share_of_a_delay_is_the_fakes_work_and_all_of_it_is_toxiproxys() -> None:
    assert parsed(latency="1s").draws == "connection"
    assert parsed(latency="1s", share="10%").draws == "request"
    assert parsed(latency="1s", share="10%", stream="upstream").draws == "connection"
    assert parsed(reset="0s", share="10%").draws == "connection"
    assert parsed(status=503).draws == "request"
    real = FaultContext(hold_ms=5000, answer_bytes=80_000, fakes=False)
    (toxic,) = parsed(latency="1s", share="10%").compile(real).toxics
    assert toxic.toxicity == 0.1


# ---------------------------------------------------------------- groups


@pytest.mark.parametrize(
    ("upstream", "hit", "name"),
    [
        ("azure", ("azure",), "azure-status"),
        (("azure", "gcp"), ("azure", "gcp"), "azure-gcp-status"),
        ("all", ("aws", "azure", "gcp"), "all-status"),
        ("all but azure", ("aws", "gcp"), "all-but-azure-status"),
        ("all but azure, gcp", ("aws",), "all-but-azure-gcp-status"),
        ("all  but azure and gcp", ("aws",), "all-but-azure-gcp-status"),
    ],
)
def test_whom_a_group_hits_and_what_it_is_called(upstream: Any, hit: tuple[str, ...], name: str) -> None:
    fault = parsed(upstream=upstream, status=503)
    assert fault.hits(("aws", "azure", "gcp")) == hit
    assert fault.name == name


def test_a_group_in_a_scenario(tmp_path: Path) -> None:
    text = changed(("upstream: azure, latency", "upstream: all but gcp, name: azure-latency, latency"))
    (fault,) = plan_of(load(tmp_path, text)).faults
    assert fault.upstreams == ("azure",)


@pytest.mark.parametrize(
    ("upstream", "message"),
    [
        ("all but azur", "there is no upstream `azur`"),
        ("all but azure and gcp", "excludes every upstream"),
        ("all but", "there is no upstream `all but`"),
        ("[all, azure]", "`all` cannot be combined with names"),
    ],
)
def test_a_group_that_cannot_be(tmp_path: Path, upstream: str, message: str) -> None:
    text = changed(("upstream: azure, latency", f"upstream: {upstream}, name: azure-latency, latency"))
    problem = only_problem(tmp_path, text)
    assert message in problem.message
    assert problem.line == 11
    assert problem.fix


# ---------------------------------------------------------------- several at once, and too little to be seen


def both(first: str, second: str) -> str:
    return changed(
        (
            "  - {upstream: azure, latency: 60s, for: 90s}\n",
            f"  - {{upstream: azure, name: azure-latency, at: 70s, for: 90s, {first}}}\n"
            f"  - {{upstream: azure, name: other, at: 70s, for: 90s, {second}}}\n",
        ),
        ("rate: 40/s", "rate: 40/s\n  duration: 200s"),
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("latency: 60s", "status: 503"),
        ("status: 503, share: 10%", "status: 429, share: 5%"),
        ("drip: 3s", "ramp: 0ms → 1s over 10s"),
        ("status: 503, share: 60%", "malformed: true, share: 40%"),
    ],
)
def test_several_faults_stand_on_one_backend_at_once(tmp_path: Path, first: str, second: str) -> None:
    faults = plan_of(load(tmp_path, both(first, second))).faults
    assert [fault.windows for fault in faults] == [faults[0].windows] * 2


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("status: 503", "malformed: true", "the same backend's answers, 200% of them in all"),
        ("status: 503, share: 60%", "status: 429, share: 41%", "the same backend's answers, 101% of them in all"),
        ("down: true", "status: 503", "while `azure-latency` is on, no canary could see `other`"),
    ],
)
def test_faults_that_hide_each_other_are_refused(tmp_path: Path, first: str, second: str, message: str) -> None:
    problem = only_problem(tmp_path, both(first, second))
    assert message in problem.message
    assert problem.line == 13
    assert problem.fix


def test_a_share_that_may_hit_no_request_is_refused(tmp_path: Path) -> None:
    text = changed(("latency: 60s", "name: azure-latency, status: 503, share: 0.1%"))
    problem = only_problem(tmp_path, text)
    assert "this fault may hit none" in problem.message
    assert "`share: 0.2%` or more" in problem.fix


def test_a_33rd_fault_of_the_fakes_is_refused(tmp_path: Path) -> None:
    entries = "".join(
        f"  - {{upstream: azure, name: f{number}, at: {70 + 10 * number}s, for: 6s, status: 503}}\n"
        for number in range(33)
    )
    text = changed(
        ("  - {upstream: azure, latency: 60s, for: 90s}\n", entries),
        ("rate: 40/s", "rate: 80/s\n  duration: 500s"),
        ("during azure-latency", "during f0"),
        ("{timeout: 5s}", "{timeout: 5s}\nverdict: {clump: 10ms}"),
    )
    assert "only the first 32 faults" in only_problem(tmp_path, text).message


def test_validation_says_of_what_a_share_is(tmp_path: Path) -> None:
    from harness.scenario.preview import preview

    for fields, drawn in (("status: 503, share: 10%", "request"), ("reset: 0s, share: 50%", "connection")):
        loaded = load(tmp_path, changed(("latency: 60s", f"name: azure-latency, {fields}")))
        (cell,) = preview(loaded)
        assert [fault.drawn for fault in cell.faults] == [drawn]
        assert any("not a share of the requests" in warning.message for warning in loaded.warnings) == (
            drawn == "connection"
        )
